#!/usr/bin/perl
# slowdns.pl PORT MILLISECONDS FILE: a DNS server that takes its time over every answer, over all of them at once.
# FILE: "name text" a line, TXT records; any other question is answered NXDOMAIN, one with the text "silence" not at all.
# Prints each question.
use v5.36;
use IO::Socket::INET;
use IO::Select;
use Time::HiRes qw(time);

my ($port, $delay, $file) = @ARGV;
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'udp') or die "$!";
my $select = IO::Select->new($socket);
my (%text, @queue);
open my $lines, '<', $file or die "$file: $!";
while (<$lines>) { chomp; my ($name, $text) = split / /, $_, 2; $text{$name} = $text }
$| = 1;
say 'ready';

sub answer ($query) {
    my ($id, $flags) = unpack 'nn', $query;
    my ($at, @labels) = (12);
    while (my $length = ord substr $query, $at, 1) {
        push @labels, substr $query, $at + 1, $length;
        $at += $length + 1;
    }
    my $type = unpack 'n', substr $query, $at + 1, 2;
    my $question = substr $query, 12, $at + 5 - 12;
    my $name = lc join '.', @labels;
    say "asked $name $type";
    my $found = $type == 16 ? $text{$name} : undef;
    return if ($text{$name} // '') eq 'silence';
    my $record = defined $found ? pack('nnnNn', 0xc00c, 16, 1, 300, 1 + length $found) . pack('C/a*', $found) : '';
    return pack('nnnnnn', $id, defined $found ? 0x8580 : 0x8583, 1, defined $found ? 1 : 0, 0, 0) . $question . $record;
}

while (1) {
    my $wait = @queue ? $queue[0][0] - time : undef;
    if (!defined $wait || $wait > 0) {
        for ($select->can_read($wait)) {
            my $peer = $socket->recv(my $query, 4096) // next;
            my $reply = answer($query);
            push @queue, [ time + $delay / 1000, $peer, $reply ] if defined $reply;
        }
    }
    while (@queue && $queue[0][0] <= time) {
        my (undef, $peer, $reply) = @{ shift @queue };
        $socket->send($reply, 0, $peer);
    }
}
