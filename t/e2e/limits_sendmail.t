#!/usr/bin/perl
# Greylisting and rate limits through Sendmail.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Sendmail' if $> != 0 }
use Mailreeve::Limits qw(run_limits);
use Mailreeve::Sendmail;

run_limits('Mailreeve::Sendmail');
done_testing();
