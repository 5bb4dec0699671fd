#!/usr/bin/perl
# Country and network of the client: facts, rules, configuration, databases that are missing or damaged.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Mmdb qw(write_mmdb);
use Mailreeve::Process qw(work_dir test_program write_file run_ok);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my $zone = write_file(work_dir() . '/zone', "good.example. TXT \"x\"\n");
my $se = write_mmdb(work_dir() . '/se.mmdb', 'SE', 64496);
my $junk = write_file(work_dir() . '/junk.mmdb', 'junk');
my $both = "country_database = \"$se\" asn_database = \"$se\"";

sub config ($geo, $more = '') {
    state $n = 0;
    return write_file(work_dir() . '/conf' . ++$n, "authserv_id = \"mx.test.example\"\nspf { mode = off }\nclient { mode = off }\ngeo { $geo }\n$more");
}

sub judged ($config, @arg) {
    my @command = ($mailreeve, 'explain', '--config', $config, '--dns-zone', $zone, '--json', '--from', 'a@good.example', '--rcpt', 'b@dst.example', @arg);
    return decode_json(scalar qx{'@{[ join "' '", @command ]}' 2> /dev/null}); # where it says what is refused
}
sub codes ($object) { return join ' ', map { $_->{code} =~ /^geo\.(.*)/ ? "$1=$_->{action}" : () } @{ $object->{findings} } }
sub check ($config) { return scalar `'$mailreeve' config check '$config' 2>&1` }

is_deeply(judged(config($both), '--client', '1.2.3.4')->{geo}, { country => 'SE', asn => 64496, as_name => 'Example Net' }, 'the facts');
is_deeply(judged(config($both), '--client', '200.2.3.4')->{geo}, { country => undef, asn => undef, as_name => undef }, 'of an address that is not there');
is_deeply(judged(config($both))->{geo}, { country => undef, asn => undef, as_name => undef }, 'and of none');
is(judged(config("country_database = \"$se\" asn_database = \"\""), '--client', '1.2.3.4')->{geo}{asn}, undef, 'one database alone');
is(judged(config($both), '--client', '1.2.3.4', '--auth', 'bob')->{geo}{country}, 'SE', 'outbound too');

# Lists know a client by its country and network.
for my $entry ('country:SE', 'asn:64496', 'AS64496') {
    my $blocking = config($both, "lists { block = {\"$entry\"} }\n");
    is(judged($blocking, '--client', '1.2.3.4')->{recipients}[0]{action}, 'reject', "$entry blocks");
    is(judged($blocking, '--client', '200.2.3.4')->{recipients}[0]{action}, 'accept', '  nobody else');
}
my $rule = 'countries = {"SE"} ' . $both;
is(judged(config($rule, "policy { geo.country = reject }\n"), '--client', '1.2.3.4')->{action}, 'reject', 'a rule rejects');
is(judged(config($rule, "policy { geo.country = reject }\nlists { allow = {\"asn:64496\"} }\n"), '--client', '1.2.3.4')->{action}, 'accept', 'an allow entry by network lifts that');
is(judged(config($rule, "policy { geo.country = \"reject enforced\" }\nlists { allow = {\"asn:64496\"} }\n"), '--client', '1.2.3.4')->{action}, 'reject', 'but not what is enforced');

# Rules: options, address, findings.
for my $row (
    [ '', '1.2.3.4', '' ],
    [ 'countries = {"se", "XX"}', '1.2.3.4', 'country=tag' ],
    [ 'countries = {"NO"}', '1.2.3.4', '' ],
    [ 'countries = {"SE"}', '200.2.3.4', '' ],
    [ 'only_countries = {"SE"}', '1.2.3.4', '' ],
    [ 'only_countries = {"NO", "DK"}', '1.2.3.4', 'country_not_listed=tag' ],
    [ 'only_countries = {"NO"}', '200.2.3.4', 'country_unknown=ignore' ],
    [ 'asns = {"AS64496"}', '1.2.3.4', 'asn=tag' ],
    [ 'asns = {"1", "64496"}', '1.2.3.4', 'asn=tag' ],
    [ 'asns = {"as64497"}', '1.2.3.4', '' ],
    [ 'user_countries = {"NO"}', '1.2.3.4', '' ],
) {
    my ($options, $client, $codes) = @$row;
    is(codes(judged(config("$both $options"), '--client', $client)), $codes, "$client with $options");
}
my $away = config("$both countries = {\"SE\"} user_countries = {\"NO\"}");
is(codes(judged($away, '--client', '1.2.3.4', '--auth', 'bob')), 'user_country=tag', 'a user from elsewhere; rules for strangers are not for him');
is(codes(judged(config("$both user_countries = {\"SE\"}"), '--client', '1.2.3.4', '--auth', 'bob')), '', 'a user from where users are');
my $reject = judged(config("$both countries = {\"SE\"}", "policy { geo.country = reject }\n"), '--client', '1.2.3.4');
like($reject->{reply}, qr/^550 5\.7\.1 Mail from the client's country is not taken here/, 'a rule that rejects');
is($reject->{recipients}[0]{action}, 'reject', 'for each recipient');
my $domain = judged(config("$both countries = {\"SE\"}", "domain \"dst.example\" { geo.country = quarantine }\n"), '--client', '1.2.3.4');
is($domain->{recipients}[0]{action}, 'quarantine', 'another for a domain');

# Databases that cannot be used.
for my $file ($junk, '/nonexistent/x.mmdb') {
    my $got = judged(config("country_database = \"$file\" asn_database = \"\" countries = {\"SE\"} only_countries = {\"NO\"}"), '--client', '1.2.3.4');
    is_deeply([ $got->{action}, codes($got) ], [ 'accept', 'unavailable=ignore' ], "$file: what cannot be looked up is no country");
}
is(judged(config('country_database = "/nonexistent/x.mmdb" countries = {"SE"}', "policy { geo.unavailable = tempfail }\n"), '--client', '1.2.3.4')->{action},
    'tempfail', 'and can be insisted on');
like(check(config("country_database = \"$junk\"")), qr/^warning: geo\.country_database: \Q$junk\E: it is no MaxMind DB file/m, 'config check says so');
like(check(config('asn_database = "/nonexistent/x.mmdb"')), qr/^warning: geo\.asn_database: \/nonexistent\/x\.mmdb: No such file/m, 'and what is missing');
like(check(config('country_database = "" countries = {"SE"}')), qr/^warning: geo has rules on countries, but no database/m, 'and rules without a database');
unlike(check(config($both)), qr/warning: geo\./, 'and nothing where all is well');
for my $wrong ('countries = {"SWE"}', 'only_countries = {"S1"}', 'user_countries = {""}', 'asns = {"0"}', 'asns = {"ASN1"}', 'asns = {"4294967296"}') {
    like(check(config($wrong)), qr/:4: .*expected a list of (countries|autonomous systems)/, "refused: $wrong");
}
my $table = run_ok($mailreeve, 'explain', '--config', config($both), '--dns-zone', $zone, '--client', '1.2.3.4');
like($table, qr/^  geo .*SE, AS64496 Example Net$/m, 'the table tells of it');
done_testing();
