#!/usr/bin/perl
# mailreeve explain: the contract that operators and programs share.
use v5.36;
use Encode ();
use JSON::PP qw(decode_json);
use Mail::AuthenticationResults::Parser;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file read_file run_ok);
use Mailreeve::Scenario qw(eicar make_key sign message);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my ($key, $record) = make_key();
my $zone = write_file(work_dir() . '/zone', <<"END");
good.example. TXT "v=spf1 ip4:192.0.2.0/24 -all exp=why.good.example"
why.good.example. TXT "%{i} is not ours"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
sel._domainkey.good.example. TXT $record
quar.example. TXT "v=spf1 -all"
_dmarc.test.example. TXT "v=DMARC1; p=reject; t=y"
fwd.example. TXT "v=spf1 ip4:198.51.100.8 -all"
sel._domainkey.fwd.example. TXT $record
lists.example. TXT "v=spf1 ip4:198.51.100.9 -all"
_dmarc.quar.example. TXT "v=DMARC1; p=quarantine"
\$SERVFAIL broken.example
\$SERVFAIL _dmarc.broken.example
END
my $config = write_file(work_dir() . '/conf', 'authserv_id = "mx.test.example"' . "\n"
    . 'virus { databases = {"' . source_dir() . "/conf/signatures\"} }\ncontent { workers = 1 tmp_dir = \"" . work_dir() . "\" }\n");
my @base = ('explain', '--config', $config, '--dns-zone', $zone, '--helo', 'mail.example', '--rcpt', 'b@dst.example');

sub file ($text) { state $n = 0; return write_file(work_dir() . '/' . ++$n . '.eml', $text) }
sub judged (@arg) { return map { decode_json($_) } split /\n/, run_ok($mailreeve, @base, '--json', @arg) }
sub codes ($object) { return { map { $_->{code} => $_->{action} } @{ $object->{findings} } } }

my (undef, $clean) = message(from => 'a@good.example', headers => "Authentication-Results: mx.test.example; dkim=pass\n");
my $clean_file = file($clean);
my ($pass) = judged('--client', '192.0.2.7', '--from', 'a@good.example', $clean_file);
for my $wanted (qw(file action reply direction spf dkim arc dmarc authres attachments virus bayes score findings recipients edits)) {
    ok(exists $pass->{$wanted}, "key $wanted");
}
is($pass->{file}, $clean_file, 'file');
is($pass->{action}, 'accept', 'a clean message is accepted');
is($pass->{direction}, 'inbound', 'inbound');
is_deeply([ @{ $pass->{spf} }{qw(result domain scope)} ], [ 'pass', 'good.example', 'mfrom' ], 'spf');
is_deeply([ @{ $pass->{dmarc} }{qw(result policy disposition domain org_domain)} ],
    [ 'pass', 'reject', 'none', 'good.example', 'good.example' ], 'dmarc');
is_deeply($pass->{dmarc}{alignment}, { spf => 'strict', dkim => 'none' }, 'alignment');
like($pass->{authres}, qr/^mx\.test\.example;.*spf=pass.*dmarc=pass/s, 'authres');
is_deeply($pass->{recipients}, [ { rcpt => 'b@dst.example', action => 'accept', fate => 'sent', reply => undef, at_rcpt => JSON::PP::false, score => 0, reason => undef } ],
    'recipients');
is_deeply([ map { [ @{$_}{qw(edit name index)} ] } @{ $pass->{edits} } ],
    [ [ 'delete_header', 'Authentication-Results', 1 ], [ 'insert_header', 'Authentication-Results', 0 ] ],
    'edits: the forged one goes, ours comes');
ok(!defined $pass->{$_}, "$_ is null") for qw(bayes virus reply);
is_deeply($pass->{attachments}, [], 'attachments: none; the text of the message is none');
is_deeply($pass->{arc}, { result => 'none', instances => 0, sealer => undef, oldest_pass => undef, sets => [], trusted => JSON::PP::false, sealed => undef,
    problem => undef }, 'arc: no chain');

my ($fail) = judged('--client', '198.51.100.7', '--from', 'a@good.example', $clean_file);
is($fail->{action}, 'reject', 'a forgery is rejected');
like($fail->{reply}, qr/^550 5\.7\.1 DMARC.*good\.example.*support id \w{8}/, 'with a reply');
is($fail->{spf}{explanation}, '198.51.100.7 is not ours', 'the explanation of SPF');
is(codes($fail)->{'dmarc.reject'}, 'reject', 'the finding that decided');

my ($signed) = judged('--client', '198.51.100.7', '--from', 'x@none.example', file(sign($key, 'good.example', $clean)));
is($signed->{action}, 'accept', 'a signed one is accepted from anywhere');
is_deeply([ @{ $signed->{dkim}[0] }{qw(result domain selector algorithm problem key_bits)} ],
    [ 'pass', 'good.example', 'sel', 'rsa-sha256', undef, 2048 ], 'dkim');
my ($changed) = judged('--client', '198.51.100.7', '--from', 'x@none.example', file(sign($key, 'good.example', $clean) =~ s/This is/It is/r));
is_deeply([ $changed->{action}, $changed->{dkim}[0]{result}, $changed->{dkim}[0]{problem} ], [ 'reject', 'fail', 'the body was changed' ],
    'changed: rejected');

my ($held) = judged('--client', '198.51.100.7', '--from', 'a@quar.example', file((message(from => 'a@quar.example'))[1]));
is($held->{action}, 'quarantine', 'p=quarantine');
my ($put_off) = judged('--client', '198.51.100.7', '--from', 'a@broken.example', file((message(from => 'a@broken.example'))[1]));
is($put_off->{action}, 'tempfail', 'DNS is broken: never a reject');
is_deeply([ $put_off->{spf}{result}, $put_off->{dmarc}{result} ], [ 'temperror', 'temperror' ], 'temperror, twice');
like($put_off->{reply}, qr/^451 4\.7\.24 /, 'with 451');

my $body = "--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" . encode_base64(eicar()) . "--b--\n";
my $virus = file((message(from => 'a@good.example', body => $body,
    headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"))[1]);
my @both = judged('--client', '192.0.2.7', '--from', 'a@good.example', $clean_file, $virus);
is_deeply([ map { $_->{action} } @both ], [ 'accept', 'reject' ], 'several messages: one line each, in order');
like($both[1]{virus}, qr/Eicar/, 'the name of the virus');
is(codes($both[1])->{'virus.found'}, 'reject', 'its finding');
my ($outbound) = judged('--client', '198.51.100.7', '--auth', 'user', '--from', 'a@good.example', $clean_file);
is_deeply([ $outbound->{direction}, $outbound->{action}, $outbound->{authres} ], [ 'outbound', 'accept', undef ],
    'authenticated: outbound, not judged');
my ($own) = judged('--client', '127.0.0.1', '--from', 'a@good.example', $virus);
is_deeply([ $own->{direction}, $own->{action} ], [ 'outbound', 'reject' ], 'own network: outbound, but scanned');

my ($envelope) = judged('--client', '198.51.100.7', '--from', 'a@good.example');
is_deeply([ $envelope->{file}, $envelope->{spf}{result}, $envelope->{action} ], [ undef, 'fail', 'reject' ], 'the envelope alone');
my ($author) = judged('--client', '192.0.2.7', $clean_file);
is($author->{spf}{domain}, 'good.example', 'without --from: the author');
my ($returned) = judged('--client', '192.0.2.7', file("Return-Path: <r\@quar.example>\n$clean"));
is($returned->{spf}{domain}, 'quar.example', 'or the Return-Path');
my ($unknown) = judged('--from', 'a@good.example', $clean_file);
is_deeply([ $unknown->{spf}{result}, $unknown->{spf}{problem} ], [ 'none', "the client's address is not known" ], 'without --client: no SPF');
my ($piped) = map { decode_json($_) } split /\n/, `'$mailreeve' @base --json --client 192.0.2.7 - < '$clean_file'`;
is_deeply([ $piped->{file}, $piped->{dmarc}{result} ], [ '-', 'pass' ], 'from standard input');
my ($odd) = judged('--client', '192.0.2.7', '--from', "\"\xff\x01\"\@good.example", file("Subject: \xff\x00\x1b[2J\n\nx"));
is($odd->{action}, 'tag', 'bytes that are no UTF-8 are shown, and a message without From is named');
my @none = judged('--client', '192.0.2.7', '--from', 'a@good.example', file(''), file("\n"), file("\r\n\r\n"), file('x' x 100_000));
is(scalar @none, 4, 'messages that hardly are: one verdict each');

# What an operator sets: modes of stages, actions, outbound.
sub with_config ($text, @arg) {
    state $n = 0;
    my $file = write_file(work_dir() . '/set' . ++$n, read_file($config) . $text);
    my @line = @base;
    $line[2] = $file;
    return decode_json(run_ok($mailreeve, @line, '--json', @arg));
}
my @forged = ('--client', '198.51.100.7', '--from', 'a@good.example', $clean_file);
my $set = with_config("dmarc { mode = observe }\n", @forged);
is_deeply([ $set->{action}, codes($set)->{'dmarc.reject'} ], [ 'tag', 'ignore' ], 'observe: found, not acted upon');
is((grep { $_->{code} eq 'dmarc.reject' } @{ $set->{findings} })[0]{configured}, 'reject', 'but told what it would have done');
$set = with_config("dmarc { mode = tag }\n", @forged);
is_deeply([ $set->{action}, codes($set)->{'dmarc.reject'} ], [ 'tag', 'tag' ], 'tag: a reject becomes a tag');
like($set->{edits}[0]{value}, qr/^tag; id=\w+;\s+finding=dmarc\.reject;\s+finding=spf\.fail_dmarc_policy$/, 'named in X-Mailreeve-Verdict');
$set = with_config("dmarc { mode = off }\n", @forged);
is_deeply([ $set->{action}, codes($set)->{'spf.fail'}, $set->{dmarc}{result} ], [ 'reject', 'reject', 'none' ], 'off: SPF judges alone');
$set = with_config("policy { dmarc.reject = quarantine }\n", @forged);
is($set->{action}, 'quarantine', 'another action');
$set = with_config("policy { dmarc.reject = \"score 3.5\" spf.fail_dmarc_policy = \"score 1\" }\n", @forged);
is_deeply([ $set->{action}, $set->{score} ], [ 'accept', 4.5 ], 'points add up');
$set = with_config("policy { virus.found = discard }\n", '--client', '192.0.2.7', '--from', 'a@good.example', $virus);
is($set->{action}, 'discard', 'discard');
$set = with_config("policy { virus.found = discard dmarc.reject = tempfail }\n", '--client', '198.51.100.7', '--from', 'a@good.example', $virus);
is($set->{action}, 'discard', 'the strictest of all findings counts');
$set = with_config("outbound { virus.found = quarantine }\n", '--client', '127.0.0.1', '--from', 'a@good.example', $virus);
is($set->{action}, 'quarantine', 'outbound has actions of its own');
$set = with_config("outbound { virus.found = quarantine }\n", '--client', '192.0.2.7', '--from', 'a@good.example', $virus);
is($set->{action}, 'reject', 'which are not those of inbound mail');
$set = with_config("inspect { mode = observe }\n", '--client', '192.0.2.7', '--from', 'a@good.example', $virus);
is($set->{action}, 'reject', 'a stage that only observes does not keep another from acting');
$set = with_config("header_count_max = 50\n", '--client', '192.0.2.7', '--from', 'a@good.example',
    file(join '', map({ "X-$_: 1\n" } 1 .. 60), $clean));
is(codes($set)->{'message.header_limit'}, 'reject', 'too many header fields');
$set = with_config("message_max = 64K\n", '--client', '192.0.2.7', '--from', 'a@good.example', file($clean . "x\n" x 40_000));
like($set->{reply}, qr/^552 5\.3\.4 /, 'too large a message');

# The rules that lift a DMARC failure, and what else differs from what the domain asks for.
sub override_of ($judged) { return [ @{ $judged->{dmarc} }{qw(result policy asked disposition override)} ] }
my $listed = file((message(from => 'a@good.example', headers => "List-Id: Dev <dev.lists.example>\n"))[1]);
my $rules = 'dmarc { trusted_forwarders = {"203.0.113.0/24"} trusted_forwarder_domains = {"fwd.example"} mailing_lists = {"lists.example"} }' . "\n";
is_deeply(override_of($fail), [ 'fail', 'reject', 'reject', 'reject', undef ], 'by default nothing is lifted');
$set = with_config($rules, '--client', '203.0.113.5', '--from', 'a@good.example', $clean_file);
is_deeply(override_of($set), [ 'fail', 'reject', 'reject', 'none',
    { type => 'trusted_forwarder', comment => 'trusted_forwarders: client 203.0.113.5' } ], 'a trusted forwarder');
is_deeply([ $set->{action}, @{ codes($set) }{qw(dmarc.override dmarc.reject spf.fail_dmarc_pass)} ], [ 'accept', 'ignore', undef, 'ignore' ],
    'is accepted, with a finding of its own');
like($set->{authres}, qr/dmarc=fail \(p=reject dis=none trusted_forwarder:\s+trusted_forwarders:\s+client\s+203\.0\.113\.5\)\s+header\.from=good\.example\s+policy\.dmarc=none/,
    'and Authentication-Results says so');
$set = with_config($rules, '--client', '198.51.100.8', '--from', 'x@fwd.example', $clean_file);
is($set->{dmarc}{override}{comment}, 'trusted_forwarder_domains: SPF pass for fwd.example', 'a forwarder by its MAIL FROM');
$set = with_config($rules, '--client', '198.51.100.8', '--from', 'x@broken.example', file(sign($key, 'fwd.example', $clean)));
is($set->{dmarc}{override}{comment}, 'trusted_forwarder_domains: DKIM pass for fwd.example', 'or by its signature');
$set = with_config($rules, '--client', '198.51.100.7', '--from', 'x@fwd.example', $clean_file);
is_deeply([ $set->{action}, $set->{dmarc}{override} ], [ 'reject', undef ], 'not by its name alone');
$set = with_config($rules, '--client', '198.51.100.9', '--from', 'x@lists.example', $listed);
is_deeply([ $set->{action}, @{ $set->{dmarc}{override} }{qw(type comment)} ],
    [ 'accept', 'mailing_list', 'mailing_lists: List-Id dev.lists.example, SPF pass for lists.example' ], 'a mailing list');
$set = with_config($rules, '--client', '198.51.100.7', '--from', 'a@none.example', $listed);
is_deeply([ $set->{action}, $set->{dmarc}{override} ], [ 'reject', undef ], 'a bare List-Id proves nothing');
$set = with_config("dmarc { exempt_domains = {\"good.example\"} }\n", @forged);
is_deeply([ $set->{action}, $set->{dmarc}{override}{type} ], [ 'accept', 'local_policy' ], 'an exempt domain');
$rules =~ s/fwd\.example/broken.example/;
$set = with_config($rules, '--client', '198.51.100.7', '--from', 'x@broken.example', $clean_file);
is_deeply([ $set->{action}, $set->{dmarc}{result}, codes($set)->{'dmarc.temperror'} ], [ 'tempfail', 'fail', 'tempfail' ],
    'whether a rule holds is not known: put off, neither let in nor lost');
$set = with_config($rules . "policy { dmarc.temperror = ignore }\n", '--client', '198.51.100.7', '--from', 'x@broken.example', $clean_file);
is($set->{action}, 'reject', 'where nothing is put off, the domain decides');
my $broken_author = file((message(from => 'a@broken.example'))[1]);
$set = with_config("dmarc { trusted_forwarders = {\"203.0.113.0/24\"} exempt_domains = {\"broken.example\"} }\n", '--client', '203.0.113.5', '--from', 'x@none.example', $broken_author);
is_deeply([ $set->{action}, $set->{dmarc}{result}, $set->{dmarc}{override} ], [ 'tempfail', 'temperror', undef ], 'a temporary error is never lifted');
$set = with_config("dmarc { trusted_forwarders = {\"203.0.113.0/24\"} }\n", '--client', '203.0.113.5', '--from', 'a@good.example',
    file("From: a\@good.example\nFrom: b\@good.example\n\nx\n"));
is($set->{action}, 'reject', 'nor are two From fields');
$set = with_config('', '--client', '198.51.100.7', '--from', 'a@none.example', file((message(from => 'a@test.example'))[1]));
is_deeply([ $set->{action}, @{ override_of($set) }[ 1 .. 4 ] ], [ 'quarantine', 'reject', 'quarantine', 'quarantine', { type => 'policy_test_mode', comment => 't=y' } ],
    't=y is policy_test_mode');
for my $local ([ 'policy { dmarc.reject = tag }', 'tag', 'none' ], [ 'dmarc { mode = observe }', 'ignore', 'none' ], [ 'policy { dmarc.reject = quarantine }', 'quarantine', 'quarantine' ]) {
    $set = with_config("$local->[0]\n", @forged);
    is_deeply(override_of($set), [ 'fail', 'reject', 'reject', $local->[2], { type => 'local_policy', comment => "dmarc.reject comes to $local->[1] here" } ],
        "$local->[0] is local_policy");
}
for my $same ('policy { dmarc.reject = tempfail }', 'policy { dmarc.reject = discard }') {
    is_deeply(override_of(with_config("$same\n", @forged)), [ 'fail', 'reject', 'reject', 'reject', undef ], "$same delivers nothing either");
}
my $lifted = run_ok($mailreeve, map({ $_ eq $config ? write_file(work_dir() . '/rules', read_file($config) . $rules) : $_ } @base), '--client', '203.0.113.5',
    '--from', 'a@good.example', $clean_file);
like($lifted, qr/policy reject at good\.example, none applied,\s+trusted_forwarder \(trusted_forwarders:\s+client\s+203\.0\.113\.5\)/, 'the table tells of it');

# Authentication-Results: thousands of forged ones, and what others read in ours.
my $thousands = file(join('', map { "Authentication-Results: mx.test.example; spf=pass $_\n" . ($_ % 100 ? '' : "Authentication-Results: other.example; none\n") } 1 .. 1970)
    . "From: a\@good.example\n\nx\n");
($set) = judged('--client', '192.0.2.7', '--from', 'a@good.example', $thousands);
my @deleted = map { $_->{index} } grep { $_->{edit} eq 'delete_header' } @{ $set->{edits} };
is_deeply(\@deleted, [ grep { $_ % 101 } reverse 1 .. 1989 ], '1,970 forged fields go, from the highest index down, 19 foreign ones stay');
$set = with_config("authres { received_spf = yes }\n", '--client', '192.0.2.7', '--from', 'a@good.example', $clean_file);
is_deeply([ map { $_->{name} } grep { $_->{edit} eq 'insert_header' } @{ $set->{edits} } ], [ 'Received-SPF', 'Authentication-Results' ],
    'Received-SPF is inserted first, so that Authentication-Results is on top');
is($set->{edits}[1]{value}, "pass (mx.test.example: good.example permits 192.0.2.7)\n\tidentity=mailfrom; client-ip=192.0.2.7; helo=mail.example;\n\t"
    . 'envelope-from="a@good.example"; mechanism="ip4:192.0.2.0/24";' . "\n\treceiver=mx.test.example", 'its value');
my ($cleaned) = judged('--client', '198.51.100.7', '--auth', 'user', '--from', 'a@good.example', $clean_file);
is_deeply([ map { [ @{$_}{qw(edit name index)} ] } @{ $cleaned->{edits} } ], [ [ 'delete_header', 'Authentication-Results', 1 ] ],
    'outbound: the forged one goes, none comes');

my @odd = ([ 'mail.example', 'a@good.example' ], [ '[192.0.2.7]', '' ], [ 'we"ird\\ (x); dkim=pass', '"a b"@good.example' ], [ 'x' x 500, 'a' x 300 . '@good.example' ],
    [ "\xff\xc3\xbc", "m\xc3\xbcller\@good.example" ], [ '', 'a..b@good.example' ]);
for my $odd (@odd) {
    my @line = @base;
    $line[ (grep { $line[$_] eq '--helo' } 0 .. $#line)[0] + 1 ] = $odd->[0];
    my $value = decode_json(run_ok($mailreeve, @line, '--json', '--client', '192.0.2.7', '--from', $odd->[1], file(sign($key, 'good.example', $clean))))->{authres};
    my $read = eval { Mail::AuthenticationResults::Parser->new->parse($value) };
    my $name = "HELO " . substr $odd->[0] =~ s/[^ -~]/?/gr, 0, 30;
    is_deeply([ map { $_->key . '=' . $_->value } $read ? @{ $read->children } : () ], [ $value =~ /^\t(spf=\w+)/gm, 'dkim=pass', 'arc=none', 'dmarc=pass', 'iprev=permerror' ],
        "Mail::AuthenticationResults reads ours: $name") or diag($@);
    next if $value =~ /[^\0-\x7f]/; # which that one takes for an error, not being one of RFC 6532
    my $python = python_reads($value);
    is($python, "mx.test.example spf dkim=pass good.example sel rsa-sha256 dmarc=pass good.example\n", "authres reads ours: $name");
}

# What Debian's python3-authres makes of a value.
sub python_reads ($value) {
    my $file = write_file(work_dir() . '/authres', Encode::encode('UTF-8', $value));
    my $program = 'import sys, authres' . "\n" . 'r = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + open(sys.argv[1], encoding="utf-8", newline="").read())' . "\n"
        . 'm = {x.method: x for x in r.results}' . "\n" . 'd = m["dkim"]' . "\n" . 'p = {x.name: x.value for x in d.properties}' . "\n"
        . 'print(r.authserv_id, m["spf"].method, "dkim=" + d.result, p["d"], p["s"], p["a"], "dmarc=" + m["dmarc"].result, m["dmarc"].properties[0].value)' . "\n";
    return run_ok('/usr/bin/python3', '-c', $program, $file);
}

# For people.
my $text = run_ok($mailreeve, @base, '--client', '198.51.100.7', '--from', 'a@good.example', $clean_file);
for my $wanted (qr/^\Q$clean_file\E$/m, qr/client 198\.51\.100\.7/, qr/^  spf +[\d.]+ ms  fail for good\.example/m, qr/dmarc\.reject -> reject/,
    qr/verdict: REJECT because of dmarc\.reject/, qr/reply: +550 5\.7\.1/, qr/^  - Authentication-Results #1$/m,
    qr/^  \+ Authentication-Results: mx\.test\.example;$/m) {
    like($text, $wanted, "the table shows $wanted");
}
is(scalar(grep { length > 100 } split /\n/, $text), 0, 'no line over 100 columns');

for my $bad ([ '--client', 'nonsense' ], [ '--now', 'x' ], ['--frobnicate']) {
    is(system("'$mailreeve' explain @$bad > /dev/null 2>&1") >> 8, 2, "wrong call: @$bad");
}
is(system("'$mailreeve' @base /nonexistent > /dev/null 2>&1") >> 8, 1, 'a file that is not there');
is(system("'$mailreeve' explain --config /nonexistent > /dev/null 2>&1") >> 8, 1, 'a configuration that is not there');
is(system("'$mailreeve' explain --dns-zone /nonexistent --config '$config' > /dev/null 2>&1") >> 8, 1, 'a zone that is not there');
# ARC: a message that mx.sealer.example has sealed after it saw DMARC pass, and what a trusted sealer and DNS make of it.
sub sealed ($dir, $message, @zone) {
    my $file = file($message);
    my $conf = write_file("$dir.conf", read_file($config) . "sign { keys_dir = \"$dir\" }\narc { seal = yes seal_domain = \"sealer.example\" }\n");
    my ($made) = map { decode_json($_) } run_ok($mailreeve, 'explain', '--json', '--config', $conf, '--dns-zone', $zone, '--client', '192.0.2.7', '--helo',
        'mail.example', '--from', 'a@good.example', '--rcpt', 'b@dst.example', $file);
    is($made->{arc}{sealed}, 1, 'sealed as the first set');
    my @set = grep { $_->{edit} eq 'insert_header' && $_->{name} =~ /^ARC-/ } @{ $made->{edits} };
    is("@{[ map { $_->{name} } reverse @set ]}", 'ARC-Seal ARC-Message-Signature ARC-Authentication-Results', 'its fields, in their order');
    return join('', map { "$_->{name}: $_->{value}\n" } reverse @set) . $message =~ s/\r\n/\n/gr;
}

mkdir work_dir() . '/arckeys', 0700;
my $arc_key = work_dir() . '/arckeys/s1._domainkey.sealer.example.active.pem';
run_ok('cp', $key, $arc_key);
chmod 0600, $arc_key;
my $chained = file(sealed(work_dir() . '/arckeys', $clean =~ s/^Authentication-Results:.*\n//mr));
my $trusting = write_file(work_dir() . '/trusting', read_file($config) . "arc { trusted_sealers = {\"sealer.example\"} }\n");
my $arc_zone = write_file(work_dir() . '/arczone', read_file($zone) . "s1._domainkey.sealer.example. TXT $record\n");
my $slow_zone = write_file(work_dir() . '/slowzone', read_file($zone) . "\$SERVFAIL s1._domainkey.sealer.example\n");

sub forwarded ($conf, $of_zone, $file) {
    return decode_json(run_ok($mailreeve, 'explain', '--json', '--config', $conf, '--dns-zone', $of_zone, '--client', '203.0.113.9', '--helo', 'fwd.test',
        '--from', 'list@fwd.test', '--rcpt', 'b@dst.example', $file));
}
my $untrusted = forwarded($config, $arc_zone, $chained);
is_deeply([ $untrusted->{action}, @{ $untrusted->{arc} }{qw(result instances sealer oldest_pass trusted)} ], [ 'reject', 'pass', 1, 'sealer.example', 0, JSON::PP::false ],
    'forwarded: the chain passes, but nobody trusts its sealer');
is_deeply($untrusted->{arc}{sets}, [ { instance => 1, domain => 'sealer.example', selector => 's1', cv => 'none' } ], 'its sets');
my $by_chain = forwarded($trusting, $arc_zone, $chained);
is_deeply([ $by_chain->{action}, $by_chain->{arc}{trusted}, $by_chain->{dmarc}{result}, $by_chain->{dmarc}{disposition} ], [ 'accept', JSON::PP::true, 'fail', 'none' ],
    'trusted: its word lifts the failure');
like((grep { $_->{code} eq 'dmarc.override' } @{ $by_chain->{findings} })[0]{detail}, qr/local_policy, arc=pass as\[1\]\.d=sealer\.example as\[1\]\.s=s1: dmarc=pass there/,
    'which is recorded as local policy');
my $slow_key = forwarded($trusting, $slow_zone, $chained);
is_deeply([ $slow_key->{action}, $slow_key->{arc}{result}, $slow_key->{arc}{trusted} ], [ 'tempfail', 'temperror', JSON::PP::false ],
    'its key cannot be fetched: put off, neither let in nor lost');
ok(codes($slow_key)->{'arc.temperror'}, 'arc.temperror');
is(forwarded($config, $slow_zone, $chained)->{action}, 'reject', 'where nobody is trusted nothing is put off for it');
my $altered = forwarded($trusting, $arc_zone, file(read_file($chained) =~ s/This is/That was/r));
is_deeply([ $altered->{action}, $altered->{arc}{result}, $altered->{arc}{problem} ],
    [ 'reject', 'fail', 'ARC-Message-Signature i=1: the body was changed' ], 'changed on its way: the chain fails');
ok(codes($altered)->{'arc.fail'}, 'arc.fail');
my $no_key = write_file(work_dir() . '/nokey', read_file($config) . "arc { seal = yes seal_domain = \"other.example\" }\n");
my $unsealed = forwarded($no_key, $arc_zone, file("From: a\@none.example\n\nx\n"));
is_deeply([ $unsealed->{action}, $unsealed->{arc}{sealed}, codes($unsealed)->{'arc.unsealed'} ], [ 'accept', undef, 'ignore' ], 'without a key it goes on unsealed');
my $long = join '', map { "ARC-Seal: i=$_; cv=pass\n" } 1 .. 151;
ok(codes(forwarded($trusting, $arc_zone, file("${long}From: a\@none.example\n\nx\n")))->{'arc.too_long'}, 'arc.too_long');

done_testing();
