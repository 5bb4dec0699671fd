#!/usr/bin/perl
# Shell scripts, manual pages and README, as far as a machine can read them.
use v5.36;
use Test::More;
use Mailreeve::Process qw(source_dir run_ok read_file);

chdir source_dir();
for my $script (qw(quickstart .ci/run)) {
    ok(-x $script, "$script is executable");
    ok(eval { run_ok('shellcheck', '-S', 'style', $script); 1 }, "shellcheck $script") or diag($@);
}
for my $page (glob 'man/*.[158]') {
    ok(eval { run_ok('mandoc', '-T', 'lint', '-W', 'warning', $page); 1 }, "mandoc $page") or diag($@);
}
for my $module (glob('t/lib/Mailreeve/*.pm'), 'scripts/quickstart.pl') {
    ok(eval { run_ok($^X, '-It/lib', '-c', $module); 1 }, "perl -c $module") or diag($@);
}
my $readme = read_file('README');
like($readme, qr/^    \.\/quickstart /m, 'README names ./quickstart');
like($readme, qr/^    \.\/quickstart check /m, 'and ./quickstart check');
my ($table) = $readme =~ /^What the defaults do\n-+\n\n(.*?)\n\n/ms;
my (%told, $outcome);
for my $line (split /\n/, $table // '') {
    my ($codes, $answer) = $line =~ /^\s+(.*?)(?:\s{2,}(\S.*))?$/;
    ($outcome) = map { /^550/ ? 'reject' : /^451/ ? 'tempfail' : /^held/ ? 'quarantine' : /^taken/ ? 'discard' : /named/ ? 'tag' : 'ignore' } $answer if $answer;
    $told{$_} = $outcome for grep { /\./ } split /,\s*/, $codes;
}
is($told{'virus.found'}, 'reject', "README's table can be read");
my %default = read_file('conf/mailreeve.conf') =~ /^    #([a-z_]+\.[a-z_]+) = (\w+)$/mg;
is_deeply(\%told, { map { $default{$_} eq 'ignore' ? () : ($_ => $default{$_}) } keys %default }, 'and says what the defaults are');
my @leaked = grep { /libmilter\/mfapi\.h/ && !/^milter\/callbacks\.c:/ } split /\n/, `grep -rn '#include.*mfapi' --include=*.[ch] milter lib ctl inspect`;
is_deeply(\@leaked, [], 'only milter/callbacks.c includes libmilter');
my @resolve = grep { /\bub_resolve\s*\((?!\))/ } split /\n/, `grep -rn 'ub_resolve *(' --include=*.c milter lib ctl inspect | grep -v '\\*'`;
is_deeply(\@resolve, [], 'nobody calls ub_resolve()');
done_testing();
