#!/usr/bin/perl
# Lists that change under a running daemon, through Postfix: the next message feels it.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Time::HiRes qw(time sleep);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir test_program read_file run_ok wait_until write_file);
use Mailreeve::Scenario qw(message);
use Mailreeve::Smtp;

my $dns = Mailreeve::Dns->start("good.example. TXT \"v=spf1 ip4:127.0.0.7 -all\"\n_dmarc.good.example. TXT \"v=DMARC1; p=none\"\n");
my $daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, dns => 'timeout = 2s deadline = 3s ttl_negative_max = 1s',
    config => "own_networks = {\"127.0.0.1\"}\npolicy { spf.fail = ignore }\n");
my $sink = Mailreeve::Smtp->sink;
my $mta = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}");

sub list (@arg) { return run_ok(test_program('mailreeve'), 'list', @arg, '--config', $daemon->{config}) }

# The replies to each RCPT and to the message: one transaction to alice and bob.
sub deliver ($client, $from, $message) {
    my $smtp = Mailreeve::Smtp->connect_to($mta->{port}, local => $client);
    $smtp->say_line('EHLO client.example');
    my %reply = (mail => $smtp->say_line("MAIL FROM:<$from>"));
    $reply{$_} = $smtp->say_line("RCPT TO:<$_\@dst.example>") for qw(alice bob);
    if (grep { $reply{$_} =~ /^2/ } qw(alice bob)) {
        $smtp->say_line('DATA');
        $smtp->send_raw($message =~ s/\r?\n/\r\n/gr);
        $reply{data} = $smtp->say_line('.');
    }
    $smtp->say_line('QUIT');
    return \%reply;
}

# Asks again, with RCPT alone, until bob is answered like that: within a second after the change.
sub felt ($from, $answer, $what) {
    my $start = time;
    my $is;
    until (($is = asked($from)) =~ $answer) { last if time - $start > 1; sleep 0.02 }
    like($is, $answer, "$what: within a second");
    return;
}

sub asked ($from) {
    my $smtp = Mailreeve::Smtp->connect_to($mta->{port}, local => '127.0.0.7');
    $smtp->say_line('EHLO client.example');
    $smtp->say_line("MAIL FROM:<$from>");
    my $reply = $smtp->say_line('RCPT TO:<bob+news@dst.example>');
    $smtp->say_line('QUIT');
    return $reply;
}

my ($id, $text) = message(from => 'a@good.example');
my $reply = deliver('127.0.0.7', 'a@good.example', $text);
is(scalar(grep { /^250 / } @{$reply}{qw(alice bob data)}), 3, 'without entries both get the mail');

list('add', 'block', 'good.example', '--owner', 'bob@dst.example', '--note', 'enough');
felt('a@good.example', qr/^550 5\.7\.1 .*The recipient does not accept mail from this sender \(support id \w{8}\)/, 'a block of a user');
($id, $text) = message(from => 'a@good.example');
$reply = deliver('127.0.0.7', 'a@good.example', $text);
like($reply->{alice}, qr/^250 /, 'the other recipient is taken');
like($reply->{bob}, qr/^550 5\.7\.1 /, 'he is refused at RCPT');
like($reply->{data}, qr/^250 /, 'the message too');
my $got = Mailreeve::Smtp->wait_for_message($sink, "Subject: $id");
like($got->[0], qr/alice\@dst\.example/, 'it reaches the one');
unlike($got->[0], qr/bob\@dst\.example/, 'and not the other');
unlike($reply->{bob}, qr/good\.example|enough/, 'the reply tells nothing of the entry');
wait_until('the log to tell of it', sub { $daemon->log_text =~ /list\.blocked_user/ });

list('remove', 'good.example', '--owner', 'bob@dst.example');
felt('a@good.example', qr/^250 /, 'removed');
list('add', 'block', '127.0.0.7', '--expires', '2s');
felt('a@good.example', qr/^550 5\.7\.1 /, 'a block of the client, for everybody');
wait_until('its end', sub { asked('a@good.example') =~ /^250 / }, 10);
pass('which ends by itself');

# An allow entry of a user: his alone, and only for who proves to be the sender.
list('add', 'block', 'good.example');
felt('a@good.example', qr/^550 5\.7\.1 /, 'a block for everybody');
list('add', 'allow', 'a@good.example', '--owner', 'bob@dst.example');
felt('a@good.example', qr/^250 /, 'is not answered at RCPT where the recipient allows the sender');
($id, $text) = message(from => 'a@good.example');
$reply = deliver('127.0.0.7', 'a@good.example', $text);
like($reply->{alice}, qr/^550 5\.7\.1 /, 'to the other it is');
like($reply->{data}, qr/^250 /, 'and he gets the mail of the true sender');
like(Mailreeve::Smtp->wait_for_message($sink, "Subject: $id")->[0], qr/bob\@dst\.example/, 'in fact');
($id, $text) = message(from => 'a@good.example');
$reply = deliver('127.0.0.9', 'a@good.example', $text);
like($reply->{bob}, qr/^250 /, 'a forgery is taken at RCPT');
like($reply->{data}, qr/^550 5\.7\.1 /, 'and refused at its end');
list('add', 'block', '.example', '127.0.0.0/8', '--enforced');
felt('a@good.example', qr/^550 5\.7\.1 /, 'an enforced entry is answered at RCPT in spite of it');

# The configuration's own, by a reload.
list('remove', '--enforced', '.example', '127.0.0.0/8', 'good.example');
list('remove', 'a@good.example', '--owner', 'bob@dst.example');
felt('a@good.example', qr/^250 /, 'nothing is left');
$daemon->configure("own_networks = {\"127.0.0.1\"}\npolicy { spf.fail = ignore }\nlists { block = {\"other.example\"} }\n");
kill HUP => $daemon->{process}{pid};
wait_until('a reload to bring entries', sub { asked('x@other.example') =~ /^550 5\.7\.1 / });
pass('entries of the configuration come with a reload');

# Many at once, while mail flows.
write_file(work_dir() . '/many', join '', map { "d$_.test.example\n" } 1 .. 20000);
like(list('import', 'block', work_dir() . '/many'), qr/^imported 20000 entries/, '20,000 entries at once');
felt('x@d20000.test.example', qr/^550 5\.7\.1 /, 'hold');
my @left = grep { (stat)[4] == 0 } glob "$daemon->{dir}/store/*";
is_deeply(\@left, [], 'no file of root\'s is left in the store');
is($daemon->down, 0, 'the daemon ends well');
done_testing();
