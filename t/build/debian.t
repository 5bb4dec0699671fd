#!/usr/bin/perl
# The Debian package: it builds, lintian has nothing to say, the service is locked in, and in a system of its own (Debian by
# debootstrap, booted by systemd-nspawn) it lives from installation to purge. Nothing is installed here.
use v5.36;
use Test::More;
use File::Path qw(make_path);
use POSIX qw(:sys_wait_h);
use Mailreeve::Process qw(work_dir build_dir source_dir run_ok spawn stop ended wait_until write_file read_file on_end);

for my $program (qw(dpkg-buildpackage dh lintian systemd-analyze)) {
    plan skip_all => "$program is not installed" if !grep { -x "$_/$program" } split /:/, $ENV{PATH};
}
my $work = work_dir();
my $root = "$work/root";

# For the unprepared machine this takes minutes: the base system is kept in the build tree. Its key: what it must hold.
my $base = build_dir() . '/debian-base';
sub base_start () {
    return if -e "$base/complete" || $> != 0 || !-x '/usr/sbin/debootstrap';
    system 'rm', '-rf', $base;
    return spawn(name => 'debootstrap', command => [ 'debootstrap', '--variant=minbase', '--include=systemd,systemd-sysv,dbus,postfix,perl,ca-certificates', 'bookworm', $base ]);
}

sub build () {
    # Not `make dist`: distcheck.t may be making the same archive in the same folder at this moment.
    my $tree = "$work/mailreeve";
    mkdir $tree;
    run_ok('make', '-s', '-C', build_dir(), 'distdir', "distdir=$tree");
    # Our own tests have run, or will, by themselves.
    my $status = system('sh', '-c', 'cd "$1" && DEB_BUILD_OPTIONS="nocheck parallel=2" dpkg-buildpackage -b -us -uc > "$2" 2>&1', 'sh', $tree, "$work/build.log");
    ok($status == 0, 'dpkg-buildpackage -b') or diag(`tail -n 40 $work/build.log`), done_testing(), exit;
    return $tree;
}

# The same package with a higher version, and another configuration file.
sub newer ($deb) {
    run_ok('dpkg-deb', '-R', $deb, "$work/newer");
    my $control = "$work/newer/DEBIAN/control";
    write_file($control, read_file($control) =~ s/^(Version: .*)$/$1+newer/mr);
    my $conf = "$work/newer/etc/mailreeve/mailreeve.conf";
    write_file($conf, read_file($conf) . "# news\n");
    run_ok('dpkg-deb', '--root-owner-group', '-b', "$work/newer", "$work/newer.deb");
    return "$work/newer.deb";
}

# NULL: there is a base system that has all that the package depends on. Else why not.
sub base_finish ($process, $deb) {
    return 'needs root' if $> != 0;
    return 'debootstrap or systemd-nspawn is not installed' if !-x '/usr/sbin/debootstrap' || !-x '/usr/bin/systemd-nspawn';
    wait_until('debootstrap', sub { ended($process) }, 300) if $process;
    return "debootstrap found no mirror:\n" . read_file($process->{log}) if $process && $process->{status} != 0;
    my @needed = map { s/\s*[(|].*//r } split /,\s*/, qx(dpkg-deb -f $deb Depends);
    my $key = "@needed";
    return if read_file("$base/complete") eq $key;
    run_ok('cp', '/etc/resolv.conf', "$base/etc/resolv.conf");
    my $log = qx(chroot $base sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $key' 2>&1);
    return "what the package depends on cannot be had:\n$log" if $? != 0;
    write_file("$base/complete", $key);
    return;
}

sub boot ($first, $second, $tree) {
    make_path(map { "$work/$_" } qw(root upper lower));
    system('mount', '-t', 'overlay', 'overlay', '-o', "lowerdir=$base,upperdir=$work/upper,workdir=$work/lower", $root) == 0
      or plan skip_all => 'there can be no overlay';
    on_end(sub { system 'umount', '-l', $root });
    make_path("$root/test", "$root/etc/systemd/system/multi-user.target.wants");
    run_ok('cp', $first, "$root/test/first.deb");
    run_ok('cp', $second, "$root/test/second.deb");
    run_ok('install', '-m', '0755', "$tree/t/build/debian_guest.pl", "$tree/debian/tests/postfix", "$root/test");
    write_file("$root/etc/systemd/system/guest.service", <<'END');
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/perl /test/debian_guest.pl /test/first.deb /test/second.deb /test/postfix
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=file:/test/tap
StandardError=file:/test/errors
TimeoutStartSec=300
END
    symlink '../guest.service', "$root/etc/systemd/system/multi-user.target.wants/guest.service";
    # A container does without Landlock unless it is told; on a machine it is there.
    my $guest = spawn(name => 'nspawn', command => [ 'systemd-nspawn', '--quiet', "--directory=$root", '--register=no', '--keep-unit',
        '--private-network', '--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self', '--boot', '--console=read-only' ]);
    wait_until('the guest to end', sub { ended($guest) }, 360);
    return $guest;
}

my $process = base_start();
my $tree = build();
my ($deb) = grep { !/dbgsym/ } glob "$work/mailreeve_*.deb";
ok(glob("$work/mailreeve-dbgsym_*.deb"), 'there is a package of debugging symbols');
my ($changes) = glob "$work/mailreeve_*.changes";
my $said = qx(lintian --allow-root --fail-on error,warning $changes 2>&1);
is($?, 0, 'lintian has no error and no warning') or diag($said);

run_ok('dpkg-deb', '-x', $deb, "$work/content");
my $unit = "$work/content/lib/systemd/system/mailreeve.service";
my ($exposure) = qx(systemd-analyze security --offline=yes $unit) =~ /exposure level for mailreeve.service: (\S+)/;
cmp_ok($exposure, '<', 2, "systemd-analyze security: $exposure");

my $why_not = base_finish($process, $deb);
SKIP: {
    skip $why_not, 1 if defined $why_not;
    my $guest = boot($deb, newer($deb), $tree);
    my $tap = read_file("$root/test/tap");
    skip "systemd does not boot in a container here: " . read_file($guest->{log}), 1 if $tap eq '';
    for my $line (split /\n/, $tap) {
        my ($not, $name) = $line =~ /^(not )?ok \d+ - (.*)/ or next;
        ok(!$not, $name);
    }
    like($tap, qr/^1\.\.\d+$/m, 'the guest came to its end') or diag($tap);
    diag(read_file("$root/test/errors")) if $tap =~ /^not ok/m || $tap !~ /^1\.\.\d+$/m;
}
done_testing();
