#!/usr/bin/perl
# What policy makes of the same findings for one recipient and another: blocks, enforced actions, scores; and the header
# fields that tell of it.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file run_ok);
use Mailreeve::Scenario qw(eicar);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my $zone = write_file(work_dir() . '/zone', <<'END');
soft.example. TXT "v=spf1 ip4:192.0.2.1 ~all"
helo.example. TXT "v=spf1 -all"
END
my $message = write_file(work_dir() . '/message', join "\r\n",
    'X-Spam-Flag: NO', 'x-spam-status: No, score=-100', 'X-Spam-Level: *', 'X-Mailreeve-Score: -9', 'X-MAILREEVE-Verdict: none', 'X-Spam-Score: -5',
    'X-Mailreeve-Score: -8', 'X-Spam-Report: not ours', 'From: a@soft.example', 'To: b@dst.example', 'Date: Wed, 25 Nov 2026 01:00:00 +0000', 'Message-ID: <1@soft.example>', 'Subject: hello', '', 'Hello.', '');

sub judged ($config, @arg) {
    state $n = 0;
    my $file = write_file(work_dir() . '/conf' . ++$n, 'authserv_id = "mx.test.example"' . "\n"
        . 'virus { databases = {"' . source_dir() . "/conf/signatures\"} }\ncontent { workers = 1 tmp_dir = \"" . work_dir() . "\" }\n" . $config);
    my ($json) = split /\n/, run_ok($mailreeve, 'explain', '--config', $file, '--dns-zone', $zone, '--client', '192.0.2.7', '--helo', 'helo.example',
        '--from', 'a@soft.example', '--json', @arg);
    return decode_json($json);
}
sub rcpt (@addresses) { return map { ('--rcpt', $_) } @addresses }
sub actions ($object) { return { map { $_->{rcpt} => $_->{action} } @{ $object->{recipients} } } }
sub header ($object, $name) { return [ map { $_->{value} } grep { $_->{edit} eq 'insert_header' && $_->{name} eq $name } @{ $object->{edits} } ] }
sub deleted ($object) { return [ map { lc "$_->{name} $_->{index}" } grep { $_->{edit} eq 'delete_header' } @{ $object->{edits} } ] }

my $points = qq(policy { spf.softfail = "score 4.5" spf.helo_fail = "score 2" }\n);
my $plain = judged($points, rcpt('b@dst.example'), $message);
is($plain->{action}, 'tag', 'points from 5 on tag');
is($plain->{score}, 6.5, 'their sum');
is_deeply(deleted($plain), [ 'x-mailreeve-score 2', 'x-mailreeve-verdict 1', 'x-mailreeve-score 1' ], 'our own fields that came with the message go, from the last up');
is_deeply(header($plain, 'X-Spam-Flag'), [], 'no field of older filters unasked');
like(header($plain, 'X-Mailreeve-Verdict')->[0], qr/^tag; id=\w{8}\z/, 'the verdict; no single finding tagged');

my $headers = judged($points . "headers { score = yes spam_flag = yes spam_status = yes spam_score = yes spam_level = yes verdict = no }\n", rcpt('b@dst.example'), $message);
is_deeply(header($headers, 'X-Spam-Flag'), ['YES'], 'X-Spam-Flag');
is_deeply(header($headers, 'X-Spam-Status'), [ "Yes, score=6.5 required=5.0\n\ttests=spf.softfail,\n\tspf.helo_fail" ], 'X-Spam-Status');
is_deeply(header($headers, 'X-Spam-Score'), ['6.5'], 'X-Spam-Score');
is_deeply(header($headers, 'X-Spam-Level'), ['******'], 'X-Spam-Level');
is_deeply(header($headers, 'X-Mailreeve-Score'), [ "6.5 (spf.softfail=4.5,\n\tspf.helo_fail=2)" ], 'X-Mailreeve-Score');
is_deeply(header($headers, 'X-Mailreeve-Verdict'), [], 'no verdict where it is off');
is_deeply(deleted($headers), [ 'x-mailreeve-score 2', 'x-spam-score 1', 'x-mailreeve-verdict 1', 'x-mailreeve-score 1', 'x-spam-level 1', 'x-spam-status 1', 'x-spam-flag 1' ],
    'what came goes, others\' fields stay');

my $good = judged(qq(headers { spam_flag = yes spam_status = yes spam_level = yes }\npolicy { spf.softfail = ignore spf.helo_fail = ignore }\n), rcpt('b@dst.example'), $message);
is($good->{action}, 'accept', 'nothing found');
is_deeply(header($good, 'X-Spam-Flag'), [], 'no flag then');
is_deeply(header($good, 'X-Spam-Status'), [ "No, score=0.0 required=5.0\n\ttests=none" ], 'X-Spam-Status says no');
is_deeply(header($good, 'X-Spam-Level'), [], 'no level without points');
my $outbound = judged("headers { spam_flag = yes spam_status = yes }\n", '--auth', 'bob', rcpt('b@dst.example'), $message);
is_deeply(deleted($outbound), [ 'x-mailreeve-score 2', 'x-mailreeve-verdict 1', 'x-mailreeve-score 1' ], 'outbound mail keeps its X-Spam fields');
is_deeply(header($outbound, 'X-Spam-Status'), [], 'and gets none');

my $heavy = judged($points . "scores { quarantine = 6 reject = 6.5 }\n", rcpt('b@dst.example'), $message);
is($heavy->{action}, 'reject', 'points from scores.reject on reject');
like($heavy->{reply}, qr/^550 5\.7\.23 SPF: the client probably may not send mail/, 'the reply names the heaviest finding');
is(judged($points . "scores { quarantine = 6.5 }\n", rcpt('b@dst.example'), $message)->{action}, 'quarantine', 'points from scores.quarantine on');
is(judged($points . "scores { tag = 6.501 }\n", rcpt('b@dst.example'), $message)->{action}, 'accept', 'not quite');
is(judged($points . "scores { tag = 0 reject = 0 }\n", rcpt('b@dst.example'), $message)->{action}, 'accept', 'never');
is(judged(qq(policy { spf.softfail = "score 20" spf.helo_fail = "score -6" }\n), rcpt('b@dst.example'), $message)->{score}, 14, 'points may be negative');

my $blocks = <<'END';
policy { spf.softfail = tag spf.helo_fail = ignore }
domain "drop.example" { spf.softfail = discard }
domain "hold.example" { spf.softfail = quarantine }
domain ".sub.example" { spf.softfail = "reject enforced" }
recipient "free@sub.example" { spf.softfail = ignore }
recipient "free@hold.example" { spf.softfail = ignore }
recipient "free@x.sub.example" { spf.softfail = ignore }
END
my @five = ('a@dst.example', 'a@drop.example', 'a@hold.example', 'Free+x@HOLD.example', 'free@x.sub.example', 'free@sub.example');
my $mixed = judged($blocks, rcpt(@five), $message);
is_deeply(actions($mixed), { $five[0] => 'tag', $five[1] => 'discard', $five[2] => 'quarantine', $five[3] => 'accept', $five[4] => 'reject', $five[5] => 'accept' },
    'one message, six policies');
like((grep { $_->{rcpt} eq $five[4] } @{ $mixed->{recipients} })[0]{reply}, qr/^550 5\.7\.23/, 'a recipient has a reply of his own');
is(judged($blocks, rcpt($five[3], $five[5]), $message)->{action}, 'accept', 'all who want it get it');

sub fates ($result) { return { map { $_->{rcpt} => $_->{fate} } @{ $result->{recipients} } } }
sub removed ($result) { return [ map { $_->{edit} eq 'delete_recipient' ? $_->{value} : () } @{ $result->{edits} } ] }
is_deeply(fates($mixed), { $five[0] => 'sent', $five[1] => 'dropped', $five[2] => 'stored', $five[3] => 'sent', $five[4] => 'stored', $five[5] => 'sent' },
    'what becomes of each copy');
is_deeply(removed($mixed), [ @five[1, 2, 4] ], 'the edits remove who is not to get it, as RCPT had him');
is($mixed->{action}, 'tag', 'the verdict is the strictest of those who get it');
my ($field) = map { ($_->{name} // '') eq 'X-Mailreeve-Verdict' ? $_->{value} : () } @{ $mixed->{edits} };
like($field, qr/^tag; id=\w+;\s+finding=spf\.softfail$/, 'and what they are told');
my $none = judged($blocks . "store { location = \"\" }\n", rcpt(@five), $message);
is_deeply([ $none->{action}, removed($none), [ grep { $_ ne 'returned' } values %{ fates($none) } ] ], [ 'reject', [], [] ], 'without a store the strictest holds for all');
$none = judged($blocks . "store { location = \"\" }\n", rcpt(@five[0, 1, 3]), $message);
is_deeply([ $none->{action}, removed($none) ], [ 'tag', [ $five[1] ] ], 'a discard needs none');
$none = judged($blocks . "quarantine { method = store }\n", rcpt(@five[2, 4]), $message);
is_deeply([ $none->{action}, removed($none), [ grep { $_ ne 'stored' } values %{ fates($none) } ] ], [ 'quarantine', [], [] ], 'stored for all: the MTA drops it');

my $infected = write_file(work_dir() . '/infected', "From: a\@soft.example\r\nTo: b\@dst.example\r\nSubject: x\r\n\r\n" . eicar() . "\r\n");
my $tries = <<'END';
policy { spf.softfail = "score -1000" }
domain "dst.example" { score_reject = 0 score_tag = 0 }
recipient "b@dst.example" { score_reject = 0 score_tag = 0 score_quarantine = 0 }
END
is(judged($tries, rcpt('b@dst.example'), $infected)->{action}, 'reject', 'no score and no block lets a virus in');

my $table = run_ok($mailreeve, 'explain', '--config', work_dir() . '/conf11', '--dns-zone', $zone, '--client', '192.0.2.7', '--helo', 'helo.example', '--from',
    'a@soft.example', rcpt(@five), $message);
like($table, qr/^  <a\@drop\.example>: DISCARD because of spf\.softfail, dropped$/m, 'the table tells who gets another verdict');
done_testing();
