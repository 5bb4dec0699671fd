package Mailreeve::Process;

# Temporary folders, ports, and programs that end with the test, whatever happens to it.

use v5.36;
use Carp qw(croak);
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use IO::Socket::INET;
use POSIX qw(:sys_wait_h setsid);
use Socket qw(AF_UNIX SOCK_STREAM pack_sockaddr_un);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(work_dir free_port spawn stop wait_until answers write_file read_file run_ok build_dir source_dir
    test_program reachable ended on_end);

my (@running, @at_end, $work);
my $owner = $$;

sub build_dir { return abs_path($ENV{MAILREEVE_BUILD} // 'build') // croak 'no build tree: set MAILREEVE_BUILD' }
sub source_dir { return abs_path($ENV{MAILREEVE_SOURCE} // '.') }

sub test_program ($name) {
    my $path = build_dir() . "/$name";
    -x $path or croak "$path is not built";
    return $path;
}

# A folder of the test's own that every user may pass through; gone at the end.
sub work_dir {
    if (!defined $work) {
        $work = File::Temp::tempdir('mailreeve-XXXXXX', DIR => $ENV{TMPDIR} // '/tmp', CLEANUP => 0);
        chmod 0755, $work or croak "$work: $!";
    }
    return $work;
}

# A copy of a file for a daemon that is not root any more: a checkout below /root is closed to it.
sub reachable ($path) {
    my $copy = work_dir() . '/' . $path =~ s{.*/}{}r;
    if (!-e $copy) {
        copy($path, $copy) or croak "$copy: $!";
        chmod +(stat $path)[2] & 0777 | 0444, $copy or croak "$copy: $!";
    }
    return $copy;
}

my %taken;
sub free_port {
    for (1 .. 100) {
        my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1) or croak "port: $!";
        my $port = $socket->sockport;
        return $port if !$taken{$port}++;
    }
    croak 'no free port';
}

sub write_file ($path, $text, $mode = 0644) {
    open my $file, '>:raw', $path or croak "$path: $!";
    print {$file} $text or croak "$path: $!";
    close $file or croak "$path: $!";
    chmod $mode, $path;
    return $path;
}

sub read_file ($path) {
    open my $file, '<:raw', $path or return '';
    local $/ = undef;
    return scalar(<$file>) // '';
}

# Starts a program in a group of its own, its output in a file. Returns { pid, log }.
sub spawn (%arg) {
    my $log = $arg{log} // work_dir() . "/$arg{name}.log";
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        setsid();
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log or POSIX::_exit(126);
        open STDERR, '>>&', \*STDOUT or POSIX::_exit(126);
        $ENV{$_} = $arg{env}{$_} for keys %{ $arg{env} // {} };
        { no warnings 'exec'; exec { $arg{command}[0] } @{ $arg{command} }; }
        POSIX::_exit(127);
    }
    my $process = { pid => $pid, log => $log, name => $arg{name} };
    push @running, $process;
    return $process;
}

# Asks a program to end, then makes it. Returns its wait status, undef where it did not end by itself.
sub stop ($process, $signal = 'TERM', $seconds = 20) {
    @running = grep { $_ != $process } @running;
    kill $signal, $process->{pid} if !ended($process);
    my $limit = time + $seconds;
    sleep 0.01 while !ended($process) && time < $limit;
    kill 'KILL', -$process->{pid};
    waitpid $process->{pid}, 0 if !defined $process->{status};
    return $process->{status};
}

# Whether a program has ended by itself; its wait status is kept for stop().
sub ended ($process) {
    $process->{status} = $? if !defined $process->{status} && waitpid($process->{pid}, WNOHANG) == $process->{pid};
    return defined $process->{status};
}

sub on_end ($code) { push @at_end, $code; return }

# Polls until the condition holds. Dies with what it waited for.
sub wait_until ($what, $condition, $seconds = 30) {
    my $limit = time + $seconds;
    until ($condition->()) {
        croak "waited $seconds s in vain for: $what" if time > $limit;
        sleep 0.02;
    }
    return 1;
}

sub answers ($where) {
    if ($where =~ m{^/}) {
        socket my $socket, AF_UNIX, SOCK_STREAM, 0 or return 0;
        return connect($socket, pack_sockaddr_un($where)) ? 1 : 0;
    }
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $where, Timeout => 2) ? 1 : 0;
}

# Runs a command to its end; its output, or death with it.
sub run_ok (@command) {
    my $pid = open my $out, '-|';
    defined $pid or croak "fork: $!";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec { $command[0] } @command; }
        POSIX::_exit(127);
    }
    local $/ = undef;
    my $text = <$out> // '';
    close $out;
    croak "@command: status $?\n$text" if $?;
    return $text;
}

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);

END {
    if ($$ == $owner) {
        my $status = $?;
        for my $code (reverse @at_end) { eval { $code->(); 1 } or warn $@ }
        my @left = reverse @running;
        stop($_, 'TERM', 5) for @left;
        remove_tree($work, { safe => 0 }) if defined $work && !$ENV{MAILREEVE_KEEP};
        $? = $status;
    }
}

1;
