package Mailreeve::Daemon;

# mailreeved as built, in the foreground, with a configuration of the test's own.

use v5.36;
use Mailreeve::Process qw(work_dir spawn stop wait_until answers write_file read_file test_program source_dir reachable ended);

# config: text added to what a private instance needs; tick: seconds between two rounds of housekeeping. Returns an object with { socket, log, process }.
sub start ($class, %arg) {
    my $name = $arg{name} // 'mailreeved';
    my $dir = work_dir() . "/$name";
    mkdir $dir;
    for my $sub ('run', 'tmp', 'store') {
        mkdir "$dir/$sub";
        chown +(getpwnam 'nobody')[ 2, 3 ], "$dir/$sub";
    }
    my $config = delete $arg{config};
    my $self = bless { dir => $dir, socket => "$dir/run/milter.sock", config => "$dir/mailreeve.conf", %arg }, $class;
    $self->configure($config // '');
    $self->up if !$arg{down};
    return $self;
}

sub configure ($self, $text) {
    my $spec = $self->{spec} // "unix:$self->{socket}";
    my $top = "socket = \"$spec\"\nsocket_mode = 0666\nuser = nobody\nspool_dir = \"$self->{dir}/tmp\"\n";
    $top = join '', grep { /^(\w+)/ && $text !~ /^$1\b/m } map { "$_\n" } split /\n/, $top;
    my $dns = $self->{forwarder} ? "dns { forwarders = {\"$self->{forwarder}\"} trust_anchor_file = \"\" " . ($self->{dns} // '') . " }\n"
        : $self->{zone} || $text =~ /^dns\b/m ? '' : "dns { probe = \"\" }\n";
    my $content = $text =~ /^content\b/m ? '' : "content { tmp_dir = \"$self->{dir}/tmp\" }\n";
    my $signatures = reachable(source_dir() . '/conf/signatures/mailreeve-test.ndb');
    my $virus = $text =~ /^virus\b/m ? '' : "virus { databases = {\"$signatures\"} }\n";
    my $store = $text =~ /^store\b/m ? '' : "store { " . $self->store . " }\n";
    write_file($self->{config}, "$top$dns$content$virus$store$text");
    return;
}

# The options of store { } that make it the test's own.
sub store ($self) { return "location = \"sqlite:$self->{dir}/store/mailreeve.db\" spill_dir = \"$self->{dir}/store/spill\"" }

sub command ($self, @more) {
    my @zone = $self->{zone} ? ('--dns-zone', $self->{zone}) : ();
    return (test_program('mailreeved'), '-c', $self->{config}, @zone, @more);
}

# Sanitizers give up where they cannot read their suppressions.
sub env ($self) {
    my %sanitizers = map { $_ => $ENV{$_} =~ s/\bsuppressions=\K([^:]+)/reachable($1)/er } grep { $ENV{$_} } qw(LSAN_OPTIONS TSAN_OPTIONS);
    my @tick = $self->{tick} ? (MAILREEVE_TICK => $self->{tick}) : ();
    return { %sanitizers, @tick, MAILREEVE_INSPECT => reachable(test_program('mailreeve-inspect')) };
}

sub up ($self) {
    $self->{log} = "$self->{dir}/log";
    unlink $self->{log};
    $self->{process} = spawn(name => 'mailreeved', log => $self->{log}, command => [ $self->command('-f') ], env => $self->env);
    wait_until("mailreeved to be ready: $self->{log}",
        sub { die $self->log_text if ended($self->{process}); $self->log_text =~ /is ready on/ }, 90);
    return;
}

# Ends the daemon and waits for its nursery, which cleans up after its workers: what is left then is killed.
sub down ($self, $signal = 'TERM') {
    my $nursery = $self->nursery;
    kill $signal, $self->{process}{pid};
    wait_until('mailreeved to end', sub { ended($self->{process}) }, 90);
    wait_until('its nursery to end', sub { !defined $nursery || read_file("/proc/$nursery/stat") !~ /\) [^Z] /s });
    return stop($self->{process});
}

sub log_text ($self) { return read_file($self->{log}) }

# Processes whose parent is that one.
sub children_of ($pid) {
    return grep { read_file("/proc/$_/stat") =~ /^\d+ \(.*\) \S $pid /s } map { m{(\d+)\z} } glob '/proc/[0-9]*';
}

sub nursery ($self) { return (children_of($self->{process}{pid}))[0] }

sub workers ($self) { return children_of($self->nursery // return) }

# The verdict line of a message, as a hash with `line`; it must come within some seconds.
sub verdict ($self, $match) {
    my $line;
    wait_until("a verdict line that matches $match",
        sub { ($line) = grep { /verdict=/ && /$match/ } split /\n/, $self->log_text; defined $line });
    my %field = map { my ($key, $value) = split /=/, $_, 2; $key => $value =~ s/^"|"$//gr } $line =~ /(\w+=(?:"[^"]*"|\S*))/g;
    return { %field, line => $line };
}

1;
