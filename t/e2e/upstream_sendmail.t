#!/usr/bin/perl
# The guard, the client behind a relay, and TLS, through Sendmail.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Sendmail' if $> != 0 }
use Mailreeve::Sendmail;
use Mailreeve::Upstream qw(run_upstream);

run_upstream('Mailreeve::Sendmail');
done_testing();
