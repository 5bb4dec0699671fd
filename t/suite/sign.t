#!/usr/bin/perl
# Signing as `mailreeve explain` shows it: which key signs whose mail, what happens without one, what is stated.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file read_file run_ok);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my $keys = work_dir() . '/keys';
my $zone = work_dir() . '/zone';
my $base = "authserv_id = \"mx.test.example\"\nvirus { databases = {\"" . source_dir() . "/conf/signatures\"} }\n"
    . 'content { workers = 1 tmp_dir = "' . work_dir() . "\" }\n";

sub config ($sign = '', $more = '') {
    state $n = 0;
    return write_file(work_dir() . '/conf' . ++$n, "${base}sign { keys_dir = \"$keys\" $sign }\n$more");
}
my $config = config();

sub key (@arg) { return run_ok($mailreeve, 'key', @arg, '--config', $config) }

my $records = '';
sub new_key ($domain, $selector, $state = 'active', @more) {
    my $out = key('new', $domain, '--selector', $selector, @more);
    $records .= ($out =~ /^(\S+ \d+ IN TXT (?:"[^"]*"|\(.*?\)))$/ms)[0] . "\n";
    write_file($zone, $records);
    rename "$keys/$selector._domainkey.$domain.new.pem", "$keys/$selector._domainkey.$domain.$state.pem" or die $! if $state ne 'new';
    return "$keys/$selector._domainkey.$domain.$state.pem";
}

sub file ($text) { state $n = 0; return write_file(work_dir() . '/' . ++$n . '.eml', $text) }
sub mail ($from, $rest = "\nhi\n") { return "From: $from\nTo: b\@dst.example\nSubject: test\nDate: Tue, 24 Nov 2026 12:00:00 +0000\n$rest" }

sub judged ($text, %arg) {
    my @client = $arg{inbound} ? ('--client', '192.0.2.9') : $arg{client} ? ('--client', $arg{client}) : ('--client', '192.0.2.9', '--auth', 'anna');
    return decode_json(run_ok($mailreeve, 'explain', '--config', $arg{config} // $config, '--dns-zone', $zone, @client, '--from', $arg{envelope} // 'a@one.example',
        '--rcpt', 'b@dst.example', '--now', $arg{now} // 1_800_000_000, '--json', file($text)));
}

sub signers ($object) { return join ' ', sort map { "$_->{domain}/$_->{selector}" } @{ $object->{signed} } }
sub codes ($object) { return join ' ', map { $_->{code} } grep { $_->{code} =~ /^sign/ } @{ $object->{findings} } }

# The message as it would leave.
sub sent ($object, $text) {
    my $wire = $text =~ s/\r?\n/\r\n/gr;
    $wire = "$_->{name}: " . $_->{value} =~ s/\n/\r\n/gr . "\r\n$wire" for grep { $_->{edit} eq 'insert_header' } @{ $object->{edits} };
    return $wire;
}

# It passes our own gate, with that many signatures.
sub passes ($text, $object, $count, $name, @arg) {
    my $judged = judged(sent($object, $text), inbound => 1, @arg);
    is(join(' ', map { $_->{result} } @{ $judged->{dkim} }), join(' ', ('pass') x $count), "$name: verifies");
    return;
}

# Without a folder, and without keys.
write_file($zone, ". 3600 IN NS ns.\n");
my $none = judged(mail('a@one.example'));
is_deeply([ $none->{action}, signers($none), codes($none), scalar @{ $none->{edits} } ], [ 'accept', '', 'sign.unsigned', 0 ], 'no folder of keys: mail goes on, unsigned');

new_key('one.example', 'rsa', 'active');
new_key('one.example', 'ed', 'active', '--type', 'ed25519');
new_key('one.example', 'old', 'retired');
new_key('one.example', 'next', 'new');
new_key('deep.one.example', 'own', 'active', '--type', 'ed25519');
new_key('two.example', 'sel', 'active', '--type', 'ed25519');
new_key('idle.example', 'sel', 'new', '--type', 'ed25519');
new_key('idle.one.example', 'sel', 'retired', '--type', 'ed25519');
new_key('xn--bcher-kva.example', 'sel', 'active', '--type', 'ed25519');
my $broken = new_key('broken.example', 'sel', 'active', '--type', 'ed25519');
my $shut = new_key('shut.one.example', 'sel', 'active', '--type', 'ed25519');
my $half = new_key('half.example', 'a', 'active', '--type', 'ed25519');
new_key('half.example', 'b', 'active', '--type', 'ed25519');
write_file($broken, "rubbish\n", 0600);
write_file($_, "rubbish\n", 0600) for $half, $shut;

my @both = 'one.example/ed one.example/rsa';
# name, From field, signers, findings, action
for my $case (
    [ 'its own keys, the active ones', 'a@one.example', @both, '', 'accept' ],
    [ 'letters of either case', 'A <a@One.EXAMPLE>', @both, '', 'accept' ],
    [ 'a domain below', 'a@x.y.one.example', @both, '', 'accept' ],
    [ 'a domain below with a key of its own', 'a@deep.one.example', 'deep.one.example/own', '', 'accept' ],
    [ 'and below that one', 'a@x.deep.one.example', 'deep.one.example/own', '', 'accept' ],
    [ 'a domain below whose keys are retired', 'a@idle.one.example', @both, '', 'accept' ],
    [ 'a domain that only ends so', 'a@someone.example', '', 'sign.unsigned', 'accept' ],
    [ 'the domain above', 'a@example', '', 'sign.unsigned', 'accept' ],
    [ 'a domain whose key is new', 'a@idle.example', '', 'sign.no_key', 'accept' ],
    [ 'a U-label', "a\@b\xc3\xbccher.example", 'xn--bcher-kva.example/sel', '', 'accept' ],
    [ 'two authors of one domain', 'a@one.example, b@one.example', @both, '', 'accept' ],
    [ 'authors of two domains', 'a@one.example, b@two.example', "@both two.example/sel", 'sign.from_many', 'accept' ],
    [ 'authors of two domains below one', 'a@p.one.example, b@q.one.example', @both, 'sign.from_many', 'accept' ],
    [ 'one of them without a key', 'a@one.example, b@none.example', @both, 'sign.from_many sign.unsigned', 'accept' ],
    [ 'one of them with a broken one', 'a@one.example, b@broken.example', @both, 'sign.from_many sign.failed', 'tempfail' ],
    [ 'two From fields', "a\@one.example\nFrom: b\@one.example", '', 'sign.from_unusable', 'reject' ],
    [ 'the same of domains without keys', "a\@none.example\nFrom: b\@none.example", '', 'sign.unsigned', 'accept' ],
    [ 'a From that can be read in two ways', '<a@one.example> <b@none.example>', '', 'sign.from_unusable', 'reject' ],
    [ 'a From without a domain', 'root', '', 'sign.unsigned', 'accept' ],
    [ 'an empty From', '', '', 'sign.unsigned', 'accept' ],
    [ 'a broken key', 'a@broken.example', '', 'sign.failed', 'tempfail' ],
    [ 'below a broken key', 'a@x.broken.example', '', 'sign.failed', 'tempfail' ],
    [ 'a broken key below a good one', 'a@shut.one.example', '', 'sign.failed', 'tempfail' ],
    [ 'one of two keys broken', 'a@half.example', 'half.example/b', 'sign.partial', 'accept' ],
) {
    my ($name, $from, $signers, $codes, $action) = @$case;
    my $text = mail($from);
    my $object = judged($text);
    is_deeply([ signers($object), codes($object), $object->{action} ], [ $signers, $codes, $action ], $name);
    passes($text, $object, scalar @{ $object->{signed} }, $name) if $signers;
}

my $failed = judged(mail('a@broken.example'));
like($failed->{reply}, qr/^451 4\.7\.5 The message could not be signed, please try again later \(support id \w+\)$/, 'the reply tells no more than needed');
like((grep { $_->{code} eq 'sign.failed' } @{ $failed->{findings} })[0]{detail}, qr/^broken\.example: \Q$broken\E holds 0 PEM blocks/, 'the finding tells the file');
is_deeply(judged(mail('a@one.example'))->{signed}, [ { domain => 'one.example', selector => 'ed', algorithm => 'ed25519-sha256' },
    { domain => 'one.example', selector => 'rsa', algorithm => 'rsa-sha256' } ], 'signed: domain, selector, algorithm');

# Who is signed for
is(signers(judged(mail('a@one.example'), client => '127.0.0.1')), "@both", 'a client in own_networks');
is(signers(judged(mail('a@one.example'), client => '127.0.0.1', envelope => '')), "@both", 'a bounce');
is(signers(judged(mail('a@one.example'), client => '127.0.0.1', envelope => 'x@none.example')), "@both", 'by From, not by the envelope');
is(signers(judged(mail('a@one.example'), inbound => 1)), '', 'inbound mail is not signed');

# Shapes: each passes our gate.
my %shape = (
    'no body' => mail('a@one.example', ''),
    'no body, with its empty line' => mail('a@one.example', "\n"),
    'no final newline' => mail('a@one.example', "\nhi"),
    'blank lines at the end' => mail('a@one.example', "\nhi\n\n\n"),
    'CRLF' => mail('a@one.example') =~ s/\n/\r\n/gr,
    'fields twice' => mail('a@one.example', "Subject: more\nTo: c\@dst.example\n\nhi\n"),
    'folds' => mail("\n a\@one.example", "References: <1\@x>\n\t<2\@x>\n \n <3\@x>\n\nhi\n"),
    '8 MB' => mail('a@one.example', "\n" . ('x' x 70 . "\n") x 120_000),
);
for my $name (sort keys %shape) {
    my $object = judged($shape{$name});
    is(signers($object), "@both", "$name: signed");
    passes($shape{$name}, $object, 2, $name);
}
for my $case ([ "\n" . 'x' x 999 . "\n", 'a line of 999 bytes in the body' ], [ "X: " . 'x' x 999 . "\n\nhi\n", 'in the header' ], [ "\na\0b\n", 'NUL bytes' ], [ "\n\xfc\n", '8-bit' ],
    [ "\r\n\r\na\rb\r\n" , 'CR alone' ]) {
    my ($rest, $why) = @$case;
    my $object = judged(mail('a@one.example', $rest));
    is_deeply([ signers($object), codes($object), $object->{action} ], [ "@both", 'sign.fragile', 'accept' ], "$why: signed, and sign.fragile");
    like((grep { $_->{code} eq 'sign.fragile' } @{ $object->{findings} })[0]{detail}, qr/\Q$why\E/, 'with the reason');
}

# The field itself
my ($field) = map { $_->{value} } grep { $_->{value} =~ /s=rsa;/ } @{ judged(mail('a@one.example', "Received: x\nReturn-Path: <x>\nX-Y: z\nReply-To: r\@one.example\n\nhi\n"))->{edits} };
is_deeply([ map { $_->{index} } @{ judged(mail('a@one.example'))->{edits} } ], [ 0, 0 ], 'on top');
my %tag = map { split /=/, s/\s//gr, 2 } split /;/, $field;
is_deeply([ @tag{qw(v a c d s t h)} ], [ 1, 'rsa-sha256', 'relaxed/relaxed', 'one.example', 'rsa', 1_800_000_000, 'from:from:reply-to:subject:date:to' ], 'its tags');
is_deeply([ grep { exists $tag{$_} } qw(l x i q z) ], [], 'and none of these');

# Options
my $object = judged(mail('a@x.one.example'), config => config('subdomains = no'));
is_deeply([ signers($object), codes($object) ], [ '', 'sign.unsigned' ], 'subdomains = no');
is(signers(judged(mail('a@one.example'), config => config('subdomains = no'))), "@both", 'the domain itself is signed');
sub tag ($name, $config, $from = 'a@one.example') { my ($value) = map { /\b$name=([^;]*)/ ? $1 =~ s/\s//gr : '' } judged(mail($from), config => $config)->{edits}[0]{value}; return $value }
is(tag('x', config('lifetime = 2d')), 1_800_000_000 + 2 * 86_400, 'lifetime');
is(tag('i', config('identity = yes'), 'a@x.one.example'), '@x.one.example', 'identity');
is(tag('i', config('identity = yes')), '', 'which is not needed where the domain signs itself');
is(tag('h', config('headers = {"subject", "received", "from"} oversign = {}')), 'from:subject', 'headers; From always, Received never');
is(tag('h', config('headers = {"subject"} oversign = {"from", "subject", "cc"}')), 'from:from:subject:subject:cc', 'oversign');
like(`'$mailreeve' config check '@{[ config('headers = {"Received"}') ]}'`, qr/^warning: sign\.headers: Received is never signed/m, 'config check tells of a field that is never signed');
my $text = mail('a@one.example', "Cc: c\@dst.example\n\nhi\n");
my $over = judged($text, config => config('oversign = {"from", "subject", "cc"}'));
passes($text, $over, 2, 'oversigned');
my $added = judged("Cc: evil\@x\r\n" . sent($over, $text), inbound => 1);
is(join(' ', map { $_->{result} } @{ $added->{dkim} }), 'fail fail', 'an oversigned field that is added breaks the signature');

# Modes and actions
$object = judged(mail('a@one.example'), config => config('mode = off'));
is_deeply([ signers($object), codes($object), scalar @{ $object->{edits} } ], [ '', '', 0 ], 'mode = off');
$object = judged(mail('a@one.example'), config => config('mode = observe'));
is_deeply([ signers($object), scalar @{ $object->{edits} } ], [ '', 0 ], 'mode = observe adds nothing');
$object = judged(mail('a@broken.example'), config => config('', "policy { sign.failed = ignore }\n"));
is_deeply([ $object->{action}, codes($object) ], [ 'accept', 'sign.failed' ], 'policy { sign.failed = ignore }: unsigned, as the operator says');
$object = judged(mail('a@none.example'), config => config('', "outbound { sign.unsigned = reject }\n"));
is($object->{action}, 'reject', 'outbound { sign.unsigned = reject }');
$object = judged(mail('a@one.example', "X-Mailreeve-Verdict: forged\n\nhi\n"), config => config('', "outbound { virus.no_database = tag }\n"));
like($object->{edits}[1]{value}, qr/^tag; /, 'a tag goes below the signature');
is($object->{edits}[-1]{name}, 'DKIM-Signature', 'which is on top');
passes(mail('a@one.example'), $object, 2, 'a message that is tagged');

# The folder
chmod 0777, $keys;
$object = judged(mail('a@none.example'));
is_deeply([ $object->{action}, codes($object) ], [ 'tempfail', 'sign.failed' ], 'a folder open to everybody: nothing leaves, as nobody knows whose keys are in it');
chmod 0700, $keys;
my $rsa = "$keys/rsa._domainkey.one.example.active.pem";
chmod 0644, $rsa;
$object = judged(mail('a@one.example'));
is_deeply([ signers($object), codes($object) ], [ 'one.example/ed', 'sign.partial' ], 'a key open to everybody is not used');
chmod 0600, $rsa;

# For people
my $table = run_ok($mailreeve, 'explain', '--config', $config, '--dns-zone', $zone, '--client', '127.0.0.1', file(mail('a@two.example')));
like($table, qr/^  sign +[\d.]+ ms  signed for two\.example by sel \(ed25519-sha256\)$/m, 'the table says who signs');
like($table, qr/^  \+ DKIM-Signature: v=1; a=ed25519-sha256;/m, 'and shows the field');
$table = run_ok($mailreeve, 'explain', '--config', $config, '--dns-zone', $zone, '--client', '192.0.2.9', file(mail('a@two.example')));
like($table, qr/^  sign +not for inbound mail$/m, 'inbound: not for inbound mail');
done_testing();
