#!/usr/bin/perl
# Internationalized addresses (RFC 6531, 6532, 8616): one domain, however it is written, has one policy.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir test_program write_file run_ok source_dir);
use Mailreeve::Scenario qw(make_key message sign);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my ($key, $record) = make_key();
my $zone = write_file(work_dir() . '/zone', <<"END");
xn--bcher-kva.example. TXT "v=spf1 ip4:192.0.2.7 -all"
_dmarc.xn--bcher-kva.example. TXT "v=DMARC1; p=reject"
sel._domainkey.xn--bcher-kva.example. TXT $record
_dmarc.xn--fa-hia.example. TXT "v=DMARC1; p=reject"
_dmarc.fass.example. TXT "v=DMARC1; p=quarantine"
END
my $config = write_file(work_dir() . '/conf', 'authserv_id = "mx.test.example"' . "\nvirus { databases = {\"" . source_dir()
    . "/conf/signatures\"} }\ncontent { workers = 1 tmp_dir = \"" . work_dir() . "\" }\n");

sub judged ($from, $text, @arg) {
    my $file = write_file(work_dir() . '/message', $text);
    my $json = run_ok(test_program('mailreeve'), 'explain', '--config', $config, '--dns-zone', $zone, '--json', '--client', '192.0.2.9',
        '--from', $from, '--rcpt', 'b@dst.example', @arg, $file);
    return decode_json($json);
}
sub author ($address) { return judged('x@none.example', (message(from => $address))[1]) }

# What is one name to DNS is one name to DMARC.
my $umlaut = "\xc3\xbc";
for my $form ("b${umlaut}cher.example", "B\xc3\x9cCHER.Example", "bu\xcc\x88cher.example", "BU\xcc\x88CHER.example", "b${umlaut}cher\xe3\x80\x82example",
    "b${umlaut}cher\xef\xbc\x8eexample", "b${umlaut}cher\xef\xbd\xa1example", "b${umlaut}c\xc2\xadher.example", 'xn--bcher-kva.example', 'XN--BCHER-KVA.EXAMPLE.',
    "(c)b${umlaut}cher (c) . example") {
    my $got = author("M${umlaut}ller <m${umlaut}ller\@$form>");
    is_deeply([ $got->{dmarc}{domain}, $got->{dmarc}{result}, $got->{action} ], [ 'xn--bcher-kva.example', 'fail', 'reject' ], "a forgery of $form");
}
is(author("a\@fa\xc3\x9f.example")->{dmarc}{disposition}, 'reject', 'sharp s is a letter of its own');
is(author('a@fass.example')->{dmarc}{disposition}, 'quarantine', 'and ss is another name');

# What is no name is no author: never a message without policy.
for my $form ("b${umlaut}\xe2\x80\x8dcher.example", "\xe2\x98\x83.example", "\xd7\x90a.example", "b\xfccher.example", "\xc0\xae.example", "b${umlaut}cher..example",
    'xn--bcher-kva.' . "xn--${umlaut}", 'a' x 64 . ".b$umlaut", ($umlaut x 70) . '.example', "bucher.example\xef\xbc\x8f$umlaut", "[b$umlaut]") {
    my $got = author("m${umlaut}ller\@$form");
    my $code = $form =~ /^\[/ ? 'dmarc.from_unusable' : 'dmarc.from_malformed'; # a literal is no domain to show
    is_deeply([ $got->{dmarc}{result}, (grep { /^dmarc/ } map { $_->{code} } @{ $got->{findings} })[0] ], [ 'permerror', $code ], 'no domain: ' . $form =~ s/[^ -~]/?/gr);
}
is(author("a\@b${umlaut}cher.example, b\@xn--bcher-kva.example")->{dmarc}{result}, 'fail', 'two ways to write it in one field are one domain');
is((grep { $_->{code} eq 'dmarc.from_many' } @{ author("a\@b${umlaut}cher.example, b\@bucher.example")->{findings} }), 1, 'two domains are two');

# Passing: by SPF, and by DKIM however its domain is written.
my $text = (message(from => "M${umlaut}ller <m${umlaut}ller\@b${umlaut}cher.example>", body => "Gr${umlaut}n\n"))[1];
my $spf = judged("m${umlaut}ller\@B\xc3\x9ccher.example", $text, '--client', '192.0.2.7', '--helo', "b${umlaut}cher.example");
is_deeply([ @{ $spf->{spf} }{qw(result domain)}, @{ $spf->{spf_helo} }{qw(result domain)} ], [ ('pass', 'xn--bcher-kva.example') x 2 ], 'SPF, and HELO');
is_deeply([ $spf->{dmarc}{result}, $spf->{dmarc}{alignment}{spf} ], [ 'pass', 'strict' ], 'DMARC by SPF');
like($spf->{authres}, qr/spf=pass smtp\.mailfrom=m\x{fc}ller\@xn--bcher-kva\.example;\s+spf=pass smtp\.helo=xn--bcher-kva\.example;/, 'the field');
for my $domain ('xn--bcher-kva.example', "b${umlaut}cher.example", "bu\xcc\x88cher.example") {
    my $got = judged('x@none.example', sign($key, $domain, $text));
    is_deeply([ @{ $got->{dkim}[0] }{qw(result domain)}, $got->{dmarc}{alignment}{dkim}, $got->{action} ],
        [ 'pass', 'xn--bcher-kva.example', 'strict', 'accept' ], 'DKIM with d=' . $domain =~ s/[^ -~]/?/gr);
    my $changed = judged('x@none.example', sign($key, $domain, $text) =~ s/\x{bc}n/\x{bc}ner/r);
    is_deeply([ $changed->{dkim}[0]{result}, $changed->{action} ], [ 'fail', 'reject' ], 'and the message changed');
}
my $twice = judged('x@none.example', sign($key, "b${umlaut}cher.example", sign($key, 'other.example', $text)));
is_deeply([ map { $_->{result} . (defined $_->{problem} ? " $_->{problem}" : "") } @{ $twice->{dkim} } ], [ 'pass', 'permerror there is no key' ], 'each signature is judged');

# A sender in another code, or in none: ASCII results, and no crash.
my $latin = judged("m\xfcller\@xn--bcher-kva.example", $text, '--client', '192.0.2.7', '--helo', "\xff\xfe");
like($latin->{authres}, qr/\A[ -~\n\t]+\z/, 'Latin-1 does not get into a field');
like($latin->{authres}, qr/spf=pass smtp\.mailfrom=xn--bcher-kva\.example;/, 'the domain does');
done_testing();
