#!/usr/bin/perl
# Who knocks: HELO and the names of the client's address, each its own finding, and iprev in Authentication-Results.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file read_file run_ok);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $zone = write_file(work_dir() . '/zone', <<'END');
7.2.0.192.in-addr.arpa. PTR mail.good.example.
mail.good.example. A 192.0.2.7
mail.good.example. AAAA 2001:db8::7
7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.good.example.
good.example. MX 10 mail.good.example.
9.2.0.192.in-addr.arpa. PTR mail.good.example.
10.2.0.192.in-addr.arpa. PTR pool-192-0-2-10.dsl.isp.example.
pool-192-0-2-10.dsl.isp.example. A 192.0.2.10
11.2.0.192.in-addr.arpa. PTR pool-192-0-2-11.dsl.isp.example.
11.2.0.192.in-addr.arpa. PTR mx.shop.example.
mx.shop.example. A 192.0.2.11
pool-192-0-2-11.dsl.isp.example. A 192.0.2.11
12.2.0.192.in-addr.arpa. PTR pool-192-0-2-12.dsl.isp.example.
12.2.0.192.in-addr.arpa. PTR mx.liar.example.
pool-192-0-2-12.dsl.isp.example. A 192.0.2.12
other.example. A 198.51.100.1
text.example. TXT "x"
claimed.example. A 203.0.113.9
mx.test.example. A 203.0.113.1
dst.example. A 192.0.2.7
web.example. A 192.0.2.7
pool-192-0-2-7.dsl.isp.example. A 192.0.2.7
mail_1.good.example. A 192.0.2.7
$SERVFAIL sick.example
$TIMEOUT 66.2.0.192.in-addr.arpa PTR
67.2.0.192.in-addr.arpa. PTR sick.example.
END

my $mailreeve = test_program('mailreeve');

sub judged ($options, @arg) {
    state $n = 0;
    my $file = write_file(work_dir() . '/conf' . ++$n, "authserv_id = \"mx.test.example\"\nspf { mode = off }\n$options");
    return decode_json(run_ok($mailreeve, 'explain', '--config', $file, '--dns-zone', $zone, '--json', '--from', 'a@sender.example', @arg));
}
sub codes ($object) { return join ' ', map { $_->{code} =~ /^client\.(.*)/ ? "$1=$_->{action}" : () } @{ $object->{findings} } }
sub iprev ($object) { return ($object->{authres} =~ s/\s+/ /gr) =~ /(iprev=.*)/ ? $1 : 'none' }

# The names of the address: client, result, findings, the field.
for my $row (
    [ '192.0.2.7', 'pass', '', 'iprev=pass policy.iprev=192.0.2.7 (mail.good.example)' ],
    [ '2001:db8::7', 'pass', '', 'iprev=pass policy.iprev="2001:db8::7" (mail.good.example)' ],
    [ '192.0.2.8', 'permerror', 'ptr_missing=ignore', 'iprev=permerror (the address has no PTR record) policy.iprev=192.0.2.8' ],
    [ '192.0.2.9', 'fail', 'ptr_unconfirmed=tag', 'iprev=fail (mail.good.example does not lead back to the address) policy.iprev=192.0.2.9 (mail.good.example)' ],
    [ '192.0.2.10', 'pass', 'ptr_generic=tag', 'iprev=pass policy.iprev=192.0.2.10 (pool-192-0-2-10.dsl.isp.example)' ],
    [ '192.0.2.66', 'temperror', 'ptr_temperror=ignore', 'iprev=temperror (the address could not be looked up: timeout) policy.iprev=192.0.2.66' ],
    [ '192.0.2.67', 'temperror', 'ptr_temperror=ignore', 'iprev=temperror (a name of the address could not be looked up: SERVFAIL) policy.iprev=192.0.2.67 (sick.example)' ],
    [ '192.0.2.12', 'pass', 'ptr_generic=tag', 'iprev=pass policy.iprev=192.0.2.12 (pool-192-0-2-12.dsl.isp.example)' ],
) {
    my ($client, $result, $codes, $field) = @$row;
    my $got = judged('', '--client', $client);
    is_deeply([ $got->{iprev}{result}, codes($got), iprev($got) ], [ $result, $codes, $field ], "client $client: iprev=$result");
}
is(judged('', '--client', '192.0.2.7')->{iprev}{name}, 'mail.good.example', 'JSON has the name');
is_deeply([ sort @{ judged('', '--client', '192.0.2.11')->{iprev}{names} } ], [ 'mx.shop.example', 'pool-192-0-2-11.dsl.isp.example' ], 'and all names');
my $unknown = judged('');
is_deeply([ $unknown->{iprev}, codes($unknown), iprev($unknown) ], [ undef, '', 'none' ], 'no client: nothing to check');

# --ptr stands in for a PTR record that the zone does not have.
my @ptr = ('--client', '198.51.100.1', '--ptr');
is(judged('', @ptr, 'other.example')->{iprev}{result}, 'pass', '--ptr, and the name leads back');
is_deeply([ map { ($_->{iprev}{result}, codes($_)) } judged('', @ptr, 'mail.good.example') ], [ 'fail', 'ptr_unconfirmed=tag' ], '--ptr, and it leads elsewhere');
is_deeply([ map { ($_->{iprev}{result}, codes($_)) } judged('', @ptr, '198-51-100-1.dyn.isp.example') ],
    [ 'fail', 'ptr_unconfirmed=tag ptr_generic=tag' ], '--ptr, and the zone does not know it: it is looked at all the same');
is(judged('', @ptr, 'unknown')->{iprev}{result}, 'permerror', 'what an MTA says where it knows none');
is(judged('', '--client', '192.0.2.7', '--ptr', 'other.example')->{iprev}{name}, 'mail.good.example', 'the DNS is believed more');
is(codes(judged("client { generic_exempt = {\"isp.example\"} }\n", '--client', '192.0.2.10')), '', 'generic_exempt');

# HELO: from 192.0.2.7, which has a good name.
for my $row (
    [ 'mail.good.example', '' ],
    [ 'MAIL.good.Example.', '' ],
    [ 'good.example', '' ], # by its mail exchanger
    [ 'web.example', '' ],
    [ 'localhost', 'helo_unqualified=tag' ],
    [ 'DESKTOP-7Q3', 'helo_unqualified=tag' ],
    [ '192.0.2.7', 'helo_bare_address=tag' ],
    [ '[192.0.2.7]', 'helo_literal=ignore' ],
    [ '[192.0.2.9]', 'helo_literal=ignore helo_address_mismatch=tag' ],
    [ '192.0.2.9', 'helo_bare_address=tag helo_address_mismatch=tag' ],
    [ '[203.0.113.5]', 'helo_literal=ignore helo_address_mismatch=tag helo_our_address=tag' ],
    [ '[IPv6:2001:db8::7]', 'helo_literal=ignore helo_address_mismatch=tag' ],
    [ 'mail..example', 'helo_malformed=tag' ],
    [ 'host.123', 'helo_malformed=tag' ],
    [ 'a b;spf=pass', 'helo_malformed=tag' ],
    [ 'mail_1.good.example', 'helo_underscore=ignore' ],
    [ 'other.example', 'helo_mismatch=ignore' ],
    [ 'nothing.example', 'helo_unresolved=ignore' ],
    [ 'text.example', 'helo_unresolved=ignore' ],
    [ 'sick.example', 'helo_temperror=ignore' ],
    [ 'mx.test.example', 'helo_mismatch=ignore helo_ours=tag' ],
    [ 'claimed.example', 'helo_mismatch=ignore helo_ours=tag' ],
    [ 'RCPT.example', 'helo_unresolved=ignore helo_ours=tag' ],
    [ 'dst.example', '' ], # a recipient's domain, but it leads to the client
    [ 'pool-192-0-2-7.dsl.isp.example', 'helo_generic=ignore' ],
    [ '', '' ],
) {
    my ($helo, $codes) = @$row;
    my $got = judged("client { own_names = {\"claimed.example\"} own_addresses = {\"203.0.113.0/29\"} }\n",
        '--client', '192.0.2.7', '--helo', $helo, '--rcpt', 'a@rcpt.example', '--rcpt', 'b@dst.example');
    is(codes($got), $codes, "HELO $helo");
}
my ($detail) = map { $_->{detail} } grep { $_->{code} eq 'client.helo_mismatch' } @{ judged('', '--client', '192.0.2.7', '--helo', 'other.example')->{findings} };
is($detail, 'other.example is 198.51.100.1', 'the detail says where it leads');

# Who is not checked, and what a strict configuration does.
my @bad = ('--client', '192.0.2.8', '--helo', 'localhost', '--rcpt', 'a@rcpt.example');
is(codes(judged('', @bad, '--auth', 'bob')), '', 'who has authenticated is not checked');
is(codes(judged("own_networks = {\"192.0.2.0/24\"}\n", @bad)), '', 'nor who is in own_networks');
is_deeply([ map { ($_->{iprev}, codes($_), iprev($_)) } judged("client { mode = off }\n", @bad) ], [ undef, '', 'none' ], 'mode = off');
my $strict = judged("policy { client.ptr_missing = reject client.helo_unqualified = reject }\n", @bad);
like($strict->{reply}, qr/^550 5\.(7\.25 The client's address has no name|5\.2 HELO must be)/, 'a strict setting rejects, with a reason');
is($strict->{recipients}[0]{action}, 'reject', 'for the recipient');
is(judged("policy { client.ptr_temperror = tempfail }\n", '--client', '192.0.2.66')->{action}, 'tempfail', 'what could not be looked up can be put off');
is(judged('', '--client', '192.0.2.8')->{action}, 'accept', 'what is only missing does nothing by itself');
is(judged('', '--client', '192.0.2.10')->{action}, 'tag', 'what is wrong tags');
# The strict setting of the sample file and of README can be taken as they are.
my ($sample) = read_file(source_dir() . '/conf/mailreeve.conf') =~ /^ *#   A strict setting.*\n((?: *#       client\..*\n)+)/m;
my ($readme) = read_file(source_dir() . '/README') =~ /^    (policy \{\n\s+client\..*?\})/ms;
my %strict = map { $_ => judged($_, '--client', '192.0.2.8', '--helo', 'localhost', '--rcpt', 'a@rcpt.example')->{action} } "policy {\n" . $sample =~ s{^ *#}{}gmr . "}\n", "$readme\n";
is_deeply([ values %strict ], [ 'reject', 'reject' ], 'the strict settings that are shown');
my $table = run_ok($mailreeve, 'explain', '--dns-zone', $zone, '--client', '192.0.2.9', '--helo', 'localhost');
like($table, qr/^  client .*iprev fail: mail\.good\.example does not lead back/m, 'the table tells of it');
done_testing();
