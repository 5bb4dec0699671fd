#!/usr/bin/perl
# The daemon and its store: whose files they are, what keeps it from starting, and that mail goes on without it.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Postgres;
use Mailreeve::Process qw(work_dir wait_until write_file read_file test_program);

my ($nobody, $nogroup) = (getpwnam 'nobody')[ 2, 3 ];
my $zone = write_file(work_dir() . '/zone', "test.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\n");
my $mailreeve = test_program('mailreeve');
$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');

sub prepare ($name, %arg) { return Mailreeve::Daemon->start(name => $name, zone => $zone, down => 1, %arg) }
sub passes ($daemon, $what) { return is(Mailreeve::Milter->session($daemon->{socket}, from => 'a@test.example')->finish, 'c', $what) }
sub file ($daemon) { return "$daemon->{dir}/store/mailreeve.db" }

# ( status, standard output, standard error )
sub mailreeve ($daemon, @arg) {
    my ($out, $err) = map { work_dir() . "/$_" } qw(out err);
    system join(' ', map { "'$_'" } $mailreeve, @arg, '--config', $daemon->{config}) . " > $out 2> $err";
    return ($? >> 8, read_file($out), read_file($err));
}

sub refuses ($daemon, $pattern, $what) {
    eval { $daemon->up; 1 } and fail("$what: it started") and $daemon->down;
    return like($daemon->log_text, $pattern, "$what: it does not start, and says what to do");
}

sub belongs_to_daemon ($what, @paths) {
    for my $path (@paths) {
        my ($mode, $user, $group) = (stat $path)[ 2, 4, 5 ];
        is_deeply([ $user, $group, $mode & 0027 ], [ $nobody, $nogroup, 0 ], "$what: $path is the daemon's, and nobody else's to read or write");
    }
    return;
}

sub sqlite ($file, $sql) { return system('sqlite3', '-batch', $file, $sql) == 0 }

# Made by the daemon, and by root's commands.
my $daemon = prepare('made');
$daemon->configure('store { location = "sqlite:' . $daemon->{dir} . '/new/deep/m.db" spill_dir = "' . $daemon->{dir} . "/new/spill/s\" }\n");
$daemon->up;
passes($daemon, 'a daemon that made its store takes mail');
belongs_to_daemon('made by the daemon', map { "$daemon->{dir}/new/$_" } 'deep', 'deep/m.db', 'spill', 'spill/s');
like($daemon->log_text, qr/store: tables brought from version 0 to \d+/, 'the log says that it is new');
my ($exit, $out, $err) = mailreeve($daemon, 'store', 'status');
is($exit, 0, 'status while it runs') or diag($err);
like($out, qr/^state: reached by SQLite.*^schema: (\d+) of \1$/ms, 'says that all is well');
($exit) = mailreeve($daemon, 'store', 'export', work_dir() . '/export');
is($exit, 0, 'export while it runs, to a file of root');
belongs_to_daemon('after commands', glob "$daemon->{dir}/new/deep/m.db*");
$daemon->configure('');
kill 'HUP', $daemon->{process}{pid};
wait_until('the reload', sub { $daemon->log_text =~ /reload: store \{ \} stays as it was until a restart/ });
pass('another location needs a restart, which the log says');
is($daemon->down, 0, 'it ends well');

$daemon = prepare('commands');
($exit, $out, $err) = mailreeve($daemon, 'store', 'status');
like($out, qr/not made yet/, 'status before there is a store');
ok(!-e file($daemon), 'makes none');
($exit, $out, $err) = mailreeve($daemon, 'store', 'migrate');
is($exit, 0, 'migrate makes it') or diag($err);
belongs_to_daemon('made by root', glob file($daemon) . '*');
$daemon->up;
passes($daemon, 'and the daemon uses it');
kill 'KILL', $daemon->{process}{pid};
$daemon->down('KILL');
$daemon->up;
passes($daemon, 'again after kill -9');
$daemon->down;

# What keeps it from starting.
sqlite(file($daemon), "INSERT INTO schema_version VALUES (9999, 'future', 0)");
refuses($daemon, qr/version 9999, this program needs \d+: a newer Mailreeve/, 'tables of the future');
($exit, $out, $err) = mailreeve($daemon, 'explain', '--dns-zone', $zone, '--from', 'a@test.example', '--client', '127.0.0.7');
is($exit, 0, 'explain goes on without it');
like($err, qr/goes on without the store: .*version 9999/, 'and says so');
sqlite(file($daemon), 'DELETE FROM schema_version WHERE version = 9999');
($exit, $out, $err) = mailreeve($daemon, 'explain', '--dns-zone', $zone, '--from', 'a@test.example', '--client', '127.0.0.7');
is("$exit $err", '0 ', 'explain with a good store says nothing of it');
belongs_to_daemon('after explain', glob file($daemon) . '*');
open my $db, '+<:raw', file($daemon) or die;
seek $db, 4096, 0;
print {$db} "\xff" x 8192;
close $db;
unlink file($daemon) . '-wal', file($daemon) . '-shm';
refuses($daemon, qr/store\.location: .*the file is damaged: .*mailreeve store backup/, 'damage');
unlink glob file($daemon) . '*';
chown 0, 0, "$daemon->{dir}/store";
refuses($daemon, qr/Permission denied; make its folder for the daemon's user .*or run without a store: store \{ location = "" \}/, 'a folder that is root\'s');
chown $nobody, $nogroup, "$daemon->{dir}/store";
$daemon->configure("store { location = \"mysql://nonsense\" }\n");
refuses($daemon, qr/store\.location: expected "sqlite:\/PATH" or "postgresql:/, 'nonsense');
$daemon->configure("store { location = \"\" }\n");
$daemon->up;
passes($daemon, 'none at all: mail goes through');
$daemon->down;
($exit, $out, $err) = mailreeve($daemon, 'explain', '--dns-zone', $zone, '--from', 'a@test.example');
is("$exit $err", '0 ', 'explain without a store says nothing');

# A password is nobody's to see.
$daemon->configure("store { location = \"postgresql://u:top-secret\@127.0.0.1:1/x\" spill_dir = \"$daemon->{dir}/store/spill\" }\n");
refuses($daemon, qr/store\.location: .*127\.0\.0\.1.*start it, mend the address/, 'PostgreSQL that is not there');
unlike($daemon->log_text, qr/top-secret/, 'its password is not in the log');
my $shown = `'$mailreeve' config show '$daemon->{config}'`;
like($shown, qr{^    location = "postgresql://u:\*\*\*\@127\.0\.0\.1:1/x"$}m, 'nor in config show');
for my $command ('status', 'check', 'export', 'migrate') {
    ($exit, $out, $err) = mailreeve($daemon, 'store', $command);
    is($exit, 1, "store $command fails");
    unlike("$out$err", qr/top-secret/, '  without it');
}

SKIP: {
    skip 'PostgreSQL is not installed', 1 if !Mailreeve::Postgres::programs();
    my $pg = Mailreeve::Postgres->start;
    my $postgres = prepare('postgres', config => 'store { location = "' . $pg->location . '" spill_dir = "' . work_dir() . "/postgres-spill/s\" timeout = 1s }\n");
    $postgres->up;
    passes($postgres, 'PostgreSQL: mail goes through');
    cmp_ok($pg->sql('mail', 'SELECT MAX(version) FROM schema_version'), '>', 0, 'the daemon has made the tables');
    $pg->down('KILL');
    passes($postgres, 'and while PostgreSQL is dead');
    is($postgres->down, 0, 'it ends well');
    unlike($postgres->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
}
done_testing();
