#!/usr/bin/perl
# What Bayes learns, on PostgreSQL: the same programs that make check runs on SQLite.
use v5.36;
use Test::More;
use Mailreeve::Postgres;
use Mailreeve::Process qw(run_ok test_program work_dir write_file);
BEGIN { plan skip_all => 'PostgreSQL is not installed' if !defined Mailreeve::Postgres::programs() }

my $postgres = Mailreeve::Postgres->start;
local $ENV{MAILREEVE_TEST_STORE} = $postgres->location;
run_suite('t/suite/bayes_store_suite');
$postgres->sql('template1', 'CREATE DATABASE auto');
$ENV{MAILREEVE_TEST_STORE} = $postgres->location('auto');
run_suite('t/unit/auto_learn_test');

sub run_suite ($program) {
    open my $suite, '-|', test_program($program) or die "$program: $!";
    while (my $line = <$suite>) {
        $line =~ /^(not )?ok \d+ - (.*)/ ? ok(!$1, $2) : $line =~ /^1\.\./ ? () : diag($line);
    }
    ok(close $suite, "$program on PostgreSQL");
    return;
}

# From SQLite to PostgreSQL, by way of an export: it can still be un-learnt there.
my ($mailreeve, $probe) = (test_program('mailreeve'), test_program('t/suite/bayesprobe'));
$postgres->sql('template1', 'CREATE DATABASE other');
my %locations = (sqlite => 'sqlite:' . work_dir() . '/bayes.db', other => $postgres->location('other'));
my %config = map { $_ => write_file(work_dir() . "/$_.conf", "user = root\nstore { location = \"$locations{$_}\" spill_dir = \"" . work_dir() . "/spill\" }\n") } keys %locations;
my @messages = map { write_file(work_dir() . "/$_.eml", "Subject: message $_\n\nabout " . join(' ', map { "word$_" } $_ .. $_ + 9) . "\n") } 1 .. 4;
run_ok($probe, $locations{sqlite}, '', 'spam', @messages[ 0, 1 ]);
run_ok($probe, $locations{sqlite}, 'user@example.com', 'ham', @messages[ 2, 3 ]);
my $dump = work_dir() . '/bayes.dump';
run_ok($mailreeve, 'store', 'export', $dump, '--quiet', '--config', $config{sqlite});
run_ok($mailreeve, 'store', 'import', $dump, '--quiet', '--config', $config{other});
my @status = map { run_ok($mailreeve, 'bayes', 'status', '--json', '--config', $config{$_}) } qw(sqlite other);
like($status[0], qr/"owner":"","spam":2,"ham":0,.*"owner":"user\@example\.com","spam":0,"ham":2,/, 'two owners have learnt');
is($status[1], $status[0], 'an export and an import into the other database keep all of it');
run_ok($probe, $locations{other}, '', 'unlearn', @messages[ 0, 1 ]);
like(run_ok($mailreeve, 'bayes', 'status', '', '--json', '--config', $config{other}), qr/"owner":"","spam":0,"ham":0,"tokens":0,/, 'where it is un-learnt');

# What bogofilter has learnt, with counts of more than two bytes, is the same in both.
my $words = write_file(work_dir() . '/words', join '', map { "$_ 20261201\n" } '.MSG_COUNT 100000 70000', 'pills 99999 1', 'lunch 3 69999', map { "word$_ 2 1" } 'aaaa' .. 'amzz');
like(run_ok($mailreeve, 'learn', 'import', 'bogofilter', $words, '--user', 'c@example.com', '--config', $config{$_}), qr/\A8790 tokens of 100000 spam and 70000 ham/, "$_: a list of bogofilter's") for qw(sqlite other);
@status = map { run_ok($mailreeve, 'bayes', 'status', 'c@example.com', '--json', '--config', $config{$_}) } qw(sqlite other);
like($status[0], qr/"spam":100000,"ham":70000,"tokens":8790,/, 'all of it is there');
is($status[1] =~ s/"(?:changed|oldest)":[^,}]*//gr, $status[0] =~ s/"(?:changed|oldest)":[^,}]*//gr, 'in both');
is(run_ok('sqlite3', work_dir() . '/bayes.db', q{SELECT group_concat(spam || ' ' || ham, ', ') FROM (SELECT spam, ham FROM bayes_token WHERE owner = 'c@example.com' ORDER BY spam + ham DESC LIMIT 2)}) =~ s/\s+\z//r, '99999 1, 3 69999', 'with these counts');
done_testing();
