#!/usr/bin/perl
# DKIM through the daemon's own path (milter, memfd, spool file, worker) with bytes that no mailer should send.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use Mail::DKIM::Signer;
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir write_file wait_until);
use Mailreeve::Scenario qw(make_key);

my ($key, $record) = make_key();
my $zone = write_file(work_dir() . '/zone',
    "test.example. TXT \"v=spf1 -all\"\n_dmarc.test.example. TXT \"v=DMARC1; p=reject\"\nsel._domainkey.test.example. TXT $record\n");
my $daemon = Mailreeve::Daemon->start(zone => $zone,
    config => "own_networks = {\"127.0.0.1\"}\nmessage_memory = 1M\nvirus { mode = off }\n");

# Values without the blank behind the colon, which is what an MTA gives that does not offer SMFIP_HDR_LEADSPC.
sub signature ($headers, $body, $method = 'relaxed/relaxed') {
    my $signer = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => $method, Domain => 'test.example', Selector => 'sel',
        KeyFile => $key, Headers => 'from:subject');
    $signer->PRINT(join('', map { "$_->[0]: $_->[1]\r\n" } @$headers) . "\r\n");
    $signer->PRINT(substr $body, $_ * 1_000_000, 1_000_000) for 0 .. length($body) / 1_000_000;
    $signer->CLOSE;
    my $value = $signer->signature->as_string =~ s/^DKIM-Signature: //r =~ s/\r\n/\n/gr;
    return [ 'DKIM-Signature' => $value ];
}

# What the daemon says of the message: the verdict, and the result of DKIM from its log.
sub judged ($headers, $body) {
    state $n = 0;
    my $id = 'BYTES' . ++$n;
    my $session = Mailreeve::Milter->session($daemon->{socket}, from => 'a@test.example', id => $id, headers => $headers, until => 'header');
    $session->step('N', '', 0x40000);
    for (my $at = 0; $at < length $body; $at += 65_000) {
        $session->step('B', substr($body, $at, 65_000), 0x80000);
    }
    my $verdict = $session->finish;
    wait_until("the verdict line of $id", sub { $daemon->log_text =~ / \Q$id\E: / });
    my ($dkim) = $daemon->log_text =~ / \Q$id\E: .*?\bdkim=(\w+)/;
    return ($verdict =~ /^(\d+)/ ? $1 : $verdict, $dkim);
}

my @from = ([ From => 'a@test.example' ], [ Subject => 'hello' ]);
my %bodies = (
    'a plain body' => "one\r\ntwo\r\n",
    'no final line end' => "one\r\ntwo",
    'nothing' => '',
    'empty lines' => "\r\n" x 1000,
    'a NUL' => "one\0two\r\n\0\r\n",
    '8-bit bytes' => join('', map { chr } 128 .. 255) . "\r\n",
    'every byte but CR and LF' => join('', map { chr } grep { $_ != 10 && $_ != 13 } 0 .. 255) . "\r\n",
    'a line of 3 MB' => 'x' x 3_000_000 . "\r\n",
    'a line of 3 MB without an end' => 'x' x 3_000_000,
    'a line of 90 MB' => 'x' x 90_000_000 . "\r\n",
);
for my $what (sort keys %bodies) {
    my $signature = signature(\@from, $bodies{$what});
    is_deeply([ judged([ $signature, @from ], $bodies{$what}) ], [ 'c', 'pass' ], "$what: passes");
    is_deeply([ judged([ $signature, @from ], "$bodies{$what}x\r\n") ], [ 550, 'fail' ], "$what, and more: fails");
}

# Signed by an honest mailer, changed on the way.
my $body = "one\r\ntwo three\r\n";
my %changed = (
    'a bare CR for a blank' => "one\r\ntwo\rthree\r\n",
    'a bare CR at the end of a line' => "one\r\r\ntwo three\r\n",
    'a bare LF for a line end' => "one\ntwo three\r\n",
    'a bare LF at the end' => "one\r\ntwo three\r\n\n",
    'a NUL at the end' => "one\r\ntwo three\r\n\0",
    'a form feed at the end of a line' => "one\x0c\r\ntwo three\r\n",
    'a letter less' => "one\r\ntwo thre\r\n",
);
for my $method (qw(relaxed/relaxed simple/simple)) {
    my $signature = signature(\@from, $body, $method);
    is_deeply([ judged([ $signature, @from ], $body) ], [ 'c', 'pass' ], "$method: as signed");
    for my $what (sort keys %changed) {
        is_deeply([ judged([ $signature, @from ], $changed{$what}) ], [ 550, 'fail' ], "$method: $what");
    }
    for my $subject ("hel\rlo", "hello\r", "hello\x0b", "hel\x0clo", "hel\nlo") {
        my ($verdict, $dkim) = judged([ $signature, $from[0], [ Subject => $subject ] ], $body);
        is($verdict, 550, "$method: a subject with a control byte ($dkim)");
        isnt($dkim, 'pass', 'does not pass');
    }
}
is(scalar(grep { /crashed|hung|down/ } split /\n/, $daemon->log_text), 0, 'no worker crashed');
done_testing();
