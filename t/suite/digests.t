#!/usr/bin/perl
# What the store knows of reports to users, on PostgreSQL: the same program that make check runs on SQLite.
use v5.36;
use Test::More;
use Mailreeve::Postgres;
use Mailreeve::Process qw(test_program);
BEGIN { plan skip_all => 'PostgreSQL is not installed' if !defined Mailreeve::Postgres::programs() }

my $postgres = Mailreeve::Postgres->start;
local $ENV{MAILREEVE_TEST_STORE} = $postgres->location;
open my $suite, '-|', test_program('t/suite/digests_suite') or die "digests_suite: $!";
while (my $line = <$suite>) {
    $line =~ /^(not )?ok \d+ - (.*)/ ? ok(!$1, $2) : $line =~ /^1\.\./ ? () : diag($line);
}
ok(close $suite, 'digests_suite on PostgreSQL');
done_testing();
