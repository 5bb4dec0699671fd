#!/usr/bin/perl
# The guard, the client behind a relay, and TLS, through Postfix.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::Postfix;
use Mailreeve::Upstream qw(run_upstream);

run_upstream('Mailreeve::Postfix');
done_testing();
