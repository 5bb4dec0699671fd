#!/usr/bin/perl
# What Bayes learns, on PostgreSQL: the same program that make check runs on SQLite.
use v5.36;
use Test::More;
use Mailreeve::Postgres;
use Mailreeve::Process qw(test_program);
BEGIN { plan skip_all => 'PostgreSQL is not installed' if !defined Mailreeve::Postgres::programs() }

my $postgres = Mailreeve::Postgres->start;
local $ENV{MAILREEVE_TEST_STORE} = $postgres->location;
open my $suite, '-|', test_program('t/suite/bayes_store_suite') or die "bayes_store_suite: $!";
while (my $line = <$suite>) {
    $line =~ /^(not )?ok \d+ - (.*)/ ? ok(!$1, $2) : $line =~ /^1\.\./ ? () : diag($line);
}
ok(close $suite, 'bayes_store_suite on PostgreSQL');
done_testing();
