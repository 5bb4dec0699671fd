#!/usr/bin/perl
# A report to a user, from the mail that it is about to the reply that releases: through Postfix, into a mailbox of Dovecot, signed on
# the way, once, and acted on only for who it was made for.
use v5.36;
use Test::More;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use MIME::QuotedPrint qw(decode_qp);
use Mailreeve::Daemon;
use Mailreeve::Dovecot;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir free_port run_ok read_file write_file wait_until test_program source_dir);
use Mailreeve::Scenario qw(message eicar zip);
use Mailreeve::Smtp;

my $mailreeve = test_program('mailreeve');
my $zone = write_file(work_dir() . '/zone', <<'END');
hard.example. TXT "v=spf1 -all"
fwd.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.fwd.example. TXT "v=DMARC1; p=reject"
END
my $dovecot = Mailreeve::Dovecot->start(map { $_ => 'secret' } map { "$_.example" } qw(bob@dst anna@dst ulf@tag eve@fwd));
my $sink = Mailreeve::Smtp->sink;
my ($port, $dead) = (free_port(), free_port());
my $templates = work_dir() . '/templates';
run_ok('cp', '-r', source_dir() . '/conf/templates', $templates);
my $hour = (gmtime(time - 300))[2];
my $daemon = Mailreeve::Daemon->start(zone => $zone, down => 1, config => '');

sub configure (%arg) {
    my $relay = 'smtp:127.0.0.1:' . ($arg{port} // $port);
    $daemon->configure(<<"END");
metrics { store_interval = 1s }
own_networks = {"127.0.0.1"}
authserv_id = "mx.test.example"
quarantine { method = store relay = "smtp:127.0.0.1:$port" }
sign { keys_dir = "@{[work_dir()]}/keys" }
policy { spf.fail = quarantine attachment.executable = "quarantine enforced" }
domain "tag.example" { spf.fail = tag digest = daily digest_language = de }
domain "dst.example" { digest = daily }
domain "fwd.example" { digest = daily }
recipient "weekly\@dst.example" { digest = weekly }
recipient "off\@dst.example" { digest = off }
digest { from = "reports\@relay.example" name = "Gate & Söhne" reply_address = "reeve\@relay.example" hour = $hour time_zone = "UTC"
         weekday = @{[ 1 + ((gmtime(time - 300))[6] + 2) % 7 ]} relay = "$relay" templates = "$templates" }
END
    return;
}
sub metrics {
    my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => "$daemon->{socket}.control") or die $!;
    print $socket "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    local $/ = undef;
    return <$socket> =~ s/\r//gr;
}

configure();
run_ok($mailreeve, 'key', 'new', 'relay.example', '--config', $daemon->{config});
run_ok($mailreeve, 'key', 'activate', 'relay.example', '--config', $daemon->{config}, '--force');
$daemon->up;
my $mta = Mailreeve::Postfix->start(port => $port, sink => $sink->{port}, milter => "unix:$daemon->{socket}", master => $dovecot->transport, main => <<"END");
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dovecot->{socket}
recipient_delimiter = +
transport_maps = inline:{dst.example=dovecot:, tag.example=dovecot:, fwd.example=dovecot:}
smtpd_recipient_restrictions = check_recipient_access inline:{{gone\@dst.example = 550 5.1.1 no such user}}, permit
END

my $a_report = qr/^Message-ID: <digest\./m;

sub give ($to, %arg) {
    my ($id, $text) = message(from => $arg{author} // 'a@hard.example', headers => $arg{headers} // '', body => $arg{body} // "It is text.\n");
    $text =~ s/^Subject: .*/Subject: $arg{subject}/m if $arg{subject};
    my $reply = Mailreeve::Smtp->send_message($port, local => $arg{local} // '127.0.0.9', from => $arg{from} // 'a@hard.example', to => $to,
        message => $text, helo => 'client.example');
    return $reply;
}

sub db ($sql) {
    my ($store) = read_file($daemon->{config}) =~ /location = "sqlite:([^"]+)"/;
    return run_ok('sqlite3', '-cmd', '.timeout 10000', $store, $sql);
}

sub ctl (@words) { return run_ok($mailreeve, 'digest', @words, '--config', $daemon->{config}) }

# A mail of a user to an address of his report: the last reply.
sub answer ($address, %arg) {
    my $smtp = Mailreeve::Smtp->connect_to($port, local => $arg{local} // '127.0.0.9');
    $smtp->say_line('EHLO client.example');
    like($smtp->say_line('AUTH PLAIN ' . encode_base64("\0$arg{user}\0secret", '')), qr/^235/, "$arg{user} logs in") if $arg{user};
    my $from = $arg{from} // 'bob@dst.example';
    my $reply = $smtp->deliver(from => $arg{envelope} // $from, to => [ $address, @{ $arg{also} // [] } ],
        message => "From: $from\nTo: $address\nSubject: please\nMessage-ID: <reply@{[ int rand 1e9 ]}\@dst.example>\n" . ($arg{headers} // '') . "\nPlease.\n");
    $smtp->say_line('QUIT');
    return $reply;
}

sub mails ($user, $match) { return grep { $_ =~ $match } $dovecot->mailbox($user) }
sub wait_for ($user, $match, $n = 1) {
    my @found;
    wait_until("a mail to $user that matches $match", sub { @found = mails($user, $match); @found >= $n }, $ENV{MAILREEVE_WAIT} // 90);
    return $found[-1];
}

# text, html of a report
sub parts ($mail) {
    my ($text, $html) = map { decode_qp($_) } $mail =~ /quoted-printable\r?\n\r?\n(.*?)\r?\n--=_mailreeve/sg;
    return map { s/\r//gr } $text, $html;
}

# ---- the mail that there is to tell of ----
like(give('bob+lists@dst.example', subject => "Held <b>now</b> \xe2\x80\xaegnp.exe http://evil.example/"), qr/^250/, 'one that is quarantined');
like(give('bob@dst.example', body => eicar() . "\n", subject => 'Infected', from => 'a@ok.example', author => 'a@ok.example'), qr/^550/, 'one with a virus');
my $program = encode_base64(zip('setup.exe' => 'MZ' . "\0" x 200));
like(give('bob@dst.example', subject => 'Enforced', from => 'b@ok.example', author => 'b@ok.example',
        headers => "MIME-Version: 1.0\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n", body => $program),
    qr/^250/, 'one that nobody may release');
like(give($_), qr/^250/, "one to $_") for 'ulf@tag.example', 'weekly@dst.example', 'off@dst.example', 'anna@dst.example', 'eve@fwd.example', 'x@none.example';
like(give('gone@dst.example'), qr/^550 5\.1\.1/, 'the MTA refuses one');
like(give('anna@dst.example', from => 'n@ok.example', author => 'n@ok.example'), qr/^250/, 'one that is good');
like(give('other@dst.example', local => '127.0.0.1', body => eicar() . "\n"), qr/^550/, 'outbound mail that is refused');
wait_until('the history', sub { db('SELECT COUNT(*) FROM history_message') >= 11 });
is(db("SELECT COUNT(*) FROM digest_user"), "0\n", 'nothing is sent before its time');

# It is hours ago.
my $shift = '10800 * 2147483648';
$daemon->down;
db("UPDATE history_message SET id = id - $shift, time = time - 10800; " . join(' ', map { "UPDATE history_$_ SET message = message - $shift;" } qw(recipient finding sender))
    . 'DELETE FROM store_turn; DELETE FROM digest_progress; DELETE FROM digest_address;');
$daemon->up;

# ---- the report ----
my $report = wait_for('bob@dst.example', $a_report);
my ($text, $html) = parts($report);
if ($ENV{MAILREEVE_DIGEST_OUT}) { write_file("$ENV{MAILREEVE_DIGEST_OUT}/e2e.html", $html); write_file("$ENV{MAILREEVE_DIGEST_OUT}/e2e.eml", $report) }
like($report, qr/^Return-Path: <>\r?$|^Return-Path: <MAILER-DAEMON>\r?$/m, 'from the null path');
like($report, qr/^Auto-Submitted: auto-generated\r?$/m, 'written by no human');
like($report, qr/^List-Unsubscribe: <mailto:reeve%2Boff-[0-9a-z]{32}\@relay\.example/m, 'can be unsubscribed');
unlike($report, qr/[^\x00-\x7f]/, 'and is ASCII on the wire');
unlike($report, qr/^X-Mailreeve-Digest/m, 'the mark for the gate stays there');
my ($selector) = $report =~ /^DKIM-Signature:.*?\bs=([^;\s]+)/ms;
my $published = eval { run_ok($mailreeve, 'key', 'publish', 'relay.example', $selector, '--dns-zone', '/dev/null', '--config', $daemon->{config}) } // $@;
my ($record) = $published =~ /^(\S+ \d+ IN TXT (?:"[^"]*"|\(.*?\)))\s*$/ms;
my $keys = write_file(work_dir() . '/keys.zone', "$record\n_dmarc.relay.example. TXT \"v=DMARC1; p=reject\"\n");
my $eml = write_file(work_dir() . '/report.eml', $report =~ s/\A(?:(?!DKIM-Signature)[^\n]*\n(?:[ \t][^\n]*\n)*)+?(?=DKIM-Signature)//r);
local $ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my ($said) = run_ok($mailreeve, 'explain', '--json', '--config', $daemon->{config}, '--dns-zone', $keys, '--client', '127.0.0.9', '--from', '<>', '--rcpt', 'bob@dst.example', $eml) =~ /^(\{.*)$/m;
my $explained = decode_json($said);
is($explained->{dkim}[0]{result}, 'pass', 'its signature verifies') or diag $said;
is($explained->{dmarc}{result}, 'pass', 'and is aligned');
like($text, qr/^\* Held <b>now<\/b> \?gnp\.exe http:\/evil\.example\/\n  from a\@hard\.example\n  .*, to bob\+lists\@dst\.example\n  It came from a computer that may not send mail for the address/m, 'what is held, and why');
unlike($html, qr/<b>/, 'markup in a subject is none');
unlike("$text$html", qr/\xe2\x80\xae|http:\/\//, 'no character that turns what follows, no link to elsewhere');
like($text, qr/== Rejected \(1\).*Infected.*contains a virus/s, 'what was rejected');
my ($enforced) = $text =~ /^(\* Enforced.*?)(?=\n\* |\n== |\z)/ms;
like($enforced, qr/cannot be delivered/, 'what nobody may release says so');
unlike($enforced, qr/reeve\+release/, 'and has no link to do it');
my ($held) = $text =~ /^(\* Held.*?)(?=\n\* |\n== )/ms;
my %address = $held =~ /(reeve\+(\w+)-\w+\@relay\.example)/g ? map { /\+(\w+)-/ ? ($1 => $_) : () } "$text" =~ /reeve\+\w+-\w+\@relay\.example/g : ();
%address = (%address, map { /\+(\w+)-/ ? ($1 => $_) : () } $held =~ /reeve\+\w+-\w+\@relay\.example/g);
is_deeply([ sort grep { /release|trust|block|off|weekly|lang/ } keys %address ], [qw(block lang off release trust weekly)], 'the addresses to reply to');
cmp_ok(length($address{release} =~ s/\@.*//r), '<=', 64, 'a local part is not too long');
my ($german) = parts(wait_for('ulf@tag.example', $a_report));
like($german, qr/Mit einer Markierung zugestellt/, 'another in the language of his domain');
like((parts(wait_for('eve@fwd.example', $a_report)))[0], qr/a\@hard\.example/, 'another one of her own mail');
unlike((parts(wait_for('anna@dst.example', $a_report)))[0], qr/gnp|Infected|bob/, 'nobody sees what is another\'s');
is(scalar(mails($_, $a_report)), 0, "none to $_") for 'weekly@dst.example', 'off@dst.example', 'gone@dst.example', 'other@dst.example';
is(scalar(grep { $_->[1] =~ $a_report } Mailreeve::Smtp->sunk($sink)), 0, 'none where none is wanted');

# ---- who may have something done ----
sub states { return db("SELECT owner || ' ' || state FROM quarantine_copy WHERE owner LIKE 'bob%' ORDER BY owner") }
my $before = states();
like($before, qr/bob\+lists\@dst\.example held/, 'it is held');
like(answer($address{release}), qr/^550 5\.7\.1 .*only from the one/, 'a forged reply from elsewhere');
like(answer($address{release}, user => 'anna@dst.example'), qr/^550 5\.7\.1 /, 'one of another user in his name');
like(answer($address{release}, user => 'anna@dst.example', from => 'anna@dst.example'), qr/^550 5\.7\.1 /, 'one of another user, to whom the report was forwarded');
like(answer($address{release}, from => 'eve@fwd.example', local => '127.0.0.7'), qr/^550 5\.7\.1 /, 'one of somebody else whose mail proves who it is from');
like(answer($address{release} =~ s/release-(.)/'release-' . ($1 eq 'a' ? 'b' : 'a')/er, user => 'bob@dst.example'), qr/^550 5\.1\.1 /, 'a token that was not made');
like(answer($address{release} =~ s/release/trust/r, user => 'bob@dst.example'), qr/^550 5\.1\.1 /, 'one of another verb');
like(answer($address{release}, user => 'bob@dst.example', headers => "Auto-Submitted: auto-replied\n"), qr/^250 /, 'an automatic answer is taken');
is(states(), $before, 'and all of them did nothing');
is(db('SELECT COUNT(*) FROM digest_request'), "0\n", 'nor will they');

# ---- the user himself ----
like(answer($address{release}, user => 'bob@dst.example', also => ['anna@dst.example']), qr/^250 /, 'his own reply is taken');
my $released = wait_for('bob@dst.example', qr/^Subject: Held/m);
like($released, qr/^X-Mailreeve-Verdict: released/m, 'the message comes to him');
my $done = wait_for('bob@dst.example', qr/^Auto-Submitted: auto-replied/m);
like(decode_qp($done), qr/The message was delivered/, 'and he is told');
like($done, qr/^In-Reply-To: <reply\d+\@dst\.example>/m, 'as an answer');
wait_for('anna@dst.example', qr/^Subject: please/m);
pass('another recipient of that mail gets it');
like(answer($address{release}, user => 'bob@dst.example'), qr/^250 /, 'the same again is taken');
like(decode_qp(wait_for('bob@dst.example', qr/^Auto-Submitted: auto-replied/m, 2)), qr/nothing left to do/, 'and does nothing');
is(scalar(mails('bob@dst.example', qr/^Subject: Held/m)), 1, 'nothing is released twice');
like(answer($address{block}, local => '127.0.0.1'), qr/^250 /, 'a reply from our own networks');
wait_until('the entry', sub { db("SELECT owner || ' ' || value || ' ' || action FROM list_entry") eq "bob\@dst.example a\@hard.example 2\n" });
pass('blocks the sender, for him');
my ($eve) = (parts(wait_for('eve@fwd.example', $a_report)))[0] =~ /(reeve\+off-\w+\@relay\.example)/;
like(answer($eve, from => 'eve@fwd.example', local => '127.0.0.8'), qr/^550 /, 'mail in the name of a user outside that proves nothing');
like(answer($eve, from => 'eve@fwd.example', local => '127.0.0.7'), qr/^250 /, 'mail that passes DMARC');
wait_until('her setting', sub { db("SELECT frequency FROM digest_user WHERE owner = 'eve\@fwd.example'") eq "off\n" });
like(ctl('status'), qr/^eve\@fwd\.example +off +\(his own\)/m, 'she gets none any more');
db('UPDATE digest_link SET expires = 1000000000 + expires % 2');
like(answer($address{trust}, user => 'bob@dst.example'), qr/^250 /, 'a reply that comes too late');
SKIP: {
    my $late = eval { wait_for('bob@dst.example', qr/too old/) };
    ok($late, 'is told so') or diag $@;
}

# ---- once ----
my @all = mails('bob@dst.example', $a_report);
$daemon->down;
db('DELETE FROM store_turn');
$daemon->up;
is(db('SELECT COUNT(*) FROM digest_user WHERE wanted > 0'), "0\n", 'nothing is to be sent');
like(ctl('--dry-run', '--user', 'bob@dst.example', '--since-days', '1'), qr/^\* Enforced/m, 'what would be sent is shown');
like(ctl('--dry-run', '--user', 'bob@dst.example', '--since-days', '1', '--html'), qr/^<!DOCTYPE html>/, 'as HTML too');
is(db('SELECT COUNT(*) FROM digest_link WHERE expires > 1000000001'), "0\n", 'without a link that works');
like(give('anna@dst.example', subject => 'Later'), qr/^250/, 'one more');
wait_until('the history', sub { db("SELECT COUNT(*) FROM history_message WHERE subject = 'Later'") == 1 });
configure(port => $dead);
isnt(eval { ctl('--now', '--user', 'Anna+x@dst.example') } // 'failed', '', 'without a relay');
like($@, qr/not sent: .*refused.*tries it again/, 'nothing is sent, and it is said');
configure();
db('UPDATE digest_user SET due = 0; DELETE FROM store_turn');
$daemon->down;
$daemon->up;
like((parts(wait_for('anna@dst.example', $a_report, 2)))[0], qr/Later/, 'once the relay is back it is sent');
wait_until('its end', sub { db('SELECT COUNT(*) FROM digest_user WHERE wanted > 0') == 0 });

# The gate saw it and then everything died: whoever comes next knows.
db("UPDATE digest_user SET covered = 1, wanted = covered + 10, trying = covered + 10, due = 0, nonce = '0123456789abcdef', passed = 1 WHERE owner = 'anna\@dst.example'; DELETE FROM store_turn");
$daemon->down;
$daemon->up;
wait_until('its end', sub { db('SELECT COUNT(*) FROM digest_user WHERE wanted > 0') == 0 });
is(scalar(mails('anna@dst.example', $a_report)), 2, 'what had gone out is not sent again');
is(scalar(mails('bob@dst.example', $a_report)), scalar @all, 'nobody got one twice');
like(ctl('status', '--json'), qr/"last_sent": 1[0-9]{9}, "waiting": 0, "failed": 0, "users": 4/, 'when the last one went out');
my ($sent) = ctl('status', '--json') =~ /"last_sent": ([0-9]+)/;
wait_until('a metric that says it too', sub { metrics() =~ /^mailreeve_digest_last_sent_timestamp_seconds $sent$/m });
like(metrics(), qr/^mailreeve_digest_waiting 0$/m, 'a metric says when the last one went out, and that none waits');
done_testing();
