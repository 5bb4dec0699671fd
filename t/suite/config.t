#!/usr/bin/perl
# mailreeve config: what is accepted, what is refused and how; the sample and the manual against the rows.
use v5.36;
use Test::More;
use Mailreeve::Process qw(work_dir source_dir test_program write_file read_file);

my $mailreeve = test_program('mailreeve');
my $file = work_dir() . '/mailreeve.conf';

# ( status, standard output, standard error )
sub config (@arg) {
    my ($out, $err) = map { work_dir() . "/$_" } qw(out err);
    system "'$mailreeve' config @arg > $out 2> $err";
    return ($? >> 8, read_file($out), read_file($err));
}

sub check ($text) { write_file($file, $text); return config('check', $file) }

my ($status, $out, $err) = check("# all defaults\n");
is($status, 0, 'an empty file is good');
like($out, qr/^\Q$file\E: OK$/m, 'and said to be');
like($out, qr/^no list, score or block lifts: .*\battachment\.executable \(reject\).*\bvirus\.found \(reject\)/m, 'what is enforced is named');
unlike($out, qr/lifts: .*spf\.fail\b/, 'and nothing else');
($status, $out) = check(qq(policy { spf.fail = "reject enforced" virus.found = tag }\n));
like($out, qr/lifts: .*spf\.fail \(reject\)/, 'what the operator makes enforced is named too');
unlike($out, qr/lifts: .*virus\.found\b/, 'what he lets pass is not');
like($out, qr/^warning: virus\.found is "tag" for inbound mail, milder/m, 'and warned of');

($status, $out) = check("quarantine { method = store relay = \"lmtp:x\" }\nstore { location = \"\" }\n");
like($out, qr/^warning: quarantine\.relay: "lmtp:x" takes no released mail; expected smtp:HOST:PORT/m, 'a relay that is none is warned of');
like($out, qr/^warning: quarantine\.method is "store", but store\.location is empty/m, 'and a store that is not there');

my $secret = 'postgresql://reeve:topsecret@db.example/mail?password=topsecret';
write_file($file, "store { location = \"$secret\" }\n");
($status, $out) = config('show', $file);
like($out, qr{^    location = "postgresql://reeve:\*\*\*\@db\.example/mail\?password=\*\*\*"$}m, 'config show masks the password of a location');
($status, $out, $err) = check("store { location = \"$secret&options=" . 'x' x 4000 . "\" }\n");
like($err, qr{store\.location: "postgresql://reeve:\*\*\*\@db\.example/mail\?password=\*\*\*&options=xxx}, 'an error about it too');
unlike("$out$err", qr/topsecret/, 'which nobody reads anywhere');

# text, line, what the error must say
my @bad = (
    [ "message_max = 5\n", 1, qr/message_max: "5" is not allowed; expected a size .*64K to 4G/ ],
    [ "# a\n# b\n\nmessage_max = big\n", 4, qr/expected a size/ ],
    [ "dns {\n    timeout = 10x\n}\n", 2, qr/dns\.timeout: "10x" .*expected a duration/ ],
    [ "dns {\n    timeout = 10h\n}\n", 2, qr/50ms to 2m/ ],
    [ "content { workers = -1 }\n", 1, qr/content\.workers: "-1" .*whole number, 0 to 256/ ],
    [ "socket_mode = 0999\n", 1, qr/octal/ ],
    [ "log_level = loud\n", 1, qr/expected error, warning, info or debug/ ],
    [ "virus { heuristics = perhaps }\n", 1, qr/expected yes or no/ ],
    [ "own_networks = {\"10.0.0.1/8\"}\n", 1, qr/no bits set behind the prefix/ ],
    [ "own_networks = {\"10.0.0.0/8\",\n  \"nonsense\"}\n", 2, qr/list of networks/ ],
    [ "dmarc {\n  mailing_lists = {\"lists.example\", \"dev\@lists.example\"}\n}\n", 2, qr/dmarc\.mailing_lists: .*list of domain names/ ],
    [ "dmarc { trusted_forwarders = {\"fwd.example\"} }\n", 1, qr/dmarc\.trusted_forwarders: .*list of networks/ ],
    [ "user = \"\"\n", 1, qr/text of 1 to 64 bytes/ ],
    [ "spf { mode = maybe }\n", 1, qr/spf\.mode: .*off, observe, tag or enforce/ ],
    [ "inspect { mode = off }\n", 1, qr/inspect\.mode: .*\bobserve, tag or enforce/ ],
    [ "policy { spf.fail = shrug }\n", 1, qr/policy\.spf\.fail: "shrug" .*expected ignore, "score N"/ ],
    [ "policy { spf.fail = \"score much\" }\n", 1, qr/score N/ ],
    [ "\npolicy {\n\n spf.fial = tag\n}\n", 4, qr/unknown option "spf\.fial" in policy; did you mean spf\.fail/ ],
    [ "domain \"example.org\" {\n virus.found = tag\n}\n", 2, qr/domain\.virus\.found is enforced: only policy \{ \} and outbound \{ \} can change it/ ],
    [ "recipient \"a\@b\" {\n spf.fail = tag\n spf.fail = reject\n}\n", 3, qr/recipient\.spf\.fail is given again/ ],
    [ "recipient \"example.org\" { }\n", 1, qr/"example\.org" is not allowed; expected an address such as/ ],
    [ "domain \"a\@b\" { }\n", 1, qr/"a\@b" is not allowed; expected a domain name/ ],
    [ "recipient \"a\@b\" { }\nrecipient \"A\@b\" { }\n", 2, qr/recipient "A\@b" has a block already/ ],
    [ "domain \"b\" { score_tag = many }\n", 1, qr/domain\.score_tag: "many" is not allowed; expected a number/ ],
    [ "domain \"b\" { digest = hourly }\n", 1, qr/domain\.digest: "hourly" is not allowed; expected off, daily or weekly/ ],
    [ "recipient \"a\@b\" {\n digest = daily\n digest = off\n}\n", 3, qr/recipient\.digest is given again/ ],
    [ "digest { reply_address = \"a-name-that-is-far-too-long\@b.example\" }\n", 1, qr/digest\.reply_address: what stands before "@" is longer than 22 bytes/ ],
    [ "digest { time_zone = \"Mars/Olympus\" }\n", 1, qr/digest\.time_zone: expected a zone of tzdata/ ],
    [ "scores { reject = -1 }\n", 1, qr/scores\.reject: "-1" .*a number with three decimals at most, 0 to 1000, such as 15/ ],
    [ "policy { spf.fail = \"score 5 enforced\" }\n", 1, qr/expected ignore, "score N"/ ],
    [ "soket = \"x\"\n", 1, qr/unknown option or section "soket"; did you mean socket/ ],
    [ "message_max = 1M\nmessage_max = 2M\n", 2, qr/message_max is given again; first in line 1/ ],
    [ "own_networks = {\"::1\"}\nown_networks = {\"::2\"}\n", 2, qr/own_networks is given again/ ],
    [ "dns { timeout = 1s }\n\ndns { deadline = 2s }\n", 3, qr/dns is given again/ ],
    [ "policy { spf.fail = tag spf.fail = tag }\n", 1, qr/given again/ ],
    [ "/* {\n */ dns {\n timeout = 1s\n", 2, qr/the block that begins here does not end; expected "\}"/ ],
    [ "message_max 5\n", 1, qr/equal sign/ ],
    [ "user = \"no\0body\"\n", 1, qr/NUL byte/ ],
);
for my $bad (@bad) {
    my ($text, $line, $says) = @$bad;
    my ($bad_status, $bad_out, $bad_err) = check($text);
    my $name = $text =~ s/\n/ /gr =~ s/\0/NUL/gr;
    is($bad_status, 1, "refused: $name");
    like($bad_err, qr/^\Q$file\E:$line: .*$says/m, '  in the right line, with what was expected');
}
for my $path ('/nonexistent/x.conf', work_dir()) {
    ($status, $out, $err) = config('check', $path);
    is($status, 1, "$path is refused");
    like($err, qr/^\Q$path\E: .*expected a readable file/, '  with a reason');
}

# show reads back to the same, marks defaults, and takes what is set.
write_file($file, <<'END');
own_networks = {}
spool_dir = "/var/spool/mail reeve \"x\" \\ \$y"
message_max = 50M // half
dns { forwarders = {"192.0.2.53", "192.0.2.54@5353"} deadline = 7s }
policy { spf.fail = "score 2.5" virus.no_database = tempfail }
outbound { virus.no_database = tag }
spf { mode = observe }
domain "example.org" { digest = weekly digest_language = "de" }
END
($status, my $shown) = config('show', $file);
is($status, 0, 'config show');
for my $line ('own_networks = {}', 'message_max = 50M', '    forwarders = {"192.0.2.53", "192.0.2.54@5353"}', '    deadline = 7s',
    '    mode = observe', '    spf.fail = "score 2.5"', '    virus.no_database = tempfail', '    virus.no_database = tag') {
    like($shown, qr/^\Q$line\E$/m, "shows: $line");
}
like($shown, qr/^header_max = 1M # default$/m, 'defaults are marked');
write_file("$file.2", $shown);
($status, my $again) = config('show', "$file.2");
is(($again // '') =~ s/^# \/.*\n//r =~ s{ # default( # enforced)?$}{$1 // ""}gmer, $shown =~ s/^# \/.*\n//r =~ s{ # default( # enforced)?$}{$1 // ""}gmer,
    'what it shows reads back to the same');

# Warnings an operator should see.
($status, $out) = check(<<'END');
policy { virus.found = tag inspect.failed = reject spf.fail = ignore }
outbound { message.too_large = "score 5" }
inspect { mode = tag } mime { mode = off } spf { mode = observe } dkim { mode = tag }
spool_dir = "/nonexistent"
content { tmp_dir = "/etc/passwd" }
dmarc { exempt_domains = {"Exempt.Example"} mailing_lists = {"lists.example"} }
virus { databases = {"/nonexistent/a", "/nonexistent/b"} }
END
is($status, 0, 'unwise is not wrong');
my @warnings = sort $out =~ /^warning: (.*)$/gm;
is_deeply(\@warnings, [ sort
    'content.tmp_dir: /etc/passwd: Not a directory',
    'dkim.mode is "tag": its findings tag a message at most',
    'dmarc.exempt_domains: anybody can write in the name of exempt.example',
    'inspect.mode is "tag": its findings tag a message at most',
    'mime.mode is "off": it does not run',
    'message.too_large is "score" for outbound mail, milder than the default "reject"',
    'spf.mode is "observe": its findings are logged and never acted on',
    'spool_dir: /nonexistent: No such file or directory',
    'virus.databases: none of them exists: no virus will be found',
    'virus.found is "tag" for inbound mail, milder than the default "reject"',
    'virus.found is "tag" for outbound mail, milder than the default "reject"',
], 'but what is off, milder, missing or not writable is named, and nothing else');
($status, $out) = check("virus { engine = clamd clamd_socket = \"/nonexistent\" ignore = {\"Eicar\"} databases = {} }\n");
like($out, qr{^warning: virus\.clamd_socket: /nonexistent does not exist}m, 'a clamd that is not there is told');
like($out, qr/^warning: virus\.ignore does not hold with clamd/m, 'and what cannot be had from it');
unlike($out, qr/virus\.databases/, 'it needs no database of ours');
($status, $out) = check("virus { mode = off databases = {} }\n");
unlike($out, qr/virus\.databases/, 'no database is missed where there is no scan');

# Sample and manual.
($status, my $sample) = config('sample');
my $committed = read_file(source_dir() . '/conf/mailreeve.conf');
my $anywhere = qr{"[^"]*/mailreeve/(signatures|keys|mailreeve.db|spill|templates)"};
is($sample =~ s/$anywhere/$1/gr, $committed =~ s/$anywhere/$1/gr, 'conf/mailreeve.conf is the sample as the rows have it');
my $uncommented = $sample =~ s/^(\s*)#([a-z_.]+ = )/$1$2/gmr;
($status, $out, $err) = check($uncommented);
is($status, 0, 'the sample with every line taken in is good') or diag($err);
my ($manual, %seen) = read_file(source_dir() . '/man/mailreeve.conf.5');
$seen{$_} = 1 for $manual =~ /^\.It Cm (\S+)/gm;
my @missing = grep { !$seen{$_} } $sample =~ /^\s*#([a-z_.]+) = /gm;
is_deeply(\@missing, [], 'mailreeve.conf(5) names every option and finding');
for my $line ($sample =~ /^\s*# (.*)\n\s*#[a-z_.]+ = /gm) {
    my $help = ucfirst $line;
    ok(index($manual, $help) >= 0, "it explains: $line");
}

for my $wrong ([], ['frobnicate'], [ 'check', 'a', 'b' ]) {
    is((config(@$wrong))[0], 2, "wrong call: config @$wrong");
}
is(system("'$mailreeve' nonsense > /dev/null 2>&1") >> 8, 2, 'an unknown command');
is(system("'$mailreeve' --help > /dev/null") >> 8, 0, '--help');
done_testing();
