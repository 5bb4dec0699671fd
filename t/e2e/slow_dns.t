#!/usr/bin/perl
# Lookups run side by side: a message pays for the slowest of them, not for their sum.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Milter;
use Mailreeve::Process qw(read_file);

# The least position of a question in the log.
sub asked_at ($log, $name) { return (grep { $log->[$_] =~ /^\Q$name\E / } 0 .. $#$log)[0] }

# Ten lookups of 200 ms each for one message: SPF, eight DKIM keys, DMARC, and no more than one after another.
my %text = ('ten.example' => 'v=spf1 ip4:127.0.0.7 -all', '_dmarc.ten.example' => 'v=DMARC1; p=none');
$text{"s$_._domainkey.ten.example"} = 'v=DKIM1; p=MA==' for 1 .. 8;
my $dns = Mailreeve::Dns->slow(200, %text);
my $daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, config => "own_networks = {\"127.0.0.1\"}\n");
my @signatures = map { [ 'DKIM-Signature', " v=1; a=rsa-sha256; d=ten.example; s=s$_; h=from; bh=AAAA; b=AA$_" ] } 1 .. 8;
my $session = Mailreeve::Milter->session($daemon->{socket}, from => 'a@ten.example', id => 'TEN',
    headers => [ @signatures, [ From => ' a@ten.example' ] ]);
my $start = time;
is($session->finish, 'c', 'the message is accepted');
my $took = time - $start;
my @asked = read_file($dns->{log}) =~ /^asked (.*)$/mg;
cmp_ok(scalar(grep { /ten\.example/ } @asked), '>=', 10, 'ten lookups were made, ' . @asked . ' in all');
cmp_ok($took, '<', 0.4, sprintf 'they cost the end of the message %.0f ms, less than two of them one after another', $took * 1000);
cmp_ok($daemon->verdict(qr/^\S+ TEN:/)->{ms}, '<', 400, 'the log says so too');
cmp_ok(asked_at(\@asked, 'client.example'), '<', asked_at(\@asked, 'ten.example'), 'HELO is looked up before MAIL comes');
$daemon->down;
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');

# A HELO name whose DNS is silent: nobody waits for it.
$dns = Mailreeve::Dns->slow(1, 'client.example' => 'silence', 'ten.example' => 'v=spf1 ip4:127.0.0.7 -all');
$daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, dns => 'timeout = 4s deadline = 6s',
    config => "own_networks = {\"127.0.0.1\"}\n");
$session = Mailreeve::Milter->session($daemon->{socket}, from => 'a@ten.example', id => 'SILENT');
$start = time;
is($session->finish, 'c', 'the message is accepted');
cmp_ok(time - $start, '<', 2, 'without waiting for DNS to give up');
my $verdict = $daemon->verdict(qr/^\S+ SILENT:/);
is_deeply([ @{$verdict}{qw(spf spf_helo)} ], [ 'pass', 'temperror' ], 'HELO is temperror');
like($verdict->{findings}, qr/\bspf\.helo_temperror\b/, 'and a finding');
$session = Mailreeve::Milter->session($daemon->{socket}, from => '', id => 'NULL', headers => [ [ From => ' a@ten.example' ] ]);
is($session->finish, 'c', 'the null sender is HELO\'s');
$verdict = $daemon->verdict(qr/^\S+ NULL:/);
is_deeply([ @{$verdict}{qw(spf spf_helo)} ], [ 'temperror', undef ], 'which is then waited for, and told once');
$daemon->down;
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');

# So it is with the name of the client's address.
$dns = Mailreeve::Dns->slow(1, '7.0.0.127.in-addr.arpa' => 'silence', 'ten.example' => 'v=spf1 ip4:127.0.0.7 -all');
$daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, dns => 'timeout = 4s deadline = 6s',
    config => "own_networks = {\"127.0.0.1\"}\n");
$session = Mailreeve::Milter->session($daemon->{socket}, from => 'a@ten.example', id => 'NAMELESS');
$start = time;
is($session->finish, 'c', 'the message is accepted');
cmp_ok(time - $start, '<', 2, 'without waiting for DNS to give up');
$verdict = $daemon->verdict(qr/^\S+ NAMELESS:/);
is_deeply([ @{$verdict}{qw(spf iprev)} ], [ 'pass', 'temperror' ], 'iprev is temperror');
like($verdict->{findings}, qr/\bclient\.ptr_temperror\b/, 'and a finding');
unlike($verdict->{findings}, qr/\bclient\.ptr_missing\b/, 'which is not that the name is missing');
$daemon->down;

unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
done_testing();
