#!/usr/bin/perl
# What a message carries, as mailreeve explain shows it, and what is done about it.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Mailreeve::Process qw(work_dir write_file read_file run_ok test_program source_dir);
use Mailreeve::Scenario qw(eicar zip);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my $zone = write_file(work_dir() . '/zone', "none.example. TXT \"v=spf1 ip4:192.0.2.7 -all\"\n");
my $base = 'content { workers = 1 tmp_dir = "' . work_dir() . "\" }\nvirus { databases = {\"" . source_dir() . "/conf/signatures\"} }\n";

sub part ($name, $content, $type = 'application/octet-stream') {
    my $as = $name eq '' ? '' : "; name=\"$name\"\nContent-Disposition: attachment; filename=\"$name\"";
    return "Content-Type: $type$as\nContent-Transfer-Encoding: base64\n\n" . encode_base64($content);
}

sub mixed (@parts) {
    my $body = join '', map { "--b\n$_" } "Content-Type: text/plain\n\nHello.\n", @parts;
    return "From: a\@none.example\nTo: b\@dst.example\nSubject: files\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n$body--b--\n";
}

sub run_explain ($message, $more = '', @options) {
    state $n = 0;
    $n++;
    my $config = write_file(work_dir() . "/config$n", ($more =~ /^virus/ ? $base =~ s/^virus.*//mr : $base) . $more);
    my $file = write_file(work_dir() . "/message$n", $message);
    return run_ok($mailreeve, 'explain', '--config', $config, '--dns-zone', $zone, '--client', '192.0.2.7', '--helo', 'none.example',
        '--from', 'a@none.example', '--rcpt', 'b@dst.example', @options, $file);
}

sub judge ($message, $more = '') { return decode_json(run_explain($message, $more, '--json')) }

sub shape ($got) { return [ map { [ $_->{names}[0], [ @{ $_->{path} } ], $_->{blocked} ? 1 : 0 ] } @{ $got->{attachments} } ] }

sub actions ($got) { return { map { $_->{code} => $_->{action} } @{ $got->{findings} } } }

my $program = "MZ" . "\0" x 200;
my $got = judge(mixed(part('notes.txt', "nothing\n", 'text/plain')));
is($got->{action}, 'accept', 'a text file is welcome');
is_deeply(shape($got), [ [ 'notes.txt', [], 0 ] ], 'and listed');

$got = judge(mixed(part('setup.exe', $program)));
is($got->{action}, 'reject', 'a program is not');
like($got->{reply}, qr/^550 5\.7\.0 The message carries a program \(support id \w{8}\)$/, 'the reply says why');
is_deeply(shape($got), [ [ 'setup.exe', [], 1 ] ], 'it is what is blocked');
is((judge(mixed(part('setup.exe', $program)), "policy { attachment.executable = tag }\n"))->{action}, 'tag', 'the operator may be milder');
is((judge(mixed(part('setup.exe', $program)), "attachment { mode = off }\n"))->{action}, 'accept', 'or not look');

$got = judge(mixed(part('holiday.jpg', $program, 'image/jpeg')));
is($got->{action}, 'reject', 'a program is one under any name');
ok(actions($got)->{'attachment.mismatch'}, 'attachment.mismatch');

my $zip = zip('readme.txt', "hello\n", 'inner.zip', zip('run.js', "WScript.Echo(1)\n"));
$got = judge(mixed(part('archive.zip', $zip, 'application/zip')));
is($got->{action}, 'reject', 'a script in an archive in an archive');
is_deeply(shape($got), [ [ 'archive.zip', [], 0 ], [ 'readme.txt', ['archive.zip'], 0 ], [ 'inner.zip', ['archive.zip'], 0 ], [ 'run.js', [ 'archive.zip', 'inner.zip' ], 1 ] ],
    'the tree');
my $shown = run_explain(mixed(part('archive.zip', $zip, 'application/zip')));
like($shown, qr/^    archive\.zip, application\/zip.*\n      readme\.txt.*\n      inner\.zip.*\n        run\.js, .*script.* -> blocked$/m, 'as people see it') or diag($shown);

my $attached = "Content-Type: message/rfc822\n\n" . mixed(part('deep.scr', $program));
$attached =~ s/boundary=b/boundary=c/;
$attached =~ s/^--b/--c/mg;
$got = judge(mixed($attached));
is($got->{action}, 'reject', 'in an attached message');

$got = judge(mixed(part('x.zip', zip('x.txt', eicar()), 'application/zip')));
is_deeply([ $got->{action}, $got->{virus} ], [ 'reject', 'Eicar-Test-Signature.UNOFFICIAL' ], 'EICAR in an archive is found');
$got = judge(mixed(part('x.txt', eicar(), 'text/plain')), "attachment { mode = off }\nmime { mode = off }\n");
is($got->{action}, 'reject', 'with nobody asking for the files too');

# Where a page comes from is no file name; what a part is saved as is one.
for my $case ([ 'Content-Location: http://www.example.com', 'accept' ], [ 'Content-Location: http://www.example.com/track?x=a.exe', 'accept' ],
    [ 'Content-Description: Our offer at www.example.com', 'accept' ], [ 'Content-Location: cid:a.exe', 'accept' ],
    [ 'Content-Location: setup.exe', 'reject' ], [ 'Content-Description: setup.exe', 'reject' ]) {
    my ($field, $action) = @$case;
    is(judge(mixed("Content-Type: text/html\n$field\n\n<p>Hello.</p>\n"))->{action}, $action, $field);
}

# A member that the directory does not name, and a second archive behind the first: whoever reads the other one finds it.
my $hidden = zip('a.txt', "harmless\n");
my ($local) = zip('x.txt', eicar()) =~ /\A(PK\x03\x04.*?)PK\x01\x02/s;
my $start = index $hidden, "PK\x01\x02";
my $with = substr($hidden, 0, $start) . $local . substr $hidden, $start;
substr $with, -6, 4, pack 'V', $start + length $local; # where the directory begins
for my $case ([ $with, 'a hidden member' ], [ zip('a.txt', "harmless\n") . zip('x.txt', eicar()), 'two archives in a row' ],
    [ zip('x.txt', eicar()) . zip('a.txt', "harmless\n"), 'in the other order' ], [ $local, 'no directory' ]) {
    my ($archive, $name) = @$case;
    $got = judge(mixed(part('x.zip', $archive, 'application/zip')));
    is($got->{virus}, 'Eicar-Test-Signature.UNOFFICIAL', "$name: EICAR is found");
    ok(scalar(grep { /x\.txt/ } map { @{ $_->{names} } } @{ $got->{attachments} }), "$name: and shown");
}

# What unpacks to very many times its size is held: a limit of its own, below content.scan_size_max.
for my $case ([ 20, 'accept' ], [ 70, 'quarantine' ]) {
    my ($megabytes, $action) = @$case;
    my $zeros = work_dir() . "/zeros$megabytes";
    run_ok('sh', '-c', "head -c ${megabytes}000000 /dev/zero | gzip -9 > $zeros");
    $got = judge(mixed(part('zeros.gz', read_file($zeros), 'application/gzip')), "virus { mode = off }\n");
    is($got->{action}, $action, "$megabytes MB of zeros");
    is(scalar(grep { $_->{code} eq 'attachment.archive_bomb' } @{ $got->{findings} }), $action eq 'accept' ? 0 : 1, 'attachment.archive_bomb');
}

# Doubled fields: mail programs differ in which one counts.
my $two = mixed(part('a.txt', "x\n", 'text/plain')) =~ s/^(Content-Type: multipart.*)$/$1\nContent-Type: multipart\/mixed; boundary=other/mr;
$two .= "--other\n" . part('evil.exe', $program) . "--other--\n";
$got = judge($two);
is($got->{action}, 'reject', 'a program in the other reading');
ok(actions($got)->{'mime.ambiguous'}, 'mime.ambiguous');
like((grep { $_->{code} eq 'mime.ambiguous' } @{ $got->{findings} })[0]{detail}, qr/\btype\b|boundary/, 'and why');

$got = judge(mixed(map { part("f$_.txt", "$_\n", 'text/plain') } 1 .. 300));
is(scalar @{ $got->{attachments} }, 199, 'of 300 files so many are listed, beside the text');
$got = judge(mixed((map { part("f$_.txt", "$_\n", 'text/plain') } 1 .. 300), part('last.exe', $program)));
is($got->{action}, 'reject', 'but what is behind them counts');
$got = judge(mixed(map { part("f$_.txt", "$_\n", 'text/plain') } 1 .. 300), "content { workers = 1 scan_files_max = 100 }\n" =~ s/^/#/r);
is($got->{action}, 'accept', '300 files are no trouble');

# The published lists are those of the code.
my $manual = read_file(source_dir() . '/man/mailreeve.conf.5') =~ s/\s+/ /gr;
my $table = read_file(source_dir() . '/lib/inspect/file_class.c');
my ($rows) = $table =~ /file_classes\[FILE_CLASS_COUNT\] = \{(.*?)\n\};/s;
my $lists = 0;
while ($rows =~ /\{\s*"(\w+)",\s*((?:"[^"]*"\s*)+),/g) {
    my ($class, $quoted) = ($1, $2);
    my $list = join '', $quoted =~ /"([^"]*)"/g;
    next if $list eq '';
    $lists++;
    my $text = ".It $class Names that end in a dot and " . join(', ', split ' ', $list) . '.';
    ok(index($manual, $text) >= 0, "mailreeve.conf(5) lists the names of $class");
}
cmp_ok($lists, '>', 15, 'all of them');

done_testing();
