#!/usr/bin/perl
# DMARC aggregate reports (RFC 9990): counted from real mail, shown, valid by the schema, sent by the daemon through Postfix, signed on
# the way, once, and only to who wants them.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Compress::Zlib ();
use IO::Socket::INET;
use MIME::Base64 qw(decode_base64);
use POSIX qw(strftime);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir free_port run_ok read_file write_file wait_until test_program);
use Mailreeve::Scenario qw(make_key sign message);
use Mailreeve::Smtp;

my $mailreeve = test_program('mailreeve');
my ($key, $record) = make_key();
my $dns = Mailreeve::Dns->start(<<"END");
good.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject; adkim=s; rua=mailto:agg\@good.example,mailto:agg\@third.example,mailto:agg\@unwilling.example"
good.example._report._dmarc.third.example. TXT "v=DMARC1"
third.example. TXT "none"
unwilling.example. TXT "none"
sel._domainkey.good.example. TXT $record
_dmarc.silent.example. TXT "v=DMARC1; p=none"
fail.example. TXT "v=spf1 -all"
_dmarc.fail.example. TXT "v=DMARC1; p=none; ruf=mailto:ruf\@fail.example,mailto:ruf\@unwilling.example"
any.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.any.example. TXT "v=DMARC1; p=none; fo=1; ruf=mailto:ruf\@any.example"
_dmarc.tiny.example. TXT "v=DMARC1; p=none; rua=mailto:agg\@tiny.example!10"
END

my $sink = Mailreeve::Smtp->sink;
my $port = free_port();
my $daemon = Mailreeve::Daemon->start(tick => 1, forwarder => $dns->{forwarder}, dns => 'timeout = 2s deadline = 3s', down => 1, config => <<"END");
own_networks = {"127.0.0.1"}
authserv_id = "mx.test.example"
sign { keys_dir = "@{[work_dir()]}/keys" }
dmarc_reports { email = "dmarc\@relay.example" org_name = "Relay & Sons" relay = "smtp:127.0.0.1:$port" spread = 0 failure = redacted failure_max = 3 }
END
run_ok($mailreeve, 'key', 'new', 'relay.example', '--config', $daemon->{config});
run_ok($mailreeve, 'key', 'activate', 'relay.example', '--config', $daemon->{config}, '--force');
$daemon->up;
my $mta = Mailreeve::Postfix->start(port => $port, sink => $sink->{port}, milter => "unix:$daemon->{socket}");

sub report (@arg) { return run_ok($mailreeve, 'report', 'dmarc', '--config', $daemon->{config}, @arg) }
sub give ($from, $to, $client, $text) {
    return Mailreeve::Smtp->send_message($mta->{port}, local => $client, from => $from, to => $to, message => $text);
}
my $today = strftime('%Y-%m-%d', gmtime);
my ($id, $text);

for (1 .. 3) {
    (undef, $text) = message(from => 'a@good.example');
    like(give('a@good.example', 'b@dst.example', '127.0.0.7', $text), qr/^250/, 'one that passes');
}
(undef, $text) = message(from => 'a@good.example');
like(give('x@else.example', 'b@dst.example', '127.0.0.8', sign($key, 'good.example', $text)), qr/^250/, 'one that passes by DKIM');
(undef, $text) = message(from => 'a@good.example');
like(give('x@else.example', 'b@dst.example', '127.0.0.9', $text), qr/^550 5\.7\.1 DMARC/, 'one that fails');
like(give('a@good.example', 'dmarc@relay.example', '127.0.0.7', $text), qr/^250/, 'one to the address that reports come from');
(undef, $text) = message(from => 'a@silent.example');
like(give('a@silent.example', 'b@dst.example', '127.0.0.9', $text), qr/^250/, 'one of a domain that wants no reports');
(undef, $text) = message(from => 'a@tiny.example');
like(give('a@tiny.example', 'b@dst.example', '127.0.0.9', $text), qr/^250/, 'one of a domain that wants small ones');

my $list;
wait_until('the rows', sub { $list = report('--day', $today); $list =~ /good\.example +5 messages/ && $list =~ /tiny/ });
like($list, qr/^\Q$today\E  good\.example +5 messages, not sent$/m, 'five are counted: not the one about reports');
unlike($list, qr/silent/, 'none where none is wanted');
my $xml = report('--day', $today, '--dry-run', 'good.example');
my %count = $xml =~ m{<source_ip>([^<]+)</source_ip>\s*<count>(\d+)</count>}g;
is_deeply([ map { $count{"127.0.0.$_"} } 7, 8, 9 ], [ 3, 1, 1 ], 'equal messages are one row');
like($xml, qr{<source_ip>127\.0\.0\.9.*?<disposition>reject</disposition>}s, 'what was done');
like($xml, qr{<org_name>Relay &amp; Sons</org_name>}, 'by whom');
SKIP: {
    my $schema = ($ENV{MAILREEVE_DATA} // '/nonexistent') . '/dmarc/dmarc-2.0.xsd';
    skip 'no schema: MAILREEVE_DATA is not set or has none', 1 if !-r $schema;
    my $file = write_file(work_dir() . '/report.xml', $xml);
    ok(eval { run_ok('xmllint', '--noout', '--schema', $schema, $file) }, 'valid by the schema of RFC 9990') or diag($@);
}
is(scalar(grep { /\nSubject: Report Domain:/ } map { read_file($_) } glob "$sink->{dir}/*.eml"), 0, 'nothing is sent before the day is over');

# The day is over: the rows become yesterday's.
my ($store) = read_file($daemon->{config}) =~ /location = "sqlite:([^"]+)"/;
run_ok('sqlite3', '-cmd', '.timeout 5000', $store, 'BEGIN; UPDATE dmarc_row SET day = day - 1; UPDATE dmarc_report SET day = day - 1, due = 0; COMMIT;');
my %reports;
wait_until('the reports', sub {
    %reports = map { /^Subject: Report Domain:/m && /^To: <([^>]+)>/m ? ($1 => $_) : () } map { read_file($_) } glob "$sink->{dir}/*.eml";
    return keys %reports == 2;
}, 90);
is_deeply([ sort keys %reports ], [ 'agg@good.example', 'agg@third.example' ], 'to who asked, and to another who agreed; not to one who did not');
my $mail = $reports{'agg@third.example'};
like($mail, qr/^DKIM-Signature:.*?d=relay\.example;/ms, 'signed for the domain that it comes from');
like($mail, qr/^From: "Relay & Sons"\s+<dmarc\@relay\.example>\r$/m, 'From');
like($mail, qr/^Auto-Submitted: auto-generated\r$/m, 'written by no human');
my ($name, $base64) = $mail =~ /filename="([^"]+)"\r\n\r\n(.*?)\r\n--/s;
my $begin = int(time / 86400 - 1) * 86400;
is($name, "mx.test.example!good.example!$begin!" . ($begin + 86399) . '.xml.gz', 'the name of the file');
my $sent = Compress::Zlib::memGunzip(decode_base64($base64));
like($sent, qr{<count>3</count>.*</feedback>\n\z}s, 'the report is whole');
like($sent, qr{<begin>$begin</begin>}, 'and about that day');
my $yesterday = strftime('%Y-%m-%d', gmtime $begin);
wait_until('its state', sub { report('--day', $yesterday) =~ /good\.example .*, sent$/m && report('--day', $yesterday) =~ /tiny\.example .*given up$/m }, 60);
like(report('--day', $yesterday), qr/tiny\.example .*given up$/m, 'one that is too large for its domain is not sent');
like($daemon->log_text, qr/unwilling\.example does not say that it takes such reports/, 'who did not agree is named in the log');
report('--send', '--day', $yesterday, '--dns-zone', write_file(work_dir() . '/none.zone', "x.example. TXT \"x\"\n"));
is(scalar(grep { /^Subject: Report Domain:/m } map { read_file($_) } glob "$sink->{dir}/*.eml"), 2, 'nothing is sent twice');

# ---- failure reports ----

my @failures;
sub failures { return @failures = grep { /^Subject: DMARC failure report about/m } map { read_file($_) } glob "$sink->{dir}/*.eml" }

# A message in the name of who asks for failure reports.
sub failing ($domain, $client, %arg) {
    (undef, my $text) = message(from => "secret.person\@$domain", %arg);
    $text =~ s/^Subject:.*/Subject: a private matter/m;
    return give($arg{path} // "secret.person\@$domain", 'b@dst.example', $client, $text);
}
like(failing('fail.example', '127.0.0.9'), qr/^250/, 'a failure that its domain wants to hear of');
like(failing('fail.example', '127.0.0.9', path => ''), qr/^250/, 'one with the null path');
like(failing('any.example', '127.0.0.7'), qr/^250/, 'one that passes by SPF alone, where fo=1 asks for both');
like(failing('silent.example', '127.0.0.9'), qr/^250/, 'one of a domain that does not ask');
wait_until('the failure reports', sub { failures() == 2 }, 60);
my ($about) = grep { /^To: <ruf\@fail\.example>/m } @failures;
ok(defined $about, 'to the address in its own domain');
like($about, qr/^DKIM-Signature:.*?d=relay\.example;/ms, 'signed');
like($about, qr/^Auto-Submitted: auto-generated\r$/m, 'written by no human');
unlike($about, qr/secret\.person|private matter|dst\.example/, 'nothing of it tells who wrote what to whom');
my $python = write_file(work_dir() . '/arf.py', <<'END');
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
parts = list(m.iter_parts())
print(m.get_content_type(), m.get_param('report-type'), *[p.get_content_type() for p in parts])
f = email.message_from_string(parts[1].get_payload() if isinstance(parts[1].get_payload(), str) else parts[1].get_payload(0).as_string())
for k in ('Feedback-Type', 'Version', 'Auth-Failure', 'Identity-Alignment', 'Reported-Domain', 'Delivery-Result', 'Source-IP', 'SPF-DNS'):
    print(k, f[k])
print(' '.join(f['Authentication-Results'].split()))
h = email.message_from_string(parts[2].get_payload() if isinstance(parts[2].get_payload(), str) else parts[2].get_payload(0).as_string())
print(' '.join(h['Authentication-Results'].split()))
print(*sorted(h.keys()))
print(len(m.defects) + sum(len(p.defects) for p in parts))
END
my @read = split /\n/, run_ok('python3', $python, write_file(work_dir() . '/arf.eml', $about));
is_deeply(\@read, [ 'multipart/report feedback-report text/plain message/feedback-report text/rfc822-headers', 'Feedback-Type auth-failure', 'Version 1',
    'Auth-Failure dmarc', 'Identity-Alignment dkim, spf', 'Reported-Domain fail.example', 'Delivery-Result delivered', 'Source-IP 127.0.0.9',
    'SPF-DNS txt : fail.example : "v=spf1 -all"', 'mx.test.example; dmarc=fail header.from=fail.example',
    'mx.test.example; dmarc=fail header.from=fail.example; spf=fail smtp.mailfrom=fail.example; dkim=none',
    'Authentication-Results Date From Message-ID', 0 ],
    'another program reads it') or diag explain \@read;
my ($hash) = $about =~ /^From: <([^@>]+)\@fail\.example>\r$/m;
like($about, qr/^Original-Mail-From: <\Q$hash\E\@fail\.example>\r$/m, 'the same local part has the same hash');
like((grep { /^To: <ruf\@any/m } @failures)[0], qr/^Identity-Alignment: dkim\r$/m, 'the other one says what failed to be aligned');
wait_until('who did not agree to be told', sub { $daemon->log_text =~ /failure report about fail\.example: unwilling\.example does not say/ }, 60);
failing('any.example', '127.0.0.9') for 1 .. 5;
wait_until('its share', sub { grep({ /^To: <ruf\@any/m } failures()) == 3 }, 60);
$daemon->down;
is(run_ok('sqlite3', '-cmd', '.timeout 5000', $store, "SELECT COUNT(*) FROM dmarc_failure WHERE domain = 'any.example'"), "3\n", 'no more than failure_max of a day');
is(run_ok('sqlite3', '-cmd', '.timeout 5000', $store, "SELECT COUNT(*) FROM dmarc_failure WHERE parts <> ''"), "0\n", 'of what is sent nothing is kept');
is(report('--failure'), "no failure report waits\n", 'none waits');
run_ok('sqlite3', $store, "INSERT INTO dmarc_failure VALUES (1, 1, 'x.example', 'ruf\@x.example', 'Feedback-Type: auth-failure' || x'0d0a0d0a' || 'From: <h\@x.example>' || x'0d0a', 0, 2, 0)");
like(report('--failure'), qr/^1970-01-02  x\.example +to <ruf\@x\.example>, tried 2 times$/m, 'one that does is listed');
like(report('--failure', '--dry-run', 'x.example'), qr{^Content-Type: text/rfc822-headers\r\n\r\nFrom: <h\@x\.example>\r\n\r\n--failure\.1--\r\n\z}m, 'and printed as it would be sent');
done_testing();
