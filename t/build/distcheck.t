#!/usr/bin/perl
# make distcheck: the archive builds, passes its tests and installs outside of this tree.
use v5.36;
use Test::More;
use Mailreeve::Process qw(build_dir work_dir);

my $log = work_dir() . '/distcheck.log';
my $tree = build_dir();
delete @ENV{qw(MAILREEVE_BUILD MAILREEVE_SOURCE)};
my $status = system('sh', '-c', 'make -s -C "$1" distcheck DISTCHECK_CONFIGURE_FLAGS=-q > "$2" 2>&1', 'sh', $tree, $log);
ok($status == 0, 'make distcheck') or diag(`tail -n 40 $log`);
open my $file, '<', $log or die "$log: $!";
like(join('', <$file>), qr/archives ready for distribution/, 'the archive is ready for distribution');
done_testing();
