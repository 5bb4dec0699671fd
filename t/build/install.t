#!/usr/bin/perl
# make install DESTDIR=: what is put where, and with which mode.
use v5.36;
use Test::More;
use Mailreeve::Process qw(work_dir build_dir run_ok read_file);

my $root = work_dir() . '/root';
run_ok('make', '-s', '-C', build_dir(), 'install', "DESTDIR=$root");
my %expected = (
    'usr/local/sbin/mailreeved' => 0755,
    'usr/local/bin/mailreeve' => 0755,
    'usr/local/libexec/mailreeve/mailreeve-inspect' => 0755,
    'usr/local/share/mailreeve/signatures/mailreeve-test.ndb' => 0644,
    'usr/local/share/man/man8/mailreeved.8' => 0644,
    'usr/local/share/man/man1/mailreeve.1' => 0644,
    'usr/local/share/man/man5/mailreeve.conf.5' => 0644,
    'usr/local/share/doc/mailreeve/mailreeve.conf' => 0644,
    'usr/local/share/doc/mailreeve/README' => 0644,
    'usr/local/share/doc/mailreeve/dovecot/mailreeve-learn' => 0755,
    'usr/local/share/doc/mailreeve/dovecot/report-ham.sieve' => 0644,
    'usr/local/share/doc/mailreeve/dovecot/report-spam.sieve' => 0644,
    'usr/local/share/doc/mailreeve/dovecot/90-mailreeve.conf' => 0644,
    'usr/local/share/doc/mailreeve/LICENSE' => 0644,
    'usr/local/lib/systemd/system/mailreeve.service' => 0644,
    'usr/local/lib/sysusers.d/mailreeve.conf' => 0644,
    'usr/local/lib/tmpfiles.d/mailreeve.conf' => 0644,
);
for my $path (sort keys %expected) {
    my $mode = (stat "$root/$path")[2];
    is(defined $mode ? sprintf('%o', $mode & 07777) : 'not there', sprintf('%o', $expected{$path}), $path);
}
ok(!-e "$root/usr/local/etc/mailreeve/mailreeve.conf", 'no configuration file is put in place: a user may have one');
like(run_ok("$root/usr/local/bin/mailreeve", '--version'), qr/^mailreeve \d/, 'the installed command runs');
like(run_ok("$root/usr/local/sbin/mailreeved", '--version'), qr/^mailreeve \d/, 'and the daemon');
done_testing();
