#!/usr/bin/perl
# Restarts and reloads under load: mail comes in through a real Postfix all the time, and not one message is refused, lost or
# doubled. A new process that cannot start changes nothing.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir free_port on_end wait_until write_file read_file test_program source_dir reachable);
use Mailreeve::Scenario qw(message);
use Mailreeve::Smtp;

my $zone = write_file(work_dir() . '/zone', "test.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\n");
my $base = "own_networks = {\"127.0.0.1\"}\nclient { mode = off }\n";
my $program = test_program('mailreeve');

sub order ($daemon, $what) {
    my $text = qx('$program' $what --config '$daemon->{config}' 2>&1);
    return ($? >> 8, $text);
}

# The process that answers now, by its pid file; the test's own handle on the daemon is moved to it.
sub current ($daemon) { return read_file($daemon->{pid_file}) =~ /^(\d+)$/m ? $1 : 0 }

# Sends messages, each in a connection of its own, until there is a file "stop"; says how each was answered.
sub sender ($kind, $n, $port, $dir) {
    my $pid = fork // die $!;
    return $pid if $pid;
    open my $out, '>', "$dir/sender$n" or die $!;
    $out->autoflush(1);
    for (my $i = 0; !-e "$dir/stop"; $i++) {
        my (undef, $text) = message(from => 'a@test.example', body => "load-$kind-$n-$i-\n");
        my $reply = eval { Mailreeve::Smtp->send_message($port, local => '127.0.0.7', from => 'a@test.example', to => 'b@dst.example', message => $text) } // "died: $@";
        print $out "load-$kind-$n-$i- $reply\n" =~ s/\n(?=.)/ /gr;
    }
    POSIX::_exit(0);
}

sub restarts ($kind) {
    my $port = free_port();
    my $daemon = Mailreeve::Daemon->start(name => "restart-$kind", zone => $zone, down => 1,
        $kind eq 'inet' ? (spec => "inet:$port\@127.0.0.1") : ());
    $daemon->{pid_file} = "$daemon->{dir}/pid";
    my $control = $kind eq 'inet' ? "control_socket = \"$daemon->{dir}/run/control\"\n" : '';
    my $good = "${base}pid_file = \"$daemon->{pid_file}\"\n$control";
    $daemon->configure($good);
    $daemon->up;
    my $sink = Mailreeve::Smtp->sink;
    my $mta = Mailreeve::Postfix->start(sink => $sink->{port}, milter => $kind eq 'inet' ? "inet:127.0.0.1:$port" : "unix:$daemon->{socket}");
    my $dir = work_dir() . "/load-$kind";
    mkdir $dir;
    on_end(sub { write_file("$dir/stop", ''); my $pid = current($daemon); kill 'TERM', $pid if $pid });
    my @senders = map { sender($kind, $_, $mta->{port}, $dir) } 1 .. 3;
    my $sent = sub { my $n = 0; $n += () = read_file("$dir/sender$_") =~ /\n/g for 1 .. 3; return $n };
    wait_until('the first mail', sub { $sent->() > 5 }, 60);
    my %seen = (current($daemon) => 1);
    for my $round (1 .. 4) {
        my $before = current($daemon);
        my ($status, $text) = order($daemon, 'restart');
        is($status, 0, "$kind, restart $round under load") or diag $text;
        wait_until('the new process', sub { my $now = current($daemon); $now && $now != $before });
        ok(!$seen{ current($daemon) }++, 'another process is in its place');
        wait_until('the old process to end', sub { !kill(0, $before) || read_file("/proc/$before/stat") =~ /\) Z / }, 90);
        my $so_far = $sent->();
        wait_until('more mail', sub { $sent->() > $so_far + 5 }, 60);
    }
    bad_starts($daemon, $good, $sent);
    write_file("$dir/stop", '');
    waitpid $_, 0 for @senders;
    my @lines = map { split /\n/, read_file("$dir/sender$_") } 1 .. 3;
    is_deeply([ grep { !/^load-$kind-\d+-\d+- 250 / } @lines ], [], 'every message was taken, of ' . @lines);
    my %arrived;
    wait_until('all mail', sub { %arrived = (); $arrived{$_}++ for map { $_->[1] =~ /^(load-$kind-\d+-\d+-)/m } Mailreeve::Smtp->sunk($sink); keys %arrived >= @lines }, 90);
    is_deeply([ grep { $arrived{$_} != 1 } keys %arrived ], [], 'none arrived twice');
    is(scalar(keys %arrived), scalar @lines, 'and none is missing');
    my $log = $daemon->log_text;
    is(scalar(() = $log =~ /verdict=accept .*?/g), scalar @lines, 'each was judged once');
    unlike($log, qr/unfinished/, 'no transaction was cut off');
    my $last = current($daemon);
    kill 'TERM', $last;
    wait_until('the last process to end', sub { !kill(0, $last) }, 90);
    ok($kind eq 'inet' || !-e $daemon->{socket}, 'and its socket goes with it');
    $mta->end;
    return;
}

# What cannot start does not end what runs.
sub bad_starts ($daemon, $good, $sent) {
    my $before = current($daemon);
    write_file($daemon->{config}, read_file($daemon->{config}) . "nonsense = 1\n");
    my ($status, $text) = order($daemon, 'restart');
    is($status, 1, 'restart with a bad file');
    like($text, qr/:\d+: .*nonsense/, 'is refused with its line');
    $daemon->configure("${good}store { location = \"sqlite:/nowhere/at/all.db\" spill_dir = \"$daemon->{dir}/store/spill\" }\n");
    ($status, $text) = order($daemon, 'restart');
    is($status, 1, 'restart with a store that cannot be opened');
    like($text, qr/the old one goes on/, 'is given up');
    is(current($daemon), $before, 'the process is the same');
    my $so_far = $sent->();
    wait_until('more mail', sub { $sent->() > $so_far + 5 }, 60);
    $daemon->configure($good);
    return;
}

# One request on a connection of its own.
sub post ($path, $what) {
    my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path) // die "$path: $!";
    print $socket "POST $what HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    local $/ = undef;
    return <$socket>;
}

# A thousand reloads, half of them other configurations, while two clients send.
sub reloads {
    my $daemon = Mailreeve::Daemon->start(name => 'reloads', zone => $zone, config => $base);
    my $dir = work_dir() . '/reloads-load';
    mkdir $dir;
    on_end(sub { write_file("$dir/stop", '') });
    my @clients = map {
        my $n = $_;
        my $pid = fork // die $!;
        if ($pid == 0) {
            open my $out, '>', "$dir/client$n" or die $!;
            $out->autoflush(1);
            print $out Mailreeve::Milter->session($daemon->{socket}, from => 'a@test.example')->finish, "\n" while !-e "$dir/stop";
            POSIX::_exit(0);
        }
        $pid;
    } 1, 2;
    my $lines = sub { my $n = 0; $n += () = read_file("$dir/client$_") =~ /\n/g for 1, 2; return $n };
    wait_until('the first messages', sub { $lines->() > 3 }, 60);
    my $file = read_file($daemon->{config});
    my $bad = 0;
    for my $i (1 .. 1000) {
        write_file($daemon->{config}, $i % 2 ? "${file}recipients_max = " . (10 + $i) . "\nspf { mode = observe }\n" : $file);
        post("$daemon->{socket}.control", '/reload') =~ m{\AHTTP/1.1 200 } or $bad++;
    }
    is($bad, 0, 'a thousand reloads under load');
    my $so_far = $lines->();
    wait_until('more messages', sub { $lines->() > $so_far + 3 }, 60);
    write_file("$dir/stop", '');
    waitpid $_, 0 for @clients;
    my @answers = map { split /\n/, read_file("$dir/client$_") } 1, 2;
    is_deeply([ grep { $_ ne 'c' } @answers ], [], 'every message got its answer, of ' . @answers);
    is(scalar(() = $daemon->log_text =~ /reload: .* is in force/g), 1000, 'each is in the log');
    is($daemon->down, 0, 'the daemon ends well');
    return;
}

restarts('unix');
restarts('inet');
reloads();
done_testing();
