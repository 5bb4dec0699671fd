#!/usr/bin/perl
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Sendmail' if $> != 0 }
use Mailreeve::Sendmail;
use Mailreeve::Arc qw(run_arc);

run_arc('Mailreeve::Sendmail');
done_testing();
