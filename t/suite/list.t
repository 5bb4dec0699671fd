#!/usr/bin/perl
# mailreeve list, and what explain makes of the entries.
use v5.36;
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file read_file run_ok);
use Mailreeve::Scenario qw(eicar make_key sign message);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my $state = work_dir() . '/state';
mkdir $state;
chown scalar(getpwnam 'nobody'), -1, $state if $> == 0;
my ($key, $record) = make_key();
my $zone = write_file(work_dir() . '/zone', <<"END");
good.example. TXT "v=spf1 ip4:192.0.2.7 -all"
_dmarc.good.example. TXT "v=DMARC1; p=none"
sel._domainkey.good.example. TXT $record
plain.example. TXT "v=spf1 ip4:192.0.2.8 -all"
anyone.example. TXT "v=spf1 +all"
mail.helo.example. TXT "v=spf1 ip4:192.0.2.8 -all"
\$SERVFAIL broken.example
\$SERVFAIL _dmarc.broken.example
END

sub config ($more = '') {
    return write_file(work_dir() . '/conf', "user = nobody\nstore { location = \"sqlite:$state/db\" spill_dir = \"$state/spill\" }\n"
        . "virus { databases = {\"" . source_dir() . "/conf/signatures\"} }\ncontent { workers = 1 tmp_dir = \"" . work_dir() . "\" }\n"
        . "client { mode = off }\npolicy { spf.fail = ignore }\n$more");
}
my $config = config();

# ( status, standard output, standard error )
sub list (@arg) {
    my ($out, $err) = map { work_dir() . "/$_" } qw(out err);
    system join(' ', map { "'" . s/'/'\\''/gr . "'" } $mailreeve, 'list', @arg, '--config', $config) . " > $out 2> $err < /dev/null";
    return ($? >> 8, read_file($out), read_file($err));
}

sub list_ok (@arg) { my ($status, $out, $err) = list(@arg); $status == 0 or die "list @arg: $err"; return $out }
sub file ($text) { state $n = 0; return write_file(work_dir() . '/' . ++$n . '.eml', $text) }
sub judged (@arg) { return decode_json(run_ok($mailreeve, 'explain', '--config', $config, '--dns-zone', $zone, '--json', @arg)) }

# code@rcpt => detail of the findings that are stated; lifted ones in parentheses.
sub said ($object) {
    return { map { (($_->{lifted} ? '(' : '') . $_->{code} . ($_->{rcpt} ? "\@$_->{rcpt}" : '') . ($_->{lifted} ? ')' : '') => $_->{detail}) }
            grep { $_->{code} =~ /^list\./ } @{ $object->{findings} } };
}
sub actions ($object) { return { map { $_->{rcpt} => $_->{action} } @{ $object->{recipients} } } }
sub clear { list_ok('remove', '--enforced', '--owner', $_->[0], $_->[1]) for map { my $e = decode_json($_); [ $e->{owner}, $e->{entry} ] } split /\n/, list_ok('show', '--json', '--expired'); return }

# ---- the command ----

my ($status, $out, $err) = list('show');
is($status, 0, 'show without a store');
is($err, "no entries\n", 'says that there is nothing');
ok(!-e "$state/db", 'and makes none');
$out = list_ok('add', 'block', 'Spam.Example', 'bad@Ok.example', '--note', 'wrote "rubbish" \\ to all', '--expires', '30d');
like($out, qr/^block \* bad\@ok\.example until=\S+Z added=\S+Z by=\S+ # wrote "rubbish" \\ to all\nblock \* spam\.example /, 'add tells what was added');
if ($> == 0) {
    is_deeply([ grep { (stat)[4] == 0 } glob "$state/*" ], [], 'called by root it leaves no file of root\'s');
}
list_ok('add', 'block', 'friend.example', '--user', 'Bob@dst.example');
list_ok('add', 'allow', '.partner.example', '--domain', 'dst.example');
is(scalar(my @all = split /\n/, list_ok('show')), 4, 'show shows all');
like(list_ok('show', '--owner', 'bob@dst.example'), qr/^block bob\@dst\.example friend\.example \S+ \S+\n\z/, 'of an owner');
like(list_ok('show', '--search', 'RUBBISH', 'spam.example'), qr/^block \* spam\.example [^\n]+\n\z/, 'by value and text');
like(list_ok('show', '--check', 'x@sub.partner.example'), qr/^allow dst\.example \.partner\.example .*\(MAIL FROM x\@sub\.partner\.example\)$/, 'what would match a sender');
is((list('show', '--check', 'x@friend.example', '--rcpt', 'alice@dst.example'))[1], '', 'for one recipient nothing');
like(list_ok('show', '--check', 'x@friend.example', '--rcpt', 'bob+tag@dst.example'), qr/^block bob\@dst\.example/, 'for another his block');
list_ok('add', 'block', 'country:DE', 'asn:64500', '10.0.0.0/8', '--note', 'place');
is(scalar(() = list_ok('show', '--check', '<>', '--country', 'de', '--asn', 'AS64500', '--client', '10.1.2.3') =~ /# place \((?:country:DE|asn:64500|client 10\.1\.2\.3)\)$/gm), 3, 'or a client by its place');
list_ok('remove', 'country:DE', 'asn:64500', '10.0.0.0/8');
my $exported = list_ok('export');
my $json = list_ok('export', '--json');
clear();
is((list('show'))[1], '', 'all removed');
is(list_ok('import', write_file(work_dir() . '/ex', $exported)), "imported 4 entries\n", 'import what was exported');
is(list_ok('export'), $exported, 'gives the same');
clear();
list_ok('import', write_file(work_dir() . '/ex', $json));
is(list_ok('export', '--json'), $json, 'in JSON too');
clear();

# ---- import: all or nothing ----

my $plain = write_file(work_dir() . '/plain', "\xef\xbb\xbfa\@x.example\r\n# a comment\r\n\r\n  y.example  # their domain\n10.0.0.0/8 until=2099-12-31\ny.example # their domain\n");
is(list_ok('import', 'block', $plain, '--owner', 'dst.example', '--note', 'feed'), "imported 3 entries\n", 'a plain file of entries');
is(scalar(() = list_ok('show', '--owner', 'dst.example') =~ /^block dst\.example (?:a\@x\.example .*# feed|y\.example .*# their domain|10\.0\.0\.0\/8 until=2100-01-01T00:00:00Z .*# feed)$/gm),
    3, 'with notes and ends');
clear();
($status, $out, $err) = list('import', write_file(work_dir() . '/bad', "block * good.example\nblock * 10.0.0.1/8\nnonsense\nallow * good.example\nallow * <>\n"));
is($status, 1, 'a file with errors is refused');
like($err, qr/\/bad:2: "10\.0\.0\.1\/8" is no entry.*\n.*\/bad:3: .*neither allow nor block\n.*\/bad:5: anybody can write that.*\n.*\/bad:4: good\.example of everybody stands in line 1 already.*\n.*4 errors: nothing was changed/,
    'each with its line');
is((list('show'))[1], '', 'and nothing is changed');
is((list('import', 'block', work_dir() . '/none'))[0], 1, 'a file that is not there');

# ---- what is refused ----

for my $wrong ([ 'add', 'allow', 'subject:/x/' ], [ 'add', 'allow', '<>' ]) {
    ($status, $out, $err) = list(@$wrong);
    is($status, 1, "@$wrong is refused");
    like($err, qr/anybody can write that.*force-unauthenticated/, 'with the reason');
}
list_ok('add', 'allow', 'subject:/x/', '--force-unauthenticated');
for my $wrong ([ 'add', 'block', '1.2.3' ], [ 'add', 'block', 'subject:/(/' ], [ 'add', 'block', 'x.example', '--expires', 'yesterday' ], [ 'add', 'block', 'x.example', '--owner', 'a b' ],
    [ 'add', 'block', 'x.example', '--note', 'x' x 501 ], [ 'add', 'permit', 'x.example' ], [ 'add', 'allow', 'x.example', '--enforced' ], [ 'remove', 'nosuch.example' ]) {
    is((list(@$wrong))[0], 1, 'refused: ' . join(' ', @$wrong) =~ s/x{100,}/x.../r);
}
is((list(@$_))[0], 2, "wrong call: @$_") for [], ['frobnicate'], [ 'add', 'block' ], [ 'show', '--nonsense' ], [ 'export', 'x' ];
list_ok('add', 'block', 'enforced.example', '--enforced');
($status, $out, $err) = list('add', 'allow', 'enforced.example');
is($status, 1, 'an enforced block is not replaced');
like($err, qr/enforced block of everybody: nothing was changed/, 'which is said');
($status, $out, $err) = list('remove', 'enforced.example');
is($status, 1, 'nor removed');
like($err, qr/is enforced and was not removed/, 'which is said too');
is(list_ok('remove', '--enforced', 'enforced.example'), "removed enforced.example from the list of everybody\n", 'but by who says so');
clear();
$config = config("lists { user_max = 2 }\n");
list_ok('add', 'block', 'a.example', 'b.example', '--owner', 'bob@dst.example');
list_ok('add', 'block', 'a.example', '--owner', 'bob@dst.example');
($status, $out, $err) = list('add', 'block', 'c.example', '--owner', 'bob@dst.example');
is($status, 1, 'a user has a limit');
like($err, qr/bob\@dst\.example would have too many entries.*lists\.user_max/, 'which is named');
list_ok('add', 'block', 'c.example', 'd.example', 'e.example');
pass('everybody has none');
is((list('add', 'block', map { "subject:/$_/" } 1 .. 101))[0], 1, 'but for patterns');
clear();
$config = config();

# ---- what entries match ----

my $mail = file((message(from => 'a@plain.example', headers => "X-Note: =?utf-8?q?che=61p?= pills\n"))[1]);
my @plain = ('--client', '192.0.2.8', '--helo', 'mail.helo.example', '--ptr', 'host.ptr.example', '--from', 'a@plain.example', '--rcpt', 'bob+x@dst.example', '--rcpt', 'alice@dst.example');
for my $row ([ 'a@plain.example', 'address' ], [ 'plain.example', 'domain' ], [ '.example', 'subdomain' ], [ '192.0.2.8', 'network' ], [ '192.0.2.0/24', 'network' ], [ '0.0.0.0/0', 'network' ],
    [ 'helo:mail.helo.example', 'helo' ], [ 'helo:.helo.example', 'helo' ], [ 'ptr:.ptr.example', 'ptr' ], [ 'x-note:/cheap pills/', 'pattern' ], [ 'x-note:/^=\\?UTF/i', 'pattern' ]) {
    my ($entry, $kind) = @$row;
    list_ok('add', 'block', $entry, '--note', 'why');
    my $o = judged(@plain, $mail);
    is($o->{action}, 'reject', "$entry blocks");
    like(said($o)->{'list.blocked'} // '', qr/^owner=\* kind=$kind entry=.* matched=.* note=why$/, '  as explain tells');
    list_ok('remove', $entry);
    for my $owner ('bob@dst.example', 'bob+x@dst.example') {
        list_ok('add', 'block', $entry, '--owner', $owner);
        $o = judged(@plain, $mail);
        is_deeply(actions($o), { 'bob+x@dst.example' => 'reject', 'alice@dst.example' => 'accept' }, "  of $owner, for him alone");
        like(said($o)->{'list.blocked_user@bob+x@dst.example'} // '', qr/^owner=\Q$owner\E kind=$kind /, '  as explain tells');
        list_ok('remove', $entry, '--owner', $owner);
    }
}
for my $entry ('b@plain.example', 'in.example', '.plain.example', '.plain.example.org', 'ptr:.host.ptr.example', '192.0.2.0/29', '192.0.2.9', '2001:db8::/32', 'helo:helo.example', 'ptr:mail.helo.example', 'x-note:/CHEAP/', '<>', 'country:DE', 'asn:64500') {
    list_ok('add', 'block', $entry);
    is(judged(@plain, $mail)->{action}, 'accept', "$entry does not");
    list_ok('remove', $entry);
}
list_ok('add', 'block', '<>', '--owner', 'dst.example');
is(judged('--client', '192.0.2.8', '--from', '<>', '--rcpt', 'b@dst.example', $mail)->{action}, 'reject', '<> is the null path');
clear();
list_ok('add', 'block', 'boss@from.example');
is(judged(@plain, file("From: A <a\@x.example>, \"Boss\" <BOSS\@From.Example>\n\nx\n"))->{action}, 'reject', 'one of several authors');
is(judged(@plain, file("From: a\@x.example\nFrom: boss\@from.example\n\nx\n"))->{action}, 'reject', 'of several From fields');
clear();
list_ok('add', 'block', 'plain.example', '--expires', '2030-01-01');
is(judged(@plain, '--now', 1893455999, $mail)->{action}, 'reject', 'an entry holds until its end');
is(judged(@plain, '--now', 1893542400, $mail)->{action}, 'accept', 'and then no more');
is(judged(@plain, '--auth', 'me', $mail)->{action}, 'reject', 'a sender\'s block holds for outbound mail');
clear();
list_ok('add', 'block', '192.0.2.8');
is(judged(@plain, '--auth', 'me', $mail)->{action}, 'accept', 'a client\'s does not: own users may be anywhere');
clear();
list_ok('add', 'block', 'x-note:/^(a+)+[!?]$/');
my $long = file((message(from => 'a@plain.example', headers => 'X-Note: ' . 'a' x 900 . "\n"))[1]);
my $o = judged(@plain, $long);
is($o->{action}, 'tag', 'a pattern that is given up tags');
like(said($o)->{'list.pattern_limit'}, qr/^owner=\* entry=x-note:/, 'and is named');
clear();

# ---- allow: only with proof ----

list_ok('add', 'block', '192.0.2.0/24', '198.51.100.0/24');
my $of_good = file((message(from => 'a@good.example'))[1]);
my $signed = file(sign($key, 'good.example', (message(from => 'a@good.example'))[1]));
my @from_good = ('--from', 'a@good.example', '--rcpt', 'bob@dst.example');
my @allow = (
    # entry, forced, arguments, acts, what
    [ 'good.example', 0, [ '--client', '192.0.2.7', @from_good, $of_good ], 1, 'SPF, aligned' ],
    [ 'a@good.example', 0, [ '--client', '192.0.2.7', @from_good, $of_good ], 1, 'an address' ],
    [ '.example', 0, [ '--client', '192.0.2.7', @from_good, $of_good ], 1, 'a domain above' ],
    [ 'good.example', 0, [ '--client', '198.51.100.7', @from_good, $of_good ], 0, 'nothing: a bare From and MAIL FROM' ],
    [ 'a@good.example', 0, [ '--client', '192.0.2.8', '--from', 'x@plain.example', '--rcpt', 'bob@dst.example', $of_good ], 0, 'SPF of another domain' ],
    [ 'good.example', 0, [ '--client', '198.51.100.7', '--from', 'x@none.example', '--rcpt', 'bob@dst.example', $signed ], 1, 'DKIM, aligned' ],
    [ 'plain.example', 0, [ '--client', '192.0.2.8', '--from', 'x@plain.example', '--rcpt', 'bob@dst.example', $of_good ], 1, 'SPF of MAIL FROM alone' ],
    [ 'anyone.example', 0, [ '--client', '192.0.2.8', '--from', 'x@anyone.example', '--rcpt', 'bob@dst.example', $of_good ], 0, 'SPF that anybody passes' ],
    [ '192.0.2.8', 0, [ '--client', '192.0.2.8', '--from', 'x@anyone.example', '--rcpt', 'bob@dst.example', $of_good ], 1, 'the client\'s address' ],
    [ 'ptr:.ptr.example', 0, [ '--client', '192.0.2.8', '--ptr', 'a.ptr.example', '--from', 'x@anyone.example', '--rcpt', 'bob@dst.example', $of_good ], 1, 'the client\'s name' ],
    [ 'helo:mail.helo.example', 0, [ '--client', '192.0.2.8', '--helo', 'mail.helo.example', '--from', '<>', '--rcpt', 'bob@dst.example', $of_good ], 1, 'HELO that passes SPF' ],
    [ 'helo:mail.helo.example', 0, [ '--client', '192.0.2.7', '--helo', 'mail.helo.example', '--from', '<>', '--rcpt', 'bob@dst.example', $of_good ], 0, 'HELO that does not' ],
    [ 'good.example', 1, [ '--client', '198.51.100.7', @from_good, $of_good ], 1, 'nothing, but forced' ],
    [ 'subject:/m0/', 1, [ '--client', '198.51.100.7', @from_good, $of_good ], 1, 'a header pattern, forced' ],
);
for my $row (@allow) {
    my ($entry, $forced, $arguments, $acts, $what) = @$row;
    list_ok('add', 'allow', $entry, '--owner', 'bob@dst.example', $forced ? '--force-unauthenticated' : ());
    my $got = judged(@$arguments);
    my ($said, $rcpt) = (said($got), 'bob@dst.example');
    is($got->{action}, $acts ? 'accept' : 'reject', "allow $entry, " . ($acts ? 'acts by ' : 'does not act by ') . $what);
    ok(exists $said->{'(list.blocked)'}, '  the block is lifted') if $acts;
    like($said->{ $acts ? "list.allowed\@$rcpt" : "list.allow_unauthenticated\@$rcpt" } // '', qr/^owner=$rcpt kind=\w+ entry=\Q$entry\E matched=/, '  which is said')
        if $acts || !($entry =~ /^helo/ && !$acts && !exists $said->{"list.allow_unauthenticated\@$rcpt"});
    list_ok('remove', $entry, '--owner', $rcpt);
}
list_ok('add', 'allow', 'broken.example', '--owner', 'bob@dst.example');
$o = judged('--client', '198.51.100.7', '--from', 'a@broken.example', '--rcpt', 'bob@dst.example', file((message(from => 'a@broken.example'))[1]));
is($o->{action}, 'tempfail', 'DNS fails where an allow entry would lift a block: neither in nor turned away for good');
ok(exists said($o)->{'list.undecided@bob@dst.example'}, 'which is said');
clear();

# ---- precedence ----

# Entries as ACTION OWNER VALUE, and whether bob gets the mail of a@good.example from 192.0.2.7 (SPF and DMARC pass).
for my $row (
    [ 1, 'block * good.example', 'allow * a@good.example' ],
    [ 0, 'allow * good.example', 'block * a@good.example' ],
    [ 0, 'allow * good.example', 'block * good.example2', 'block * a@good.example' ],
    [ 1, 'block * a@good.example', 'allow dst.example .example' ],
    [ 1, 'block dst.example a@good.example', 'allow bob@dst.example 192.0.2.0/24' ],
    [ 0, 'allow * a@good.example', 'block dst.example .example' ],
    [ 0, 'allow dst.example a@good.example', 'block bob@dst.example 192.0.2.0/24' ],
    [ 0, 'allow bob@dst.example good.example', 'block bob@dst.example a@good.example' ],
    [ 1, 'allow bob@dst.example a@good.example', 'block bob@dst.example good.example', 'block * .example' ],
    [ 0, 'allow bob@dst.example 192.0.2.0/24', 'block bob@dst.example 192.0.2.7' ],
    [ 1, 'block * 192.0.2.0/24', 'allow * 192.0.2.0/30', 'block * 0.0.0.0/0', 'allow * 192.0.2.7' ],
    [ 0, 'allow * 192.0.2.0/24', 'block * 192.0.2.6/31' ],
    [ 1, 'block * 192.0.2.6/31', 'allow * 192.0.2.7' ],
    [ 1, 'block * .example', 'allow * good.example' ]) {
    my ($gets, @entries) = @$row;
    list_ok('import', write_file(work_dir() . '/entries', join '', map { "$_\n" } @entries));
    is(judged('--client', '192.0.2.7', @from_good, $of_good)->{action}, $gets ? 'accept' : 'reject', join '; ', @entries);
    clear();
}

# ---- what nobody lifts ----

sub multipart ($name, $content) {
    return file((message(from => 'a@good.example', body => "--b\nContent-Type: application/octet-stream; name=\"$name\"\nContent-Transfer-Encoding: base64\n\n" . encode_base64($content) . "--b--\n",
        headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"))[1]);
}
my %hard = (
    'an enforced entry of everybody' => [ $of_good, 'list.blocked', '', 'block * good.example enforced' ],
    'an enforced entry of the domain' => [ $of_good, 'list.blocked_domain', '', 'block dst.example a@good.example enforced' ],
    'an enforced entry of the user' => [ $of_good, 'list.blocked_user', '', 'block bob@dst.example 192.0.2.0/24 enforced' ],
    'an enforced header pattern' => [ $of_good, 'list.blocked', '', 'block * subject:/^m0/ enforced' ],
    'a virus' => [ multipart('x.bin', eicar()), 'virus.found', '', () ],
    'a program' => [ multipart('x.exe', 'MZ' . "\0" x 100), 'attachment.executable', '', () ],
    'an enforced action' => [ $of_good, 'dmarc.fail_none', 'dmarc.fail_none = "reject enforced"', () ],
);
my %soft = (
    'no entry at all' => [ '', () ],
    'his allow entries' => [ '', 'allow bob@dst.example a@good.example', 'allow bob@dst.example good.example', 'allow bob@dst.example .example' ],
    'forced ones' => [ '', 'allow bob@dst.example a@good.example forced', 'allow bob@dst.example subject:/./ forced', 'allow bob@dst.example <> forced' ],
    'his client' => [ '', 'allow bob@dst.example 192.0.2.7', 'allow bob@dst.example 0.0.0.0/0', 'allow bob@dst.example ptr:.example', 'allow bob@dst.example helo:.example' ],
    'his domain\'s and everybody\'s' => [ '', 'allow dst.example 192.0.2.7', 'allow * 192.0.2.7', 'allow * a@good.example forced' ],
    'his block in the configuration' => [ 'recipient "bob@dst.example" { list.blocked = ignore list.blocked_domain = ignore list.blocked_user = ignore virus.found = ignore '
            . 'attachment.executable = tag dmarc.fail_none = ignore score_reject = 0 }', 'allow bob@dst.example 192.0.2.7' ],
    'points' => [ 'recipient "bob@dst.example" { list.allowed = "score -1000" spf.fail = "score -1000" }', 'allow bob@dst.example 192.0.2.7' ],
);
for my $what (sort keys %hard) {
    my ($message, $code, $policy, @block) = @{ $hard{$what} };
    for my $means (sort keys %soft) {
        my ($more, @allowing) = @{ $soft{$means} };
        my $user_block = $more;
        # What the configuration may not say is refused, which is as good.
        for my $enforced (qw(virus.found attachment.executable dmarc.fail_none)) { $user_block =~ s/\Q$enforced\E = \w+ // if $enforced ne 'dmarc.fail_none' || $policy }
        $config = config("$user_block\n") ;
        write_file($config, read_file($config) =~ s/policy \{/policy { $policy/r);
        list_ok('import', write_file(work_dir() . '/entries', join '', map { "$_\n" } @block, @allowing)) if @block || @allowing;
        my @sender = $policy ? ('--client', '192.0.2.9', '--from', 'a@good.example') : ('--client', '192.0.2.7', '--from', 'a@good.example');
        my $got = judged(@sender, '--helo', 'mail.example', '--ptr', 'x.example', '--rcpt', 'bob@dst.example', $message);
        my $reason = $got->{recipients}[0];
        is_deeply([ @{$reason}{qw(action reason)} ], [ 'reject', $code ], "$what is not lifted by $means");
        clear();
    }
}
$config = config("recipient \"bob\@dst.example\" { virus.found = tag }\n");
is((list('show'))[0], 1, 'the configuration cannot say for a user what nobody may');
$config = config();

# ---- in the configuration ----

$config = config('lists { block = {"plain.example # rubbish", "x-note:/pills/i enforced"} allow = {"a@plain.example"} }' . "\n");
my $bare = file((message(from => 'a@plain.example'))[1]);
is(judged(@plain, $bare)->{action}, 'accept', 'entries of the configuration: allowed');
is(judged('--client', '192.0.2.8', '--from', 'b@plain.example', '--rcpt', 'x@dst.example', $bare)->{action}, 'reject', 'not by an author alone: MAIL FROM is refused before');
is(judged(@plain, '--client', '192.0.2.9', $bare)->{action}, 'reject', 'without proof blocked');
is(judged(@plain, $mail)->{action}, 'reject', 'enforced');
like(list_ok('show'), qr/^block \* plain\.example # rubbish \(configuration\)$/m, 'show tells where they stand');
for my $bad ('block = {"1.2.3"}', 'allow = {"subject:/x/"}', 'block = {"x.example until=30d"}', 'block = {"subject:/(/"}') {
    write_file($config, "\nlists { $bad }\n");
    my ($bad_status, $bad_out, $bad_err) = list('show');
    is($bad_status, 1, "refused: $bad");
    like($bad_err, qr/^\Q$config\E:2: lists\.\w+: .*expected a list of entries/, '  with its line');
}
$config = config("lists { mode = observe }\npolicy { }\n" =~ s/policy.*\n//r);
list_ok('add', 'block', 'plain.example');
$o = judged(@plain, $mail);
is($o->{action}, 'accept', 'mode observe does nothing');
is($o->{findings}[0]{configured}, 'reject', 'but tells what it would');
$config = config("lists { mode = off }\n");
is_deeply(said(judged(@plain, $mail)), {}, 'mode off says nothing');
done_testing();
