#!/usr/bin/perl
# Lists in the DNS: what is found by their answers, what is not, and that nobody sees a key.
use v5.36;
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use MIME::QuotedPrint qw(encode_qp);
use Test::More;
use Time::HiRes qw(time);
use Mailreeve::Process qw(work_dir source_dir test_program write_file read_file run_ok);
use Mailreeve::Scenario qw(message);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my $key = 'q7XkSecretKey42';
my $key_file = write_file(work_dir() . '/dqs.key', "$key\n");
chmod 0600, $key_file;

# An address as a name in a list.
sub reversed ($ip) { return join '.', reverse split /\./, $ip }
my $v6 = join '.', reverse split //, '20010db8000000000000000000000066';

my @zone = map { "$_\n" } (
    (map { (reversed($_->[1]) . ".$_->[0]. A $_->[2]") }
        [ 'bl.test', '192.0.2.66', '127.0.0.2' ], [ 'two.test', '192.0.2.66', '127.0.0.3' ], [ 'three.test', '192.0.2.66', '127.0.0.4' ],
        [ 'bl.test', '192.0.2.67', '127.0.0.2' ], [ 'two.test', '192.0.2.67', '127.0.0.3' ],
        [ 'bl.test', '192.0.2.68', '127.255.255.254' ], [ 'bl.test', '192.0.2.69', '127.0.0.99' ], [ 'bl.test', '192.0.2.70', '203.0.113.1' ],
        [ 'good.test', '192.0.2.67', '127.0.5.3' ], [ 'good.test', '192.0.2.66', '127.0.5.0' ],
        [ "$key.keyed.test", '192.0.2.66', '127.0.0.2' ]),
    "$v6.bl.test. A 127.0.0.2",
    reversed('192.0.2.66') . '.bl.test. TXT "192.0.2.66 sends spam, see http://bl.test/?ip=192.0.2.66"',
    reversed('192.0.2.66') . ".$key.keyed.test. TXT \"asked as ${key}.keyed.test by \\207 us\"",
    '$TIMEOUT ' . reversed('192.0.2.71') . '.bl.test', '$SERVFAIL ' . reversed('192.0.2.72') . '.bl.test', "\$SERVFAIL " . reversed('192.0.2.72') . ".$key.keyed.test",
    '*.wild.test. A 127.0.0.2', '*.all.test. A 127.0.1.2',
    (map { "$_.dom.test. A 127.0.1.2" } 'spam.example', 'xn--bcher-kva.example', 'link.example', 'redirected.example'),
    '2.113.0.203.dom.test. A 127.0.1.2', 'host.bad.example.hosts.test. A 127.0.1.2',
    (map { "$_.dom.test. A 127.0.1.2" } map { "n$_.example" } 31 .. 40),
);
my $zone = write_file(work_dir() . '/zone', join '', @zone);
my $serial = 0;

# Judges a message under lists and rules. Returns the JSON object with { codes } => { code => [action, detail] }, and all that was printed.
my $printed = '';
sub judged ($conf, @arg) {
    my $file = write_file(work_dir() . '/conf' . ++$serial, 'content { workers = 1 tmp_dir = "' . work_dir() . "\" }\n$conf\n");
    my $text = run_ok($mailreeve, 'explain', '--config', $file, '--dns-zone', $zone, '--json', '--rcpt', 'b@dst.example', @arg);
    $printed .= $text . run_ok($mailreeve, 'explain', '--config', $file, '--dns-zone', $zone, '--rcpt', 'b@dst.example', @arg);
    my $object = decode_json($text);
    $object->{codes} = { map { $_->{code} => [ $_->{action}, $_->{detail} ] } grep { $_->{code} =~ /^dnsbl/ } @{ $object->{findings} } };
    return $object;
}
sub dnsbl ($lists, $more = '') { return 'dnsbl { lists = {' . join(', ', map { "\"$_\"" } @$lists) . "} $more }" }
sub codes ($object) { return { map { $_ => $object->{codes}{$_}[0] } keys %{ $object->{codes} } } }
sub mail ($text) { return write_file(work_dir() . '/m' . ++$serial . '.eml', $text) }

my $bl = 'bl.test codes=127.0.0.2:spam';
my ($two, $three) = ('two.test codes=127.0.0.3 score=2', 'three.test codes=127.0.0.4 score=2.5');
my @from = ('--from', 'a@ok.example', '--helo', 'mail.ok.example');

# ---- clients ----
my $o = judged('', '--client', '192.0.2.66', @from);
is_deeply([ $o->{action}, codes($o), $o->{dnsbl} ], [ 'accept', {}, [] ], 'without a word of the operator no list is asked');
$o = judged(dnsbl([$bl]), '--client', '192.0.2.66', @from);
is_deeply([ $o->{action}, codes($o) ], [ 'reject', { 'dnsbl.listed' => 'reject' } ], 'a listed client is rejected');
like($o->{reply}, qr{^550 5\.7\.1 Client host 192\.0\.2\.66 is listed by bl\.test \(spam\).*it says: .*http://bl\.test/\?ip=192\.0\.2\.66}, 'the reply names the list and its text');
$o = judged(dnsbl([$bl]), '--client', '192.0.2.1', @from);
is_deeply([ $o->{action}, codes($o), $o->{dnsbl}[0]{result} ], [ 'accept', {}, 'unlisted' ], 'another one is not');
$o = judged(dnsbl([$bl]), '--client', '2001:db8::66', @from);
is_deeply([ $o->{action}, codes($o) ], [ 'reject', { 'dnsbl.listed' => 'reject' } ], 'IPv6 too');
is($o->{dnsbl}[0]{subject}, '2001:db8::66', 'by its nibbles');
is_deeply(judged(dnsbl(["$bl ip=4"]), '--client', '2001:db8::66', @from)->{dnsbl}, [], 'unless the list has only IPv4');
for my $case ([ '192.0.2.68', qr/127\.255\.255\.254: an error code/ ], [ '192.0.2.69', qr/127\.0\.0\.99: a code that is not in codes/ ],
    [ '192.0.2.70', qr/203\.0\.113\.1: .*parked/ ], [ '192.0.2.71', qr/timeout/ ], [ '192.0.2.72', qr/SERVFAIL/ ]) {
    $o = judged(dnsbl([$bl]), '--client', $case->[0], @from);
    is_deeply([ $o->{action}, codes($o) ], [ 'accept', { 'dnsbl.error' => 'ignore' } ], "$case->[0]: an error, never listed");
    like($o->{codes}{'dnsbl.error'}[1], $case->[1], '  which says why');
}
is(judged(dnsbl([$bl]) . "\npolicy { dnsbl.error = tempfail }", '--client', '192.0.2.71', @from)->{action}, 'tempfail', 'an error can put mail off');
for my $sick ('wild.test codes=127.0.0.2', 'all.test kind=domain codes=127.0.1.2') {
    $o = judged(dnsbl([$sick]), '--client', '192.0.2.66', @from, mail((message(from => 'a@ok.example'))[1]));
    is_deeply([ $o->{action}, codes($o) ], [ 'accept', { 'dnsbl.sick' => 'ignore' } ], "a zone that answers everything is not believed: $sick");
}

# ---- actions ----
$o = judged(dnsbl([ "$bl ignore", $two, $three ]), '--client', '192.0.2.66', @from);
is_deeply([ $o->{action}, $o->{score} ], [ 'accept', 4.5 ], 'points add up');
is(judged(dnsbl([ "$bl quarantine", $two ]), '--client', '192.0.2.66', @from)->{action}, 'quarantine', 'each list has its own action');
is(judged(dnsbl([ 'bl.test codes=127.0.0.2:spam:tempfail reject' ]), '--client', '192.0.2.66', @from)->{action}, 'tempfail', 'and each code');
is(judged(dnsbl([ "$bl reject" ]) . "\npolicy { dnsbl.listed = tag }", '--client', '192.0.2.66', @from)->{action}, 'tag', 'policy goes before them');
is(judged(dnsbl([ "$bl reject" ]) . "\ndomain \"dst.example\" { dnsbl.listed = ignore }", '--client', '192.0.2.66', @from)->{action}, 'accept', 'for one domain too');
is(judged(dnsbl([ "$bl score=6" ]) . "\nscores { tag = 5 reject = 10 }", '--client', '192.0.2.66', @from)->{action}, 'tag', 'thresholds count their points');
is(judged(dnsbl([ "$bl reject" ], 'mode = observe'), '--client', '192.0.2.66', @from)->{action}, 'accept', 'observed, nothing happens');
my $rules = 'rules = {"3 of bl.test two.test three.test: reject", "2 of any: score=1"}';
my @quiet = ("$bl ignore", 'two.test codes=127.0.0.3 ignore', 'three.test codes=127.0.0.4 ignore');
is_deeply([ map { judged(dnsbl(\@quiet, $rules), '--client', $_, @from)->{action} } '192.0.2.66', '192.0.2.67' ], [ 'reject', 'accept' ], 'three of three reject, two do not');
is(judged(dnsbl(\@quiet, $rules), '--client', '192.0.2.67', @from)->{score}, 1, 'but have a point');

# ---- good lists ----
my $good = 'good.test kind=allow codes=127.0.*.0-1:low:skip,127.0.*.2-3:high';
$o = judged(dnsbl([ $bl, $two, $good ], $rules =~ s/three.test/two.test/r =~ s/3 of/2 of/r), '--client', '192.0.2.67', @from);
is_deeply([ $o->{action}, codes($o), $o->{score} ], [ 'accept', { 'dnsbl.allowed' => 'ignore' }, 0 ], 'a good list lifts what the others say, rules too');
is(judged(dnsbl([ $bl, $good ]), '--client', '192.0.2.66', @from)->{action}, 'reject', 'a code that is skipped does not');
is(judged(dnsbl([ "$bl score=3", "$good score=-2" ]), '--client', '192.0.2.67', @from)->{score}, 1, 'or it counts against them');

# ---- domains ----
my $dom = 'dom.test kind=domain codes=127.0.1.2:spam';
my $plain = mail((message(from => 'a@ok.example'))[1]);
my %place = (
    from => [ mail((message(from => 'a@mx.spam.example'))[1]) ],
    reply_to => [ mail((message(from => 'a@ok.example', headers => "Reply-To: x <a\@spam.example>\n"))[1]) ],
    sender => [ '--from', 'x@spam.example', $plain ],
    helo => [ '--helo', 'mail.spam.example', $plain ],
    ptr => [ '--ptr', 'mail.spam.example', $plain ],
);
for my $place (sort keys %place) {
    $o = judged(dnsbl([$dom]), '--client', '192.0.2.1', @from, @{ $place{$place} });
    is_deeply([ $o->{action}, codes($o) ], [ 'reject', { 'dnsbl.domain' => 'reject' } ], "a listed domain: $place");
    is($o->{codes}{'dnsbl.domain'}[1], "dom.test (spam): spam.example ($place)", '  by what was registered');
    $o = judged(dnsbl([ "$dom on=" . join ',', grep { $_ ne $place } qw(from reply_to sender helo ptr url) ]), '--client', '192.0.2.1', @from, @{ $place{$place} });
    is_deeply(codes($o), {}, '  and not where it is not asked about');
}
my $hosts = 'hosts.test kind=domain codes=127.0.1.2';
is_deeply([ map { judged(dnsbl(["$hosts names=$_"]), '--client', '192.0.2.1', '--helo', 'host.bad.example', $plain)->{action} } qw(host domain both) ],
    [ 'reject', 'accept', 'reject' ], 'whole names where a list wants them');
is_deeply(judged(dnsbl([$dom]), '--auth', 'u', '--client', '192.0.2.66', '--from', 'x@spam.example', $plain)->{dnsbl}, [], 'own users are not asked about');
$o = judged(dnsbl([ $dom, $bl ], 'outbound = yes'), '--auth', 'u', '--client', '192.0.2.66', '--from', 'x@spam.example', $plain);
is_deeply(codes($o), { 'dnsbl.domain' => 'reject' }, 'but about their domains where that is wanted, never about their addresses');

# ---- links ----
sub part ($type, $body, $encoding = '7bit') {
    return mail((message(from => 'a@ok.example', headers => "MIME-Version: 1.0\nContent-Type: $type\nContent-Transfer-Encoding: $encoding\n", body => $body))[1]);
}
my %link = (
    'in a text' => part('text/plain', "see http://www.link.example/x\n"),
    'in base64' => part('text/html', encode_base64('<a href="http://link.example/">x</a>'), 'base64'),
    'over two lines of quoted-printable' => part('text/html', "<a href=3D\"http://li=\nnk.exam=\nple/\">x</a>\n", 'quoted-printable'),
    'with character references' => part('text/html', '<a href="http&#58;//link&#x2e;example">x</a>'),
    'with a user name' => part('text/html', '<a href="http://bank.example@link.example/">x</a>'),
    'without a scheme' => part('text/html', '<a href="//link.example">x</a>'),
    'an IDN in Latin-1' => part('text/plain; charset=iso-8859-1', encode_qp("http://b\xfccher.example/\n"), 'quoted-printable'),
    'in UTF-16' => part('text/plain; charset=utf-16le', encode_base64(join '', map { "$_\0" } split //, 'http://link.example/'), 'base64'),
    'in another link' => part('text/plain', "https://ok.example/?u=https%3A%2F%2Fredirected.example%2Fx\n"),
    'in a calendar' => part('text/calendar', "BEGIN:VCALENDAR\nURL:http://link.example/\nEND:VCALENDAR\n"),
    'in an attached message' => part('multipart/mixed; boundary=b', "--b\nContent-Type: message/rfc822\n\nSubject: x\n\nhttp://link.example\n--b--\n"),
    'in an attached page' => part('multipart/mixed; boundary=b', "--b\nContent-Type: application/octet-stream; name=a.html\n\n<html><a href=http://link.example>x</a></html>\n--b--\n"),
);
for my $how (sort keys %link) {
    $o = judged(dnsbl([$dom]), '--client', '192.0.2.1', @from, $link{$how});
    is_deeply([ $o->{action}, codes($o) ], [ 'tag', { 'dnsbl.url' => 'tag' } ], "a link $how") or diag(explain($o->{dnsbl}));
}
my $ip_link = part('text/plain', "http://0xcb.0.113.2/\n");
is_deeply(codes(judged(dnsbl([$dom]), '--client', '192.0.2.1', @from, $ip_link)), {}, 'an address is not asked of a list of domains');
is_deeply(codes(judged(dnsbl(["$dom addresses=yes"]), '--client', '192.0.2.1', @from, $ip_link)), { 'dnsbl.url' => 'tag' }, 'unless it takes them');
my $many = part('text/plain', join '', map { "http://n$_.example/\n" } 1 .. 40);
$o = judged(dnsbl([$dom]), '--client', '192.0.2.1', @from, $many);
is_deeply(codes($o), { 'dnsbl.links_limit' => 'ignore' }, 'too many links: said');
$o = judged(dnsbl([ "$dom score=1" ], 'links_max = 50'), '--client', '192.0.2.1', @from, $many);
is_deeply([ codes($o), $o->{score} ], [ { 'dnsbl.url' => 'score' }, 1 ], 'a list counts once for all of them');
like($o->{codes}{'dnsbl.url'}[1], qr/and 6 more$/, 'and tells some');

# ---- keys ----
my $keyed = "keyed.test zone=%k.keyed.test codes=127.0.0.2:bad txt=yes key_file=$key_file";
$o = judged(dnsbl([$keyed]), '--client', '192.0.2.66', @from, $plain);
is($o->{action}, 'reject', 'a list with a key is asked with it');
like($o->{reply}, qr/listed by keyed\.test \(bad\); it says: asked as \*\*\*\.keyed\.test by \\xcf us/, 'its text is shown without the key, and escaped');
is_deeply(codes(judged(dnsbl([$keyed]), '--client', '192.0.2.72', @from)), { 'dnsbl.error' => 'ignore' }, 'an error of it');
is(judged(dnsbl([ $keyed =~ s/key_file=\S+/key=$key/r ]), '--client', '192.0.2.66', @from)->{action}, 'reject', 'a key in the configuration');
sub run_any (@command) { my $out = work_dir() . '/out'; system join(' ', map { "'$_'" } @command) . " > $out 2>&1"; return ($? >> 8, read_file($out)) }
my $inline = write_file(work_dir() . '/inline.conf', dnsbl([ "keyed.test zone=%k.keyed.test codes=127.0.0.2 key=$key" ]));
for my $command ([ 'config', 'show', $inline ], [ 'config', 'check', $inline ], [ 'dnsbl', 'check', '--config', $inline, '--dns-zone', $zone ],
    [ 'dnsbl', 'lookup', '192.0.2.66', '192.0.2.72', '--config', $inline, '--dns-zone', $zone ]) {
    my ($status, $out) = run_any($mailreeve, @$command);
    $printed .= $out;
    like($out, qr/\*\*\*/, "@$command[0, 1]: the key is ***") if $command->[1] =~ /show/ || $command->[0] eq 'dnsbl' && $command->[1] eq 'check';
    like($out, qr/192\.0\.2\.66: listed/, 'lookup: listed') if $command->[1] eq 'lookup';
}
my @bad = (
    [ "dnsbl {\n lists = {\"spamcop\",\n \"nosuch\"}\n}", 3, qr/dnsbl\.lists: "nosuch": .*expected the name of a ready list/ ],
    [ "dnsbl {\n lists = {\"x.test codes=127.0.0.2 key=$key\"}\n}", 2, qr/dnsbl\.lists: "x\.test codes=127\.0\.0\.2 key=\*\*\*": .*no %k/ ],
    [ "dnsbl {\n lists = {\"%k.test.x key=$key. codes=127.0.0.2\"}\n}", 2, qr/dnsbl\.lists: "%k\.test\.x key=\*\*\* codes=/ ],
    [ "dnsbl {\n lists = {\"spamhaus-zrd\"}\n}", 2, qr/a key is needed/ ],
    [ "dnsbl { lists = {\"spamcop\"}\n rules = {\"x of y\"}\n}", 2, qr/dnsbl\.rules: "x of y": .*expected "N of NAME/ ],
    [ "dnsbl { lists = {\"spamcop\"}\n rules = {\"1 of psbl\"}\n\n}", 4, qr/dnsbl\.rules: "psbl"; expected the name of a list/ ],
    [ "dnsbl { lists = {\"spamcop\", \"spamcop\"}\n}", 2, qr/dnsbl\.lists: "spamcop" is there twice/ ],
);
for my $bad (@bad) {
    my $file = write_file(work_dir() . '/bad.conf', "$bad->[0]\n");
    my ($status, $out) = run_any($mailreeve, 'config', 'check', $file);
    $printed .= $out;
    is($status, 1, "refused: " . $bad->[0] =~ s/\n/ /gr);
    like($out, qr/^\Q$file\E:$bad->[1]: .*$bad->[2]/m, '  in the right line');
}
chmod 0644, $key_file;
my ($status, $out) = run_any($mailreeve, 'config', 'check', write_file(work_dir() . '/open.conf', dnsbl([$keyed])));
is($status, 1, 'a key file that others may read is refused');
like($out, qr/mode 600/, 'with what to do');
$printed .= $out;
unlike($printed, qr/\Q$key\E/i, 'in ' . length($printed) . ' bytes of what was printed there is no key');
cmp_ok(length $printed, '>', 50000, 'of which there was much');

# ---- mailreeve dnsbl ----
my $state = write_file(work_dir() . '/state.conf', dnsbl([ $bl, 'wild.test codes=127.0.0.2', 'st.test codes=127.0.0.2' ]));
my $state_zone = write_file(work_dir() . '/state.zone', join '', @zone, "2.0.0.127.st.test. A 127.0.0.2\n");
($status, $out) = run_any($mailreeve, 'dnsbl', 'check', '--config', $state, '--dns-zone', $state_zone);
is($status, 1, 'dnsbl check: one that is sick makes it fail');
like($out, qr/^bl\.test .* sick\n +it does not list its test entry 127\.0\.0\.2\nwild\.test .* sick\n +it lists 127\.0\.0\.1, and so everything\nst\.test .* well$/m, 'and says which and why');
like((run_any($mailreeve, 'dnsbl', 'known'))[1], qr/^spamhaus-zen: .*^dnswl: /ms, 'dnsbl known: the ready ones');

# ---- the example of the sample ----
my ($example) = read_file(source_dir() . '/conf/mailreeve.conf') =~ /^dnsbl \{\n((?:    #   .*\n)+)/m;
$example = join "\n", grep { !/^A good/ } map { s/^ +#   //r } split /\n/, $example;
($status, $out) = run_any($mailreeve, 'config', 'check', write_file(work_dir() . '/example.conf', "dnsbl {\n$example\n}\n"));
is($status, 0, 'the example of the sample is good') or diag($out);
like($example, qr/lists = .*rules = /s, 'and has lists and rules');
done_testing();
