#!/usr/bin/perl
# Rows of DMARC reports, and whose clock is believed, on PostgreSQL: the same programs that make check runs on SQLite.
use v5.36;
use Test::More;
use Mailreeve::Postgres;
use Mailreeve::Process qw(test_program);
BEGIN { plan skip_all => 'PostgreSQL is not installed' if !defined Mailreeve::Postgres::programs() }

my $postgres = Mailreeve::Postgres->start;
local $ENV{MAILREEVE_TEST_STORE} = $postgres->location;
for my $name (qw(dmarc_rows_suite clock_suite)) {
    open my $suite, '-|', test_program("t/suite/$name") or die "$name: $!";
    while (my $line = <$suite>) {
        $line =~ /^(not )?ok \d+ - (.*)/ ? ok(!$1, $2) : $line =~ /^1\.\./ ? () : diag($line);
    }
    ok(close $suite, "$name on PostgreSQL");
}
done_testing();
