#!/usr/bin/perl
# dnsserver.pl PORT: a DNS server whose answers the name decides, for what no good server does. Its first label says
# what happens, digits and what follows a "-" left away:
#   slow      an address, 200 ms later; all that are slow at once are so side by side
#   brief     an address with a TTL of 1 second
#   absent    NXDOMAIN, negative TTL 1 second         empty   no records, negative TTL 1 second
#   servfail  refused                                 that error code
#   cut       a TXT record whose string is longer than the record
#   dead      nothing
#   else      an address
# Prints each question.
use v5.36;
use IO::Select;
use IO::Socket::INET;
use Net::DNS;
use Time::HiRes qw(time);

my ($port) = @ARGV;
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'udp')
    or die "port $port: $!";
my $select = IO::Select->new($socket);
my @queue;
$| = 1;
say 'ready';

sub reply ($kind, $query) {
    my $reply = $query->reply(1232);
    my ($question) = $query->question;
    my $name = $question->qname;
    $reply->header->rcode('NOERROR');
    $reply->header->ra(1);
    if ($kind =~ /^(?:servfail|refused)$/) {
        $reply->header->rcode(uc $kind);
    } elsif ($kind =~ /^(?:absent|empty)$/) {
        $reply->header->rcode('NXDOMAIN') if $kind eq 'absent';
        $reply->push(authority => Net::DNS::RR->new('example. 1 IN SOA ns.example. h.example. 1 3600 900 604800 1'));
    } elsif ($kind eq 'cut') {
        $reply->push(answer => Net::DNS::RR->new("$name 300 IN TXT short"));
        return $reply->data =~ s/\x05short/\x40short/r;
    } elsif ($question->qtype eq 'A') {
        my $ttl = $kind eq 'brief' ? 1 : 300;
        $reply->push(answer => Net::DNS::RR->new("$name $ttl IN A 192.0.2.1"));
    }
    return $reply->data;
}

while (1) {
    my $wait = @queue ? $queue[0][0] - time : undef;
    if (!defined $wait || $wait > 0) {
        for ($select->can_read($wait)) {
            my $peer = $socket->recv(my $packet, 4096) // next;
            my $query = Net::DNS::Packet->new(\$packet) // next;
            my ($question) = $query->question;
            say 'asked ', lc $question->qname, ' ', $question->qtype;
            my ($kind) = lc($question->qname) =~ /^([a-z]+)/;
            next if $kind eq 'dead';
            my $data = reply($kind, $query);
            if ($kind eq 'slow') { push @queue, [ time + 0.2, $peer, $data ] }
            else { $socket->send($data, 0, $peer) }
        }
    }
    while (@queue && $queue[0][0] <= time) {
        my (undef, $peer, $data) = @{ shift @queue };
        $socket->send($data, 0, $peer);
    }
}
