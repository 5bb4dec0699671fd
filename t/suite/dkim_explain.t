#!/usr/bin/perl
# DKIM as an operator sees it in `mailreeve explain`: keys in the DNS, options, and messages made to deceive.
use v5.36;
use JSON::PP qw(decode_json);
use Mail::DKIM::Signer;
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file read_file run_ok);
use Mailreeve::Scenario qw(make_key);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my ($key, $record) = make_key();
my $text = $record =~ s/" "//gr =~ s/"//gr =~ s/^.*?p=//r;
my $now = 1_800_000_000;

# In strings of n bytes.
sub strings ($record, $n) { return $record eq '' ? '""' : join ' ', map { "\"$_\"" } $record =~ /(.{1,$n})/g }
sub key ($selector, $record, $n = 200) { return "$selector._domainkey.good.example. TXT " . strings($record, $n) . "\n" }

my $zone = write_file(work_dir() . '/zone', join '', "_dmarc.good.example. TXT \"v=DMARC1; p=reject\"\n",
    key('plain', "v=DKIM1; k=rsa; p=$text"),
    key('small', "v=DKIM1; k=rsa; p=$text", 7),
    key('blanks', "  v = DKIM1 ;  k = rsa ; p = " . join('  ', $text =~ /(.{1,20})/g) . ' ; '),
    key('noted', "v=DKIM1; n=" . ('note ' x 300) . "; p=$text"),
    key('huge', "v=DKIM1; n=" . ('note ' x 700) . "; p=$text"),
    key('testing', "v=DKIM1; t=y; p=$text"),
    key('strict', "v=DKIM1; t=s; p=$text"),
    key('revoked', 'v=DKIM1; p='),
    key('two', "v=DKIM1; p=$text"), key('two', 'v=DKIM1; p=QUJD'),
    key('beside', 'v=spf1 -all'), key('beside', "v=DKIM1; p=$text"),
    key('empty', ''), key('other', 'v=spf1 -all'),
    "alias._domainkey.good.example. CNAME chain.elsewhere.example.\nchain.elsewhere.example. CNAME key.elsewhere.example.\n",
    'key.elsewhere.example. TXT ', strings("v=DKIM1; p=$text", 200), "\n",
    "lost._domainkey.good.example. CNAME nowhere.example.\n",
    "loop._domainkey.good.example. CNAME loop._domainkey.good.example.\n",
    "*.wild._domainkey.good.example. TXT ", strings("v=DKIM1; p=$text", 200), "\n",
    "address._domainkey.good.example. A 192.0.2.1\n",
    ('a' x 63) . '._domainkey.good.example. TXT ', strings("v=DKIM1; p=$text", 200), "\n",
    "\$SERVFAIL broken._domainkey.good.example\n\$TIMEOUT slow._domainkey.good.example\n");
my $config = write_file(work_dir() . '/conf', "virus { mode = off }\ncontent { workers = 1 tmp_dir = \"" . work_dir() . "\" }\n");
my @base = ('explain', '--config', $config, '--dns-zone', $zone, '--client', '192.0.2.1', '--now', $now, '--rcpt', 'b@dst.example');

sub file ($text) { state $n = 0; return write_file(work_dir() . '/' . ++$n . '.eml', $text) }
sub judged ($text, @arg) { return decode_json(run_ok($mailreeve, @base, '--json', @arg, file($text))) }
sub with_config ($more, $text) {
    my $file = write_file(work_dir() . '/more', read_file($config) . $more);
    return judged($text, '--config', $file);
}
sub codes ($object) { return { map { $_->{code} => $_->{action} } @{ $object->{findings} } } }

my $message = "From: a\@good.example\r\nTo: b\@dst.example\r\nSubject: s\r\n\r\nThe body.\r\n";
sub sign ($selector, %more) {
    my $signer = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => 'relaxed/relaxed', Domain => 'good.example',
        Selector => $selector, KeyFile => $key, Headers => 'from:to:subject', Timestamp => $now - 60, %more);
    $signer->PRINT($more{message} // $message);
    $signer->CLOSE;
    return $signer->signature->as_string . "\r\n";
}

# ---- keys in the DNS ----

for my $case (
    [ plain => 'pass' ], [ small => 'pass' ], [ blanks => 'pass' ], [ noted => 'pass' ], [ testing => 'pass' ], [ strict => 'pass' ],
    [ beside => 'pass' ], [ alias => 'pass' ], [ 'x.wild' => 'pass' ], [ 'x.y.wild' => 'pass' ], [ 'a' x 63, 'pass' ],
    [ huge => 'permerror', 'the key record is too long' ],
    [ revoked => 'permerror', 'the key is revoked' ],
    [ two => 'permerror', 'there is more than one key record' ],
    [ map({ [ $_ => 'permerror', 'there is no key' ] } qw(empty other address lost none wild)) ],
    [ 'a' x 64, 'permerror', 'the signature is malformed' ],
    [ join('.', ('a' x 63) x 4), 'permerror', 'the signature is malformed' ],
    [ 'a..b', 'permerror', 'the signature is malformed' ],
    [ broken => 'temperror', 'the key could not be fetched' ],
    [ slow => 'temperror', 'the key could not be fetched' ],
    [ loop => 'temperror', 'the key could not be fetched' ],
) {
    for my $one (ref $case->[0] ? @$case : $case) {
        my ($selector, $result, $problem) = @$one;
        my $verdict = judged(sign($selector) . $message);
        is_deeply([ @{ $verdict->{dkim}[0] }{qw(result problem)} ], [ $result, $problem ], "$selector: $result");
        is($verdict->{action}, { pass => 'accept', permerror => 'reject', temperror => 'tempfail' }->{$result}, "$selector: DMARC follows");
    }
}

# ---- what is told ----

my $told = judged(sign('strict', Identity => 'list@good.example') . $message)->{dkim}[0];
is_deeply($told, { result => 'pass', domain => 'good.example', selector => 'strict', identity => 'list@good.example',
    algorithm => 'rsa-sha256', key_bits => 2048, testing => JSON::PP::false, problem => undef }, 'all of a signature');
my $below = judged(sign('strict', Identity => 'list@sub.good.example') . $message)->{dkim}[0];
is_deeply([ @{$below}{qw(result problem)} ], [ 'permerror', 'i= is not in the signing domain' ], 't=s: i= must be in d= itself');

# ---- t=y (RFC 6376 3.6.1): like unsigned, whatever an operator has made of dkim.fail ----

my $strict_policy = "policy { dkim.fail = reject dkim.permerror = reject dkim.policy = reject }\ndmarc { mode = off }\n";
my $changed = sign('testing') . $message =~ s/The body/A body/r;
my $testing = with_config($strict_policy, $changed);
is_deeply([ @{ $testing->{dkim}[0] }{qw(result testing)} ], [ 'fail', JSON::PP::true ], 'a failure of a testing domain is shown');
is_deeply([ $testing->{action}, codes($testing)->{'dkim.fail'} ], [ 'accept', undef ], 'and nothing acts upon it');
like($testing->{authres}, qr/dkim=fail \(the body was changed, the domain is\s+testing\)/, 'and it is told in Authentication-Results');
is(with_config($strict_policy, sign('plain') . $message =~ s/The body/A body/r)->{action}, 'reject', 'where any other is acted upon');
is(judged($changed)->{dmarc}{result}, 'fail', 'to DMARC it is no signature');

# ---- many signatures ----

my $many = join '', map({ sign('plain') =~ s/ b=(.)/" b=" . ($1 eq 'A' ? 'B' : 'A')/er } 1 .. 9), sign('plain');
my $ten = judged($many . $message);
is_deeply([ scalar @{ $ten->{dkim} }, $ten->{dkim_ignored}, codes($ten)->{'dkim.too_many'}, $ten->{dmarc}{result} ], [ 8, 2, 'ignore', 'fail' ],
    'ten signatures: eight are verified, two reported as ignored');
$ten = with_config("dkim { signatures_max = 10 }\n", $many . $message);
is_deeply([ scalar @{ $ten->{dkim} }, $ten->{dkim_ignored}, codes($ten)->{'dkim.too_many'}, $ten->{dmarc}{result} ], [ 10, 0, undef, 'pass' ],
    'signatures_max = 10: all are, each with its own result');
is(join(' ', map { $_->{result} } @{ $ten->{dkim} }), 'fail ' x 9 . 'pass', 'in their order');
$ten = with_config("dkim { signatures_max = 1 }\n", $many . $message);
is_deeply([ scalar @{ $ten->{dkim} }, $ten->{dkim_ignored} ], [ 1, 9 ], 'signatures_max = 1');
like(run_ok($mailreeve, @base, file($many . $message)), qr/dkim\.too_many -> ignore: 2 ignored/, 'and told in the table');
my $sixteen = with_config("dkim { signatures_max = 16 }\n", sign('noted') x 20 . $message);
is_deeply([ scalar(grep { $_->{result} eq 'pass' } @{ $sixteen->{dkim} }), $sixteen->{dkim_ignored} ], [ 16, 4 ], 'signatures_max = 16, with long records');

# ---- options ----

is(with_config("dkim { key_bits_min = 2049 }\n", sign('plain') . $message)->{dkim}[0]{problem}, 'the key is shorter than 2049 bits', 'key_bits_min');
for my $case ([ 43_199, '', 'pass' ], [ 43_201, '', 'policy' ], [ 5, 'clock_drift = 4s', 'policy' ], [ 3599, 'clock_drift = 1h', 'pass' ], [ 1, 'clock_drift = 0s', 'policy' ]) {
    my ($ahead, $option, $result) = @$case;
    is(with_config("dkim { $option }\n", sign('plain', Timestamp => $now + $ahead) . $message)->{dkim}[0]{result}, $result, "t= lies $ahead s ahead, $option: $result");
}
for my $case ([ 0, 'pass' ], [ 1, 'policy' ], [ 43_200, 'policy' ]) {
    my ($over, $result) = @$case;
    is(with_config("dkim { clock_drift = 1h }\n", sign('plain', Timestamp => 1, Expiration => $now - $over) . $message)->{dkim}[0]{result}, $result,
        "x= is $over s over: $result");
}
for my $bad ('signatures_max = 0', 'signatures_max = 17', 'key_bits_min = 512', 'clock_drift = 8d') {
    my $file = write_file(work_dir() . '/bad', "dkim { $bad }\n");
    isnt(system("'$mailreeve' config check --config '$file' > /dev/null 2>&1"), 0, "$bad is refused");
}

# ---- messages made to deceive: never a pass that DMARC uses ----

my $signed = sign('plain') . $message;
my $evil = "From: ceo\@good.example\r\n";
my $outside = "From: eve\@outside.example\r\n";
my $fields = "X-F: 1\r\n" x 2500;
my %deceiving = (
    'a second From on top' => $outside . $signed,
    'a second From above the signed one' => $signed =~ s/(?=^From:)/$outside/mr,
    'a second From below' => $signed =~ s/(?=^Subject:)/$outside/mr,
    'a second From of the same domain on top' => $evil . $signed,
    'a second From of the same domain below' => $signed =~ s/(?=^Subject:)/$evil/mr,
    'From with a blank before its colon' => $signed =~ s/(?=^Subject:)/From : eve\@good.example\r\n/mr,
    'From with a tab before its colon, on top' => "FROM\t: eve\@good.example\r\n" . $signed,
    'an empty From on top' => "From:\r\n" . $signed,
    'an empty From below' => $signed =~ s/(?=^Subject:)/From:\r\n/mr,
    'the signed From gone' => $signed =~ s/^From:.*?\r\n//mr,
    'another From in its place' => $signed =~ s/^From:.*?\r\n/$evil/mr,
    'a From behind 2,500 fields' => $signed =~ s/(?=\r\n\r\n)/\r\n$fields$evil/r =~ s/\r\n\r\n\r\n/\r\n\r\n/r,
    'a From in front of 2,500 fields' => $evil . $fields . $signed,
    'a NUL that hides the rest of From' => $signed =~ s/^From: a\@good.example/From: a\@good.example\0, eve\@good.example/mr,
    'a bare CR in From' => $signed =~ s/^From: /From: eve\@good.example,\r/mr,
    'a bare LF and another From' => $signed =~ s/(?=\r\nSubject:)/\nFrom: eve\@good.example/r,
    'a header that ends early' => $signed =~ s/(?=^Subject:)/\r\n/mr,
    'a signature in the body' => $message =~ s/(?=The body)/$signed/r,
    'd= of somebody else' => $signed =~ s/d=good.example/d=evil.example/r,
    'd= above' => $signed =~ s/d=good.example/d=example/r,
);
for my $what (sort keys %deceiving) {
    my $verdict = with_config("policy { message.header_limit = ignore }\n", $deceiving{$what});
    isnt($verdict->{dmarc}{alignment}{dkim}, 'strict', "$what: nothing that DMARC could use ("
        . join(', ', map { $_->{problem} // 'pass' } @{ $verdict->{dkim} }) . ')');
    isnt($verdict->{dmarc}{result}, 'pass', "$what: DMARC does not pass ($verdict->{dmarc}{result}, $verdict->{action})");
    is(scalar(grep { $_->{result} eq 'pass' } @{ $verdict->{dkim} }), 0, "$what: no pass in Authentication-Results either");
}
my $cut = with_config("policy { message.header_limit = ignore }\n", $signed =~ s/(?=\r\n\r\n)/"\r\n" . $fields =~ s{\r\n\z}{}r/er);
is($cut->{dkim}[0]{problem}, 'the message has too many header fields', 'a header that was cut is not judged');

# ---- large ones ----

my $long_body = "From: a\@good.example\r\nTo: b\@dst.example\r\nSubject: s\r\n\r\n" . ('x' x 30_000_000) . "\r\n";
is(judged(sign('plain', message => $long_body) . $long_body)->{dkim}[0]{result}, 'pass', 'a line of 30 MB');
is(judged(sign('plain', message => $long_body) . $long_body . "y\r\n")->{dkim}[0]{result}, 'fail', 'and a line more');
my $long_field = "From: a\@good.example\r\nTo: b\@dst.example\r\nSubject: s\r\nX-Long: " . ('x' x 900_000) . "\r\n\r\nThe body.\r\n";
is(judged(sign('plain') . $long_field)->{dkim}[0]{result}, 'pass', 'a field of 900,000 bytes beside');
done_testing();
