#!/usr/bin/perl
# sink.pl PORT DIR: an SMTP server that keeps each message in DIR, byte for byte.
use v5.36;
use IO::Select;
use IO::Socket::INET;

my ($port, $dir) = @ARGV;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 128, ReuseAddr => 1) or die "$!";
my $select = IO::Select->new($listener);
my (%state, $count);

sub store ($client) {
    my $path = sprintf '%s/%05d', $dir, ++$count;
    for my $part ([ env => join '', map { "$_\n" } @{ $client->{env} } ], [ tmp => $client->{data} ]) {
        open my $file, '>:raw', "$path.$part->[0]" or die "$path: $!";
        print {$file} $part->[1];
        close $file or die "$path: $!";
    }
    rename "$path.tmp", "$path.eml" or die "$path: $!";
    return;
}

sub command ($client, $line) {
    if ($line =~ /^(?:MAIL|RCPT)/i) {
        $client->{env} = [] if $line =~ /^MAIL/i;
        push @{ $client->{env} }, $line;
    }
    if ($line =~ /^DATA/i) {
        @{$client}{qw(in_data data)} = (1, '');
        return "354 go on\r\n";
    }
    return "250-sink\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 SIZE 0\r\n" if $line =~ /^EHLO/i;
    return "221 bye\r\n" if $line =~ /^QUIT/i;
    return "250 ok\r\n";
}

sub lines ($client) {
    my $answer = '';
    while ($client->{input} =~ s/\A(.*?\n)//s) {
        my $line = $1;
        if (!$client->{in_data}) {
            $answer .= command($client, $line =~ s/\r?\n\z//r);
        } elsif ($line eq ".\r\n") {
            store($client);
            $client->{in_data} = 0;
            $answer .= "250 stored\r\n";
        } else {
            $client->{data} .= $line =~ s/\A\.//r;
        }
    }
    return $answer;
}

while (1) {
    for my $socket ($select->can_read) {
        if ($socket == $listener) {
            my $client = $listener->accept or next;
            $state{$client} = { input => '' };
            $select->add($client);
            print {$client} "220 sink\r\n";
            $client->flush;
            next;
        }
        my $client = $state{$socket};
        if (!sysread $socket, $client->{input}, 65536, length $client->{input}) {
            $select->remove($socket);
            delete $state{$socket};
            close $socket;
            next;
        }
        print {$socket} lines($client);
        $socket->flush;
    }
}
