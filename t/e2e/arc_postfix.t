#!/usr/bin/perl
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::Postfix;
use Mailreeve::Arc qw(run_arc);

run_arc('Mailreeve::Postfix');
done_testing();
