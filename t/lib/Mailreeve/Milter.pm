package Mailreeve::Milter;

# The MTA's side of the milter protocol (version 6), one packet at a time: for many sessions at once, for aborts in every
# phase, and for what no MTA would send.

use v5.36;
use Carp qw(croak);
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

# What Postfix offers: all actions and steps but for those that skip events.
use constant { ACTIONS => 0x1ff, STEPS => 0x1fffff & ~0x180000 };

sub connect_to ($class, $where) {
    my $socket = $where =~ m{^/} ? IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $where)
        : IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $where);
    $socket or croak "$where: $!";
    return bless { socket => $socket, steps => 0 }, $class;
}

sub packet ($self, $command, $data = '') {
    return $self->{socket}->syswrite(pack('N', 1 + length $data) . $command . $data);
}

sub read_bytes ($self, $n) {
    my $bytes = '';
    while (length $bytes < $n) {
        my $got = $self->{socket}->sysread($bytes, $n - length $bytes, length $bytes);
        return if !$got;
    }
    return $bytes;
}

# ( command, data ) of the next packet; nothing when the daemon has hung up.
sub answer ($self) {
    local $SIG{ALRM} = sub { croak 'the daemon is silent' };
    alarm 120;
    my $size = $self->read_bytes(4);
    my $packet = defined $size ? $self->read_bytes(unpack 'N', $size) : undef;
    alarm 0;
    return if !defined $packet;
    return (substr($packet, 0, 1), substr $packet, 1);
}

sub negotiate ($self) {
    $self->packet('O', pack 'NNN', 6, ACTIONS, STEPS);
    my ($command, $data) = $self->answer;
    defined $command && $command eq 'O' or croak 'no negotiation';
    $self->{steps} = (unpack 'NNN', $data)[2];
    return $self;
}

# Sends a step and reads its answer, where one was agreed upon. no_reply: its SMFIP_NR_ bit.
sub step ($self, $command, $data, $no_reply = 0) {
    $self->packet($command, $data);
    return 'c' if $self->{steps} & $no_reply;
    my ($answer) = $self->answer;
    return $answer // 'gone';
}

sub macros ($self, $command, %macro) {
    $self->packet('D', $command . join '', map { "$_\0$macro{$_}\0" } sort keys %macro);
    return $self;
}

my %phase = (connect => 1, helo => 2, mail => 3, rcpt => 4, header => 5, eoh => 6, body => 7);

# A session up to and with that phase. address, from, headers, body as in SMTP.
sub session ($class, $where, %arg) {
    my $self = $class->connect_to($where)->negotiate;
    my $last = $phase{ $arg{until} // 'body' };
    $self->macros('C', j => 'mx.test.example');
    $self->{connected} = $self->step('C', "client.example\0" . '4' . pack('n', 4711) . ($arg{address} // '127.0.0.7') . "\0");
    return $self if $last < 2 || $self->{connected} ne 'c';
    $self->step('H', "client.example\0", 0x2000);
    return $self if $last < 3;
    $self->macros('M', i => $arg{id} // 'TESTQ1');
    $self->step('M', '<' . ($arg{from} // 'a@test.example') . ">\0", 0x4000);
    return $self if $last < 4;
    $self->step('R', "<b\@dst.example>\0", 0x8000);
    return $self if $last < 5;
    for my $field (@{ $arg{headers} // [ [ From => " $arg{from}" ], [ Subject => ' test' ] ] }) {
        $self->step('L', "$field->[0]\0$field->[1]\0", 0x80);
    }
    return $self if $last < 6;
    $self->step('N', '', 0x40000);
    return $self if $last < 7;
    $self->step('B', $arg{body} // "Hello.\r\n", 0x80000);
    return $self;
}

# End of message: the final answer: c continue, r reject, t tempfail, a accept, or the text of a reply.
sub finish ($self) {
    $self->packet('E');
    return $self->verdict;
}

sub verdict ($self) {
    while (my ($command, $data) = $self->answer) {
        return $data =~ s/\0\z//r if $command eq 'y';
        return $command if $command =~ /[crtad]/;
    }
    return 'gone';
}

1;
