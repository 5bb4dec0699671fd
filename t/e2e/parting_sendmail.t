#!/usr/bin/perl
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Sendmail' if $> != 0 }
use Mailreeve::PartingScenario qw(run_parting);
use Mailreeve::Sendmail;

run_parting('Mailreeve::Sendmail');
done_testing();
