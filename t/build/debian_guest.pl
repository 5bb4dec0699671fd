#!/usr/bin/perl
# The part of t/build/debian.t that runs in a booted system of its own, as root: the package's life from installation to
# purge, under systemd. TAP to standard output.
use v5.36;
use IO::Socket::UNIX;
use Test::More;

my ($first, $second, $tests) = @ARGV;
my $conf = '/etc/mailreeve/mailreeve.conf';
my $socket = '/var/spool/postfix/mailreeve/mailreeve.sock';
my $drop_in = '/etc/systemd/system/mailreeve.service.d/test.conf';
$ENV{DEBIAN_FRONTEND} = 'noninteractive';

sub says (@command) {
    open my $pipe, '-|', @command or die "@command: $!";
    my $text = do { local $/ = undef; <$pipe> } // '';
    close $pipe;
    return $text;
}

sub runs ($what, @command) {
    open my $pipe, '-|', 'sh', '-c', 'exec 2>&1; "$@"', 'sh', @command or die "@command: $!";
    my @lines = <$pipe>;
    close $pipe;
    return ok($? == 0, $what) || diag(@lines, says('journalctl', '-u', 'mailreeve', '-n', '40', '--no-pager'));
}
sub shown ($property) { return says('systemctl', 'show', '-P', $property, 'mailreeve') =~ s/\n\z//r }
sub journal () { return says('journalctl', '-u', 'mailreeve', '-o', 'cat', '--no-pager') }

sub await ($what, $condition) {
    for (1 .. 600) {
        return pass($what) if $condition->();
        select undef, undef, undef, 0.1;
    }
    return fail($what) || diag(journal());
}

sub put ($path, $text) {
    my ($folder) = $path =~ m{(.*)/};
    system 'mkdir', '-p', $folder;
    open my $file, '>', $path or die "$path: $!";
    print {$file} $text;
    close $file or die "$path: $!";
    return;
}
sub get ($path) { open my $file, '<', $path or return ''; local $/ = undef; return <$file> }

sub mode_of ($path) {
    my ($mode, $user, $group) = (stat $path)[ 2, 4, 5 ];
    return defined $mode ? sprintf '%04o %s:%s', $mode & 07777, scalar getpwuid $user, scalar getgrgid $group : 'not there';
}

# As that user, in no group but his own: does the socket let him in?
sub may_connect ($name) {
    my ($user, $group) = (getpwnam $name)[ 2, 3 ];
    my $pid = fork;
    if ($pid == 0) {
        ($(, $)) = ($group, "$group $group");
        ($<, $>) = ($user, $user);
        exit(IO::Socket::UNIX->new(Peer => $socket) ? 0 : 1);
    }
    waitpid $pid, 0;
    return $? == 0;
}

sub installed {
    runs('the package is installed', 'dpkg', '-i', $first);
    is(shown('ActiveState'), 'active', 'and its service is started');
    is(shown('StatusText'), 'Serving', 'with a status') if shown('StatusText') !~ /^Serving, /;
    is(shown('User'), 'mailreeve', 'as a user of its own');
    is(says('id', '-Gn', 'mailreeve'), "mailreeve\n", 'who is in no other group');
    is(mode_of('/var/spool/postfix/mailreeve'), '2750 mailreeve:postfix', 'the folder in the chroot is open to Postfix only');
    is(mode_of($socket), '0660 mailreeve:postfix', 'and so is the socket');
    is(mode_of('/var/lib/mailreeve'), '0750 mailreeve:mailreeve', 'the state is closed to others');
    ok(may_connect('postfix'), 'Postfix reaches the socket');
    ok(!may_connect('nobody'), 'others do not');
    like(journal(), qr/sandbox: userns netns tmpfs chroot rlimits landlock seccomp, /, 'the workers have their whole sandbox in the locked-in service');
    unlike(get('/etc/postfix/main.cf'), qr/mailreeve/, "Postfix's configuration is left alone");
    return;
}

# Each system call that the unit forbids and somebody wanted would be in the log only with an audit daemon; what it broke is here.
sub works {
    runs('mail passes, and a program does not: the test that the package brings', $tests);
    like(says('mailreeve', 'find', '--action', 'reject'), qr/attachment\.executable/, 'the history knows');
    runs('systemctl reload', 'systemctl', 'reload', 'mailreeve');
    await('is heard', sub { journal() =~ /is in force for new connections/ });
    my $good = get($conf);
    put($conf, "$good\nno_such_option = 1\n");
    isnt(system('systemctl reload mailreeve 2>/dev/null'), 0, 'a bad configuration makes it fail');
    put($conf, $good);
    is(shown('ActiveState'), 'active', 'and the service goes on');
    return;
}

# The service's main process changes, and systemd neither stops the service nor starts it again.
sub handed_over {
    my $before = shown('MainPID');
    runs('mailreeve restart', 'mailreeve', 'restart');
    await('another process is the service\'s main one', sub { my $now = shown('MainPID'); $now > 0 && $now != $before });
    await('the old one ends', sub { !-e "/proc/$before" });
    is(shown('ActiveState') . ' ' . shown('NRestarts'), 'active 0', 'the service has been active all the time');
    ok(may_connect('postfix'), 'Postfix reaches the socket as before');
    runs('systemctl reload of the new process', 'systemctl', 'reload', 'mailreeve');
    return;
}

sub credentials {
    runs('a key is made', 'mailreeve', 'key', 'new', 'example.com', '--selector', 's1');
    my ($key) = glob '/var/lib/mailreeve/keys/s1._domainkey.example.com.*.pem';
    system 'mkdir', '-p', '/etc/mailreeve/keys';
    my $name = 's1._domainkey.example.com.active.pem';
    rename $key, "/etc/mailreeve/keys/$name" or diag("$key: $!");
    system 'chown', '-R', 'root:root', '/etc/mailreeve/keys';
    chmod 0600, "/etc/mailreeve/keys/$name";
    chmod 0700, '/etc/mailreeve/keys';
    put($drop_in, "[Service]\nLoadCredential=$name:/etc/mailreeve/keys/$name\n");
    put($conf, get($conf) . "sign { keys_dir = \"/run/credentials/mailreeve.service\" }\n");
    system 'systemctl', 'daemon-reload';
    runs('the service starts with a credential', 'systemctl', 'restart', 'mailreeve');
    my $mail = "From: a\@example.com\nTo: root\@localhost\nSubject: signed\n\nsigned\n";
    open my $pipe, '|-', '/usr/sbin/sendmail', '-f', 'a@example.com', 'root@localhost' or die $!;
    print {$pipe} $mail;
    close $pipe;
    await('mail is signed with it', sub { get('/var/mail/root') =~ /DKIM-Signature:[^:]*d=example\.com; s=s1;/ });
    return;
}

sub watchdog {
    put($drop_in, get($drop_in) . "WatchdogSec=4s\n");
    system 'systemctl', 'daemon-reload';
    runs('the service starts with a short watchdog', 'systemctl', 'restart', 'mailreeve');
    await('it is fed', sub { shown('StatusText') =~ /^Serving, \d+ transactions under way/ });
    my $pid = shown('MainPID');
    kill 'STOP', $pid;
    await('a daemon that stands still is killed and started again', sub { shown('NRestarts') eq '1' && shown('ActiveState') eq 'active' });
    isnt(shown('MainPID'), $pid, 'it is another one');
    like(journal(), qr/Watchdog timeout/, 'systemd says why');
    return;
}

sub upgraded {
    my $pid = shown('MainPID');
    my $mine = get($conf);
    runs('a newer package is installed', 'dpkg', '--force-confold', '-i', $second);
    is(get($conf), $mine, 'the configuration that was changed is kept');
    ok(-e "$conf.dpkg-dist", 'the new one lies beside it');
    is(shown('ActiveState'), 'active', 'the service runs');
    isnt(shown('MainPID'), $pid, 'the new program');
    runs('mail passes', $tests);
    like(says('mailreeve', 'find'), qr/subject|example\.com|root/, 'what was remembered is still there');
    return;
}

sub for_sendmail {
    my $postfix = get($conf);
    put($conf, $postfix =~ s{^socket = .*}{socket = "unix:/run/mailreeve/milter.sock"}mr);
    runs('the service starts with a socket in /run', 'systemctl', 'restart', 'mailreeve');
    is(mode_of('/run/mailreeve/milter.sock'), '0660 mailreeve:mailreeve', 'which is its own');
    put($conf, $postfix);
    return;
}

sub removed {
    runs('the package is removed', 'dpkg', '-r', 'mailreeve');
    isnt(shown('ActiveState'), 'active', 'the service is stopped');
    ok(-e '/var/lib/mailreeve/mailreeve.db' && -e $conf, 'what it remembers, and its configuration, stay');
    system 'rm', '-rf', '/etc/systemd/system/mailreeve.service.d', '/etc/mailreeve/keys';
    runs('and purged', 'dpkg', '--purge', 'mailreeve');
    my @left = grep { !m{^/(?:proc|sys|run/systemd|var/log/journal|var/spool/postfix/mailreeve\.)} }
      split /\n/, says('find', '/', '-xdev', '-path', '/test', '-prune', '-o', '-name', '*mailreeve*', '-print');
    push @left, grep { -e } '/run/mailreeve', '/var/lib/mailreeve';
    is_deeply(\@left, [], 'nothing is left');
    return;
}

$| = 1;
installed();
works();
handed_over();
credentials();
watchdog();
upgraded();
for_sendmail();
removed();
done_testing();
