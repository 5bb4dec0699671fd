#!/usr/bin/perl
# pgproxy.pl LISTEN SERVER FLAG: passes on what comes between unix sockets. While the file FLAG is there, what the server says is kept;
# when it goes, connections with something kept end without it.
use v5.36;
use IO::Select;
use IO::Socket::UNIX;

my ($listen, $server, $flag) = @ARGV;
my $door = IO::Socket::UNIX->new(Local => $listen, Listen => 16) or die "$listen: $!";
my $select = IO::Select->new($door);
my (%peer, %is_server, %kept);

sub drop ($socket) {
    my $other = delete $peer{$socket} // return;
    delete $peer{$other};
    for my $end ($socket, $other) {
        $select->remove($end);
        delete $kept{$end};
        close $end;
    }
    return;
}

while (1) {
    for my $socket ($select->can_read(0.02)) {
        if ($socket == $door) {
            my $client = $door->accept or next;
            my $to = IO::Socket::UNIX->new(Peer => $server) or do { close $client; next };
            @peer{ $client, $to } = ($to, $client);
            $is_server{$to} = 1;
            delete $is_server{$client};
            $select->add($client, $to);
            next;
        }
        next if !$peer{$socket};
        my $n = sysread $socket, my $bytes, 65536;
        if (!$n) {
            drop($socket);
        } elsif ($is_server{$socket} && -e $flag) {
            $kept{$socket} = $socket;
        } else {
            syswrite $peer{$socket}, $bytes;
        }
    }
    if (!-e $flag) {
        drop($_) for values %kept;
    }
}
