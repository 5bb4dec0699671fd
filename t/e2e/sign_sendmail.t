#!/usr/bin/perl
# DKIM signatures through Sendmail.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Sendmail' if $> != 0 }
use Mailreeve::Sendmail;
use Mailreeve::Signed qw(run_signing);

run_signing('Mailreeve::Sendmail');
done_testing();
