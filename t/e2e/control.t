#!/usr/bin/perl
# The control socket: who may ask, what is refused, and that a reload by it checks first.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir wait_until write_file read_file test_program);

my $zone = write_file(work_dir() . '/zone', "test.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\n");
my $base = "own_networks = {\"127.0.0.1\"}\n";
my $daemon = Mailreeve::Daemon->start(name => 'control', zone => $zone, config => "$base");
my $path = "$daemon->{socket}.control";

sub connect_to ($where) {
    return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $where) // die "$where: $!";
}

# The whole answer to a request as it is; in a process of that user and group when one is given.
sub raw ($request, $user = undef) {
    pipe my $read, my $write or die $!;
    my $pid = fork // die $!;
    if ($pid == 0) {
        if ($user) {
            my ($uid) = (getpwnam $user)[2];
            my $gid = getgrnam 'mail';
            $( = $) = "$gid $gid";
            ($<, $>) = ($uid, $uid);
        }
        my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path);
        local $SIG{PIPE} = 'IGNORE';
        if (!$socket) {
            print $write "cannot connect: $!";
        } else {
            $socket->autoflush(1);
            print $socket $request;
            local $/ = undef;
            print $write (<$socket> // '');
        }
        close $write;
        require POSIX;
        POSIX::_exit(0);
    }
    close $write;
    local $/ = undef;
    my $answer = <$read>;
    waitpid $pid, 0;
    return $answer;
}
sub ask ($line, $more = '', $user = undef) { return raw("$line HTTP/1.1\r\nHost: x\r\nConnection: close\r\n$more\r\n", $user) }

# ( exit status, what it said ).
sub reload {
    my $text = qx('@{[ test_program('mailreeve') ]}' reload -c '$daemon->{config}' 2>&1);
    return ($? >> 8, $text);
}

sub who_may {
    my ($mode, $user) = (stat $path)[ 2, 4 ];
    is_deeply([ $mode & 07777, $user ], [ 0600, (getpwnam 'nobody')[2] ], 'the socket is its user\'s alone');
    like(ask('POST /reload', "Content-Length: 0\r\n"), qr{\AHTTP/1.1 200 }, 'root may reload');
    like(ask('POST /reload', "Content-Length: 0\r\n", 'nobody'), qr{\AHTTP/1.1 200 }, 'the daemon\'s user may');
    like(ask('POST /reload', "Content-Length: 0\r\n", 'daemon'), qr{\Acannot connect}, 'another cannot even connect');
    $daemon->down;
    ok(!-e $path, 'the socket goes with the daemon');
    $daemon->configure("${base}control_group = \"mail\"\n");
    $daemon->up;
    my ($shared, $owner, $group) = (stat $path)[ 2, 4, 5 ];
    is_deeply([ $shared & 07777, $owner, $group ], [ 0660, $user, scalar getgrnam 'mail' ], 'control_group opens it to that group');
    like(ask('POST /reload', "Content-Length: 0\r\n", 'daemon'), qr{\AHTTP/1.1 403 }, 'whose members may not reload');
    return;
}

sub refusals {
    like(ask('GET /nothing'), qr{\AHTTP/1.1 404 }, 'a path that is not there');
    like(ask('GET /reload'), qr{\AHTTP/1.1 405 }, 'a method that is not its own');
    like(ask('GET /../../etc/passwd'), qr{\AHTTP/1.1 404 }, 'a path upwards');
    like(ask('POST /reload', "Content-Length: 1000000000000\r\n"), qr{\AHTTP/1.1 413 }, 'a body that says it is long, before it comes');
    like(ask('POST /reload', "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"), qr{\AHTTP/1.1 413 }, 'a body that is longer than allowed');
    like(ask('POST /reload', 'X: ' . 'x' x 100_000 . "\r\n"), qr{\A(?:HTTP/1.1 431 |\z)}, 'a header without end');
    like(raw("\1\2\3 /reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), qr{\A(?:HTTP/1.[01] 4|\z)}, 'what is no request');
    my @slow = map { my $s = connect_to($path); $s->autoflush(1); print $s "POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"; $s } 1 .. 8;
    like(ask('POST /reload', "Content-Length: 0\r\n"), qr{\AHTTP/1.1 200 }, 'those who send slowly are in nobody\'s way');
    return @slow;
}

sub command {
    my ($status, $text) = reload();
    is($status, 0, 'mailreeve reload');
    like($text, qr/is in force for new connections/, 'says so');
    my $good = read_file($daemon->{config});
    write_file($daemon->{config}, "$good\nnonsense = 3\n");
    ($status, $text) = reload();
    is($status, 1, 'a bad file');
    like($text, qr/\Q$daemon->{config}\E:\d+: .*nonsense.*stays as it was/s, 'is refused with file and line');
    like(ask('POST /reload', "Content-Length: 0\r\n"), qr{\AHTTP/1.1 422 .*\Q$daemon->{config}\E:\d+: .*nonsense}s, 'by the daemon too');
    like($daemon->log_text, qr/reload: the configuration stays as it was/, 'which says so in its log');
    write_file($daemon->{config}, $good);
    is(Mailreeve::Milter->session($daemon->{socket}, from => 'a@test.example')->finish, 'c', 'and goes on');
    return;
}

who_may();
my @slow = refusals();
command();
is($daemon->down, 0, 'it ends while requests are under way');
my ($status, $text) = reload();
is($status, 1, 'without a daemon');
like($text, qr/does not answer/, 'the command says so');
done_testing();
