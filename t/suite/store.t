#!/usr/bin/perl
# The store when things go wrong, on SQLite and on a real PostgreSQL: killed, full, locked, read-only, damaged; moved from one to
# the other. And the suite of store_suite on PostgreSQL.
use v5.36;
use IO::Handle;
use IPC::Open2 qw(open2);
use Test::More;
use Time::HiRes qw(sleep time);
use Mailreeve::Postgres;
use Mailreeve::Process qw(work_dir test_program write_file read_file wait_until);

my $mailreeve = test_program('mailreeve');
my $number = 0;
$SIG{PIPE} = 'IGNORE'; # a process that did not open its store has ended

# ---- a process that uses the store ----

sub probe ($location, %arg) {
    my $spill = $arg{spill} // work_dir() . '/spill';
    my @command = (test_program('t/suite/storeprobe'), $location, $spill, $arg{timeout} // 2000, $arg{spill_max} // 64 << 20);
    my $log = work_dir() . '/probe' . ++$number . '.log';
    @command = ('setpriv', '--reuid=nobody', '--clear-groups', @command) if $arg{nobody};
    @command = ('sh', '-c', ($arg{limit} ? "ulimit -f $arg{limit}; trap '' XFSZ; " : '') . "exec \"\$@\" 2> $log", 'sh', @command);
    my $pid = open2(my $out, my $in, @command);
    my $self = { pid => $pid, out => $out, in => $in, log => $log };
    $in->autoflush(1);
    $self->{opened} = <$out> =~ s/\n//r;
    return $self;
}

sub ask ($probe, $line) { print { $probe->{in} } "$line\n"; return readline($probe->{out}) =~ s/\n//r }

sub end ($probe) {
    print { $probe->{in} } "quit\n";
    my @rest = readline $probe->{out};
    { no warnings 'io'; close $probe->{in} or 1 }
    waitpid $probe->{pid}, 0;
    return $?;
}

sub killed ($probe) {
    kill 'KILL', $probe->{pid};
    my @rest = readline $probe->{out};
    waitpid $probe->{pid}, 0;
    return map { chomp; $_ } @rest;
}

sub status ($probe) { return { map { split /=/ } split / /, ask($probe, 'status') } }

# ---- what is in the store: read by other programs ----

sub sqlite ($file, $sql) {
    open my $out, '-|', 'sqlite3', '-batch', $file, $sql or die;
    local $/ = undef;
    return (<$out> // '') =~ s/\n\z//r;
}

# Numbers in the order in which they were written; each once, and its twin with it.
sub whole ($name, $sql, @expected) {
    my @got = split /\n/, $sql->('SELECT id FROM probe ORDER BY n, id');
    my $doubled = $sql->('SELECT COUNT(*) FROM (SELECT id FROM probe GROUP BY id HAVING COUNT(*) > 1) AS d');
    my $half = $sql->('SELECT (SELECT COUNT(*) FROM probe WHERE id NOT IN (SELECT id FROM probe_twin)) + '
        . '(SELECT COUNT(*) FROM probe_twin WHERE id NOT IN (SELECT id FROM probe))');
    is("$doubled $half", '0 0', "$name: none doubled, none half");
    is_deeply(\@got, \@expected, "$name: all there, in order") if @expected;
    return @got;
}

# Those who were told "ok" find their batches.
sub none_lost ($name, $sql, @told) {
    my %there = map { $_ => 1 } whole($name, $sql);
    my @committed = map { /^ok (\d+)$/ ? $1 : () } @told;
    my @lost = grep { !$there{$_} } @committed;
    cmp_ok(scalar @committed, '>', 20, "$name: " . @committed . ' batches were committed before');
    is("@lost", '', "$name: none of them is lost");
    return;
}

sub hammered ($location, $name, $sql, $kill, $counts = sub ($told) { 1 }) {
    my $probe = probe($location);
    is($probe->{opened}, 'open', "$name: opens") or return;
    ask($probe, 'tables');
    print { $probe->{in} } "hammer 4\n";
    my @told = map { readline($probe->{out}) =~ s/\n//r } 1 .. 300;
    push @told, $kill->($probe);
    none_lost($name, $sql, grep { $counts->($_) } @told);
    return;
}

sub said ($probe, $pattern, $name) {
    return like(read_file($probe->{log}), $pattern, $name);
}

# ---- SQLite ----

my $dir = work_dir() . '/sqlite';
mkdir $dir;
my $file = "$dir/s.db";
my $on_sqlite = sub ($sql) { sqlite($file, $sql) };

for my $round (1 .. 3) {
    unlink glob "$file*";
    hammered("sqlite:$file", "kill -9, SQLite, round $round", $on_sqlite, \&killed);
}
is(sprintf('%o', (stat $_)[2] & 07777), '600', "mode of $_") for grep { -e } $file, "$file-wal";

# Two processes, one of them an administrator's.
unlink glob "$file*";
my $probe = probe("sqlite:$file");
ask($probe, 'tables');
my $other = probe("sqlite:$file");
for my $id (1 .. 20) {
    ask($id % 2 ? $probe : $other, "write $id");
}
is(ask($probe, 'count'), 20, 'two processes share a file');
end($other);

# Another process holds the lock for longer than store.timeout: told in time, what was for later waits on disk.
my $lock = open2(my $lock_out, my $lock_in, 'sqlite3', '-batch', $file);
$lock_in->autoflush(1);
print {$lock_in} "BEGIN IMMEDIATE; SELECT 'locked';\n";
is(<$lock_out>, "locked\n", 'another process holds the lock');
my $began = time;
like(ask($probe, 'write 100'), qr/^unavailable /, 'who writes is told so');
cmp_ok(time - $began, '<', 4, 'within store.timeout, or not much more');
is(ask($probe, 'count'), 20, 'who reads is not kept');
is(ask($probe, 'later 21 120'), 'taken 100', 'what is for later is taken');
wait_until('it to be on disk', sub { status($probe)->{spilled} > 0 && status($probe)->{queued} == 0 });
my @spilled = glob work_dir() . '/spill/spill-*';
is(scalar @spilled, 1, 'in one file');
is(sprintf('%o', (stat $spilled[0])[2] & 07777), '600', 'for its owner alone');
print {$lock_in} "ROLLBACK;\n.quit\n";
waitpid $lock, 0;
wait_until('it to be written', sub { status($probe)->{spilled} == 0 && ask($probe, 'count') == 120 });
whole('after the lock', $on_sqlite, 1 .. 120);
is(status($probe)->{lost}, 0, 'nothing is lost');
said($probe, qr/another process holds it/, 'the log says why');
said($probe, qr/back again/, 'and that it is over');
is(end($probe), 0, 'the process ends');
is(scalar(glob(work_dir() . '/spill/spill-*')), undef, 'and leaves no empty file');

# Killed while it waits: the next process writes what waited.
for my $round (1 .. 2) {
    unlink glob "$file*";
    $probe = probe("sqlite:$file", timeout => 300);
    ask($probe, 'tables');
    ask($probe, 'later 1 50');
    ask($probe, 'flush 5000');
    $lock = open2($lock_out, $lock_in, 'sqlite3', '-batch', $file);
    $lock_in->autoflush(1);
    print {$lock_in} "BEGIN IMMEDIATE; SELECT 'locked';\n";
    <$lock_out>;
    ask($probe, 'later 51 300');
    wait_until('it to be on disk', sub { status($probe)->{spilled} > 0 && status($probe)->{queued} == 0 });
    killed($probe);
    print {$lock_in} "ROLLBACK;\n.quit\n";
    waitpid $lock, 0;
    if ($round == 2) {
        # Cut off within the last record, as by the kill.
        my ($path) = glob work_dir() . '/spill/spill-*';
        truncate $path, (-s $path) - 5;
    }
    $probe = probe("sqlite:$file");
    is($probe->{opened}, 'open', 'the next process opens');
    my $last = $round == 1 ? 300 : 299;
    wait_until('it to write what was left', sub { ask($probe, 'count') == $last && !glob work_dir() . '/spill/spill-*' });
    ask($probe, 'later 301 310');
    ask($probe, 'flush 5000');
    whole($round == 1 ? 'left by one that was killed' : 'the last record cut off', $on_sqlite, 1 .. $last, 301 .. 310);
    said($probe, qr/cut off by a crash/, 'which is said') if $round == 2;
    end($probe);
}

# A spill file that is damaged: what stands before is written, the rest kept for a person.
sub spilled_file ($records) {
    unlink glob "$file*";
    $probe = probe("sqlite:$file", timeout => 300);
    ask($probe, 'tables');
    $lock = open2($lock_out, $lock_in, 'sqlite3', '-batch', $file);
    $lock_in->autoflush(1);
    print {$lock_in} "BEGIN IMMEDIATE; SELECT 'locked';\n";
    <$lock_out>;
    ask($probe, "later 1 $records");
    wait_until('it to be on disk', sub { status($probe)->{spilled} > 0 && status($probe)->{queued} == 0 });
    killed($probe);
    print {$lock_in} "ROLLBACK;\n.quit\n";
    waitpid $lock, 0;
    return (glob work_dir() . '/spill/spill-*')[0];
}
my $path = spilled_file(100);
my $size = -s $path;
open my $spill, '+<:raw', $path or die;
seek $spill, int($size / 2) + 20, 0;
print {$spill} 'DAMAGED!';
close $spill;
$probe = probe("sqlite:$file");
wait_until('the damage to be found', sub { -e "$path.damaged" });
wait_until('the rest to be written', sub { ask($probe, 'count') > 40 });
ask($probe, 'later 1000 1000');
ask($probe, 'flush 5000');
my @got = whole('a damaged spill file', $on_sqlite);
is($got[-1], 1000, 'what comes after it is written');
is_deeply([ @got[ 0 .. $#got - 1 ] ], [ 1 .. $#got ], 'and what stands before the damage');
is(-s "$path.damaged", $size, 'the file is kept as it was');
said($probe, qr/damaged at byte \d+ .*bad checksum.* bytes of batches that waited are not written/, 'which is said');
end($probe);
unlink "$path.damaged";

# Its length is damaged, and says that the record goes on behind the end of the file.
$path = spilled_file(100);
$size = -s $path;
open $spill, '+<:raw', $path or die;
seek $spill, 32, 0;
print {$spill} pack 'V', 100 << 20;
close $spill;
$probe = probe("sqlite:$file");
wait_until('the damage to be found', sub { -e "$path.damaged" });
is(-s "$path.damaged", $size, 'a length that is damaged: the file is kept');
said($probe, qr/damaged at byte 32 .*bad length/, 'which is said');
end($probe);
unlink "$path.damaged";

# The bound of the spill files, and of memory.
unlink glob "$file*";
$probe = probe("sqlite:$file", timeout => 200, spill_max => 1 << 20);
ask($probe, 'tables');
$lock = open2($lock_out, $lock_in, 'sqlite3', '-batch', $file);
$lock_in->autoflush(1);
print {$lock_in} "BEGIN IMMEDIATE; SELECT 'locked';\n";
<$lock_out>;
my ($taken) = ask($probe, 'later 1 40000 4000') =~ /taken (\d+)/;
cmp_ok($taken, '<', 40000, "not without end: $taken of 40000");
cmp_ok((-s $_) // 0, '<', 3 << 20, 'the file stays near its bound') for glob work_dir() . '/spill/spill-*';
is(status($probe)->{lost}, 40000 - $taken, 'the rest is counted');
said($probe, qr/a batch is lost: neither store nor store\.spill_dir takes any/, 'and logged');
print {$lock_in} "ROLLBACK;\n.quit\n";
waitpid $lock, 0;
wait_until('all that was taken to be written', sub { ask($probe, 'count') == $taken }, 90);
whole('past the bound', $on_sqlite);
end($probe);

# Full disk: RLIMIT_FSIZE, in blocks of 512 bytes.
unlink glob "$file*";
$probe = probe("sqlite:$file");
ask($probe, 'tables');
end($probe);
$probe = probe("sqlite:$file", limit => 1200);
my (@told, $id);
for (1 .. 1000) {
    my $answer = ask($probe, 'write ' . ++$id . ' 4000');
    push @told, $answer =~ /^ok/ ? "ok $id" : "no $id";
    last if $answer !~ /^ok/;
}
like($told[-1], qr/^no/, 'a file that cannot grow: told so');
said($probe, qr/cannot write: .*(full|I\/O)/, 'and why');
like(ask($probe, 'count'), qr/^\d+$/, 'who reads is served');
killed($probe);
none_lost('full disk', $on_sqlite, @told);
$probe = probe("sqlite:$file");
like(ask($probe, 'write 5000'), qr/^ok/, 'room again: it goes on');
end($probe);

# Nothing may be written.
SKIP: {
    skip 'only root can become somebody else', 3 if $> != 0;
    chmod 0755, $dir;
    chmod 0444, $file;
    $probe = probe("sqlite:$file", nobody => 1, spill => '/tmp/never');
    like($probe->{opened}, qr/store\.location: .*Permission denied; it must belong to the daemon's user, or run without a store/, 'a file of somebody else: refused, with what to do');
    end($probe);
    $probe = probe("sqlite:$dir/new.db", nobody => 1, spill => '/tmp/never');
    like($probe->{opened}, qr/Permission denied; make its folder for the daemon's user/, 'a folder of somebody else');
    end($probe);
    $probe = probe('sqlite:/nonexistent/new.db', spill => '/tmp/never');
    like($probe->{opened}, qr/No such file or directory; make its folder/, 'a folder that is missing');
    end($probe);
    chmod 0600, $file;
}

# ---- mailreeve store ----

my $config = work_dir() . '/mailreeve.conf';

sub configure ($location) {
    write_file($config, "user = \"" . getpwuid($>) . "\"\nstore { location = \"$location\" spill_dir = \"" . work_dir() . "/spill\" }\n");
    return;
}

# ( status, standard output, standard error )
sub store (@arg) {
    my ($out, $err) = map { work_dir() . "/$_" } qw(out err);
    system join(' ', map { "'$_'" } $mailreeve, 'store', @arg, '--config', $config) . " > $out 2> $err";
    return ($? >> 8, read_file($out), read_file($err));
}

configure("sqlite:$file");
my ($exit, $out, $err) = store('check');
is($exit, 0, 'check') or diag($err);
like($out, qr/^no damage was found$/m, 'finds no damage');
like($out, qr/^\d+ rows could be read$/m, 'and reads all');

# A copy while others write.
sqlite($file, 'DELETE FROM probe; DELETE FROM probe_twin');
$probe = probe("sqlite:$file");
print { $probe->{in} } "hammer 2\n";
readline $probe->{out} for 1 .. 20;
my $copy = work_dir() . '/copy.db';
($exit, $out, $err) = store('backup', $copy);
is($exit, 0, 'a backup while others write') or diag($err);
killed($probe);
is(sqlite($copy, 'PRAGMA integrity_check'), 'ok', 'is good');
my $in_copy = whole('backup', sub ($sql) { sqlite($copy, $sql) });
cmp_ok($in_copy, '>', 20, "with $in_copy batches");
is(sprintf('%o', (stat $copy)[2] & 07777), '600', 'for its owner alone');
ok(!-e "$copy-wal", 'one file');
is(scalar(glob("$file.backup*")), undef, 'and nothing is left beside the store');
is((store('backup', $copy))[0], 1, 'a file that is there is not overwritten');

# A damaged page.
sub damage ($page) {
    open my $db, '+<:raw', $file or die;
    seek $db, 4096 * $page, 0;
    print {$db} "\xff" x 4096;
    close $db;
    return;
}
sqlite($file, 'PRAGMA wal_checkpoint(TRUNCATE)');
my $pages = (-s $file) / 4096;
cmp_ok($pages, '>', 20, "a store of $pages pages");
my $root = sqlite($file, q{SELECT rootpage FROM sqlite_schema WHERE name = 'probe_twin'});
damage($root - 1);
$probe = probe("sqlite:$file");
like($probe->{opened}, qr/store\.location: \Q$file\E: .*the file is damaged: .*restore the last backup .*mailreeve store export FILE/, 'damage: the daemon does not open it, and says what to do');
end($probe);
($exit, $out, $err) = store('check');
is($exit, 1, 'check fails');
like("$out$err", qr/damage/, 'and says so');
write_file($file, 'this is no database, but it is long enough to be one' x 200);
unlink "$file-wal", "$file-shm";
$probe = probe("sqlite:$file");
like($probe->{opened}, qr/not a database; the file is damaged/, 'a file that is something else');
end($probe);
unlink glob "$file*";
rename $copy, $file or die $!;
$probe = probe("sqlite:$file");
is($probe->{opened}, 'open', 'the backup in its place: open again');
like(ask($probe, 'write 99999'), qr/^ok/, 'and in use');
end($probe);

# ---- PostgreSQL ----

SKIP: {
    skip 'PostgreSQL is not installed', 1 if !Mailreeve::Postgres::programs();
    my $pg = Mailreeve::Postgres->start;
    my $on_postgres = sub ($sql) { $pg->sql('mail', $sql) };

    $ENV{MAILREEVE_STORE_LOCATION} = $pg->location;
    my $suite = work_dir() . '/suite.out';
    my $failed = system "'" . test_program('t/suite/store_suite') . "' > $suite 2> $suite.err";
    is($failed, 0, 'the suite on PostgreSQL') or diag(grep { !/^ok/ } split /^/, read_file($suite));
    delete $ENV{MAILREEVE_STORE_LOCATION};

    $pg->sql('template1', 'CREATE DATABASE probes');
    my $location = $pg->location('probes');
    my $sql = sub ($text) { $pg->sql('probes', $text) };
    hammered($location, 'kill -9 of the daemon, PostgreSQL', $sql, \&killed);
    $sql->('DROP TABLE probe; DROP TABLE probe_twin');

    # The server dies at once, while batches are under way. What must be there is what was asked to be on disk: each third.
    hammered($location, 'kill -9 of PostgreSQL', $sql, sub ($hammer) {
        $pg->down('KILL');
        my @rest = map { readline($hammer->{out}) =~ s/\n//r } 1 .. 300;
        ok((grep { /^unavailable/ } @rest), 'who writes is told that it is gone');
        push @rest, killed($hammer);
        $pg->up;
        return @rest;
    }, sub ($told) { $told !~ /^ok (\d+)/ || $1 % 3 == 0 });
    $sql->('DROP TABLE IF EXISTS probe; DROP TABLE IF EXISTS probe_twin');

    # For later, while it is killed and started again: in order, each once.
    $probe = probe($location, timeout => 1000);
    ask($probe, 'tables');
    ask($probe, 'later 1 200');
    ask($probe, 'flush 5000');
    $pg->down('KILL');
    is(ask($probe, 'later 201 500'), 'taken 300', 'PostgreSQL is killed: what is for later is taken');
    wait_until('it to be on disk', sub { status($probe)->{spilled} > 0 && status($probe)->{queued} == 0 });
    like(ask($probe, 'write 999'), qr/^unavailable /, 'who writes is told so');
    my ($ms) = ask($probe, 'write 999') =~ /(\d+) ms/;
    cmp_ok($ms, '<', 200, "at once: $ms ms");
    ($ms) = ask($probe, 'count') =~ /unavailable (\d+) ms/;
    cmp_ok($ms, '<', 200, "who reads, too: $ms ms");
    $pg->up;
    wait_until('it to be written', sub { status($probe)->{spilled} == 0 && ask($probe, 'count') eq 500 });
    whole('PostgreSQL was killed', $sql, 1 .. 500);
    is(status($probe)->{lost}, 0, 'nothing is lost');

    # While batches for later stream in, three times.
    my $last = 500;
    for my $round (1 .. 3) {
        ask($probe, 'later ' . ($last + 1) . ' ' . ($last + 2000));
        $last += 2000;
        $pg->down('KILL');
        ask($probe, 'later ' . ($last + 1) . ' ' . ($last + 100));
        $last += 100;
        $pg->up;
        wait_until('all to be written', sub { status($probe)->{queued} == 0 && status($probe)->{spilled} == 0 && ask($probe, 'count') eq $last });
        whole("killed amid the stream, round $round", $sql, 1 .. $last);
    }
    end($probe);

    # Two daemons on one database; and one is killed while the database is down.
    my @pair = map { probe($location, timeout => 1000) } 1, 2;
    $sql->('DELETE FROM probe; DELETE FROM probe_twin');
    ask($pair[0], 'later 1 100');
    ask($pair[1], 'later 101 200');
    ask($_, 'flush 5000') for @pair;
    is(ask($pair[0], 'count'), 200, 'two daemons share it');
    $pg->down('KILL');
    ask($pair[0], 'later 201 250');
    ask($pair[1], 'later 251 300');
    wait_until('it to be on disk', sub { status($_)->{spilled} > 0 && status($_)->{queued} == 0 or return 0 for @pair; 1 });
    is(scalar(() = glob work_dir() . '/spill/spill-*'), 2, 'each with a file of its own');
    killed($pair[0]);
    $pg->up;
    wait_until('the living one to write its own', sub { ask($pair[1], 'count') eq 250 });
    end($pair[1]);
    $probe = probe($location);
    wait_until('the next one to write what the dead one left', sub { ask($probe, 'count') eq 300 });
    is(join(' ', sort { $a <=> $b } whole('two daemons', $sql)), join(' ', 1 .. 300), 'all of both');

    # The answer to a commit is lost: what was written is not written again.
    my $proxy = Mailreeve::Postgres->proxy($pg);
    my $behind = probe($location =~ s/host=.*/host=$proxy->{dir}/r, timeout => 1000);
    ask($behind, 'later 1000 1000');
    wait_until('it to have a connection', sub { ask($probe, 'count') eq 301 });
    ask($behind, 'flush 5000');
    for my $round (1 .. 3) {
        $proxy->deafen;
        ask($behind, "later 100$round 100$round");
        wait_until('PostgreSQL to have written it', sub { ask($probe, 'count') eq 301 + $round });
        $proxy->cut;
        wait_until('the queue to know', sub { my $status = status($behind); $status->{queued} == 0 && $status->{spilled} == 0 });
    }
    like(ask($behind, 'write 1004'), qr/^ok/, 'answers that were lost: it goes on');
    is($sql->('SELECT id FROM probe WHERE id > 1000 ORDER BY n'), "1001\n1002\n1003\n1004", 'and nothing was written twice');
    is(status($behind)->{lost}, 0, 'or is taken for lost');
    end($behind);
    $sql->('DELETE FROM probe WHERE id >= 1000; DELETE FROM probe_twin WHERE id >= 1000');

    # Somebody locks a table for longer than store.timeout.
    my $holder = open2(my $held, my $hold, 'psql', '-X', '-q', '-A', '-t', '-h', $pg->{dir}, '-U', 'mailreeve', '-d', 'probes');
    $hold->autoflush(1);
    print {$hold} "BEGIN; LOCK TABLE probe; SELECT 'locked';\n";
    is(<$held>, "locked\n", 'another session locks a table');
    my $asked = time;
    like(ask($probe, 'write 9999'), qr/^unavailable /, 'who writes is told so');
    like(ask($probe, 'count'), qr/^unavailable /, 'who reads, too');
    cmp_ok(time - $asked, '<', 8, 'within store.timeout each');
    ask($probe, 'later 301 350');
    wait_until('what is for later to be on disk', sub { status($probe)->{spilled} > 0 && status($probe)->{queued} == 0 });
    print {$hold} "ROLLBACK;\n\\q\n";
    waitpid $holder, 0;
    wait_until('it to be written', sub { status($probe)->{spilled} == 0 && ask($probe, 'count') eq 350 });
    is(join(' ', sort { $a <=> $b } whole('after the lock', $sql)), join(' ', 1 .. 350), 'all there');
    # Restarted in good order between two batches: nobody notices.
    $pg->down;
    $pg->up;
    like(ask($probe, 'count'), qr/^350$/, 'restarted between two questions: who reads does not notice');
    like(ask($probe, 'write 351'), qr/^ok/, 'nor who writes');
    end($probe);

    # A primary with a standby; the primary dies, the standby takes over.
    my $primary = Mailreeve::Postgres->start(name => 'primary');
    my $standby = Mailreeve::Postgres->start(name => 'standby', of => $primary);
    # From now on a commit is one when the standby has it.
    $primary->sql('mail', 'ALTER SYSTEM SET synchronous_standby_names = standby');
    $primary->sql('mail', 'SELECT pg_reload_conf()');
    $probe = probe("postgresql://mailreeve\@/mail?host=$standby->{dir},$primary->{dir}&target_session_attrs=read-write", timeout => 3000);
    is($probe->{opened}, 'open', 'two hosts, the first one a standby');
    ask($probe, 'tables');
    ask($probe, 'later 1 100');
    ask($probe, 'flush 10000');
    $primary->down('KILL');
    ask($probe, 'later 101 200');
    wait_until('it to be on disk', sub { status($probe)->{spilled} > 0 && status($probe)->{queued} == 0 });
    $standby->promote;
    wait_until('the new primary to get all', sub { ask($probe, 'count') eq 200 });
    whole('failover', sub ($text) { $standby->sql('mail', $text) }, 1 .. 200);
    end($probe);
    $standby->down;

    # From SQLite to PostgreSQL and back, without loss.
    unlink glob "$file*";
    configure("sqlite:$file");
    ($exit, $out, $err) = store('migrate');
    is($exit, 0, 'a new store in SQLite') or diag($err);
    like($out, qr/brought from version 0 to \d+/, 'says so');
    sqlite($file, q{INSERT INTO store_counter (subject, value) VALUES ('lists', 7), ('tab' || char(9) || 'line' || char(10) || 'back\\slash ' || char(13) || 'é', -9223372036854775808), ('', 9223372036854775807)});
    sqlite($file, q{INSERT INTO store_spool (id, sequence, step, changed) VALUES ('00112233aabbccdd', 12, 1, 1)});
    sqlite($file, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000) INSERT INTO store_counter SELECT 'n' || i, i FROM n");
    my @exports = map { work_dir() . "/export$_" } 0 .. 3;
    ($exit, $out, $err) = store('export', $exports[0]);
    is($exit, 0, 'export') or diag($err);
    like($err, qr/^10000 rows, table store_counter$/m, 'with progress');
    like($err, qr/^25004 rows in all$/m, 'and the sum');
    $pg->sql('template1', 'CREATE DATABASE moved');
    configure($pg->location('moved'));
    ($exit, $out, $err) = store('import', $exports[0]);
    is($exit, 0, 'import into PostgreSQL') or diag($err);
    is($pg->sql('moved', 'SELECT COUNT(*) FROM store_counter'), 25003, 'its rows are there');
    is((store('export', $exports[1], '--quiet'))[0], 0, 'export from PostgreSQL');
    unlink glob "$file*";
    configure("sqlite:$file");
    is((store('import', $exports[1]))[0], 0, 'and back into SQLite');
    is((store('export', $exports[2], '--quiet'))[0], 0, 'export once more');
    my ($first, $second, $third) = map { join '', sort { $a cmp $b } split /^/, read_file($_) } @exports[ 0 .. 2 ];
    ok($first eq $second, 'SQLite and PostgreSQL: the same lines');
    ok($first eq $third, 'and the same on the way back');

    # What cannot be imported leaves nothing.
    my $good = read_file($exports[0]);
    for my $case (
        [ 'cut off' => substr($good, 0, 300000), qr/^mailreeve store: line \d+: / ],
        [ 'without its end' => $good =~ s/^end\t.*\n//mr, qr/cut off: no line "end"/ ],
        [ 'a row missing' => $good =~ s/^row\ttn77\ti77\n//mr, qr/25003 rows were read, 25004 were written/ ],
        [ 'nonsense' => "nonsense\n", qr/line 1: expected mailreeve-store/ ],
        [ 'from the future' => "mailreeve-store\t2\n", qr/line 1: the format is of version 2/ ],
        [ 'of a newer schema' => "mailreeve-store\t1\nschema\t9999\n", qr/line 2: .*version 9999/ ],
        [ 'of a table that is not ours' => $good =~ s/^table\tstore_counter/table\tsqlite_schema/mr, qr/there is no table "sqlite_schema"/ ],
        [ 'of a column that is not ours' => $good =~ s/^(table\tstore_counter\t)subject/${1}evil/mr, qr/column "evil"/ ],
        [ 'with SQL in a name' => $good =~ s/^(table\tstore_counter)/$1;DROP TABLE x/mr, qr/expected the names/ ],
        [ 'with a bad value' => $good =~ s/^(row\ttn5\t)i5$/$1x5/mr, qr/line \d+: expected values/ ],
        [ 'with too few values' => $good =~ s/^(row\ttn5)\ti5$/$1/mr, qr/1 values where the table has 2 columns/ ],
        [ 'with a row twice' => $good =~ s/^(row\ttn5\ti5\n)/$1$1/mr, qr/UNIQUE|duplicate key/ ],
    ) {
        my ($name, $text, $says) = @$case;
        for my $to ("sqlite:$dir/bad.db", $pg->location('bad')) {
            unlink glob "$dir/bad.db*";
            $pg->sql('template1', 'DROP DATABASE IF EXISTS bad');
            $pg->sql('template1', 'CREATE DATABASE bad');
            configure($to);
            ($exit, $out, $err) = store('import', write_file(work_dir() . '/bad', $text), '--quiet');
            my $where = $to =~ /^(\w+)/ ? $1 : '';
            is($exit, 1, "an export $name is refused ($where)");
            like($err, $says, '  with the reason');
            my $left = $where eq 'sqlite' ? sqlite("$dir/bad.db", 'SELECT COUNT(*) FROM sqlite_schema') : $pg->sql('bad', q{SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'});
            is($left, 0, '  and nothing is left of it');
        }
    }
    configure($pg->location('moved'));
    ($exit, $out, $err) = store('check');
    is($exit, 0, 'check on PostgreSQL') or diag($err);
    ($exit, $out, $err) = store('backup', work_dir() . '/never');
    is($exit, 1, 'no backup of PostgreSQL');
    like($err, qr/pg_dump/, 'but who does');
    $pg->down;
    ($exit, $out, $err) = store('status');
    is($exit, 1, 'PostgreSQL is down: status fails');
    like($err, qr/store\.location: .*start it, mend the address, or run without a store/, 'and says what to do');
}
configure('');
is((store('status'))[0], 1, 'no store: said so');
is((store())[0], 2, 'no subcommand');
is((store('frobnicate'))[0], 2, 'one that there is not');
is((store('backup'))[0], 2, 'backup to nowhere');
done_testing();
