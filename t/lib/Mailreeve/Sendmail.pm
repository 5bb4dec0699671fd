package Mailreeve::Sendmail;

# A private Sendmail. Its package conflicts with Postfix's, so it is downloaded and unpacked, never installed.

use v5.36;
use Carp qw(croak);
use Mailreeve::Process qw(build_dir work_dir free_port wait_until answers write_file spawn run_ok);

my @packages = qw(sendmail-bin sendmail-base sendmail-cf);

# The unpacked tree, made once per build tree. MAILREEVE_SENDMAIL_CACHE: where the packages are, or are put.
sub tree ($class) {
    my $cache = $ENV{MAILREEVE_SENDMAIL_CACHE} // build_dir() . '/sendmail-debs';
    my $root = work_dir() . '/sendmail-root';
    mkdir $cache;
    if (grep { !glob "$cache/${_}_*.deb" } @packages) {
        run_ok('sh', '-c', 'cd "$1" && shift && exec apt-get -q -o APT::Sandbox::User=root download "$@"', 'sh', $cache, @packages);
    }
    run_ok('dpkg', '-x', $_, $root) for map { glob "$cache/${_}_*.deb" } @packages;
    -x "$root/usr/libexec/sendmail/sendmail" or croak "no sendmail in $root";
    return $root;
}

sub start ($class, %arg) {
    my $dir = work_dir() . '/sendmail';
    my $self = bless { dir => $dir, port => free_port(), root => $class->tree, %arg }, $class;
    mkdir $_ for $dir, "$dir/q", "$dir/run";
    chmod 0700, "$dir/q";
    write_file("$dir/aliases", $self->{aliases} // '');
    write_file("$dir/$_", '') for qw(statistics local-host-names trusted-users);
    write_file("$dir/service.switch", "hosts files\naliases files\npasswd files\n");
    write_file("$dir/sendmail.mc", $self->mc);
    run_ok('sh', '-c', 'm4 "$1" > "$2" 2>/dev/null', 'sh', "$dir/sendmail.mc", "$dir/sendmail.cf");
    run_ok($self->command('-bi')) if $self->{aliases};
    $self->{process} = spawn(name => 'sendmail', command => [ $self->command('-bD', '-q1h') ]);
    wait_until('Sendmail', sub { answers($self->{port}) }, 60);
    return $self;
}

# With a host name that has a dot: without one it sleeps a minute at its start.
sub command ($self, @arg) {
    return ('unshare', '--uts', 'sh', '-c', 'hostname mx.test.example; exec "$@"', 'sh',
        "$self->{root}/usr/libexec/sendmail/sendmail", '-C', "$self->{dir}/sendmail.cf", @arg);
}

sub mc ($self) {
    my ($root, $dir) = @{$self}{qw(root dir)};
    my $milter = $self->{milter} =~ s/^unix:/local:/r;
    my $aliases = $self->{aliases} ? "$dir/aliases" : '';
    my $local = $self->{aliases} ? "MAILER(`local')\n" : '';
    my $more = $self->{mc} // '';
    return <<"END";
divert(-1)
define(`_CF_DIR_', `$root/usr/share/sendmail/cf/')
include(`$root/usr/share/sendmail/cf/m4/cf.m4')
VERSIONID(`private test instance')
OSTYPE(`linux')
define(`MAIL_SETTINGS_DIR', `$dir/')
define(`confPID_FILE', `$dir/run/sendmail.pid')
define(`QUEUE_DIR', `$dir/q')
define(`ALIAS_FILE', `$aliases')
define(`STATUS_FILE', `$dir/statistics')
define(`HELP_FILE', `$root/etc/mail/helpfile')
define(`confSERVICE_SWITCH_FILE', `$dir/service.switch')
define(`confHOSTS_FILE', `/etc/hosts')
define(`confCW_FILE', `-o $dir/local-host-names')
define(`confCT_FILE', `-o $dir/trusted-users')
define(`confDOMAIN_NAME', `mx.test.example')
define(`confTO_IDENT', `0')
define(`confDELIVERY_MODE', `background')
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe,TrustStickyBit')
define(`confDONT_PROBE_INTERFACES', `True')
define(`confBIND_OPTS', `')
define(`confCONNECTION_RATE_THROTTLE', `0')
define(`confQUEUE_LA', `100')
define(`confREFUSE_LA', `200')
define(`confTRUSTED_USER', `root')
FEATURE(`no_default_msa')
FEATURE(`promiscuous_relay')
FEATURE(`accept_unresolvable_domains')
FEATURE(`accept_unqualified_senders')
FEATURE(`nocanonify')
define(`SMART_HOST', `esmtp:[127.0.0.1]')
define(`ESMTP_MAILER_ARGS', `TCP \$h $self->{sink}')
define(`RELAY_MAILER_ARGS', `TCP \$h $self->{sink}')
define(`SMTP_MAILER_ARGS', `TCP \$h $self->{sink}')
DAEMON_OPTIONS(`Family=inet, Name=MTA-v4, Port=$self->{port}, Addr=127.0.0.1')
${more}INPUT_MAIL_FILTER(`mailreeve', `S=$milter, F=T, T=C:10s;S:60s;R:60s;E:10m')
${local}MAILER(`smtp')
END
}

# What makes it offer STARTTLS and ask for a client certificate. tls: { cert, key, ca }.
sub with_tls ($class, $tls) {
    my %define = (CACERT => $tls->{ca}, CACERT_PATH => $tls->{ca} =~ s{/[^/]*\z}{}r, SERVER_CERT => $tls->{cert}, SERVER_KEY => $tls->{key});
    return (mc => join '', map { "define(`conf$_', `$define{$_}')\n" } sort keys %define);
}

# Quarantined messages keep their control file under another first letter.
sub held ($self) { return map { m{/hf([^/]+)\z} ? $1 : () } glob "$self->{dir}/q/hf*" }

# What makes `sendmail` this instance.
sub environment ($self) {
    mkdir "$self->{dir}/bin";
    write_file("$self->{dir}/bin/sendmail", "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec " . join(' ', map { s/'/'\\''/gr =~ s/(.*)/'$1'/sr } $self->command) . " \"\$@\"\n", 0755);
    return (PATH => "$self->{dir}/bin");
}

# Messages that are neither delivered nor held.
sub queued ($self) { return scalar(my @files = glob "$self->{dir}/q/[qtx]f*") }

sub release ($self, $id) {
    run_ok($self->command('-Q', '-qQ', "-qI$id"));
    return $self->flush($id);
}

sub flush ($self, $id) {
    run_ok($self->command("-qI$id"));
    return;
}

1;
