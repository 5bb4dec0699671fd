#!/usr/bin/perl
# What a service manager is told, and that the watchdog is fed by nothing but work that gets done.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Process qw(work_dir wait_until write_file read_file);

use constant PERIOD => 2; # seconds in which the daemon must feed it

my $path = work_dir() . '/notify';
my $manager = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "$path: $!";
chmod 0666, $path;

# The next message that matches, the others before it dropped; undef when none comes.
sub hear ($match, $seconds = 60) {
    my $end = time + $seconds;
    while ((my $left = $end - time) > 0) {
        next if !IO::Select->new($manager)->can_read($left);
        $manager->recv(my $text, 4096);
        return $text if $text =~ $match;
    }
    return;
}

# Forgets what was said so far, and a word that is just being said.
sub forget () {
    while (IO::Select->new($manager)->can_read(0)) {
        $manager->recv(my $text, 4096);
    }
    return;
}

my $fed = qr/^WATCHDOG=1\nSTATUS=Serving, 0 transactions under way\z/;
my $dns = Mailreeve::Dns->start("example. SOA ns.example. a.example. 1 1 1 1 1\n");
my $daemon = Mailreeve::Daemon->start(name => 'watched', forwarder => $dns->{forwarder}, down => 1, config => "content { deadline = 1s tmp_dir = \"" . work_dir() . "/watched/tmp\" }\n");
{
    no warnings 'redefine';
    my $env = \&Mailreeve::Daemon::env;
    *Mailreeve::Daemon::env = sub ($self) { return { $env->($self)->%*, NOTIFY_SOCKET => $path, WATCHDOG_USEC => PERIOD * 1_000_000 } };
}

# Stops a thread of the daemon by its name or place; the watchdog must go hungry and say why, and be fed again afterwards.
sub starves ($what, $stop, $go) {
    $stop->();
    ok(hear(qr/^STATUS=No answer from \Q$what\E\z/), "no answer from $what: the manager is told");
    forget();
    is(hear($fed, PERIOD + 1), undef, 'and the watchdog is not fed');
    like($daemon->log_text, qr/watchdog: no answer from \Q$what\E/, 'nor is the log silent');
    $go->();
    ok(hear($fed), 'it goes on: so does the feeding');
    return;
}

$daemon->up;
is(hear(qr/READY/), "READY=1\nSTATUS=Serving", 'ready');
ok(hear($fed), 'the watchdog is fed') for 1 .. 3;
unlike(read_file("/proc/" . $daemon->nursery . "/environ"), qr/NOTIFY_SOCKET|WATCHDOG/, 'the workers cannot talk to the manager');

kill 'HUP', $daemon->{process}{pid};
like(hear(qr/RELOADING/), qr/^RELOADING=1\nMONOTONIC_USEC=\d{6,}\n/, 'a reload is announced');
is(hear(qr/READY/), "READY=1\nSTATUS=Serving", 'and its end');
my $good = read_file($daemon->{config});
write_file($daemon->{config}, "nonsense\n");
kill 'HUP', $daemon->{process}{pid};
is(hear(qr/READY/), "READY=1\nSTATUS=Serving; the new configuration has an error, the old one stays", 'one that fails, too');
write_file($daemon->{config}, $good);

# One thread alone stands still: ptrace() can do that.
use constant { PTRACE => 101, SEIZE => 0x4206, INTERRUPT => 0x4207, DETACH => 17, ALL_KINDS => 0x40000000 };
sub thread_named ($name) {
    my ($thread) = grep { read_file("/proc/$daemon->{process}{pid}/task/$_/comm") eq "$name\n" }
      sort { $a <=> $b } map { m{(\d+)\z} } glob "/proc/$daemon->{process}{pid}/task/*";
    return 0 + ($thread // die "there is no thread $name");
}
SKIP: for my $case ([ 'the milter socket', 'milter' ], [ 'the resolver', 'resolver' ], [ 'the store', 'store-writer' ], [ 'the store', 'store-queue' ]) {
    my ($what, $name) = @$case;
    skip 'the number of ptrace() is that of x86_64', 4 if qx(uname -m) ne "x86_64\n";
    my $thread = thread_named($name);
    starves($what, sub {
        syscall(PTRACE, SEIZE, $thread, 0, 0) == 0 && syscall(PTRACE, INTERRUPT, $thread, 0, 0) == 0 or die "ptrace: $!";
        waitpid($thread, ALL_KINDS) == $thread or die "waitpid: $!";
    }, sub { syscall(PTRACE, DETACH, $thread, 0, 0) == 0 or die "ptrace: $!" });
}

# The nursery and all workers stand still: what is busy is killed, but nobody replaces it.
my @processes = ($daemon->nursery, $daemon->workers);
starves('the content workers', sub { kill 'STOP', @processes }, sub { kill 'CONT', @processes });

kill 'TERM', $daemon->{process}{pid};
like(hear(qr/STOPPING/), qr/^STOPPING=1\n/, 'the end is announced');
$daemon->down;
done_testing();
