#!/usr/bin/perl
# What stands in front: the guard against direct delivery, the client behind a trusted relay; and who must use TLS. By explain.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file run_ok);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my $zone = write_file(work_dir() . '/zone', <<'END');
good.example. TXT "v=spf1 ip4:198.51.100.7 ip6:2001:db8:7::/48 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
helo.example. TXT "v=spf1 ip4:198.51.100.7 -all"
relay.example. TXT "v=spf1 -all"
END
my $networks = write_file(work_dir() . '/filter.networks', "# the filter\n192.0.2.0/24 # Europe\n2001:db8:f::/48\n");
my $base = "authserv_id = \"mx.test.example\"\nvirus { databases = {\"" . source_dir() . "/conf/signatures\"} }\n"
    . 'content { workers = 1 tmp_dir = "' . work_dir() . "\" }\n";

sub conf ($text) { state $n = 0; return write_file(work_dir() . '/conf' . ++$n, "${base}client { mode = off } $text") }
sub file ($text) { state $n = 0; return write_file(work_dir() . '/' . ++$n . '.eml', $text) }
sub judge ($config, @arg) {
    return decode_json(run_ok($mailreeve, 'explain', '--config', $config, '--dns-zone', $zone, '--json', @arg));
}
sub found ($object, $code) { return grep { $_->{code} eq $code } @{ $object->{findings} } }
sub codes ($object) { return join ' ', sort map { $_->{code} } grep { $_->{code} =~ /^(?:upstream|tls)\./ } @{ $object->{findings} } }
sub recipients ($object) { return join ' ', map { ($_->{at_rcpt} ? 'at-rcpt-' : '') . $_->{action} } @{ $object->{recipients} } }

# ---- the guard ----

my $guarded = conf("upstream { guard = {\"example.org, .example.org: file:$networks 10.9.9.9\", \"open.example.org: any\"} }\n");
my @to = map { ('--rcpt', $_) } 'a@example.org', 'b@sub.example.org', 'c@open.example.org', 'd@other.example', 'PostMaster@EXAMPLE.org';
sub guard ($client, @more) { return judge($guarded, '--client', $client, '--from', 'x@none.example', @to, @more) }

my $direct = guard('203.0.113.5');
is(recipients($direct), 'at-rcpt-reject at-rcpt-reject accept accept at-rcpt-reject', 'direct: the guarded recipients are refused at RCPT, the others not');
is_deeply([ map { $_->{rcpt} } found($direct, 'upstream.direct') ], [ 'a@example.org', 'b@sub.example.org', 'PostMaster@EXAMPLE.org' ],
    'a finding for each of them');
like($direct->{recipients}[0]{reply}, qr/^550 5\.7\.1 .*MX.*support id \w{8}/, 'with a reply');
is((found($direct, 'upstream.direct'))[0]{detail}, '203.0.113.5 is no upstream host of example.org', 'and a detail');
is($direct->{action}, 'accept', 'the message goes to the others');
for my $client ('192.0.2.9', '::ffff:192.0.2.9', '2001:db8:f:1::25', '10.9.9.9') {
    is(codes(guard($client)), 'upstream.client_unknown', "$client may deliver");
}
is(codes(guard($_)), 'upstream.direct upstream.direct upstream.direct', "$_ may not") for '192.0.3.1', '2001:db8:e::25', '::ffff:203.0.113.5', '10.9.9.8';
is(codes(guard('203.0.113.5', '--auth', 'anna')), '', 'who has logged in may');
is(codes(guard('127.0.0.1')), '', 'and own_networks');
is(codes(judge($guarded, '--from', 'x@none.example', @to)), '', 'an unknown client is not judged');
my $all = conf("upstream { guard = {\"*: $networks\", \"example.net: any\"} }\n" =~ s/\Q$networks\E/file:$networks/r);
is(recipients(judge($all, '--client', '203.0.113.5', @to, '--rcpt', 'x@example.net', '--rcpt', 'nobody')),
    join(' ', ('at-rcpt-reject') x 5, 'accept', 'at-rcpt-reject'), '"*": every domain, and none, but for the exception');
my @many = map { ('--rcpt', "r$_\@example.org") } 1 .. 600;
my $crowd = judge($guarded, '--client', '203.0.113.5', @many);
is(scalar(grep { $_->{at_rcpt} && $_->{action} eq 'reject' } @{ $crowd->{recipients} }), 600, '600 recipients: none slips through');
sub with_guard ($more) { return conf("upstream { guard = {\"example.org: file:$networks\"} $more }\n") }
is(recipients(judge(with_guard('guard_postmaster = no'), '--client', '203.0.113.5', @to)), 'at-rcpt-reject accept accept accept accept',
    'guard_postmaster = no');
my $observed = judge(with_guard('mode = observe'), '--client', '203.0.113.5', '--rcpt', 'a@example.org');
is_deeply([ recipients($observed), map { @{$_}{qw(action configured)} } found($observed, 'upstream.direct') ], [ 'accept', 'ignore', 'reject' ],
    'observe: named, not refused');
my $put_off = judge(conf("upstream { guard = {\"example.org: file:$networks\"} }\npolicy { upstream.direct = tempfail }\n"),
    '--client', '203.0.113.5', '--rcpt', 'a@example.org');
is($put_off->{recipients}[0]{action}, 'tempfail', 'tempfail by policy');
like($put_off->{recipients}[0]{reply}, qr/^451 4\.7\.1 /, 'with 451');

# ---- configuration errors ----

sub refused ($text) {
    my $file = conf($text);
    my $output = `'$mailreeve' config check '$file' 2>&1`;
    return $? == 0 ? 'taken' : $output =~ s/^\Q$file\E:(\d+): /line $1: /r;
}
my $bad = write_file(work_dir() . '/bad.networks', "192.0.2.0/24\n# x\n\n192.0.2.7/24 # host bits\n");
like(refused("upstream {\n\tguard = {\"example.org: 192.0.2.0/24\",\n\t\t\"example.net file:$bad\"}\n}\n"), qr/^line 6: upstream\.guard: .*expected "DOMAIN \.\.\.: SOURCE/,
    'a rule without colon: its line');
like(refused("upstream { guard = {\"example.org: file:$bad\"} }\n"), qr{expected \Q$bad\E:4 to be a network such as .*, not "192\.0\.2\.7/24"},
    'a bad line of a file: file and line');
like(refused("upstream { trusted = {\"file:/nonexistent/x\"} }\n"), qr{/nonexistent/x: No such file or directory}, 'a file that is not there');
like(refused("upstream { trusted = {\"any\"} }\n"), qr/expected guard, a network/, 'nobody can trust any');
like(refused("tls { require_from = {\"bank.example TLSv1.7\"} }\n"), qr/^line 4: tls\.require_from: .*TLSv1\.3/, 'a version that is none');
like(refused("tls { require_clients = {\"192.0.2.1/24\"} }\n"), qr/tls\.require_clients.*no bits set behind the prefix/, 'a network that is none');
is(refused("upstream { guard = {} trusted = {} }\ntls { require_to = {} }\n"), 'taken', 'empty lists are fine');

# ---- the client behind a relay ----

my $trusting = conf("upstream { trusted = {\"192.0.2.0/24\", \"2001:db8:f::/48\"} }\nauthres { received_spf = yes }\n");
my $forged = "Received: from good.example (mail.good.example [198.51.100.7])\n\tby mx1.relay.example (Postfix) with ESMTP id 9; x\n";
sub hop ($from, $helo = 'helo.example', $name = 'unknown') { return "Received: from $helo ($name [$from])\n\tby mx1.relay.example (Postfix) with ESMTPS id 1\n\tfor <a\@example.org>; x\n" }
sub message ($received, $from = 'a@good.example') { return file("${received}From: $from\nTo: b\@example.org\nSubject: test\n\nHello.\n") }
sub relayed ($received, @arg) { return judge($trusting, '--client', '192.0.2.25', '--ptr', 'mx1.relay.example', '--helo', 'relay.example', '--from', 'a@good.example', '--rcpt', 'b@example.org', @arg, message($received)) }
sub client ($object) { my $u = $object->{upstream}; return join ' ', map { $_ // '-' } @{$u}{qw(client client_name helo hops)} }

my $true = relayed(hop('198.51.100.7', 'helo.example', 'mail.good.example') . $forged);
is(client($true), '198.51.100.7 mail.good.example helo.example 1', 'client, name and HELO are the true ones');
is_deeply([ $true->{upstream}{relay}, $true->{upstream}{recovered} ], [ '192.0.2.25', JSON::PP::true ], 'the relay is told too');
is_deeply([ @{ $true->{spf} }{qw(result domain)}, @{ $true->{spf_helo} }{qw(result domain)}, $true->{dmarc}{result}, $true->{action} ],
    [ 'pass', 'good.example', 'pass', 'helo.example', 'pass', 'accept' ], 'SPF of both identities and DMARC are by it');
my ($spf) = map { $_->{value} } grep { $_->{name} eq 'Received-SPF' } @{ $true->{edits} };
like($spf, qr/client-ip=198\.51\.100\.7; helo=helo\.example;/, 'Received-SPF shows it');
like($true->{authres}, qr/smtp\.helo=helo\.example/, 'and Authentication-Results');
my $spam = relayed(hop('203.0.113.66') . $forged);
is_deeply([ client($spam), $spam->{spf}{result}, $spam->{action} ], [ '203.0.113.66 - helo.example 1' =~ s/ -/ /r, 'fail', 'reject' ],
    'a forged Received below the client is not believed');
is(relayed($forged =~ s/198\.51\.100\.7/203.0.113.1/r . hop('198.51.100.7'))->{spf}{result}, 'fail', 'only the topmost counts');
my $chain = hop('127.0.0.1') . hop('10.1.2.3') . "Received: by filter with SMTP id 1; x\n" . hop('192.0.2.77') . hop('2001:db8:f::1') =~ s/\[2001/[IPv6:2001/r;
is(client(relayed($chain . hop('198.51.100.7', 'helo.example') . $forged)), '198.51.100.7  helo.example 6', 'hosts of the relay are passed over');
is(client(relayed(hop('IPv6:2001:db8:7::1') . $forged)), '2001:db8:7::1  helo.example 1', 'an IPv6 client');
my $other = judge($trusting, '--client', '203.0.113.9', '--from', 'a@good.example', '--rcpt', 'b@example.org', message(hop('198.51.100.7')));
is_deeply([ $other->{upstream}, $other->{spf}{result} ], [ undef, 'fail' ], 'from a host that is not trusted no Received counts');
is(judge($trusting, '--client', '192.0.2.25', '--auth', 'anna', '--from', 'a@good.example', message(hop('198.51.100.7')))->{direction}, 'outbound',
    'who logs in at a trusted address is a user');
my $strict = conf("upstream { trusted = {\"192.0.2.0/24\"} private_hops = no }\n");
is(client(judge($strict, '--client', '192.0.2.25', '--from', 'a@good.example', message(hop('10.1.2.3') . hop('198.51.100.7')))), '10.1.2.3  helo.example 1',
    'private_hops = no: a private address is a client');
is(client(judge($guarded, '--client', '192.0.2.25', '--from', 'a@good.example', message(hop('198.51.100.7')))), '198.51.100.7  helo.example 1',
    'by default the networks of the guard are trusted');
is(judge(conf("upstream { guard = {\"example.org: 192.0.2.0/24\"} trusted = {} }\n"), '--client', '192.0.2.25', message(hop('198.51.100.7')))->{upstream}, undef,
    'but not with trusted = {}');

my %unknown = ('' => 'there is no Received field', hop('192.0.2.7') => 'all Received fields are of hosts inside',
    "Received: from somewhere by relay; x\n$forged" => 'a Received field cannot be read',
    "Received: by mx1.relay.example (Postfix, from userid 33) id 1; x\n$forged" => 'it was submitted at mx1.relay.example',
    "Received: from pc (dsl [203.0.113.66]) (Authenticated sender: anna)\n by mx1.relay.example (Postfix) with ESMTPSA id 1; x\n$forged" => 'a user who had logged in gave it to mx1.relay.example');
for my $received (sort keys %unknown) {
    my $object = relayed($received);
    is_deeply([ $object->{upstream}{recovered}, $object->{upstream}{client}, $object->{upstream}{problem} ], [ JSON::PP::false, undef, $unknown{$received} ],
        "client not known: $unknown{$received}");
    is_deeply([ codes($object), $object->{spf}{result}, $object->{action} ], [ 'upstream.client_unknown', 'none', 'accept' ],
        'SPF is none, and neither it nor DMARC fails for the relay\'s address');
    is($object->{dmarc}{override}{type}, 'local_policy', 'DMARC tells why');
}
my $envelope = judge($trusting, '--client', '192.0.2.25', '--from', 'a@good.example', '--rcpt', 'b@example.org');
is_deeply([ $envelope->{action}, $envelope->{upstream}{problem} ], [ 'accept', 'there is no Received field' ], 'an envelope alone comes to an end too');
like(run_ok($mailreeve, 'explain', '--config', $trusting, '--dns-zone', $zone, '--client', '192.0.2.25', '--from', 'a@good.example', message(hop('198.51.100.7'))),
    qr/client 198\.51\.100\.7 by way of\s+192\.0\.2\.25/, 'the table names both addresses');

# ---- TLS ----

my $tls = conf(<<'END');
tls {
    require_from = {"bank.example TLSv1.2", ".bank.example", "old.bank.example none"}
    require_to = {"secret.example TLSv1.3"}
    require_clients = {"192.0.2.0/24", "192.0.2.128/25 TLSv1.2"}
    minimum_version = TLSv1.1
}
END
sub by_tls ($version, $from, $client = '203.0.113.5', @more) {
    return judge($tls, '--client', $client, '--from', $from, '--rcpt', 'a@secret.example', '--rcpt', 'b@open.example', defined $version ? ('--tls', $version) : (), @more);
}
for my $row (
    [ undef, 'x@none.example', '203.0.113.5', 'at-rcpt-reject accept' ], [ 'none', 'x@none.example', '203.0.113.5', 'at-rcpt-reject accept' ],
    [ 'TLSv1.2', 'x@none.example', '203.0.113.5', 'at-rcpt-reject accept' ], [ 'TLSv1.3', 'x@none.example', '203.0.113.5', 'accept accept' ],
    [ undef, 'x@bank.example', '203.0.113.5', 'at-rcpt-reject at-rcpt-reject' ], [ 'TLSv1.1', 'x@bank.example', '203.0.113.5', 'at-rcpt-reject at-rcpt-reject' ],
    [ 'TLSv1.2', 'x@bank.example', '203.0.113.5', 'at-rcpt-reject accept' ], [ 'TLSv1', 'x@a.bank.example', '203.0.113.5', 'at-rcpt-reject at-rcpt-reject' ],
    [ 'TLSv1.1', 'x@a.bank.example', '203.0.113.5', 'at-rcpt-reject accept' ], [ undef, 'x@old.bank.example', '203.0.113.5', 'at-rcpt-reject accept' ],
    [ undef, 'x@none.example', '192.0.2.1', 'at-rcpt-reject at-rcpt-reject' ], [ 'TLSv1.1', 'x@none.example', '192.0.2.200', 'at-rcpt-reject at-rcpt-reject' ],
    [ 'TLSv1.2', 'x@none.example', '192.0.2.200', 'at-rcpt-reject accept' ], [ 'TLSv1.3', 'x@bank.example', '192.0.2.200', 'accept accept' ],
) {
    my ($version, $from, $client, $expected) = @$row;
    is(recipients(by_tls($version, $from, $client)), $expected, ($version // 'no TLS') . " from <$from> at $client");
}
my $plain = by_tls(undef, 'x@bank.example');
like($plain->{recipients}[1]{reply}, qr/^550 5\.7\.10 .*STARTTLS/, 'the reply asks for STARTTLS');
is((found($plain, 'tls.none'))[0]{detail}, 'mail from bank.example must be sent by TLS', 'the detail tells whose rule it is');
my $old = by_tls('TLSv1.1', 'x@bank.example');
like($old->{recipients}[1]{reply}, qr/^550 5\.7\.10 .*TLSv1\.2 or newer/, 'an old version: the one that is needed');
is(recipients(by_tls(undef, 'x@bank.example', '127.0.0.1')), 'accept accept', 'mail of our own is not asked');
is(recipients(by_tls(undef, 'x@bank.example', '203.0.113.5', '--auth', 'anna')), 'accept accept', 'nor that of users');
is($plain->{tls}, undef, 'tls is null without TLS');
my $cert = by_tls('TLSv1.3', 'x@bank.example', '203.0.113.5', '--tls-cipher', 'TLS_AES_256_GCM_SHA384', '--tls-bits', 256, '--tls-cert', '/CN=mail.bank.example',
    '--tls-cert-issuer', '/CN=CA', '--tls-cert-verified', 'yes');
is_deeply($cert->{tls}, { version => 'TLSv1.3', cipher => 'TLS_AES_256_GCM_SHA384', bits => 256,
    client_cert => { verified => JSON::PP::true, subject => '/CN=mail.bank.example', issuer => '/CN=CA' } }, 'what the session has');
is(codes(by_tls('TLSv1.3', 'x@none.example', '203.0.113.5', '--tls-cipher', $_)), 'tls.weak_cipher', "$_ is weak") for 'DES-CBC3-SHA', 'ECDHE-RSA-RC4-SHA', 'NULL-SHA256';
is(codes(by_tls('TLSv1.3', 'x@none.example', '203.0.113.5', '--tls-cipher', 'X', '--tls-bits', 56)), 'tls.weak_cipher', 'as is a short key');
is(codes(by_tls('TLSv1.3', 'x@none.example', '203.0.113.5', '--tls-cipher', $_, '--tls-bits', 128)), '', "$_ is not") for 'AES128-SHA', 'ECDHE-ECDSA-CHACHA20-POLY1305';
is(by_tls('TLSv1.3', 'x@none.example', '203.0.113.5', '--tls-cipher', 'RC4-MD5')->{action}, 'accept', 'which by default is only named');
is(codes(judge(conf(''), '--client', '203.0.113.5', '--from', 'x@bank.example', @to)), '', 'by default nothing is asked');
my $ledger = judge(conf("tls { mode = observe require_from = {\"*\"} }\n"), '--client', '203.0.113.5', '--from', 'x@bank.example', '--rcpt', 'a@x.example');
is_deeply([ recipients($ledger), map { @{$_}{qw(code action configured)} } found($ledger, 'tls.none') ], [ 'accept', 'tls.none', 'ignore', 'reject' ],
    'observe: what requiring TLS of all would have refused');
my $behind = judge(conf("upstream { trusted = {\"192.0.2.0/24\"} }\ntls { require_from = {\"*\"} require_to = {\"secret.example\"} }\n"), '--client', '192.0.2.25',
    '--from', 'a@good.example', '--rcpt', 'a@secret.example', '--rcpt', 'b@example.org', message(hop('198.51.100.7')));
is(recipients($behind), 'at-rcpt-reject accept', 'behind a relay the rules for senders do not count: it has their session');
done_testing();
