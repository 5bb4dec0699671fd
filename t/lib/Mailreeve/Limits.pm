package Mailreeve::Limits;

# Greylisting and rate limits through a real MTA: what its clients see, and what arrives, once.

use v5.36;
use Exporter qw(import);
use Test::More;
use Mailreeve::Daemon;
use Mailreeve::Process qw(work_dir wait_until write_file run_ok test_program);
use Mailreeve::Smtp;

our @EXPORT_OK = qw(run_limits);

# The codes of all replies to RCPT, and the last reply.
sub replies ($smtp, %arg) {
    my @codes;
    my $reply = $smtp->say_line("MAIL FROM:<$arg{from}>");
    return ($reply) if $reply !~ /^2/;
    push @codes, $smtp->say_line("RCPT TO:<$_>") =~ s/^(\d+).*/$1/sr for @{ $arg{to} };
    return (@codes, 'none') if !grep { /^2/ } @codes;
    $smtp->say_line('DATA');
    return (@codes, $smtp->say_line($arg{message} =~ s/\n/\r\n/gr . '.'));
}

sub transaction ($self, %arg) {
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => $arg{local});
    $smtp->say_line('EHLO client.example');
    my @answers = $arg{login} ? $arg{login}->($smtp) : ();
    push @answers, replies($smtp, %arg);
    $smtp->say_line('QUIT');
    return @answers;
}

my $serial = 0;

sub compose ($from) {
    my $id = sprintf 'limits-%d-%d', ++$serial, $$;
    return ($id, "From: $from\nTo: b\@dst.example\nSubject: $id\nDate: Tue, 24 Nov 2026 12:00:00 +0000\nMessage-ID: <$id\@x>\n\nhi\n");
}

sub arrivals ($self, $id) { return grep { index($_->[1], $id) >= 0 } Mailreeve::Smtp->sunk($self->{sink}) }

sub greylisted ($self) {
    my ($id, $text) = compose('x@nowhere.example');
    my %mail = (local => '127.0.0.7', from => 'x@nowhere.example', to => ['b@dst.example'], message => $text);
    my (undef, $reply) = transaction($self, %mail);
    like($reply, qr/^451 4\.7\.1 .*Greylisted, please try again in \d+ seconds \(support id \w+\)/, 'a suspicious message is put off');
    is($self->{daemon}->verdict(qr/from=<x\@nowhere\.example>/)->{reason}, 'greylist.delayed', 'as the log tells');
    my $tries = 1;
    wait_until('a retry to be taken', sub { $tries++; (transaction($self, %mail))[-1] =~ /^250 / });
    wait_until('the message', sub { arrivals($self, $id) });
    cmp_ok($tries, '>', 2, 'tries before the delay is over are put off too');
    my ($next, $other) = compose('x@nowhere.example');
    like((transaction($self, %mail, message => $other))[-1], qr/^250 /, 'the next one passes at once');
    wait_until('it', sub { arrivals($self, $next) });
    is(scalar(my @all = arrivals($self, $id)), 1, 'and the first one has come once');
    return;
}

sub in_part ($self) {
    my ($id, $text) = compose('out@own.example');
    my @answers = transaction($self, local => '127.0.0.8', from => 'out@own.example', to => [ map { "r$_\@dst.example" } 1 .. 6 ], message => $text);
    is(join(' ', @answers[ 0 .. 5 ]), '250 250 250 250 451 451', 'of six recipients four are taken');
    like($answers[6], qr/^250 /, 'and the message for them');
    wait_until('the message', sub { arrivals($self, $id) });
    my $envelopes = join '', map { $_->[0] } arrivals($self, $id);
    is(join(' ', sort $envelopes =~ /(r\d)\@dst/g), 'r1 r2 r3 r4', 'which reaches them, and nobody else');
    return;
}

sub run_limits ($mta_class, %arg) {
    my $zone = write_file(work_dir() . '/zone', ". 3600 IN NS ns.\n");
    my $daemon = Mailreeve::Daemon->start(zone => $zone, config => <<'END');
own_networks = {"127.0.0.8"}
client { mode = off }
greylist { mode = enforce delay = 2s }
rate { limits = {"outbound client 4/1h recipients", "user:anna 3/1h", "user:bob 2/1h failures lock 1h"} }
END
    my $sink = Mailreeve::Smtp->sink;
    my $mta = $mta_class->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}", %{ $arg{mta} // {} });
    my $self = { daemon => $daemon, sink => $sink, mta => $mta };
    for my $part (\&greylisted, \&in_part, @{ $arg{parts} // [] }) {
        $part->($self);
    }
    $daemon->down;
    unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
    return $self;
}

1;
