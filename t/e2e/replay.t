#!/usr/bin/perl
# What the history knows of a message, and the same message judged again: behind a relay, with the TLS of then, out of the quarantine.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use JSON::PP qw(decode_json);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir wait_until read_file write_file test_program reachable);
use Mailreeve::Scenario qw(message);
use Mailreeve::Smtp;
use Mailreeve::Upstream;

$ENV{MAILREEVE_INSPECT} //= reachable(test_program('mailreeve-inspect'));

my $dns = Mailreeve::Dns->start(<<'END');
good.example. TXT "v=spf1 ip4:198.51.100.7 -all"
held.example. TXT "v=spf1 ip4:198.51.100.7 -all"
_dmarc.held.example. TXT "v=DMARC1; p=quarantine"
hard.example. TXT "v=spf1 -all"
END

my $tls = Mailreeve::Upstream::certificates();
my $daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, config => '', down => 1);
my $sink = Mailreeve::Smtp->sink;
my $mta = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}", Mailreeve::Postfix->with_tls($tls));
$daemon->configure(<<"END");
own_networks = {"127.0.0.1"}
upstream { trusted = {"127.0.0.2"} guard = {"guarded.example: 127.0.0.2"} }
client { mode = off }
quarantine { method = store relay = "smtp:127.0.0.1:$mta->{port}" }
policy { spf.fail = reject }
recipient "stored\@dst.example" { spf.fail = quarantine }
recipient "taken\@dst.example" { spf.fail = ignore }
END
$daemon->up;

# ( exit status, all that it says )
sub mailreeve ($command, @words) {
    my $pid = open my $out, '-|';
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec test_program('mailreeve'), $command, '--config', $daemon->{config}, @words;
    }
    local $/ = undef;
    my $text = <$out> // '';
    close $out;
    return ($? >> 8, $text);
}
sub json ($command, @words) {
    my (undef, $text) = mailreeve($command, '--json', @words);
    return map { decode_json($_) } grep { /^\{/ } split /\n/, $text;
}
sub row ($sender) {
    my @rows;
    wait_until("the row of $sender", sub { @rows = json('find', '--from', $sender) });
    return $rows[0];
}

my $received = "Received: from mail.good.example (mail.good.example [%s])\n\tby front.test.example (Postfix) with ESMTP id 4A1;\n\tTue, 24 Nov 2026 12:00:00 +0000\n";

# By the relay, over TLS with a certificate; its client is in Received.
sub relayed ($sender, $client, $to) {
    my (undef, $text) = message(from => $sender);
    my $smtp = Mailreeve::Smtp->connect_to($mta->{port}, local => '127.0.0.2');
    $smtp->say_line('EHLO front.test.example');
    $smtp->starttls('front.test.example', SSL_version => 'TLSv1_3', SSL_use_cert => 1, SSL_cert_file => "$tls->{dir}/client.pem",
        SSL_key_file => "$tls->{dir}/client.key");
    my $reply = $smtp->deliver(from => $sender, to => $to, message => sprintf($received, $client) . $text);
    $smtp->say_line('QUIT');
    return $reply;
}

sub of_then () {
    like(relayed('a@held.example', '203.0.113.66', 'x@dst.example'), qr/^250 /, 'a forgery behind the relay is taken');
    my $row = row('a@held.example');
    is("$row->{action} $row->{reason} $row->{client} $row->{peer} $row->{helo}", 'quarantine dmarc.quarantine 203.0.113.66 127.0.0.2 mail.good.example', 'and recorded with its client');
    is_deeply($row->{relay}, { name => '[127.0.0.2]', helo => 'front.test.example' }, 'the relay itself');
    is_deeply($row->{tls}{client_cert}, { subject => 'mail.bank.example', issuer => 'Test CA', verified => JSON::PP::true }, 'its certificate');
    is("$row->{tls}{version} $row->{tls}{bits}", 'TLSv1.3 256', 'and TLS');
    my $copy = $row->{recipients}[0]{quarantine};
    like($copy->{id}, qr/^\w{16}\/1$/, 'the copy has an id');
    is($copy->{state}, 'stored', 'and is stored');
    my ($found) = json('explain', $row->{support_id});
    is($found->{action}, 'quarantine', 'explain ID: what was recorded');
    my ($then, $now) = @{ $found->{replay} }{qw(then now)};
    is("$then->{action} $then->{dmarc}{result} $then->{spf}{result} $then->{upstream}{client}", 'quarantine fail fail 203.0.113.66', 'then: judged again with the client behind the relay');
    is_deeply($then->{tls}, $now->{tls}, 'both with the same TLS');
    is("$then->{tls}{client_cert}{subject} $then->{tls}{bits}", 'mail.bank.example 256', 'that of then');
    $dns->down;
    my $zone = read_file("$dns->{dir}/root.zone");
    write_file("$dns->{dir}/root.zone", $zone =~ s/^_dmarc\.held.*\n//mr =~ s/^held\.example\. TXT .*/held.example. TXT "v=spf1 +all"/mr);
    $dns->up;
    for my $words ([ $row->{queue_id} ], [ '--id', $row->{support_id} ]) {
        my ($again) = json('explain', @$words);
        ($then, $now) = @{ $again->{replay} // $again }{qw(then now)};
        is("$then->{action} $then->{spf}{result} $now->{action} $now->{spf}{result}", 'quarantine fail accept pass', "@$words: by the answers of then, and by those of now");
    }
    my (undef, $table) = mailreeve('explain', $row->{support_id});
    like($table, qr/^  <x\@dst\.example>: quarantine +in the quarantine as \Q$copy->{id}\E: stored$/m, 'for people: where the copy is');
    like($table, qr/^  verdict +quarantine +quarantine +accept +differs$/m, 'side by side');
    return ($copy->{id}, $row->{support_id});
}

sub states ($id, $support) {
    my (undef, $table) = mailreeve('find', '--from', 'a@held.example');
    like($table, qr/ quarantine, stored /, 'find for people says so');
    my ($status, $said) = mailreeve('quarantine', 'release', $id);
    is($status, 0, 'it is released') or diag $said;
    is((json('find', '--support-id', $support))[0]{recipients}[0]{quarantine}{state}, 'released', 'which find says of it from then on');
    is((json('explain', $support))[0]{replay}{then}{action}, 'quarantine', 'its content is there for a while yet');
    return;
}

# A message that some get, that is stored for one, and a reject that is stored as the sender cannot be told.
sub parted () {
    my (undef, $text) = message(from => 'a@hard.example');
    my $send = sub { Mailreeve::Smtp->send_message($mta->{port}, local => '127.0.0.9', from => 'a@hard.example', to => [ map { "$_\@dst.example" } @_ ], message => $text,
            helo => 'client.example') };
    like($send->('taken', 'stored', 'rejected'), qr/^250 /, 'a message for three');
    my $row = row('a@hard.example');
    is_deeply([ map { "$_->{rcpt} $_->{action} " . ($_->{quarantine}{state} // '-') . ' ' . ($_->{reply} // '-') } @{ $row->{recipients} } ],
        [ 'taken@dst.example accept - -', 'stored@dst.example quarantine stored -', 'rejected@dst.example reject stored -' ], 'each with what he got, and where his copy is');
    my ($stored, $rejected) = map { $_->{quarantine}{id} } @{ $row->{recipients} }[ 1, 2 ];
    is((mailreeve('quarantine', 'delete', $stored))[0], 0, 'one is deleted');
    my (undef, $table) = mailreeve('find', '--from', 'a@hard.example');
    like($table, qr/ accept .* taken\@.*\n +quarantine, deleted +stored\@.*\n +reject, stored +rejected\@/, 'find has a line for each');
    is((json('explain', $row->{support_id}))[0]{replay}{now}{action}, 'accept', 'another one is there: it is judged again');
    like($send->('rejected', 'taken'), qr/^250 /, 'the same message again');
    my @rows;
    wait_until('the row', sub { @rows = json('find', '--from', 'a@hard.example'); @rows == 2 });
    is_deeply($rows[0]{recipients}[0]{quarantine}, { state => 'stored', id => undef }, 'the copy that was there before stands for it');
    is((mailreeve('quarantine', 'delete', $rejected))[0], 0, 'the other is deleted');
    is((json('explain', $row->{support_id}))[0]{replay}, undef, 'the content is gone: nothing is judged again');
    (undef, $text) = mailreeve('explain', $row->{support_id});
    like($text, qr/The message itself is not kept here: `mailreeve explain --id ID MESSAGE`/, 'and how it is done is said');
    my ($status, $said) = mailreeve('explain', '--id', $row->{support_id});
    isnt($status, 0, 'asked to do it');
    like($said, qr/the quarantine has no copy of that message: name a file/, 'it says why it cannot');
    return;
}

# Refused at RCPT, and gone: the envelope is all there was.
sub envelope () {
    my $smtp = Mailreeve::Smtp->connect_to($mta->{port}, local => '127.0.0.9');
    $smtp->say_line('EHLO past.example');
    $smtp->say_line('MAIL FROM:<probe@none.example>');
    like($smtp->say_line('RCPT TO:<x@guarded.example>'), qr/^550 /, 'refused at RCPT');
    $smtp->say_line('QUIT');
    my ($found) = json('explain', row('probe@none.example')->{support_id});
    is("$found->{action} $found->{replay}{now}{recipients}[0]{action}", 'reject reject', 'the envelope alone is judged again');
    return;
}

states(of_then());
parted();
envelope();
$daemon->down;
done_testing();
