#!/usr/bin/perl
# mailreeve key: the life of a key, what is refused and why, and what is left when it is killed.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir test_program write_file read_file);

my $mailreeve = test_program('mailreeve');
my $keys = work_dir() . '/state/keys';
my $config = write_file(work_dir() . '/conf', "user = nobody\nsign { keys_dir = \"$keys\" }\n");
my $zone = work_dir() . '/zone';
my @now = gmtime;
my $month = sprintf '%04d%02d', $now[5] + 1900, $now[4] + 1;

# ( status, standard output, standard error )
sub key (@arg) {
    my ($out, $err) = map { work_dir() . "/$_" } qw(out err);
    my @zone = -e $zone ? ('--dns-zone', $zone) : ();
    system join(' ', map { "'$_'" } $mailreeve, 'key', @arg, '--config', $config, @zone) . " > $out 2> $err";
    return ($? >> 8, read_file($out), read_file($err));
}

sub publish (@lines) { return write_file($zone, join '', map { "$_\n" } @lines) }

sub states { return { map { ("$_->{selector} $_->{domain}" => $_->{state}) } @{ decode_json((key('list', '--json'))[1]) } } }

sub record ($domain, $selector) {
    my ($out) = (key('publish', $domain, $selector))[1];
    my ($record) = $out =~ /^(\S+ \d+ IN TXT (?:"[^"]*"|\(.*?\)))$/ms or die $out;
    return $record;
}

publish('.  3600 IN NS ns.');
my ($status, $out, $err) = key('list');
is($status, 0, 'list without a folder');
like($out, qr/^no keys: \Q$keys\E is not there$/, 'says so');
is((key('list', '--json'))[1], "[]\n", 'in JSON: none');

# new
($status, $out) = key('new', 'Example.COM.', '--type', 'both');
is($status, 0, 'new');
for my $file ("r$month._domainkey.example.com.new.pem", "e$month._domainkey.example.com.new.pem") {
    like($out, qr/^made \Q$keys\/$file\E \(/m, "made $file");
    my @status = stat "$keys/$file";
    is(sprintf('%o', $status[2] & 07777), '600', 'for its owner alone');
    is($status[4], $> == 0 ? scalar getpwnam 'nobody' : $>, 'who is the daemon\'s user');
    like(read_file("$keys/$file"), qr/\A-----BEGIN PRIVATE KEY-----\n[^-]+-----END PRIVATE KEY-----\n\z/, 'one key in PEM form');
}
is(sprintf('%o', (stat $keys)[2] & 07777), '700', 'the folder is for him alone, too');
unlike($out, qr/PRIVATE/, 'the private key is not shown');
for my $kind ('rsa', 'ed25519') {
    my ($record) = $out =~ /^(\S+ \d+ IN TXT (?:"v=DKIM1; k=$kind; [^"]*"|\( "v=DKIM1; k=$kind; .*?\)))$/ms;
    my @strings = $record =~ /"([^"]*)"/g;
    is(scalar(grep { length > 255 } @strings), 0, "$kind: strings of 255 bytes at most");
    like($out, qr/^\Q@{[ join '', @strings ]}\E$/m, "$kind: the bare value is the same");
}
($status, $out) = key('new', 'example.com');
like($out, qr/^made \S+\/r${month}b\._domainkey/, 'a second one in the month gets a letter');
($status, $out) = key('new', 'example.com', '--selector', 'x1', '--bits', '1024');
is($status, 0, 'a selector and a size of one\'s own');
like($out, qr/^warning: 1024 bits are few/m, 'a small one is warned of');
($status, $out, $err) = key('new', 'example.com', '--selector', 'x1');
is($status, 1, 'a selector that is taken is refused');
like($err, qr/has a key with selector x1 already/, 'with the reason');
($status, $out) = key('new', 'sub.example.com', '--selector', 'x1', '--type', 'ed25519');
is($status, 0, 'not so for another domain');
($status, $out) = key('new', 'example.com', '--selector', 'q', '--type', 'both');
is(states()->{'q-ed25519 example.com'}, 'new', 'a selector for both kinds gets two names');
for my $wrong ([ 'new' ], [ 'new', 'a b' ], [ 'new', 'x.example', '--type', 'dsa' ], [ 'new', 'x.example', '--bits', '512' ], [ 'new', 'x.example', '--bits', 'many' ],
    [ 'new', 'x.example', 'y' ], [ 'retire', 'x.example' ], [ 'activate' ], ['burn'], [ 'list', '--frobnicate' ]) {
    is((key(@$wrong))[0], 2, "wrong call: @$wrong");
}
for my $wrong ('a b', 'a/b', '..', 'x._domainkey.y') {
    is((key('new', 'x.example', '--selector', $wrong))[0], 1, "no selector: $wrong");
}
($status, $out, $err) = key('new', 'a' x 60 . ('.' . 'b' x 60) x 3 . '.example');
is($status, 1, 'a name that no file can have is refused');

# activate: only what is published
my $rsa = record('example.com', "r$month");
my ($ed, $second) = map { record('example.com', $_) } "e$month", "r${month}b";
my $name = "r$month._domainkey.example.com.";
my $p = join '', $rsa =~ /"([^"]*)"/g;
my $chunks = sub ($text) { join ' ', map { "\"$_\"" } $text =~ /(.{1,200})/g };
for my $case (
    [ 'nothing', [], qr/not there/ ],
    [ 'no TXT record', ["$name A 192.0.2.1"], qr/no TXT record/ ],
    [ 'another key', [ "$name TXT " . $chunks->(join '', $second =~ /"([^"]*)"/g) ], qr/p= is another key/ ],
    [ 'a revoked one', ["$name TXT \"v=DKIM1; k=rsa; p=\""], qr/revoked/ ],
    [ 'no p=', ["$name TXT \"v=DKIM1; k=rsa\""], qr/no p=/ ],
    [ 'half of it', [ "$name TXT \"" . substr($p, 0, 200) . '"' ], qr/p= is (?:no base64|another key)/ ],
    [ 'another kind', [ "$name TXT " . $chunks->($p =~ s/k=rsa/k=ed25519/r) ], qr/k= is not rsa/ ],
    [ 'another version', [ "$name TXT " . $chunks->($p =~ s/DKIM1/DKIM2/r) ], qr/v= is not DKIM1/ ],
    [ 'v= not first', [ "$name TXT " . $chunks->($p =~ s/^v=DKIM1; (.*)$/$1; v=DKIM1/r) ], qr/does not stand first/ ],
    [ 'sha1 only', [ "$name TXT " . $chunks->($p =~ s/k=rsa;/k=rsa; h=sha1;/r) ], qr/h= does not allow sha256/ ],
    [ 'another service', [ "$name TXT " . $chunks->($p =~ s/k=rsa;/k=rsa; s=tlsrpt;/r) ], qr/s= does not allow email/ ],
    [ 'two records', [ $rsa, "$name TXT \"v=spf1 -all\"" ], qr/2 TXT records/ ],
    [ 'a tag twice', [ "$name TXT " . $chunks->("$p; k=rsa") ], qr/malformed/ ],
    [ 'a DNS that fails', ["\$SERVFAIL $name"], qr/the DNS gives no answer/ ],
) {
    my ($what, $lines, $why) = @$case;
    publish('.  3600 IN NS ns.', @$lines);
    ($status, $out, $err) = key('activate', 'example.com', "r$month");
    is($status, 1, "published is $what: refused");
    like($err, $why, '  with the reason');
    like($err, qr/Nothing was changed/, '  and its effect');
    is(states()->{"r$month example.com"}, 'new', '  nothing was changed');
    is((key('publish', 'example.com', "r$month"))[0], 1, '  publish says no, too');
}
publish("$name TXT " . $chunks->($p =~ s/v=DKIM1; k=rsa; (p=.{50})/$1 /r));
($status, $out) = key('publish', 'example.com', "r$month");
is($status, 0, 'a record without v= and k=, with a space in p=, is the key');
like($out, qr/^In the DNS: published, TTL \d+ s$/m, 'and said to be');
publish($rsa, $ed, $second);
($status, $out) = key('activate', 'example.com', "r$month");
is($status, 0, 'activate');
is(states()->{"r$month example.com"}, 'active', 'active');
($status, $out) = key('activate', 'example.com', "e$month");
is(states()->{"r$month example.com"}, 'active', 'a key of another kind retires none');
($status, $out) = key('activate', 'example.com', "r${month}b");
is(states()->{"r$month example.com"}, 'retired', 'one of the same kind retires the former one');
like($out, qr/retired r$month\. Leave r$month\._domainkey\.example\.com in the DNS for 7 days/, 'and says what to do with its record');
is((key('activate', 'example.com', "r${month}b"))[1], "r${month}b is active already\n", 'once more: nothing to do');
is((key('activate', 'example.com', "r$month"))[0], 0, 'back to the retired one');
is_deeply([ @{ states() }{ map { "$_ example.com" } "r$month", "r${month}b", "e$month" } ], [ 'active', 'retired', 'active' ], 'the states are so');
($status, $out, $err) = key('activate', 'example.com', 'nosuch');
is($status, 1, 'a selector that is none');
like($err, qr/has no key with selector nosuch/, 'is said');
is((key('activate', 'sub.example.com'))[0], 1, 'without a selector: all new keys, which must be published');
($status, $out) = key('activate', 'sub.example.com', '--force');
is($status, 0, '--force does not ask the DNS');

# list
($status, $out) = key('list', 'example.com', '--check');
is($status, 0, 'list --check: what is active is published');
like($out, qr/^example\.com\s+r$month\s+active\s+rsa 2048\s+\d{4}-\d\d-\d\d  published/m, 'a row');
like($out, qr/^example\.com\s+x1\s+new\s+rsa 1024\s+\d{4}-\d\d-\d\d  not there/m, 'another');
is((key('list', 'sub.example.com', '--check'))[0], 1, 'list --check: active and not published');
my ($row) = grep { $_->{selector} eq "e$month" } @{ decode_json((key('list', '--json', '--check'))[1]) };
is_deeply([ @{$row}{qw(domain state algorithm bits published problem)} ], [ 'example.com', 'active', 'ed25519-sha256', 256, JSON::PP::true, undef ], 'in JSON');
cmp_ok(abs($row->{since} - time), '<', 600, 'since when');

# retire
($status, $out, $err) = key('retire', 'sub.example.com', 'x1');
is($status, 1, 'the last active key is not retired');
like($err, qr/last active key of sub\.example\.com: its mail would leave unsigned/, 'with the reason');
is((key('retire', 'sub.example.com', 'x1', '--force'))[0], 0, '--force does');
is(states()->{'x1 sub.example.com'}, 'retired', 'it is retired');
is((key('retire', 'example.com', "e$month"))[0], 0, 'one of two is');

# What is broken
write_file("$keys/bad._domainkey.example.com.active.pem", "rubbish\n", 0600);
write_file("$keys/open._domainkey.example.com.new.pem", read_file("$keys/x1._domainkey.example.com.new.pem"), 0644);
write_file("$keys/stranger.pem", '');
($status, $out, $err) = key('list', 'example.com');
is($status, 1, 'list: an active key that cannot be used');
like($out, qr/bad\s+active\s+unusable.*\n\s+\S+bad\._domainkey\.example\.com\.active\.pem holds 0 PEM blocks/, 'is named');
like($out, qr/chmod 600 \S+open\._domainkey/, 'one that is open to all, too');
like($err, qr/stranger\.pem is no name of a key/, 'and what is no key');
is((key('activate', 'example.com', 'open', '--force'))[0], 1, 'such a key is not activated, not even by force');
my $check = `'$mailreeve' config check '$config'`;
for my $warning (qr/bad\._domainkey\.example\.com\.active\.pem holds 0 PEM blocks.*put off/, qr/open\._domainkey.*open to everybody/, qr/stranger\.pem is no name/,
    qr/x1\._domainkey\.example\.com\.new\.pem: an RSA key of 1024 bits/) {
    like($check, qr/^warning: sign\.keys_dir: .*$warning/m, "config check warns: $warning");
}
is((key('new', 'fresh.example'))[0], 0, 'a domain whose only key is new');
like(`'$mailreeve' config check '$config'`, qr/^warning: sign\.keys_dir: fresh\.example has no active key: .*mailreeve key activate fresh\.example/m, 'config check names it');
SKIP: {
    skip 'needs root', 1 if $> != 0;
    my $file = "$keys/r$month._domainkey.fresh.example.new.pem";
    chown 0, 0, $file;
    like(`'$mailreeve' config check '$config'`, qr/fresh\.example\.new\.pem cannot be read by the daemon/, 'and a file of root, which the daemon cannot read');
    chown +(getpwnam 'nobody')[ 2, 3 ], $file;
}

# Killed at any moment: every key is in one state, and the next command goes on.
my %before = %{ states() };
for my $n (1 .. 40) {
    my $pid = fork // die $!;
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        exec $mailreeve, 'key', $n % 2 ? ('activate', 'example.com', $n % 4 == 1 ? "r${month}b" : "r$month") : ('new', 'kill.example', '--type', 'ed25519', '--selector', "k$n"),
            '--config', $config, '--dns-zone', $zone;
    }
    select undef, undef, undef, 0.0005 * ($n % 20);
    kill 'KILL', $pid;
    waitpid $pid, 0;
    my $after = states();
    my @active = grep { $after->{"$_ example.com"} eq 'active' } "r$month", "r${month}b";
    ok(@active >= 1 && !grep({ !defined $after->{$_} } keys %before), "killed ($n): no key is lost, and one signs") or diag(explain($after));
}
is(scalar(grep { !/\.pem\z/ } map { s{.*/}{}r } glob "$keys/*"), 0, 'no other file is there to be seen');
is((key('new', 'kill.example', '--selector', 'last'))[0], 0, 'and a key can still be made');
is((grep { $_->{problem} } grep { $_->{domain} eq 'kill.example' } @{ decode_json((key('list', '--json'))[1]) }), 0, 'no key is half a key');

# Two at once make two keys.
my @pids = map { fork // die $! or do { open STDOUT, '>', '/dev/null'; exec $mailreeve, 'key', 'new', 'both.example', '--config', $config } } 1 .. 2;
waitpid $_, 0 for @pids;
is(scalar(grep { / both\.example$/ } keys %{ states() }), 2, 'two commands at once make two keys');
done_testing();
