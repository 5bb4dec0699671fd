#!/usr/bin/perl
# A clamd instead of the workers' libclamav: the same results, and what happens when it is away.
use v5.36;
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Mailreeve::Clamd;
BEGIN { plan skip_all => 'no clamd (clamav-daemon)' if !Mailreeve::Clamd->there }
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir source_dir test_program spawn wait_until answers write_file read_file run_ok);
use Mailreeve::Scenario qw(eicar);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $zone = write_file(work_dir() . '/zone', "test.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\n");
my $data = ($ENV{MAILREEVE_DATA} // source_dir() . '/../shared/data') . '/mime/clamav-decoded';
my $database = work_dir() . '/db';
mkdir $database;
write_file("$database/eicar.ndb", read_file(source_dir() . '/conf/signatures/mailreeve-test.ndb'));
write_file("$database/clam.hsb", read_file("$data/clamav.hdb")) if -e "$data/clamav.hdb";
# The tar in which clamd is given the files is one level of nesting more.
my $clamd = Mailreeve::Clamd->start(database => $database, config => "MaxRecursion 18\n");

my $libclamav = "virus { databases = {\"$database\"} }\n";
sub with_clamd ($more = '', $socket = $clamd->{socket}) { return "virus { engine = clamd clamd_socket = \"$socket\" check_interval = 1s $more }\n" }

sub judged ($virus, @files) {
    my $config = write_file(work_dir() . '/explain.conf', $virus . "content { workers = 1 deadline = 5s tmp_dir = \"" . work_dir() . "\" }\n");
    return map { decode_json($_) } split /\n/, run_ok(test_program('mailreeve'), 'explain', '--config', $config, '--dns-zone', $zone,
        '--client', '192.0.2.7', '--from', 'a@none.example', '--json', @files);
}

sub attached ($name, $content) {
    state $n = 0;
    return write_file(work_dir() . '/' . ++$n . '.eml', "From: a\@none.example\r\nMIME-Version: 1.0\r\n"
        . "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n"
        . "--b\r\nContent-Type: application/octet-stream; name=\"$name\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        . encode_base64($content, "\r\n") . "\r\n--b--\r\n");
}
sub results (@objects) { return [ map { { virus => $_->{virus}, findings => [ map { $_->{code} } @{ $_->{findings} } ], action => $_->{action} } } @objects ] }

# The same messages by both.
my @messages = (attached('clean.txt', 'hello'), attached('eicar.com', eicar()), attached('large.bin', 'x' x 9_000_000));
push @messages, write_file(work_dir() . '/unknown.eml', "MZ: like a program\r\n" . read_file($messages[1]) =~ s/\A.*(?=Content-Type: multipart)//sr);
push @messages, map { my $text = read_file($_); $text =~ /\A(?:From|Return-Path|Received|Date)\b/ ? $_ : attached(s{.*/}{}r, $text) } sort grep { !/README|COPYING|\.hdb/ } glob "$data/*";
my ($by_library, $by_clamd) = map { results(judged($_, @messages)) } $libclamav, with_clamd();
is($by_clamd->[0]{action}, 'accept', 'clamd: a clean message');
like($by_clamd->[1]{virus}, qr/Eicar/, 'EICAR');
is($by_clamd->[1]{action}, 'reject', 'is rejected');
is($by_clamd->[2]{action}, 'accept', 'a message of 12 MB');
like($by_clamd->[3]{virus}, qr/Eicar/, 'EICAR behind a field that makes it look like a program');
is_deeply($by_clamd, $by_library, sprintf '%d messages: the same results as libclamav', scalar @messages);
is(scalar(grep { defined $_->{virus} } @{$by_clamd}[ 4 .. $#messages ]), @messages - 4, 'clam.exe is found in every file');

# With the daemon, which tests it.
my $daemon = Mailreeve::Daemon->start(zone => $zone, config => "own_networks = {\"127.0.0.1\"}\n" . with_clamd()
    . "outbound { virus.not_scanned = tag }\n");
sub open_session (%arg) { return Mailreeve::Milter->session($daemon->{socket}, from => 'a@test.example', %arg) }
sub finish (%arg) { return open_session(%arg)->finish }
is(finish(), 'c', 'the daemon: a clean message');
like(finish(body => eicar() . "\r\n"), qr/^550 5\.7\.0 /, 'and EICAR');
$clamd->down('KILL');
like(finish(), qr/^451 4\.3\.0 /, 'clamd is dead: inbound mail is put off');
is(finish(address => '127.0.0.1'), 'c', 'outbound mail as configured');
ok((grep { /findings=\S*\bvirus\.not_scanned/ } split /\n/, $daemon->log_text) == 2, 'both by virus.not_scanned');
wait_until('the self-test to fail', sub { $daemon->log_text =~ /error: virus self-test: clamd at \S+: / });
pass('the self-test tells');
$clamd->up;
wait_until('the self-test to be well', sub { $daemon->log_text =~ /virus self-test: well again/ });
is(finish(), 'c', 'clamd is back: a clean message passes');
$daemon->configure("own_networks = {\"127.0.0.1\"}\nvirus { databases = {\"" . Mailreeve::Process::reachable("$database/eicar.ndb") . "\"} }\n");
kill 'HUP', $daemon->{process}{pid};
wait_until('the reload', sub { $daemon->log_text =~ /new ones took over/ });
$clamd->down;
is(finish(), 'c', 'a reload changes to libclamav, without a clamd');
like(finish(body => eicar() . "\r\n"), qr/^550 5\.7\.0 /, 'which finds EICAR too');
is($daemon->down, 0, 'the daemon ends well');
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');

# What a clamd would hardly say.
my $number = 0;
sub fake ($answer, $version = 'ClamAV 1.4.6') {
    my $socket = work_dir() . '/fake' . ++$number;
    spawn(name => "fake$number", command => [ $^X, source_dir() . '/t/lib/Mailreeve/fakeclamd.pl', $socket, $answer, $version ]);
    wait_until('the stand-in', sub { answers($socket) });
    return (judged(with_clamd('', $socket), $messages[0]))[0];
}
sub codes ($object) { return join ' ', grep { !/^client\./ } map { $_->{code} } @{ $object->{findings} } }
is(codes(fake('fd[10]: OK')), 'virus.no_database', 'a clamd without daily.cvd');
is(codes(fake('fd[10]: OK', 'ClamAV 1.4.6/27000/' . gmtime(time - 2 * 86400))), '', 'one with it');
my $old = fake('fd[10]: OK', 'ClamAV 1.4.6/27000/' . gmtime(time - 20 * 86400));
is(codes($old), 'virus.outdated', 'one of twenty days ago');
is_deeply([ @{ $old->{virus_database} }{qw(version official)} ], [ 27000, JSON::PP::true ], 'its version');
is(codes(fake('fd[10]: Heuristics.Limits.Exceeded.MaxFileSize FOUND')), 'virus.limit virus.no_database', 'a limit');
is(codes(fake("fd[10]: CL_ETIMEOUT: Time limit reached ERROR")), 'virus.error', 'its own failure');
is(codes(fake($_)), 'virus.error', sprintf 'an answer of %d bytes without sense', length) for '', 'nonsense', 'fd[10]: OKAY', "\x01\xff";
is(codes(fake($_)), 'virus.not_scanned', $_) for qw(close silence endless);
done_testing();
