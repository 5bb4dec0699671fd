#!/usr/bin/perl
# The daemon's life: its socket, the user it becomes, reload, the end of it, and what an MTA sees of all that.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir free_port spawn stop wait_until answers write_file read_file);

my ($nobody, $nogroup) = (getpwnam 'nobody')[ 2, 3 ];
my $zone = write_file(work_dir() . '/zone', "test.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\n");
my $base = "own_networks = {\"127.0.0.1\"}\n";

sub prepare ($name, $config = '', %arg) {
    return Mailreeve::Daemon->start(name => $name, zone => $zone, down => 1, config => "$base$config", %arg);
}
sub where ($daemon) { return $daemon->{port} // $daemon->{socket} }
sub open_session ($daemon, %arg) { return Mailreeve::Milter->session(where($daemon), from => 'a@test.example', %arg) }
sub passes ($daemon, $what) { return is(open_session($daemon)->finish, 'c', $what) }

# Runs the program until it ends by itself: ( exit status, what it said ).
my $runs = 0;
sub run_to_end ($daemon, @more) {
    my $process = spawn(name => 'run' . ++$runs, command => [ $daemon->command(@more) ], env => $daemon->env);
    my $status;
    wait_until("@more to end", sub { waitpid($process->{pid}, WNOHANG) == $process->{pid} and defined($status = $?) }, 90);
    stop($process, 'CONT', 0);
    return ($status >> 8, read_file($process->{log}));
}

sub refuses ($daemon, $why, $what) {
    my ($status, $text) = run_to_end($daemon, '-f');
    is($status, 1, "$what: refused");
    return like($text, $why, 'and it says why');
}

# Sends its end of message in each session while no worker can answer: these transactions are running.
sub hold (@sessions) {
    $_->packet('E') for @sessions;
    return;
}

sub socket_file {
    my $daemon = prepare('file', "socket_mode = 0620\nsocket_group = \"mail\"\n");
    write_file($daemon->{socket}, 'precious');
    refuses($daemon, qr/no socket/, 'a file in place of the socket');
    is(read_file($daemon->{socket}), 'precious', 'the file is as it was');
    unlink $daemon->{socket};
    IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $daemon->{socket}, Listen => 1)->close;
    ok(-S $daemon->{socket} && !answers($daemon->{socket}), 'a stale socket');
    $daemon->up;
    passes($daemon, 'is replaced');
    my ($mode, $user, $group) = (stat $daemon->{socket})[ 2, 4, 5 ];
    is_deeply([ $mode & 07777, $user, $group ], [ 0620, $nobody, scalar getgrnam 'mail' ], 'mode, user and group of the socket');
    refuses($daemon, qr/answers there already/, 'a second daemon on a living socket');
    passes($daemon, 'the first one does not notice');
    is_deeply([ glob "$daemon->{dir}/run/*" ], [ $daemon->{socket}, "$daemon->{socket}.control" ], 'no other name is left in the folder');
    is($daemon->down, 0, 'TERM ends it');
    is_deeply([ glob "$daemon->{dir}/run/*" ], [], 'with its sockets');
    return;
}

sub privileges {
    my $daemon = prepare('user', "user = \"nobody\"\n");
    $daemon->up;
    my $status = read_file("/proc/$daemon->{process}{pid}/status");
    like($status, qr/^Uid:(?:\t$nobody){4}$/m, 'no root user is left');
    like($status, qr/^Gid:(?:\t$nogroup){4}$/m, 'nor group');
    like($status, qr/^Groups:\t$nogroup *$/m, 'nor supplementary groups');
    like($status, qr/^Cap(?:Prm|Eff):\t0+$/m, 'nor capabilities');
    like($status, qr/^NoNewPrivs:\t1$/m, 'no program it runs can get them back');
    like(read_file("/proc/$daemon->{process}{pid}/limits"), qr/^Max core file size\s+0\s+0\s/m, 'no core files');
    $daemon->down;
    refuses(prepare('nouser', "user = \"nobody-of-that-name\"\n"), qr/no user "nobody-of-that-name"/, 'a user that does not exist');
    return;
}

sub reload {
    my $daemon = prepare('reload', "recipients_max = 2\n");
    $daemon->up;
    my $old = open_session($daemon, until => 'rcpt');
    $daemon->configure("${base}recipients_max = 1\n");
    kill 'HUP', $daemon->{process}{pid};
    wait_until('the reload', sub { $daemon->log_text =~ /is in force/ });
    my $new = open_session($daemon, until => 'rcpt');
    is($new->step('R', "<c\@dst.example>\0"), 'y', 'HUP: a new connection has the new limit of recipients');
    is($old->step('R', "<c\@dst.example>\0"), 'c', 'one that has begun keeps the old');
    $old->step('L', "From\0 a\@test.example\0", 0x80);
    $old->step('N', '', 0x40000);
    is($old->finish, 'c', 'and ends well');
    $daemon->configure("${base}recipients_max = 2\n\nrecipient_max = 3\n");
    my $line = () = read_file($daemon->{config}) =~ /\n/g;
    kill 'HUP', $daemon->{process}{pid};
    wait_until('the refusal', sub { $daemon->log_text =~ /stays as it was/ });
    like($daemon->log_text, qr/error: \Q$daemon->{config}\E:$line: .*recipient_max/, 'a broken file is refused by file and line');
    $new = open_session($daemon, until => 'rcpt');
    is($new->step('R', "<c\@dst.example>\0"), 'y', 'and nothing of it holds');
    $daemon->configure("${base}sessions_max = 2\n");
    kill 'HUP', $daemon->{process}{pid};
    wait_until('the second reload', sub { 2 == (() = $daemon->log_text =~ /is in force/g) });
    undef $_ for $old, $new;
    my @two;
    wait_until('two connections', sub { @two = (); @two = grep { $_->{connected} eq 'c' } map { open_session($daemon, until => 'connect') } 1, 2; @two == 2 });
    my $third = Mailreeve::Milter->connect_to($daemon->{socket})->negotiate;
    $third->packet('C', "client.example\0" . '4' . pack('n', 4711) . "127.0.0.7\0");
    like($third->verdict, qr/^451 4\.3\.2 /, 'beyond sessions_max: told to come later');
    pop @two;
    wait_until('room for another', sub { open_session($daemon, until => 'connect')->{connected} eq 'c' });
    is($daemon->down, 0, 'connections without a transaction do not hold up its end');
    return;
}

# Twenty messages are being looked at when TERM comes; the next daemon starts under the same name meanwhile.
sub drain {
    my $pid_file = work_dir() . '/drain/run/pid';
    my $daemon = prepare('drain', "pid_file = \"$pid_file\"\n");
    $daemon->up;
    is(read_file($pid_file), "$daemon->{process}{pid}\n", 'the pid file');
    my @workers = $daemon->workers;
    kill 'STOP', @workers;
    my @running = map { open_session($daemon, id => "RUN$_") } 1 .. 20;
    my $idle = open_session($daemon, until => 'helo');
    hold(@running);
    kill 'TERM', $daemon->{process}{pid};
    wait_until('the socket to be withdrawn', sub { !-e $daemon->{socket} });
    ok(kill(0, $daemon->{process}{pid}), 'TERM: it waits for running transactions');
    my $next = prepare('next', "pid_file = \"$pid_file\"\n", spec => "unix:$daemon->{socket}", socket => $daemon->{socket});
    $next->up;
    passes($next, 'the next daemon starts under the same name meanwhile');
    kill 'CONT', @workers;
    is(scalar(grep { $_->verdict eq 'c' } @running), 20, 'every running transaction gets its answer');
    is(stop($daemon->{process}, 'CONT', 30), 0, 'then the old daemon ends');
    is(scalar(() = $daemon->log_text =~ /RUN\d+: verdict=(?:accept|tag)/g), 20, 'with a verdict line for each');
    passes($next, 'the next one\'s socket is still there');
    is(read_file($pid_file), "$next->{process}{pid}\n", 'and its pid file');
    is($next->down, 0, 'it ends');
    ok(!-e $pid_file, 'with its pid file');
    unlike($_->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained') for $daemon, $next;
    return;
}

sub cut_off {
    my $daemon = prepare('cut', "drain_time = 0s\n");
    $daemon->up;
    kill 'STOP', $daemon->workers;
    my $session = open_session($daemon);
    hold($session);
    is($daemon->down, 0, 'drain_time over: it ends');
    is($session->verdict, 'gone', 'the MTA is left to answer by itself');
    like($daemon->log_text, qr/with 1 transactions unfinished/, 'which is logged');
    unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
    $daemon = prepare('twice', '');
    $daemon->up;
    kill 'STOP', $daemon->workers;
    $session = open_session($daemon);
    hold($session);
    kill 'TERM', $daemon->{process}{pid};
    wait_until('it to drain', sub { $daemon->log_text =~ /stopping: running/ });
    my $start = time;
    is($daemon->down('INT'), 0, 'a second signal ends it');
    cmp_ok(time - $start, '<', 5, 'at once');
    unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
    return;
}

sub background {
    my $pid_file = work_dir() . '/background/run/pid';
    my $daemon = prepare('background', "pid_file = \"$pid_file\"\n");
    my ($status, $text) = run_to_end($daemon);
    is($status, 0, 'without -f the command returns');
    is($text, '', 'without a word');
    my ($pid) = read_file($pid_file) =~ /^(\d+)\n\z/;
    Mailreeve::Process::on_end(sub { kill 'KILL', $pid });
    passes($daemon, 'and the daemon is ready');
    my ($session, $tty) = (split ' ', read_file("/proc/$pid/stat") =~ s/.*\) //r)[ 3, 4 ];
    isnt($session, $pid, 'it leads no session');
    is($tty, 0, 'and has no terminal');
    is(readlink "/proc/$pid/fd/$_", '/dev/null', "descriptor $_ leads nowhere") for 0 .. 2;
    is(readlink "/proc/$pid/cwd", '/', 'it stands in no folder');
    ($status, $text) = run_to_end($daemon);
    is($status, 1, 'a second one fails');
    like($text, qr/answers there already/, 'and its command tells why');
    is(read_file($pid_file), "$pid\n", 'the pid file of the first is as it was');
    kill 'TERM', $pid;
    wait_until('it to end', sub { !kill 0, $pid });
    ok(!-e $pid_file && !-e $daemon->{socket}, 'it ends and clears up');
    return;
}

sub inet {
    my $port = free_port();
    my $daemon = prepare('inet', '', spec => "inet:$port\@127.0.0.1", port => $port);
    $daemon->up;
    passes($daemon, 'a message through an inet socket');
    refuses($daemon, qr/inet:$port\@127\.0\.0\.1/, 'a second daemon on the port');
    my @workers = $daemon->workers;
    kill 'STOP', @workers;
    my @sessions = map { open_session($daemon) } 1 .. 3;
    hold(@sessions);
    kill 'TERM', $daemon->{process}{pid};
    wait_until('it to drain', sub { $daemon->log_text =~ /stopping: running/ });
    my $late;
    wait_until('new connections to be refused', sub { $late = open_session($daemon, until => 'connect'); $late->{connected} eq 'y' });
    ok($late, 'TERM: a new connection is told to come later');
    kill 'CONT', @workers;
    is(scalar(grep { $_->verdict eq 'c' } @sessions), 3, 'the running ones get their answers');
    is(stop($daemon->{process}, 'CONT', 30), 0, 'then it ends');
    refuses(prepare('badport', '', spec => 'inet:smtp@localhost'), qr/expected PORT\@ADDRESS/, 'a port that is no number');
    return;
}

$_->() for \&socket_file, \&privileges, \&reload, \&drain, \&cut_off, \&background, \&inet;
done_testing();
