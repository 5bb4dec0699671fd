#!/usr/bin/perl
# Bayes through Postfix, with its store in PostgreSQL: what is learnt while the daemon runs, what explain tells of it, and
# a store that goes away.
use v5.36;
use JSON::PP;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::Postgres;
BEGIN { plan skip_all => 'PostgreSQL is not installed' if !defined Mailreeve::Postgres::programs() }
use Mailreeve::Daemon;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir wait_until write_file run_ok test_program);
use Mailreeve::Smtp;

local $ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $postgres = Mailreeve::Postgres->start;
my $zone = write_file(work_dir() . '/zone', ". 3600 IN NS ns.\n");
my $location = $postgres->location;
my $daemon = Mailreeve::Daemon->start(zone => $zone, config => <<"END");
store { location = "$location" spill_dir = "@{[ work_dir() ]}/mailreeved/store/spill" timeout = 2s }
client { mode = off }
own_networks = {"127.0.0.8"}
bayes { min_learnt = 12 per_user = yes }
END
my $sink = Mailreeve::Smtp->sink;
my $postfix = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}");

my %words = (
    spam => [qw(pills cheap lottery winner claim million transfer urgent viagra casino bonus credit discount)],
    ham => [qw(meeting minutes agenda project review schedule lunch colleagues report draft quarter budget office)],
);
my $serial = 0;

sub compose ($kind, $subject) {
    my @words = @{ $words{$kind} };
    my $body = join "\n", map { my $n = $_; join ' ', map { $words[ ($n * 5 + $_ * 3 + $serial) % @words ] } 0 .. 8 } 1 .. 6;
    $serial++;
    return "From: someone\@src.example\nTo: b\@dst.example\nSubject: $subject $serial\nDate: Tue, 24 Nov 2026 12:00:00 +0000\nMessage-ID: <$serial.$$\@src.example>\n\n$body\n";
}

sub files ($kind, $count) {
    return map { write_file(work_dir() . "/$kind-$serial.eml", compose($kind, $words{$kind}[0])) } 1 .. $count;
}

sub teach ($owner, $kind, @files) {
    run_ok(test_program('t/suite/bayesprobe'), $location, $owner, $kind, @files);
    return;
}

# Sends one, and returns what the log says of it.
sub judged ($kind, %arg) {
    my $text = compose($kind, $arg{subject} // $words{$kind}[0]);
    my ($id) = $text =~ /^Message-ID: <(.*)>/m;
    my $from = "t$serial\@src.example";
    my $smtp = Mailreeve::Smtp->connect_to($postfix->{port}, local => $arg{local} // '127.0.0.7');
    $smtp->say_line($_) for 'EHLO client.example', "MAIL FROM:<$from>", map { "RCPT TO:<$_>" } @{ $arg{to} // ['b@dst.example'] };
    $smtp->say_line('DATA');
    like($smtp->say_line($text =~ s/\n/\r\n/gr . '.'), qr/^250 /, 'a message is taken');
    $smtp->say_line('QUIT');
    wait_until('it to arrive', sub { grep { index($_->[1], $id) >= 0 } Mailreeve::Smtp->sunk($sink) });
    my ($arrived) = grep { index($_->[1], $id) >= 0 } Mailreeve::Smtp->sunk($sink);
    return ($daemon->verdict(qr/from=<\Q$from\E>/)->{line}, $arrived->[1]);
}

sub explained (@arg) {
    return run_ok(test_program('mailreeve'), 'explain', '--config', $daemon->{config}, '--dns-zone', $zone, '--client', '127.0.0.7', '--rcpt', 'b@dst.example', @arg);
}

my @spam = files('spam', 14);
my @ham = files('ham', 14);
unlike((judged('spam'))[0], qr/bayes\./, 'before anything is learnt nothing is said');
teach('', 'spam', @spam);
teach('', 'ham', @ham[ 0 .. 3 ]);
like(explained($spam[0]), qr/^  bayes +\S+ ms  not enough learnt: 4 of 12 ham$/m, 'explain tells what is missing');
unlike((judged('spam'))[0], qr/bayes\./, 'and there is no verdict');
teach('', 'ham', @ham[ 4 .. 13 ]);

my ($line, $text);
wait_until('the daemon to know it', sub { ($line, $text) = judged('spam'); $line =~ /bayes\.spam/ });
like($line, qr/verdict=tag .*score=[56]/, 'then spam gets its points, and is tagged');
like($text, qr/^X-Mailreeve-Verdict: tag;/m, 'which the message says');
($line) = judged('ham');
like($line, qr/bayes\.ham/, 'good mail is known');
like($line, qr/verdict=accept .*score=-1|score=-2/, 'and gets points off');
unlike((judged('spam', local => '127.0.0.8'))[0], qr/bayes\./, 'outbound mail is not judged');

my $json = decode_json(explained('--json', $spam[0]));
cmp_ok($json->{bayes}{probability}, '>', 0.95, 'explain has the probability');
is_deeply($json->{bayes}{learnt}, { spam => 14, ham => 14 }, 'and by how much it is known');
my @tokens = @{ $json->{bayes}{tokens} };
is(scalar @tokens, 15, 'and the fifteen tokens that weighed most');
ok(!(grep { abs($tokens[$_]{weight}) > abs($tokens[ $_ - 1 ]{weight}) } 1 .. 14), 'the heaviest first');
ok((grep { $_->{token} =~ /pills|casino|lottery|cheap/ } @tokens), 'in words that can be read');
ok(!(grep { $_->{token} =~ /^token [0-9a-f]{16}$/ } @tokens), 'all of them');
like(explained($spam[0]), qr/^ +\+\d+\.\d\d +\d+ +0  .*(?:pills|casino|lottery|cheap)/m, 'for people too');
like(run_ok(test_program('mailreeve'), 'find', '--config', $daemon->{config}, '--finding', 'bayes.spam', '--json'), qr/"bayes\.spam","detail":"probability (?:0\.9|1\.0)/, 'the history has the probability');

my $status = run_ok(test_program('mailreeve'), 'bayes', 'status', '--config', $daemon->{config});
like($status, qr/^ +14 +14 +\d+ .* \(all\)$/m, 'bayes status tells what is learnt');
like(run_ok(test_program('mailreeve'), 'bayes', 'expire', '--config', $daemon->{config}), qr/^0 tokens forgotten$/, 'nothing is old');

# b likes what others do not.
teach('b@dst.example', 'ham', @spam);
wait_until('that to be known', sub { (judged('spam', to => ['b+x@dst.example']))[0] =~ /bayes\.ham|bayes\.unsure/ });
($line) = judged('spam', to => ['c@dst.example']);
like($line, qr/bayes\.spam/, 'what one recipient has learnt is not the next one\'s');

$postgres->down('QUIT');
($line) = judged('spam', to => ['c@dst.example']);
like($line, qr/bayes\.spam/, 'with the store down it is judged by what is in memory');
$daemon->down;
unlike($daemon->log_text, qr/Sanitizer/, 'and all is well');
done_testing();
