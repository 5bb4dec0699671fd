#!/usr/bin/perl
# The quarantine in trouble: the daemon is killed at any moment, the store is away, read-only or full, two release at once,
# tokens are forged and used twice, and what a release does not lift.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use JSON::PP qw(decode_json);
use IO::Socket::INET;
use POSIX ();
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(sleep time);
use Mailreeve::Milter;
use Mailreeve::Parting qw(start_parting);
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir wait_until read_file write_file run_ok ended);
use Mailreeve::Scenario qw(message eicar zip);
use Mailreeve::Smtp;

my $self = start_parting('Mailreeve::Postfix');
my $daemon = $self->{daemon};

sub rows ($id) { return map { @{$_} } values %{ $self->stored($id) } }
sub stats { my (undef, $text) = $self->ctl('stats', '--json'); return decode_json($text) }

sub quarantined ($text, %arg) {
    my ($id, $reply) = $self->send_to($arg{to} // ['quarantine@dst.example'], body => "$text\n", %arg);
    like($reply, qr/^250 /, "$text: taken") or return;
    return $id;
}

# A message that is put to the relay by hand, as the release would: ( reply, id ).
sub relay ($text, $to = 'quarantine@dst.example') {
    return Mailreeve::Smtp->send_message($self->{mta}{port}, from => 'a@hard.example', to => $to, message => $text, helo => 'client.example');
}

# ---- two who release at once ----
{
    my $id = quarantined('two release it');
    my ($row) = rows($id);
    my @pids = map {
        my $pid = fork;
        if ($pid == 0) {
            my ($status) = $self->ctl('release', $row->{id});
            POSIX::_exit($status);
        }
        $pid;
    } 1 .. 6;
    my $good = 0;
    for my $pid (@pids) { waitpid $pid, 0; $good++ if $? == 0 }
    is($good, 1, 'six who release at once: one of them does');
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    $self->settled;
    is_deeply([ $self->delivered($id) ], ['quarantine@dst.example'], 'it is delivered once');
}

# ---- a relay that does not take it ----
{
    my $id = quarantined('no relay');
    my ($row) = rows($id);
    my $port = Mailreeve::Process::free_port();
    $self->{relay} = "smtp:127.0.0.1:$port";
    $self->configure('method = store');
    my ($status, $text) = $self->ctl('release', $row->{id});
    isnt($status, 0, 'without a relay nothing is released');
    like($text, qr/not released, it is held as before: .*refused/, 'which is said');
    ($row) = rows($id);
    is_deeply([ $row->{state}, $row->{note} =~ /refused/ ? 1 : 0 ], [ 'held', 1 ], 'it is held, and the reason noted');
    delete $self->{relay};
    $self->configure('method = store');
    ($status, $text) = $self->ctl('release', $row->{id});
    is($status, 0, 'with the relay back it is released') or diag $text;
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
}

# ---- tokens ----
{
    my $token = '1 0123456789ABCDEF/1 00112233445566778899aabbccddeeff 1900000000 forced ' . '0' x 64;
    my ($id, $text) = message(from => 'a@hard.example', headers => "X-Mailreeve-Release: $token\n");
    my ($reply) = Mailreeve::Smtp->send_message($self->{mta}{port}, local => '127.0.0.9', from => 'a@hard.example', to => 'reject@dst.example',
        message => "X-Mailreeve-Release: $token\n$text", helo => 'client.example');
    like($reply, qr/^550 /, 'a forged token releases nothing');
    ($reply) = Mailreeve::Smtp->send_message($self->{mta}{port}, local => '127.0.0.9', from => 'a@hard.example', to => 'accept@dst.example',
        message => "X-Mailreeve-Release: $token\n$text", helo => 'client.example');
    like($reply, qr/^250 /, 'one who gets the message anyway');
    unlike(Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id")->[1], qr/X-Mailreeve-Release/i, 'does not get the token');
    like($daemon->log_text, qr/findings=\S*quarantine\.token_invalid/, 'the log tells of it');

    like(relay("X-Mailreeve-Release: $token\n$text", 'accept\@dst.example'), qr/^550 5\.7\.1 .*not released/, 'nor is it outbound mail of ours');

    # A release that is caught on its way and sent again, changed, to others, and once too often. The relay is the sink.
    $id = quarantined('caught');
    my ($row) = rows($id);
    $self->{relay} = "smtp:127.0.0.1:$self->{sink}{port}";
    $self->configure('method = store');
    my $before = () = Mailreeve::Smtp->sunk($self->{sink});
    my ($status, $said) = $self->ctl('release', $row->{id});
    is($status, 0, 'a relay without the daemon takes it');
    like($said, qr/has not shown the message to the daemon/, 'but the administrator is told');
    delete $self->{relay};
    $self->configure('method = store');
    my $caught = Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id")->[1];
    like($caught, qr/\AX-Mailreeve-Release: 1 $row->{id} [0-9a-f]{32} \d+ once [0-9a-f]{64}\r\n/, 'the token stands on top');
    like(relay($caught), qr/^550 5\.7\.1 .*released from the quarantine before/, 'the copy is released: its token is worth nothing');
}

# ---- a token on its way ----

# A relay that takes a message whole and says nothing: ( port, a sub that gives the message ).
sub silent_relay () {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
    my $file = work_dir() . '/caught';
    my $pid = fork;
    if ($pid == 0) {
        my $client = $listener->accept;
        my ($data, $in_data) = ('', 0);
        print {$client} "220 x\r\n";
        while (my $line = <$client>) {
            last if $in_data && $line eq ".\r\n";
            $data .= $line =~ s/^\.//r if $in_data;
            print {$client} $line =~ /^EHLO/ ? "250-x\r\n250 8BITMIME\r\n" : $line =~ /^DATA/ ? "354 x\r\n" : "250 x\r\n" if !$in_data;
            $in_data ||= $line =~ /^DATA/;
        }
        write_file($file, $data);
        POSIX::_exit(0);
    }
    return ($listener->sockport, sub { waitpid $pid, 0; read_file($file) });
}

{
    my $id = quarantined('on its way');
    my ($row) = rows($id);
    my ($port, $caught) = silent_relay();
    $self->{relay} = "smtp:127.0.0.1:$port";
    $self->configure('method = store');
    my ($status, $said) = $self->ctl('release', $row->{id});
    isnt($status, 0, 'a relay that does not answer');
    like($said, qr/it is not known whether the relay has it/, 'leaves it open');
    is((rows($id))[0]{state}, 'releasing', 'so that nobody else releases it');
    delete $self->{relay};
    $self->configure('method = store');
    my $message = $caught->();
    my $bring = sub ($text, @to) {
        return Mailreeve::Smtp->send_message($self->{mta}{port}, local => '127.0.0.9', from => 'a@hard.example', to => [ map { "$_\@dst.example" } @to ],
            message => $text, helo => 'client.example');
    };
    like($bring->($message, 'reject'), qr/^550 5\.7\.23 /, 'its token is nothing to another recipient');
    like($bring->($message =~ s/on its way/on my way/r, 'tempfail'), qr/^451 /, 'nor with another message');
    like($bring->($message =~ s/ once / forced /r, 'tempfail'), qr/^451 /, 'nor by force');
    like($bring->($message, 'quarantine', 'tempfail'), qr/^451 /, 'nor for two');
    is_deeply([ $self->delivered($id) ], [], 'nobody has got it');
    my @replies = map { $bring->($message, 'quarantine') } 1, 2;
    like($replies[0], qr/^250 /, 'it is good for what it is for');
    like($replies[1], qr/^550 5\.7\.1 .*released from the quarantine before/, 'once');
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    $self->settled;
    is_deeply([ $self->delivered($id) ], ['quarantine@dst.example'], 'it is delivered once');
}

# ---- a clock that was ahead ----
{
    my $id = quarantined('a clock that was ahead');
    my ($row) = rows($id);
    my ($message) = split m{/}, $row->{id};
    # Claimed by a release that died a year ahead; the clock is right again.
    my $ahead = int(time + 365 * 86400);
    run_ok('sqlite3', '-cmd', '.timeout 5000', "$daemon->{dir}/store/mailreeve.db",
        "UPDATE quarantine_copy SET state = 'releasing', nonce = 'x', claimed_until = $ahead WHERE message = '$message'");
    my ($status, $text) = $self->ctl('expire');
    is($status, 0, 'expire') or diag $text;
    is_deeply([ @{ (rows($id))[0] }{qw(state note)} ], [ 'held', 'the release was broken off' ], 'a claim of a time that is not yet does not keep the copy');
    ($status, $text) = $self->ctl('release', $row->{id});
    is($status, 0, 'it is released') or diag $text;
}

# ---- what a release does not lift ----
{
    my $body = "--b\nContent-Type: application/octet-stream; name=\"x.bin\"\nContent-Transfer-Encoding: base64\n\n" . encode_base64(eicar()) . "--b--\n";
    my ($id, $reply) = $self->send_to([ 'accept@virus.example', 'virus@dst.example' ], body => $body,
        headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
    like($reply, qr/^550 /, 'a virus is rejected, whatever the users say');
    $daemon->down;
    $self->configure('method = store', "policy { virus.found = quarantine }\n");
    my $config = read_file($daemon->{config}) =~ s/policy \{ spf\.fail = reject \}\n//r =~ s/policy \{ virus/policy { spf.fail = reject virus/r;
    write_file($daemon->{config}, $config);
    $daemon->up;
    ($id, $reply) = $self->send_to(['quarantine@dst.example'], body => $body, headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
    like($reply, qr/^250 /, 'an operator who wants viruses in the quarantine gets them there');
    my ($row) = rows($id);
    my ($status, $text) = $self->ctl('release', $row->{id});
    isnt($status, 0, 'it is not released');
    like($text, qr/held as before: 550 5\.7\.1 .*Not released because of virus\.found/, 'because it is a virus');
    is((rows($id))[0]{state}, 'held', 'it is held as before');
    ($status, $text) = $self->ctl('release', '--force', $row->{id});
    is($status, 0, "unless the administrator insists") or diag $text;
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    $daemon->down;
    $self->configure('method = store');
    $daemon->up;
}

# ---- blocked since ----

sub blocks ($verb, @words) {
    my ($status, $text) = $self->mailreeve('list', $verb, @words);
    is($status, 0, "list $verb @words") or diag $text;
    return;
}

# Until the daemon knows of a change of its lists. Asked by one who is never let in otherwise.
sub blocked ($sender, $expected) {
    return wait_until("$sender to be answered $expected", sub {
        my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => '127.0.0.9');
        $smtp->say_line($_) for 'EHLO client.example', "MAIL FROM:<$sender>";
        my $reply = $smtp->say_line('RCPT TO:<quarantine@dst.example>');
        $smtp->say_line('QUIT');
        return $reply =~ /^$expected/;
    });
}

for my $entry ('a@late.hard.example', 'X-Worm:/^yes/', '127.0.0.9') {
    my ($id, $reply) = $self->send_to(['quarantine@dst.example'], from => 'a@late.hard.example', headers => "X-Worm: yes\n");
    like($reply, qr/^250 /, "one that is quarantined, and then blocked by $entry");
    my ($row) = rows($id);
    my @entries = ($entry, 'probe@hard.example', '--enforced');
    blocks('add', 'block', @entries);
    blocked('probe@hard.example', 550);
    my ($status, $text) = $self->ctl('release', $row->{id});
    isnt($status, 0, 'by an enforced entry: it is not released');
    like($text, qr/held as before: 550 5\.7\.1 .*Not released because of list\.blocked/, 'because of that');
    is((rows($id))[0]{state}, 'held', 'it is held as before');
    ($status, $text) = $self->ctl('release', '--force', $row->{id});
    is($status, 0, 'unless the administrator insists') or diag $text;
    blocks('remove', @entries);
    blocked('probe@hard.example', 250);
}

# What an administrator has not enforced is what a release is for.
{
    my ($id) = $self->send_to(['quarantine@dst.example'], from => 'a@late.hard.example');
    my ($row) = rows($id);
    my @entries = ('a@late.hard.example', 'probe@hard.example');
    blocks('add', 'block', @entries);
    blocked('probe@hard.example', 550);
    my ($status, $text) = $self->ctl('release', $row->{id});
    is($status, 0, 'an entry that is not enforced is lifted by the release') or diag $text;
    blocks('remove', @entries);
    blocked('probe@hard.example', 250);
}

# ---- outbound ----
{
    $daemon->down;
    $self->configure('method = store', "outbound { attachment.archive_encrypted = quarantine }\n");
    $daemon->up;
    my $zip = zip('a.txt', 'secret' x 10);
    $zip =~ s/(PK\x03\x04..)\0/$1\x01/s;
    $zip =~ s/(PK\x01\x02....)\0/$1\x01/s;
    my $body = "--b\nContent-Type: application/zip; name=\"x.zip\"\nContent-Transfer-Encoding: base64\n\n" . encode_base64($zip) . "--b--\n";
    my ($id, $text) = message(from => 'a@hard.example', body => $body, headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
    like(relay($text, 'out@dst.example'), qr/^250 /, 'outbound mail that is quarantined');
    my ($row) = rows($id);
    is_deeply([ @{$row}{qw(direction reason state)} ], [qw(outbound attachment.archive_encrypted held)], 'is stored');
    my ($status, $said) = $self->ctl('release', $row->{support_id});
    is($status, 0, 'and released, by its support id') or diag $said;
    my $got = Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id")->[1];
    unlike($got, qr/^Authentication-Results:/m, 'as outbound mail: without results of ours');
    like($daemon->verdict(qr/released=$row->{id}/)->{line}, qr/direction=outbound/, 'the log tells of the release');
    $daemon->down;
    $self->configure('method = store');
    $daemon->up;
}

# ---- the store is away ----

# What must hold while nothing can be stored: nobody gets it, nobody loses it, and what needs no store goes on.
sub without_store ($what) {
    my ($id, $reply) = $self->send_to([ map { "$_\@dst.example" } qw(accept quarantine reject) ]);
    like($reply, qr/^45[12] 4\.3\.[01] .*[Qq]uarantine/, "$what: who would be parted is put off");
    my ($alone, $later) = $self->send_to(['quarantine@dst.example']);
    like($later, qr/^45[12] 4\.3\.[01] .*[Qq]uarantine/, "$what: so is who would be stored");
    my ($clean, $taken) = $self->send_to(['accept@dst.example']);
    like($taken, qr/^250 /, "$what: others are served");
    my (undef, $told) = $self->send_to(['reject@dst.example']);
    like($told, qr/^550 /, "$what: or refused");
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $clean");
    $self->settled;
    is_deeply([ map { $self->delivered($_) } $id, $alone ], [], "$what: nothing is delivered that must not be");
    return ($id, $alone);
}

sub with_store ($what, @put_off) {
    is_deeply([ map { rows($_) } @put_off ], [], "$what: and nothing was stored of what was put off");
    my $id;
    wait_until("$what: the quarantine to be back", sub { ($id, my $reply) = $self->send_to(['quarantine@dst.example']); $reply =~ /^250 / });
    is(scalar(my @rows = rows($id)), 1, "$what: back, messages are stored again");
    return;
}

SKIP: {
    my $store = "$daemon->{dir}/small";
    mkdir $store;
    system(qw(mount -t tmpfs -o), 'size=2m,mode=0700,uid=' . (getpwnam 'nobody')[2], 'tmpfs', $store) == 0 or skip 'no file system can be mounted here', 12;
    Mailreeve::Process::on_end(sub { system 'umount', '-l', $store });
    $daemon->down;
    my $options = "location = \"sqlite:$store/mailreeve.db\" spill_dir = \"$daemon->{dir}/store/spill\" timeout = 2s";
    $self->configure('method = store', "store { $options }\n");
    $daemon->up;
    my $id = quarantined('before the disk is full');
    my $filler = 'x' x 4096;
    open my $file, '>', "$store/filler" or die $!;
    1 while syswrite $file, $filler;
    my @put_off = without_store('a full disk');
    is(scalar(my @rows = rows($id)), 1, 'a full disk: what is stored can be read');
    close $file;
    unlink "$store/filler";
    with_store('a full disk', @put_off);

    # It cannot be made read-only while the daemon has it open for writing.
    $daemon->down;
    system('mount', '-o', 'remount,ro', $store) == 0 or die 'remount';
    my ($status, $text) = $self->ctl('delete', (rows($id))[0]{id});
    isnt($status, 0, 'a read-only disk: nothing can be deleted');
    like($text, qr/read-?only|not available/i, 'a read-only disk: and why is said');
    is_deeply([ map { $_->{state} } rows($id) ], ['held'], 'a read-only disk: but all can be looked at');
    system('mount', '-o', 'remount,rw', $store) == 0 or die 'remount';
    $daemon->up;
    $daemon->down;
    $self->configure('method = store');
    $daemon->up;
}

# ---- full by its own bounds ----
{
    $daemon->down;
    $self->configure('method = store recipient_max = 2');
    $daemon->up;
    my $n = 0;
    for my $i (1 .. 3) {
        my (undef, $reply) = $self->send_to(['few@quarantine.example'], body => "few $i\n");
        $n++ if $reply =~ /^250 /;
        like($reply, qr/^452 4\.3\.1 .*quarantine is full/i, 'who has his share is put off') if $i == 3;
    }
    is($n, 2, 'up to there he is not');
    $daemon->down;
    $self->configure('method = store message_max = 64K');
    $daemon->up;
    my $large = ('x' x 70 . "\n") x 1000;
    my ($id, $reply) = $self->send_to([ map { "$_\@dst.example" } qw(accept quarantine) ], body => $large);
    like($reply, qr/^250 /, 'a message that is too large for the quarantine');
    my @held;
    wait_until('it to be held', sub { @held = $self->{mta}->held });
    is_deeply([ scalar @held, [ rows($id) ], [ $self->delivered($id) ] ], [ 1, [], [] ], 'is held by the MTA, for all');
    is_deeply($self->found($id, map { "$_\@dst.example" } qw(accept quarantine)), { map { ("$_\@dst.example" => 'quarantine') } qw(accept quarantine) },
        'which find tells of both');
    $self->{mta}->release($held[0]);
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    $daemon->down;
    $self->configure('method = store');
    $daemon->up;
}

# ---- killed ----

# One message, again and again until it is taken.
sub insist ($text) {
    for (1 .. 1000) {
        my $reply = eval {
            Mailreeve::Smtp->send_message($self->{mta}{port}, local => '127.0.0.9', from => 'a@hard.example',
                to => [ map { "$_\@dst.example" } qw(accept quarantine reject) ], message => $text, helo => 'client.example');
        } // '';
        return 1 if $reply =~ /^250 /;
        sleep 0.05;
    }
    return 0;
}

{
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => '127.0.0.9');
    my ($id, $text) = message(from => 'a@hard.example', body => 'x' x 60 . "\n");
    $smtp->say_line($_) for 'EHLO client.example', 'MAIL FROM:<a@hard.example>', map { "RCPT TO:<$_\@dst.example>" } qw(accept quarantine reject);
    $smtp->say_line('DATA');
    $smtp->send_raw($text =~ s/\n/\r\n/gr);
    $daemon->down('KILL');
    like($smtp->say_line('.'), qr/^451 /, 'killed during DATA: the sender is to come again');
    $daemon->up;
    $self->settled;
    is_deeply([ [ $self->delivered($id) ], [ rows($id) ] ], [ [], [] ], 'nothing is delivered or stored');
    ok(insist($text), 'it comes again');
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    $self->settled;
    is_deeply([ [ $self->delivered($id) ], [ map { $_->{state} } rows($id) ] ], [ ['accept@dst.example'], [ 'held', 'held' ] ], 'and is there once');
}

{
    my ($messages, $senders) = ($ENV{MAILREEVE_KILL_MESSAGES} // 1000, 4);
    my %text = map { my ($id, $text) = message(from => 'a@hard.example'); ($id => $text) } 1 .. $messages;
    my @ids = sort keys %text;
    my $held = stats()->{held};
    my %pids;
    for my $n (0 .. $senders - 1) {
        my $pid = fork;
        if ($pid == 0) {
            my $good = 1;
            $good &&= insist($text{ $ids[$_] }) for grep { $_ % $senders == $n } 0 .. $#ids;
            POSIX::_exit($good ? 0 : 1);
        }
        $pids{$pid} = 1;
    }
    my ($kills, $good) = (0, 1);
    while (%pids) {
        my $until = time + 0.05 + rand 0.8;
        while (time < $until) {
            my $pid = waitpid -1, POSIX::WNOHANG();
            if ($pid > 0 && delete $pids{$pid}) { $good &&= $? == 0 }
            last if !%pids;
            sleep 0.01;
        }
        last if !%pids;
        $daemon->down('KILL');
        $daemon->up;
        $kills++;
    }
    ok($good, "$messages messages, $senders at a time, are taken while the daemon is killed $kills times");
    cmp_ok($kills, '>=', 5, 'which is often');
    wait_until('all to be delivered', sub { !$self->{mta}->queued }, 120);
    my (%delivered, %stored);
    for my $message (Mailreeve::Smtp->sunk($self->{sink})) {
        my ($id) = $message->[1] =~ /^Subject: (\S+)/m;
        $delivered{$id} .= join ',', $message->[0] =~ /^RCPT TO:<([^>]*)>/gim if $text{$id};
    }
    my (undef, $list) = $self->ctl('list', '--json', '--limit', 1000000);
    for my $row (map { decode_json($_) } split /\n/, $list) {
        push @{ $stored{ $row->{subject} } }, $row->{rcpt} if $text{ $row->{subject} };
    }
    is(scalar(grep { ($delivered{$_} // '') ne 'accept@dst.example' } @ids), 0, 'each is delivered once, to whom it should');
    is(scalar(grep { join(',', sort @{ $stored{$_} // [] }) ne 'quarantine@dst.example,reject@dst.example' } @ids), 0, 'and stored once for the others');
    is(stats()->{held} - $held, 2 * $messages, 'nothing else is in the quarantine');
}

unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
done_testing();
