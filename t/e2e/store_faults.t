#!/usr/bin/perl
# The clock far ahead, a disk that is or becomes read-only, a page that is damaged, all under a daemon: it tells, goes on by its policy,
# and nothing is lost. In a mount namespace of its own.
use v5.36;
use Test::More;
BEGIN {
    plan skip_all => 'needs root to become another user and to mount' if $> != 0;
    if (!$ENV{MAILREEVE_UNSHARED}) {
        plan skip_all => 'no mount namespace can be made here' if system("unshare -m true 2>/dev/null") != 0;
        $ENV{MAILREEVE_UNSHARED} = 1;
        exec 'unshare', '-m', $^X, (map { "-I$_" } @INC), $0;
    }
}
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir wait_until write_file test_program run_ok ended on_end);

my $zone = write_file(work_dir() . '/zone', "test.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\nhard.example. TXT \"v=spf1 -all\"\n");
my $daemon = Mailreeve::Daemon->start(zone => $zone, tick => 1, down => 1, config => '');
my ($uid, $gid) = (getpwnam 'nobody')[ 2, 3 ];

sub configure ($folder, $more = '') {
    return $daemon->configure("own_networks = {\"127.0.0.1\"}\nclient { mode = off }\nquarantine { method = store }\n"
        . "policy { spf.fail = quarantine }\nstore { location = \"sqlite:$folder/mailreeve.db\" spill_dir = \"$daemon->{dir}/store/spill\" timeout = 2s }\n$more");
}

my $count = 0;
sub give ($from) {
    my $id = sprintf 'FAULT%d', ++$count;
    return ($id, Mailreeve::Milter->session($daemon->{socket}, id => $id, from => $from, headers => [ [ From => " $from" ], [ Subject => " $id" ] ])->finish);
}
sub good { return give('a@test.example') }
sub held { return give('a@hard.example') }

sub sql ($file, $text) { return run_ok('setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups', 'sqlite3', '-cmd', '.timeout 20000', $file, $text) =~ s/\n\z//r }
sub remembered ($file, @ids) {
    my $list = join ',', map { "'$_'" } @ids;
    return wait_until("the history to have @ids", sub { sql($file, "SELECT COUNT(*) FROM history_message WHERE queue_id IN ($list)") == @ids });
}
sub copies ($file) { return sql($file, "SELECT COUNT(*) FROM quarantine_copy WHERE state = 'held'") }

# ---- the clock: for the store it is as far ahead as the store believes that it was looked after long ago ----

my $folder = "$daemon->{dir}/store";
my $file = "$folder/mailreeve.db";
configure($folder, "history { keep = 1s }\n");
$daemon->up;
my ($id, $answer) = held();
is($answer, 'd', 'a message is stored in the quarantine');
wait_until('the clock to be noted', sub { sql($file, "SELECT COUNT(*) FROM store_turn WHERE task = 'clock'") });
$daemon->down;
my $year = 365 * 86400;
sql($file, "UPDATE store_turn SET until = until - $year WHERE task = 'clock'; DELETE FROM store_turn WHERE task <> 'clock';"
    . "UPDATE quarantine_copy SET expires = 1; INSERT INTO greylist VALUES ('old', 1, 2, 0, 1, 0)");
$daemon->up;
wait_until('the clock to be doubted', sub { $daemon->log_text =~ /error: the clock is 36[45] days ahead .*nothing expires .*set it right/ });
($id) = good();
remembered($file, $id);
my $ticks = sub { return sql($file, "SELECT COUNT(*) FROM history_message") . ' ' . copies($file) . ' ' . sql($file, "SELECT COUNT(*) FROM greylist WHERE name = 'old'") };
my $before = $ticks->();
like($before, qr/^[1-9]\d* 1 1$/, 'a clock a year ahead: history, quarantine and greylist keep what they have');
is(sql($file, "SELECT COUNT(*) FROM store_turn WHERE task <> 'clock'"), 0, 'no task has had a turn');
sql($file, "UPDATE store_turn SET until = until + $year WHERE task = 'clock'");
wait_until('what is old to go', sub { $ticks->() eq '0 0 0' });
like($daemon->log_text, qr/the clock is believed again/, 'with the right time what is old goes, without a restart');
$daemon->down;

# ---- a damaged page ----

configure($folder);
$daemon->up;
is((held())[1], 'd', 'before the damage: stored');
($id) = good();
remembered($file, $id);
my $backup = "$folder/backup.db";
run_ok('setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups', test_program('mailreeve'), 'store', 'backup', '--config', $daemon->{config}, $backup);
sql($file, 'PRAGMA wal_checkpoint(TRUNCATE)');
{
    open my $db, '+<:raw', $file or die $!;
    seek $db, 4096, 0;
    print {$db} "\xff" x ((-s $file) - 4096);
    close $db;
}
my (@passed, $later);
wait_until('the damage to show', sub {
    (my $passed, my $taken) = good();
    $taken eq 'c' or die "a good message: $taken";
    push @passed, $passed;
    (undef, $later) = held();
    return $later ne 'd';
});
like($later, qr/^45[12] 4\.3\.[01] .*[Qq]uarantine/, 'a damaged page: what would be stored is put off');
wait_until('the advice', sub { $daemon->log_text =~ /the file is damaged: stop the daemon, keep a copy, and restore the last backup/ });
my ($late, $taken) = good();
is($taken, 'c', 'a damaged page: other mail is served');
ok(!ended($daemon->{process}), 'a damaged page: the daemon lives');
is($daemon->down, 0, 'a damaged page: and ends as it should');
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
unlink "$file-wal", "$file-shm";
rename $backup, $file or die $!;
$daemon->up;
remembered($file, $late);
pass('the backup in its place: the history knows of a message that passed meanwhile');
is(copies($file), 1, 'and the quarantine has what it had');
is((held())[1], 'd', 'and stores again') or diag $daemon->log_text;
$daemon->down;

# ---- a disk that is read-only ----

SKIP: {
    my $disk = "$daemon->{dir}/disk";
    mkdir $disk;
    my $image = work_dir() . '/image';
    my $made = system("truncate -s 32M $image && mkfs.ext4 -q -F $image 2>/dev/null && mount -o loop,errors=remount-ro $image $disk 2>/dev/null");
    skip 'no file system can be mounted here (loop, ext4)', 1 if $made != 0;
    on_end(sub { system "umount -l $disk 2>/dev/null" });
    mkdir "$disk/store";
    chown $uid, $gid, "$disk/store";
    $folder = "$disk/store";
    $file = "$folder/mailreeve.db";
    configure($folder);
    $daemon->up;
    is((held())[1], 'd', 'before: stored');
    ($id) = good();
    remembered($file, $id);
    $daemon->down;

    system("mount -o remount,ro $disk") == 0 or die 'remount';
    my $log = write_file(work_dir() . '/refused', '');
    my $command = join ' ', map { "'$_'" } $daemon->command('-f');
    local %ENV = (%ENV, %{ $daemon->env });
    isnt(system("$command > $log 2>&1"), 0, 'a read-only disk: the daemon does not start');
    like(Mailreeve::Process::read_file($log), qr/store\.location: \Q$file\E: .*read-?only/i, 'a read-only disk: and says why');
    system("mount -o remount,rw $disk") == 0 or die 'remount';
    $daemon->up;
    my ($device) = `findmnt -no SOURCE $disk` =~ m{/dev/(\S+)};
    my $trigger = "/sys/fs/ext4/$device/trigger_fs_error";
    skip 'the kernel offers no way to break a file system', 1 if !-w $trigger;
    write_file($trigger, 'test');
    wait_until('the disk to be read-only', sub { !open my $probe, '>', "$disk/probe" });
    ($id, $taken) = good();
    is($taken, 'c', 'a disk that becomes read-only: mail is served');
    like((held())[1], qr/^45[12] 4\.3\.[01] .*[Qq]uarantine/, 'what would be stored is put off');
    wait_until('an error', sub { $daemon->log_text =~ /store: .*(?:I\/O|read-?only)/i });
    ok(!ended($daemon->{process}), 'the daemon lives');
    is($daemon->down, 0, 'and ends as it should');
    system("umount $disk && mount -o loop $image $disk") == 0 or die 'mount';
    $daemon->up;
    remembered($file, $id);
    pass('mounted anew: the history knows of what passed meanwhile');
    is(copies($file), 1, 'and the quarantine has what it had');
    is((held())[1], 'd', 'and stores again');
    $daemon->down;
    unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
}
done_testing();
