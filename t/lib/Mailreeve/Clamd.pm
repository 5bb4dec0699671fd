package Mailreeve::Clamd;

# A private clamd: its own configuration, database and socket, no network.

use v5.36;
use Mailreeve::Process qw(work_dir spawn stop wait_until answers write_file read_file ended);

my $program = '/usr/sbin/clamd';

sub there { return -x $program }

# database: a folder. config: more lines of clamd.conf(5).
sub start ($class, %arg) {
    my $dir = work_dir() . '/clamd';
    mkdir $dir;
    my $self = bless { dir => $dir, socket => "$dir/socket", %arg }, $class;
    write_file("$dir/clamd.conf", <<"END" . ($arg{config} // ''));
LocalSocket $self->{socket}
LocalSocketMode 666
FixStaleSocket yes
DatabaseDirectory $arg{database}
TemporaryDirectory $dir
Foreground yes
AlertExceedsMax yes
OfficialDatabaseOnly no
END
    $self->up;
    return $self;
}

sub up ($self) {
    $self->{process} = spawn(name => 'clamd', command => [ $program, '-c', "$self->{dir}/clamd.conf" ]);
    wait_until("clamd: " . read_file($self->{process}{log}),
        sub { die read_file($self->{process}{log}) if ended($self->{process}); answers($self->{socket}) }, 60);
    return;
}

sub down ($self, $signal = 'TERM') { return stop($self->{process}, $signal) }

1;
