package Mailreeve::Postgres;

# A PostgreSQL server of the test's own, on a unix socket, as an unprivileged user.

use v5.36;
use Carp qw(croak);
use File::Path qw(make_path);
use Mailreeve::Process qw(work_dir spawn stop wait_until read_file ended);

# Where Debian puts the server's programs; undef: PostgreSQL is not installed.
sub programs { return (sort glob '/usr/lib/postgresql/*/bin')[-1] }

# of: the server that it is a standby of.
sub start ($class, %arg) {
    my $name = $arg{name} // 'postgres';
    my $dir = work_dir() . "/$name";
    my $self = bless { dir => $dir, data => "$dir/data", socket => "$dir/.s.PGSQL.5432", user => $> == 0 ? 'nobody' : scalar getpwuid $>, %arg }, $class;
    make_path($dir);
    chown +(getpwnam $self->{user})[ 2, 3 ], $dir if $> == 0;
    if ($arg{of}) {
        $self->as_user(programs() . '/pg_basebackup', '-D', $self->{data}, '-R', '-h', $arg{of}{dir}, '-U', 'mailreeve', '-X', 'stream',
            '-c', 'fast', '--no-sync', '-d', "application_name=$name") or croak "pg_basebackup: " . read_file("$dir/command.log");
        $self->up;
        return $self;
    }
    $self->as_user(programs() . '/initdb', '-D', $self->{data}, '-U', 'mailreeve', '-A', 'trust', '-E', 'UTF8', '--no-sync',
        '--locale=C.UTF-8') or croak "initdb: " . read_file("$dir/command.log");
    $self->up;
    $self->sql('template1', 'CREATE DATABASE mail');
    return $self;
}

# ( program, argument ... ) as the unprivileged user
sub command ($self, @command) {
    return $> == 0 ? ('setpriv', "--reuid=$self->{user}", '--clear-groups', @command) : @command;
}

sub as_user ($self, @command) {
    my $log = "$self->{dir}/command.log";
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        chdir $self->{dir};
        open STDOUT, '>', $log;
        open STDERR, '>&', \*STDOUT;
        exec $self->command(@command);
    }
    waitpid $pid, 0;
    return $? == 0;
}

sub up ($self) {
    my $process = $self->{process} = spawn(name => $self->{name} // 'postgres', log => "$self->{dir}/log", command => [
        $self->command(programs() . '/postgres', '-D', $self->{data}, '-k', $self->{dir}, '-c', 'listen_addresses=',
            '-c', 'max_connections=40', '-c', 'shared_buffers=16MB') ]);
    wait_until("PostgreSQL: $self->{dir}/log",
        sub { croak read_file("$self->{dir}/log") if ended($process); system("psql -X -q -h '$self->{dir}' -U mailreeve -d template1 -c '' > '$self->{dir}/psql.log' 2>&1") == 0 });
    return;
}

# TERM would wait for its clients.
sub down ($self, $signal = 'INT') {
    if ($signal eq 'KILL') {
        # Its children lead groups of their own; one that outlives it keeps its memory, and the next server from starting.
        my $pid = $self->{process}{pid};
        my @children = grep { read_file("/proc/$_/stat") =~ /^\d+ \(.*\) \S $pid /s } map { m{(\d+)\z} } glob '/proc/[0-9]*';
        kill 'KILL', $pid, @children;
        wait_until('PostgreSQL to be dead', sub { ended($self->{process}) && !grep { read_file("/proc/$_/stat") =~ /\) [^Z] /s } @children });
    }
    stop($self->{process}, $signal);
    return;
}

# A standby becomes the primary.
sub promote ($self) {
    $self->as_user(programs() . '/pg_ctl', 'promote', '-D', $self->{data}) or croak "promote: " . read_file("$self->{dir}/command.log");
    return;
}

sub location ($self, $database = 'mail') { return "postgresql://mailreeve\@/$database?host=$self->{dir}" }

# ---- a proxy that can lose answers ----

# Passes on what clients and the server say. deafen(): from now on nothing that the server says, until cut() ends all connections.
sub proxy ($class, $server) {
    my $dir = work_dir() . '/proxy';
    make_path($dir);
    my $self = bless { dir => $dir }, "${class}::Proxy";
    my $path = "$dir/.s.PGSQL.5432";
    $self->{process} = spawn(name => 'proxy', command => [ $^X, __FILE__ =~ s/Postgres\.pm\z/pgproxy.pl/r, $path, $server->{socket}, "$dir/deaf" ]);
    wait_until('the proxy', sub { -S $path });
    return $self;
}

package Mailreeve::Postgres::Proxy {
    sub deafen ($self) { Mailreeve::Process::write_file("$self->{dir}/deaf", ''); return }
    sub cut ($self) { unlink "$self->{dir}/deaf"; return }
}

# What psql prints, columns parted by "|".
sub sql ($self, $database, $sql) {
    my @command = ('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', $self->{dir}, '-U', 'mailreeve', '-d', $database, '-c', $sql);
    open my $out, '-|', @command, or croak "psql: $!";
    local $/ = undef;
    my $text = <$out> // '';
    close $out or croak "psql: $sql";
    return $text =~ s/\n\z//r;
}

1;
