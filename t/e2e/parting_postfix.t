#!/usr/bin/perl
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::PartingScenario qw(run_parting);
use Mailreeve::Postfix;

run_parting('Mailreeve::Postfix');
done_testing();
