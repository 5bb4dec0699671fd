package Mailreeve::Smtp;

# An SMTP client that shows each reply, and a sink that keeps what it is given, byte for byte.

use v5.36;
use Carp qw(croak);
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep);
use Mailreeve::Process qw(work_dir free_port wait_until answers read_file spawn);

# ---- client ----

sub connect_to ($class, $port, %arg) {
    my @from = $arg{local} ? (LocalAddr => $arg{local}) : ();
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10, @from)
        or croak "port $port: $!";
    my $self = bless { socket => $socket }, $class;
    $self->{banner} = $self->reply;
    return $self;
}

sub reply ($self) {
    my ($text, $socket) = ('', $self->{socket});
    local $SIG{ALRM} = sub { croak 'the server is silent' };
    alarm($self->{patience} // 120);
    while (my $line = <$socket>) {
        $text .= $line;
        last if $line =~ /^\d{3}(?:\s|$)/;
    }
    alarm 0;
    return $text =~ s/\r\n/\n/gr =~ s/\n\z//r;
}

sub say_line ($self, $line) { $self->{socket}->print("$line\r\n"); return $self->reply }

sub send_raw ($self, $bytes) { $self->{socket}->print($bytes); return }

# STARTTLS, and EHLO again. ssl: options of IO::Socket::SSL.
sub starttls ($self, $helo, %ssl) {
    require IO::Socket::SSL;
    my $reply = $self->say_line('STARTTLS');
    croak "STARTTLS: $reply" if $reply !~ /^220/;
    IO::Socket::SSL->start_SSL($self->{socket}, SSL_verify_mode => 0, Timeout => 30, %ssl)
        or croak 'STARTTLS: ' . IO::Socket::SSL::errstr();
    return $self->say_line("EHLO $helo");
}

# One transaction: the last reply; those to RCPT are in {rcpt}. A message with LF or CRLF line ends, dots not stuffed. mail: parameters of MAIL.
sub deliver ($self, %arg) {
    my $reply = $self->say_line(join ' ', 'MAIL FROM:<' . ($arg{from} // '') . '>', $arg{mail} // ());
    $self->{rcpt} = [];
    return $reply if $reply !~ /^2/;
    my $taken = 0;
    for my $rcpt (ref $arg{to} ? @{ $arg{to} } : $arg{to}) {
        $reply = $self->say_line("RCPT TO:<$rcpt>");
        push @{ $self->{rcpt} }, $reply;
        $taken++ if $reply =~ /^2/;
    }
    return $reply if !$taken;
    $reply = $self->say_line('DATA');
    return $reply if $reply !~ /^3/;
    my $text = $arg{message} =~ s/\r?\n/\r\n/gr =~ s/^\./../gmr;
    $text .= "\r\n" if $text !~ /\r\n\z/;
    $self->{socket}->print($text);
    return $self->say_line('.');
}

# A whole session; the last reply of the transaction. local: the address to come from; client, name, login: told to
# Postfix by XCLIENT.
sub send_message ($class, $port, %arg) {
    my $self = $class->connect_to($port, %arg);
    $self->say_line('EHLO ' . ($arg{helo} // 'client.example'));
    if ($arg{client} || $arg{login}) {
        my @words = ("ADDR=" . ($arg{client} // '127.0.0.1'), 'NAME=' . ($arg{name} // '[UNAVAILABLE]'),
            'HELO=' . ($arg{helo} // 'client.example'));
        push @words, "LOGIN=$arg{login}" if $arg{login};
        my $reply = $self->say_line("XCLIENT @words");
        croak "XCLIENT: $reply" if $reply !~ /^220/;
        $self->say_line('EHLO ' . ($arg{helo} // 'client.example'));
    }
    my $reply = $self->deliver(%arg);
    $self->say_line('QUIT');
    return $reply;
}

# ---- sink ----

# Takes everything on a port: { port, dir }; N.env and N.eml for each message.
sub sink ($class) {
    my $dir = work_dir() . '/sink';
    mkdir $dir;
    my $port = free_port();
    my $program = __FILE__ =~ s{Smtp\.pm\z}{sink.pl}r;
    spawn(name => 'sink', command => [ $^X, $program, $port, $dir ]);
    wait_until('the sink', sub { answers($port) });
    return { port => $port, dir => $dir };
}

# The messages in the sink so far, as [ envelope, message ].
sub sunk ($class, $sink) {
    return map { [ read_file(s/eml\z/env/r), read_file($_) ] } sort glob "$sink->{dir}/*.eml";
}

# The one message with that text in it, once it has arrived.
sub wait_for_message ($class, $sink, $text) {
    my $found;
    wait_until("a message with \"$text\" in the sink",
        sub { ($found) = grep { index($_->[1], $text) >= 0 } $class->sunk($sink); defined $found });
    return $found;
}

1;
