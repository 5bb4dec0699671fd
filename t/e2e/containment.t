#!/usr/bin/perl
# Content workers are killed while they look at messages, through a real Postfix under load: every message is accounted for
# exactly once, and one that kills its worker twice is held.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use IO::Compress::Zip qw(zip $ZipError);
use IO::Select;
use List::Util qw(max sum);
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir wait_until write_file read_file);
use Mailreeve::Scenario qw(make_key);
use Mailreeve::Smtp;

use constant { MESSAGES => 500, CLIENTS => 5, EVERY => 20, TRIES => 20 };

my (undef, $record) = make_key();
my $zone = write_file(work_dir() . '/zone', <<"END");
test.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.signed.example. TXT "v=DMARC1; p=reject"
sel._domainkey.signed.example. TXT $record
END
my $daemon = Mailreeve::Daemon->start(zone => $zone, config => "own_networks = {\"127.0.0.1\"}\n");
my $nursery = $daemon->nursery;
my $sink = Mailreeve::Smtp->sink;
my $postfix = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}");

sub zipped ($text) { zip(\$text => \my $out, Name => 'a.txt', Time => 1, -Level => 1) or die $ZipError; return $out }
sub mail ($id, $attachment, $top = '', $from = 'a@test.example') {
    return "${top}From: $from\nTo: b\@dst.example\nSubject: $id\nDate: Tue, 24 Nov 2026 12:00:00 +0000\n"
        . "Message-ID: <$id\@test.example>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
        . "Content-Type: text/plain\n\nhello\n--b\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n"
        . encode_base64($attachment) . "--b--\n";
}
sub send_mail ($message) {
    return Mailreeve::Smtp->send_message($postfix->{port}, client => '127.0.0.7', from => 'a@test.example', to => 'b@dst.example', message => $message);
}

# Every process that the nursery has started; the list is short, and /proc is long.
sub workers { return split ' ', read_file("/proc/$nursery/task/$nursery/children") }

# Stops workers until one is found that holds a message, which is then mapped into its memory, from a memfd or the spool
# file. It stands in mid-scan.
sub stop_one ($seconds = 5) {
    my $limit = time + $seconds;
    while (time < $limit) {
        for my $pid (workers()) {
            kill 'STOP', $pid;
            return $pid if read_file("/proc/$pid/maps") =~ /memfd:mailreeve-message| \(deleted\)$/m;
            kill 'CONT', $pid;
        }
    }
    return;
}

# A client sends its share, and again what is put off; writes "id tries status" for each to the pipe.
sub client ($number, $out) {
    my $filler = join ' ', map { $_ * 7919 % 1_000_003 } 1 .. 60_000;
    for (my $i = $number; $i < MESSAGES; $i += CLIENTS) {
        my $id = sprintf 'load%03d.', $i;
        my $message = mail($id, zipped($id . $filler));
        my ($tries, $reply) = (0, '451 never');
        $reply = send_mail($message) while $reply =~ /^451 / && $tries++ < TRIES;
        syswrite $out, sprintf "%s %d %s\n", $id, $tries, $reply =~ s/\n/ /gr;
    }
    return;
}

# Kills a worker that looks at a message; milliseconds until there is another in its place.
sub kill_one ($signal) {
    my $victim = stop_one() // return;
    my %before = map { $_ => 1 } workers();
    my $start = time;
    kill $signal, $victim;
    kill 'CONT', $victim;
    until (grep { !$before{$_} } workers()) { return if time - $start > 10 }
    return 1000 * (time - $start);
}

sub under_load {
    my (@readers, @lines, @took, @pids);
    for my $number (0 .. CLIENTS - 1) {
        pipe my $reader, my $writer or die $!;
        my $pid = fork // die $!;
        if ($pid == 0) {
            close $reader;
            eval { client($number, $writer); 1 } or print STDERR $@;
            POSIX::_exit(0);
        }
        close $writer;
        push @readers, $reader;
        push @pids, $pid;
    }
    my $select = IO::Select->new(@readers);
    my (%input, $kills);
    while ($select->count) {
        for my $reader ($select->can_read) {
            my $got = sysread $reader, $input{$reader}, 4096, length($input{$reader} // '');
            $select->remove($reader) if !$got;
            push @lines, $1 while $input{$reader} =~ s/\A(.*)\n//;
        }
        while (@lines >= EVERY * (($kills // 0) + 1) && $select->count) {
            my $ms = kill_one(++$kills % 2 ? 'KILL' : 'SEGV');
            push @took, $ms if defined $ms;
        }
    }
    waitpid $_, 0 for @pids;
    my %result = map { my ($id, $tries, $reply) = split ' ', $_, 3; $id => { tries => $tries, reply => $reply } } @lines;
    my @odd = grep { $_->{reply} !~ /^250 / } values %result;
    is(scalar(keys %result), MESSAGES, 'every client has an answer for each of its messages');
    is(scalar @odd, 0, 'which is 250 in the end') or diag($odd[0]{reply});
    my $put_off = sum(map { $_->{tries} - 1 } values %result);
    cmp_ok(scalar @took, '>=', MESSAGES / EVERY - 2, sprintf '%d workers were killed at work', scalar @took);
    cmp_ok($put_off, '>=', @took / 2, "$put_off times a message was put off");
    cmp_ok($put_off, '<=', @took, 'never more than one for each worker');
    @took = sort { $a <=> $b } @took;
    diag(sprintf 'another worker was there after %.0f ms (median), %.0f ms (longest)', $took[ @took / 2 ], $took[-1]) if @took;
    my @held = $postfix->held;
    wait_until('all of them in the sink', sub { (() = glob "$sink->{dir}/*.eml") + @held >= MESSAGES }, 60);
    my %times;
    $times{$_}++ for map { $_->[1] =~ /^Subject: (load\d+\.)/m ? $1 : () } Mailreeve::Smtp->sunk($sink);
    is(scalar(keys %times) + @held, MESSAGES, 'each message was delivered' . (@held ? sprintf ', or held: %d', scalar @held : ''));
    is(max(values %times), 1, 'exactly once');
    is(kill(0, $daemon->{process}{pid}), 1, 'the daemon lives');
    return;
}

# Sends it, and kills its worker; the reply.
sub kill_on ($message) {
    pipe my $reader, my $writer or die $!;
    my $pid = fork // die $!;
    if ($pid == 0) {
        syswrite $writer, send_mail($message);
        POSIX::_exit(0);
    }
    close $writer;
    defined kill_one('SEGV') or die 'no worker holds it';
    my $reply = do { local $/ = undef; <$reader> };
    waitpid $pid, 0;
    return $reply;
}

sub poison {
    my $slow = zipped(join "\n", map { $_ * 7919 % 1_000_003 } 1 .. 2_000_000);
    my @before = $postfix->held;
    # Its signature is not looked at either: that is no reason to put it off.
    my $signature = "DKIM-Signature: v=1; a=rsa-sha256; d=signed.example; s=sel; h=from;\n\tbh=AAAA; b=AAAA\n";
    my @poison = ('poison', $slow, $signature, 'a@signed.example');
    like(kill_on(mail(@poison)), qr/^451 4\.3\.0 /, 'a message that kills its worker is put off');
    $poison[2] = "Received: from another.relay.example\n\tby mx.example; Tue, 24 Nov 2026 12:30:00 +0000\n$signature";
    my $again = mail(@poison);
    like(kill_on($again), qr/^250 /, 'the second time it is taken');
    wait_until('it in the hold queue', sub { $postfix->held == @before + 1 });
    pass('and held');
    my $verdict = $daemon->verdict('findings=\S*\bcontent\.poison');
    is($verdict->{verdict}, 'quarantine', 'by content.poison');
    unlike($verdict->{findings}, qr/inspect\.failed|virus\.not_scanned|dmarc/, 'and by nothing that would put it off');
    my @workers = sort(workers());
    my $start = time;
    like(send_mail($again), qr/^250 /, 'the third time it is taken too');
    is($postfix->held, @before + 2, 'and held');
    like($daemon->log_text, qr/detail="skipped: /, 'without another worker');
    is_deeply([ sort(workers()) ], \@workers, 'none has died');
    like(send_mail(mail('no poison', $slow)), qr/^250 /, 'another message of the same body passes');
    is($postfix->held, @before + 2, 'and is not held');
    return;
}

under_load();
poison();
is($daemon->down, 0, 'the daemon ends well');
my ($crashed, $not_scanned) = $daemon->log_text =~ / (\d+) crashed, .* (\d+) messages not scanned/;
cmp_ok($crashed, '>=', 2, "it counts: $crashed crashed");
cmp_ok($not_scanned, '>=', 2, "$not_scanned messages not scanned");
unlike($daemon->log_text, qr/ERROR: \w+Sanitizer: (?!SEGV)|WARNING: \w+Sanitizer|runtime error/, 'no sanitizer has complained but of our SEGV');
done_testing();
