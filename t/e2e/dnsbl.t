#!/usr/bin/perl
# Lists in the DNS through a real Postfix and Sendmail, with NSD: who is refused, what a list that goes bad does, and that
# it is asked again when it is well.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Milter;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir wait_until write_file read_file);
use Mailreeve::Scenario qw(message);
use Mailreeve::Sendmail;
use Mailreeve::Smtp;

my $key = 'zPrivateKey77';
my $key_file = write_file(work_dir() . '/key', "$key\n");
chmod 0400, $key_file;
chown +(getpwnam 'nobody')[ 2, 3 ], $key_file;
sub reversed ($ip) { return join '.', reverse split /\./, $ip }
my $v6 = join '.', reverse split //, '20010db8000000000000000000000066';

sub zone (%arg) {
    my @lines = ('2.0.0.127.bl.test. 1 IN A 127.0.0.2', reversed('203.0.113.66') . '.bl.test. 1 IN A 127.0.0.2', reversed('127.0.0.66') . '.bl.test. 1 IN A 127.0.0.2',
        "$v6.bl.test. 1 IN A 127.0.0.2", reversed('203.0.113.66') . '.bl.test. 1 IN TXT "see http://bl.test/"',
        "2.0.0.127.$key.keyed.test. 1 IN A 127.0.0.2", reversed('203.0.113.67') . ".$key.keyed.test. 1 IN A 127.0.0.2",
        reversed('203.0.113.67') . ".$key.keyed.test. 1 IN TXT \"$key.keyed.test\"",
        'test.dom.test. 1 IN A 127.0.1.2', 'spam.example.dom.test. 1 IN A 127.0.1.2');
    push @lines, $arg{moody} // '2.0.0.127.moody.test. 1 IN A 127.0.0.2';
    return join '', map { "$_\n" } @lines;
}

my $dns = Mailreeve::Dns->start(zone(), negative_ttl => 1);
sub lists ($more = '') {
    return "own_networks = {\"127.0.0.1\"}\ndnsbl { lists = {\"bl.test codes=127.0.0.2:bad reject\", \"dom.test kind=domain codes=127.0.1.2 reject\", "
        . "\"keyed.test zone=%k.keyed.test txt=yes codes=127.0.0.2 key_file=$key_file\", \"moody.test codes=127.0.0.2 tag\"} timeout = 2s test_interval = 1s test_retry = 1s $more }\n";
}
my $daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, dns => 'timeout = 2s deadline = 5s ttl_negative_max = 1s', config => lists());
my $sink = Mailreeve::Smtp->sink;
my $postfix = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}", main => "inet_protocols = all\n");
sub send_as ($client, %arg) {
    my ($id, $text) = message(from => 'a@ok.example', %arg);
    return Mailreeve::Smtp->send_message($postfix->{port}, from => 'a@ok.example', to => 'b@dst.example', client => $client, message => $text, %arg);
}

like(send_as('203.0.113.1'), qr/^250 /, 'Postfix: a client on no list gets through');
like(send_as('203.0.113.66'), qr{^550 5\.7\.1 Client host 203\.0\.113\.66 is listed by bl\.test \(bad\); it says: see http://bl\.test/}, 'one on a list does not, and reads why');
like(send_as('IPV6:2001:db8::66'), qr/^550 5\.7\.1 Client host 2001:db8::66 is listed by bl\.test/, 'nor one with IPv6');
like(send_as('203.0.113.67'), qr/^550 5\.7\.1 Client host 203\.0\.113\.67 is listed by keyed\.test .*\Q***.keyed.test\E/, 'nor one on a list with a key, which is not told');
like(send_as('203.0.113.1', body => "http://www.spam.example/\n"), qr/^550 5\.7\.1 Linked site spam\.example is listed by dom\.test/, 'nor a link to a listed domain');
like(send_as('203.0.113.66', login => 'user'), qr/^250 /, 'an own user may come from anywhere');
is($daemon->verdict(qr/client=203\.0\.113\.66 .*verdict=reject|verdict=reject .*203\.0\.113\.66/)->{verdict}, 'reject', 'the log says so');

{
    my $smtp = Mailreeve::Smtp->connect_to($postfix->{port});
    $smtp->say_line($_) for 'EHLO client.example', 'XCLIENT ADDR=203.0.113.66 NAME=[UNAVAILABLE]', 'EHLO client.example';
    my @replies = map { $smtp->deliver(from => 'a@ok.example', to => 'b@dst.example', message => (message(from => 'a@ok.example'))[1]) } 1 .. 3;
    is(scalar(grep { /^550 5\.7\.1 Client host/ } @replies), 3, 'each message of a connection is refused') or diag(explain(\@replies));
    $smtp->say_line('QUIT');
}

# ---- a list that goes bad ----
sub told ($text) { return scalar(() = $daemon->log_text =~ /dnsbl: moody\.test \Q$text\E/g) }
sub zone_is (%arg) {
    $dns->down;
    my ($head) = read_file("$dns->{dir}/root.zone") =~ /\A(.*?)^2\.0\.0\.127\.bl/ms;
    write_file("$dns->{dir}/root.zone", $head . zone(%arg));
    $dns->up;
    return;
}
like(send_as('203.0.113.66', helo => 'x.example'), qr/^550/, 'a listing is waited for');
zone_is(moody => "*.moody.test. 1 IN A 127.0.0.2");
wait_until('moody.test to be found sick', sub { told('is not asked any more') }, 30);
like($daemon->log_text, qr/dnsbl: moody\.test is not asked any more: it lists 127\.0\.0\.1, and so everything/, 'a list that lists everything is disabled');
my ($id, $text) = message(from => 'a@ok.example');
like(send_as('203.0.113.1', message => $text), qr/^250/, 'mail goes on without it');
unlike(Mailreeve::Smtp->wait_for_message($sink, "Subject: $id")->[1], qr/dnsbl\.listed/, 'and untouched by it');
my $asked = time;
wait_until('two more tests', sub { time - $asked > 2.5 }, 30);
is(told('is not asked any more'), 1, 'which is said once');
zone_is();
wait_until('moody.test to be well again', sub { told('is in order again') }, 30);
is(told('is in order again'), 1, 'it is asked again when it is well');
$dns->down;
wait_until('moody.test to be found dead', sub { told('is not asked any more') == 2 }, 30);
my $start = time;
like(send_as('203.0.113.1', message => (message(from => 'a@ok.example'))[1]), qr/^(?:250|451)/, 'with all of them dead mail is answered');
cmp_ok(time - $start, '<', 6, 'and not held long');
$dns->up;
wait_until('all to be well again', sub { $daemon->log_text =~ /(?:dnsbl: \S+ is in order again.*\n[\s\S]*){5}/ }, 30);
like(send_as('203.0.113.66'), qr/^550 5\.7\.1 Client host/, 'after that all is as before');

# ---- refused at RCPT ----
$daemon->configure(lists('at_rcpt = yes'));
kill 'HUP', $daemon->{process}{pid};
wait_until('the reload', sub { $daemon->log_text =~ /configuration.*(?:reloaded|read)|reload/i }, 30);
my $refused = '';
wait_until('RCPT to be refused', sub {
    my $smtp = Mailreeve::Smtp->connect_to($postfix->{port});
    $smtp->say_line('EHLO client.example');
    $smtp->say_line('XCLIENT ADDR=203.0.113.66 NAME=[UNAVAILABLE]');
    $smtp->say_line('EHLO client.example');
    $smtp->say_line('MAIL FROM:<a@ok.example>');
    $refused = $smtp->say_line('RCPT TO:<b@dst.example>');
    $smtp->say_line('QUIT');
    return $refused =~ /^5/;
}, 20);
like($refused, qr/^550 5\.7\.1 .*listed by bl\.test/, 'at RCPT already, where that is wanted');

# ---- Sendmail ----
SKIP: {
    my $sendmail = eval { Mailreeve::Sendmail->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}") } or skip "no Sendmail: $@", 2;
    my $mail = sub ($local) { return Mailreeve::Smtp->send_message($sendmail->{port}, local => $local, from => 'a@ok.example', to => 'b@dst.example', message => (message(from => 'a@ok.example'))[1]) };
    like($mail->('127.0.0.66'), qr/^550 5\.7\.1 .*listed by bl\.test/, 'Sendmail: a listed client is refused');
    like($mail->('127.0.0.9'), qr/^250 /, 'and another one is not');
}
$daemon->down;

# ---- nobody waits longer for a list than the list's own time, which begins when the client connects ----
my $slow = Mailreeve::Dns->slow(50, '9.0.0.127.dead.test' => 'silence', 'a.example.deaddom.test' => 'silence');
my $patient = Mailreeve::Daemon->start(name => 'patient', forwarder => $slow->{forwarder}, dns => 'timeout = 8s deadline = 15s', config => "own_networks = {\"127.0.0.1\"}\n"
    . 'dnsbl { lists = {"dead.test codes=127.0.0.2", "deaddom.test kind=domain names=host on=from codes=127.0.0.2"} timeout = 1500ms test_interval = 0s }' . "\n");
my $session = Mailreeve::Milter->session($patient->{socket}, address => '127.0.0.9', from => 'x@ok.example', id => 'DEAD', headers => [ [ From => ' x@a.example' ] ]);
$start = time;
is($session->finish, 'c', 'a message is accepted though lists are silent');
my $took = time - $start;
ok($took > 0.5 && $took < 3, sprintf 'after %.1f s: the time of the lists, run side by side, not the resolver\'s', $took);
like($patient->verdict(qr/^\S+ DEAD:/)->{findings}, qr/\bdnsbl\.error\b/, 'with a finding');
my @asked = read_file($slow->{log}) =~ /^asked (\S+) /mg;
my %at = map { $asked[$_] => $_ } reverse 0 .. $#asked;
cmp_ok($at{'9.0.0.127.dead.test'}, '<', $at{'client.example'}, 'the client is asked about before HELO comes');
$patient->down;
my $log = $daemon->log_text . $patient->log_text;
unlike($log, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
unlike($log . $postfix->log_text . join('', map { $_->[1] } Mailreeve::Smtp->sunk($sink)), qr/\Q$key\E/i, 'the key is in no log and no message');
$daemon->down;
my @files = glob "$daemon->{dir}/store/*";
ok((grep { read_file($_) =~ /\*\*\*\.keyed\.test/ } @files) && !(grep { read_file($_) =~ /\Q$key\E/i } @files), 'nor in the history, which has the answers');
done_testing();
