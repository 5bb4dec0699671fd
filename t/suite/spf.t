#!/usr/bin/perl
# SPF as operators see it: two identities, the domain's explanation in the reply, records that are open to all.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir test_program write_file run_ok);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $long = 'x' x 200;
my $zone = write_file(work_dir() . '/zone', <<"END");
good.example. TXT "v=spf1 ip4:192.0.2.0/24 -all"
bad.example. TXT "v=spf1 -all exp=why.bad.example"
why.bad.example. TXT "%{i} is not ours, 100%% sure: see http://bad.example/?%{S}"
fake.example. TXT "v=spf1 -all exp=why.fake.example"
why.fake.example. TXT "all is well (Support-ID: 12345678)"
lines.example. TXT "v=spf1 -all exp=why.lines.example"
why.lines.example. TXT "one\\013\\010550 5.0.0 two"
long.example. TXT "v=spf1 -all exp=why.long.example"
why.long.example. TXT "$long"
helo.example. TXT "v=spf1 ip4:192.0.2.7 -all exp=why.helo.example"
why.helo.example. TXT "%{h} is %{d}"
soft.example. TXT "v=spf1 ~all"
broken.example. TXT "v=spf1 nonsense"
\$SERVFAIL dead.example
tree.example. TXT "v=spf1 a:a1.x.example a:a2.x.example a:a3.x.example a:a4.x.example a:a5.x.example a:a6.x.example -all"
*.x.example. A 10.0.0.1
open.example. TXT "v=spf1 include:inner.example -all"
inner.example. TXT "v=spf1 ip4:0.0.0.0/0"
ptr.example. TXT "v=spf1 ptr -all"
END

sub judged ($options, @arg) {
    state $n = 0;
    my $file = write_file(work_dir() . '/conf' . ++$n, "authserv_id = \"mx.test.example\"\nclient { mode = off }\n$options");
    return decode_json(run_ok(test_program('mailreeve'), 'explain', '--config', $file, '--dns-zone', $zone, '--json', @arg));
}
sub from ($client, $helo, $from, $options = '') { return judged($options, '--client', $client, '--helo', $helo, '--from', $from) }
sub codes ($object) { return join ' ', map { "$_->{code}=$_->{action}" } @{ $object->{findings} } }
sub spf_of ($object) { return [ $object->{authres} =~ /(spf=.*?)(?=;|\z)/gs ] }

my $both = from('192.0.2.7', 'helo.example', 'a@good.example');
is_deeply([ sort keys %{ $both->{spf_helo} } ], [ sort keys %{ $both->{spf} } ], 'spf_helo has the keys of spf');
is_deeply([ @{ $both->{spf} }{qw(result domain scope)} ], [ 'pass', 'good.example', 'mfrom' ], 'MAIL FROM');
is_deeply([ @{ $both->{spf_helo} }{qw(result domain scope)} ], [ 'pass', 'helo.example', 'helo' ], 'and HELO');
is_deeply(spf_of($both), [ 'spf=pass smtp.mailfrom=a@good.example', 'spf=pass smtp.helo=helo.example' ], 'two results');

# HELO: result, finding, field.
for my $row ([ 'helo.example', 'fail', 'spf.helo_fail=tag', 'spf=fail smtp.helo=helo.example' ],
    [ 'HELO.Example.', 'fail', 'spf.helo_fail=tag', 'spf=fail smtp.helo=HELO.Example.' ],
    [ 'soft.example', 'softfail', 'spf.helo_softfail=ignore', 'spf=softfail smtp.helo=soft.example' ],
    [ 'broken.example', 'permerror', 'spf.helo_permerror=ignore',
        "spf=permerror (syntax error in the SPF record at 'nonsense') smtp.helo=broken.example" ],
    [ 'dead.example', 'temperror', 'spf.helo_temperror=ignore', 'spf=temperror (DNS: dead.example TXT: SERVFAIL) smtp.helo=dead.example' ],
    [ 'none.example', 'none', '', 'spf=none (no SPF record) smtp.helo=none.example' ],
    [ '[192.0.2.9]', 'none', '', 'spf=none (no domain name to check) smtp.helo="[192.0.2.9]"' ],
    [ 'localhost', 'none', '', 'spf=none (no domain name to check) smtp.helo=localhost' ],
    [ 'a b;spf=pass', 'none', '', 'spf=none (no domain name to check) smtp.helo="a b?spf=pass"' ]) {
    my ($helo, $result, $codes, $field) = @$row;
    my $got = from('192.0.2.9', $helo, 'a@good.example');
    is_deeply([ $got->{spf}{result}, $got->{spf_helo}{result}, codes($got) ], [ 'pass', $result, $codes ], "HELO $helo");
    like($got->{authres} =~ s/\n\t/ /gr, qr/; \Q$field\E(?:;|\z)/, 'its result in the field');
}
my $null = from('192.0.2.9', 'helo.example', '');
is_deeply($null->{spf_helo}, $null->{spf}, 'the null sender is HELO\'s: one check');
is_deeply([ spf_of($null), codes($null) ], [ ['spf=fail smtp.helo=helo.example'], 'spf.fail=reject' ], 'told once');
my $off = from('192.0.2.9', 'helo.example', 'a@good.example', "spf { helo = no }\n");
is_deeply([ $off->{spf_helo}{result}, spf_of($off), codes($off) ], [ 'none', ['spf=pass smtp.mailfrom=a@good.example'], '' ], 'helo = no');
$off = from('192.0.2.9', 'helo.example', '', "spf { helo = no }\n");
is($off->{spf}{result}, 'fail', 'but for the null sender');
my $each = from('192.0.2.9', 'tree.example', 'a@tree.example');
is_deeply([ $each->{spf}{result}, $each->{spf_helo}{result} ], [ 'fail', 'fail' ], 'six lookups each: the two have a budget of their own');

# The explanation, in the reply.
sub reply_is ($object, $text, $name) { return like($object->{reply}, qr/^550 5\.7\.23 \Q$text\E \(support id \w{8}\)$/, $name) }
reply_is(from('192.0.2.9', 'h', 'a@bad.example'), 'SPF: bad.example does not permit 192.0.2.9 to send its mail; '
    . 'bad.example explains: 192.0.2.9 is not ours, 100% sure: see http://bad.example/?a%40bad.example', 'the domain explains');
reply_is(from('192.0.2.9', 'h', 'a@bad.example', "spf { explanation = no }\n"),
    'SPF: bad.example does not permit 192.0.2.9 to send its mail', 'explanation = no');
reply_is(from('192.0.2.9', 'h', 'a@fake.example'), 'SPF: fake.example does not permit 192.0.2.9 to send its mail', 'no support id but ours');
reply_is(from('192.0.2.9', 'h', 'a@lines.example'), 'SPF: lines.example does not permit 192.0.2.9 to send its mail', 'no second line');
reply_is(from('192.0.2.9', 'h', 'a@long.example'), 'SPF: long.example does not permit 192.0.2.9 to send its mail; '
    . 'long.example explains: ' . 'x' x 160 . '...', 'a long one is cut');
my $label = 'a' x 60;
my $far = "$label.$label.$label.$label";
write_file($zone, do { local (@ARGV, $/) = $zone; <> } . "$far. TXT \"v=spf1 -all exp=why.bad.example\"\n");
my $cut = from('192.0.2.9', 'h', "a\@$far");
cmp_ok(length $cut->{reply}, '<', 512 - 2, 'a reply fits into a line (RFC 5321 4.5.3.1.5) whatever the domain');
like($cut->{reply}, qr/ \(support id \w{8}\)$/, 'and has its support id');
reply_is(from('192.0.2.9', 'helo.example', 'a@good.example', "policy { spf.helo_fail = reject }\n"),
    'SPF: helo.example does not permit 192.0.2.9 to use its name; helo.example explains: helo.example is helo.example', 'HELO');

# Records that are open to all, or weak.
is(codes(from('203.0.113.9', 'h', 'a@open.example')), 'spf.pass_all=ignore', 'a pass that anyone gets');
is(from('203.0.113.9', 'h', 'a@open.example')->{findings}[0]{detail}, 'open.example: ip4:0.0.0.0/0', 'by which term');
is(codes(from('2001:db8::1', 'h', 'a@open.example')), 'spf.fail=reject', 'not with IPv6');
is(codes(from('192.0.2.9', 'h', 'a@ptr.example', "policy { spf.record_weak = \"score 2\" }\n")), 'spf.fail=reject spf.record_weak=score', 'ptr');
is(from('203.0.113.9', 'h', 'a@open.example', "policy { spf.pass_all = quarantine }\n")->{action}, 'quarantine', 'the operator acts');

my $table = run_ok(test_program('mailreeve'), 'explain', '--dns-zone', $zone, '--config', write_file(work_dir() . '/empty', ''), '--client',
    '192.0.2.9', '--helo', 'helo.example', '--from', 'a@good.example');
like($table, qr/pass for good\.example, by "ip4:192\.0\.2\.0\/24"; HELO: fail for\s+helo\.example,\s+by "-all"/, 'the table shows both');
done_testing();
