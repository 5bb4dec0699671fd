#!/usr/bin/perl
# What the daemon depends on is killed, stopped and filled up: every message gets one clean answer, and the next is fine.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir wait_until write_file);

my $zone = write_file(work_dir() . '/zone', "test.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\n");
my $deadline = 3;
my $private = work_dir() . '/workers';
mkdir $private;
chown +(getpwnam 'nobody')[ 2, 3 ], $private;
my $daemon = Mailreeve::Daemon->start(zone => $zone,
    config => "own_networks = {\"127.0.0.1\"}\nmessage_memory = 64K\ncontent { workers = 2 deadline = ${deadline}s tmp_dir = \"$private\" }\n");

sub open_session (%arg) { return Mailreeve::Milter->session($daemon->{socket}, from => 'a@test.example', %arg) }
sub passes ($what) { return is(open_session()->finish, 'c', $what) }

passes('a message passes');

# A worker dies on a message: there is no memory for it. (One that dies before it has read it is not to blame, and the
# message goes to another: t/suite/pool_suite.c.)
my @old = $daemon->workers;
is(scalar @old, 2, 'two workers');
system(qw(setpriv --reuid nobody --regid nogroup --clear-groups prlimit --as=1 --pid), $_) == 0 or die 'prlimit' for @old;
like(open_session()->finish, qr/^451 4\.3\.0 .*inspected/, 'a worker that dies on a message costs it a 451');
kill 'KILL', @old;
wait_until('the old workers to be gone', sub { !grep { kill 0, $_ } @old });
my $start = time;
passes('the next message passes');
cmp_ok(time - $start, '<', 2, sprintf 'a new worker was there in %.0f ms', (time - $start) * 1000);
is_deeply([ grep { my $pid = $_; grep { $_ == $pid } @old } $daemon->workers ], [], 'both workers are new');

# Workers hang, and many sessions wait at once at end of message. Without listener_wake() libmilter does not even begin
# with some of them until others have ended. (The last of them may meet the new workers, and pass.)
wait_until("two workers", sub { $daemon->workers == 2 });
kill 'STOP', $daemon->workers;
my @sessions = map { open_session(id => "HANG$_") } 1 .. 50;
$start = time;
$_->packet('E') for @sessions;
my @verdicts = map { $_->verdict } @sessions;
my $took = time - $start;
is(scalar(grep { /^451 4\.3\.0 / || $_ eq 'c' } @verdicts), 50, 'fifty messages at once while all workers hang: each gets an answer');
my @waited = $daemon->log_text =~ / HANG\d+: .* ms=(\d+)$/mg;
is(scalar(grep { $_ >= 1000 * ($deadline - 1) } @waited), 50, 'all of them waited side by side');
cmp_ok($took, '<', 2 * $deadline, sprintf 'after %.1f s, where each alone waits %d', $took, $deadline);
passes('the hung workers are replaced');

# The nursery is gone.
kill 'KILL', $daemon->nursery;
wait_until('the daemon to notice', sub { $daemon->log_text =~ /the nursery is gone and is started again/ });
passes('a nursery that is killed is started again');

# The spool folder is no folder any more.
my $big = 'x' x 60 . "\r\n";
is(open_session(body => $big x 1000)->finish, 'c', 'a message of 62,000 bytes stays in memory');
rename "$daemon->{dir}/tmp", "$daemon->{dir}/tmp.gone" or die $!;
my $large = open_session(body => $big x 1000);
$large->step('B', $big x 1000, 0x80000);
like($large->finish, qr/^452 4\.3\.1 /, 'no spool folder: a larger one gets a 452');
passes('and one that fits passes');
rename "$daemon->{dir}/tmp.gone", "$daemon->{dir}/tmp" or die $!;
$large = open_session(body => $big x 1000);
$large->step('B', $big x 1000, 0x80000);
is($large->finish, 'c', 'with the folder back the larger one passes');

# Clients leave in every phase, and say what no MTA says.
for my $phase (qw(connect helo mail rcpt header eoh body)) {
    undef $_ for my $gone = open_session(until => $phase);
    my $aborted = open_session(until => $phase);
    $aborted->packet('A');
    close $aborted->{socket};
}
passes('clients that leave in every phase do no harm');
for my $bytes ("\0\0\0\0", "\xff\xff\xff\xff", pack('N', 5) . 'C' . "\0\0\0\0", pack('N', 2) . "Z\0", pack('N', 1) . 'E', 'x' x 5000,
    pack('N', 4) . "L\0\0\0", pack('N', 1) . 'B', pack('N', 1) . 'N') {
    my $raw = Mailreeve::Milter->connect_to($daemon->{socket});
    $raw->{socket}->syswrite($bytes);
    my $negotiated = Mailreeve::Milter->connect_to($daemon->{socket})->negotiate;
    $negotiated->{socket}->syswrite($bytes);
    my $late = open_session(until => 'rcpt');
    $late->{socket}->syswrite($bytes);
    close $_->{socket} for $raw, $negotiated, $late;
}
passes('packets without sense do no harm');
my $many = open_session(headers => [ map { [ "X-$_" => ' ' . 'v' x 900 ] } 1 .. 3000 ]);
like($many->finish, qr/^550 5\.6\.0 /, 'a header beyond all bounds is refused');
passes('after all this a message passes');
is($daemon->down, 0, 'the daemon ends well');
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
is_deeply([ glob "$private/*" ], [], 'no worker has left a folder behind');
done_testing();
