package Mailreeve::Dns;

# NSD on a loopback port with a zone of the test's own: the whole DNS, as far as the test is concerned.

use v5.36;
use Mailreeve::Process qw(work_dir free_port spawn stop wait_until answers write_file read_file);

# zone: lines of a master file with absolute names. negative_ttl: seconds that a name is remembered not to be there.
# Returns { port, forwarder }.
sub start ($class, $zone, %arg) {
    my $minimum = $arg{negative_ttl} // 300;
    my $dir = work_dir() . '/nsd';
    mkdir $dir;
    my $self = bless { dir => $dir, port => free_port() }, $class;
    $self->{forwarder} = "127.0.0.1\@$self->{port}";
    write_file("$dir/root.zone", <<"END" . $zone);
\$ORIGIN .
\$TTL 300
. IN SOA ns.root. admin.root. 1 3600 900 604800 $minimum
. IN NS ns.root.
ns.root. IN A 127.0.0.1
END
    write_file("$dir/nsd.conf", <<"END");
server:
  ip-address: 127.0.0.1\@$self->{port}
  port: $self->{port}
  server-count: 1
  username: ""
  zonesdir: "$dir"
  pidfile: "$dir/nsd.pid"
  database: ""
  xfrdfile: "$dir/xfrd.state"
  xfrdir: "$dir"
  zonelistfile: "$dir/zone.list"
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "root.zone"
END
    $self->up;
    return $self;
}

sub up ($self) {
    $self->{process} = spawn(name => 'nsd', command => [ '/usr/sbin/nsd', '-d', '-c', "$self->{dir}/nsd.conf" ]);
    wait_until('NSD', sub { answers($self->{port}) });
    return;
}

# A server that answers TXT questions after so many milliseconds. text: name => record, or "silence". { forwarder, log }
sub slow ($class, $milliseconds, %text) {
    my $port = free_port();
    my $file = write_file(work_dir() . "/slow-$port", join '', map { "$_ $text{$_}\n" } sort keys %text);
    my $program = __FILE__ =~ s{Dns\.pm\z}{slowdns.pl}r;
    my $process = spawn(name => "slowdns-$port", command => [ $^X, $program, $port, $milliseconds, $file ]);
    wait_until('the slow DNS server', sub { read_file($process->{log}) =~ /ready/ });
    return { forwarder => "127.0.0.1\@$port", log => $process->{log} };
}

sub down ($self) { stop($self->{process}); return }

1;
