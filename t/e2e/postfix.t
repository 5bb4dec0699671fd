#!/usr/bin/perl
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::Postfix;
use Mailreeve::Scenario qw(run_scenario);

run_scenario('Mailreeve::Postfix');
done_testing();
