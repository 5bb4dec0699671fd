#!/usr/bin/perl
# t/suite/limits_suite on a real PostgreSQL, where relays count together.
use v5.36;
use Test::More;
use Mailreeve::Process qw(test_program);

BEGIN { plan skip_all => 'no Mailreeve::Postgres in this tree' if !eval { require Mailreeve::Postgres } }
plan skip_all => 'PostgreSQL is not installed' if !Mailreeve::Postgres->programs;
my $postgres = Mailreeve::Postgres->start;
local $ENV{MAILREEVE_STORE_LOCATION} = $postgres->location;
my $program = test_program('t/suite/limits_suite');
open my $out, '-|', $program or die "$program: $!";
my @lines = <$out>;
close $out;
my @bad = grep { /^not ok|^Bail out/ } @lines;
is_deeply(\@bad, [], 'everything that holds on SQLite holds on PostgreSQL');
is($?, 0, 'the program ends well');
cmp_ok(scalar(grep { /^ok/ } @lines), '>', 100, 'with all its tests');
done_testing();
