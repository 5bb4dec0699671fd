package Mailreeve::Postfix;

# A private Postfix: its own configuration, queue and ports, loopback only. main, master: lines for main.cf, master.cf; name:
# where there is more than one.

use v5.36;
use Mailreeve::Process qw(work_dir free_port wait_until answers write_file read_file run_ok on_end);

sub start ($class, %arg) {
    my $dir = work_dir() . '/' . ($arg{name} // 'postfix');
    my $self = bless { dir => $dir, port => free_port(), %arg }, $class;
    mkdir $_ for $dir, map { "$dir/$_" } qw(etc queue data log);
    chmod 0755, $dir;
    chown scalar(getpwnam 'postfix'), 0, "$dir/data";
    chmod 0700, "$dir/data";
    write_file("$dir/etc/main.cf", $self->main_cf);
    write_file("$dir/etc/master.cf", $self->master_cf);
    run_ok('postfix', '-c', "$dir/etc", 'start');
    on_end(sub { $self->end });
    wait_until('Postfix', sub { answers($self->{port}) });
    return $self;
}

sub main_cf ($self) {
    my $dir = $self->{dir};
    my $to = "smtp:[127.0.0.1]:$self->{sink}";
    return <<"END" . ($self->{main} // '');
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
maillog_file = $dir/log/maillog
maillog_file_prefixes = $dir/log
syslog_name = pf
myhostname = mx.test.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
relay_domains = static:ALL
disable_dns_lookups = yes
smtp_dns_support_level = disabled
smtp_host_lookup = native
default_transport = $to
relay_transport = $to
smtpd_peername_lookup = no
biff = no
message_size_limit = 0
smtpd_milters = $self->{milter}
non_smtpd_milters = $self->{milter}
milter_default_action = tempfail
milter_connect_timeout = 10s
milter_command_timeout = 60s
milter_content_timeout = 300s
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
default_process_limit = 200
END
}

sub master_cf ($self) {
    return <<"END" . ($self->{master} // '');
127.0.0.1:$self->{port} inet n - n - - smtpd
postlog   unix-dgram n - n - 1 postlogd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
END
}

sub end ($self) { system 'postfix', '-c', "$self->{dir}/etc", 'stop' if -e "$self->{dir}/queue/pid/master.pid"; return }

# What makes it offer STARTTLS and ask for a client certificate. tls: { cert, key, ca }.
sub with_tls ($class, $tls) {
    return (main => <<"END");
smtpd_tls_security_level = may
smtpd_tls_cert_file = $tls->{cert}
smtpd_tls_key_file = $tls->{key}
smtpd_tls_CAfile = $tls->{ca}
smtpd_tls_ask_ccert = yes
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
END
}

# Queue ids of the messages held.
sub held ($self) {
    my $queue = run_ok('postqueue', '-c', "$self->{dir}/etc", '-j');
    return map { /"queue_name": "hold"/ && /"queue_id": "(\w+)"/ ? $1 : () } split /\n/, $queue;
}

# What its programs need to find this instance.
sub environment ($self) { return (MAIL_CONFIG => "$self->{dir}/etc") }

# Messages that are neither delivered nor held.
sub queued ($self) {
    my $queue = run_ok('postqueue', '-c', "$self->{dir}/etc", '-j');
    return scalar grep { /"queue_name"/ && !/"queue_name": "hold"/ } split /\n/, $queue;
}

sub release ($self, $id) {
    run_ok('postsuper', '-c', "$self->{dir}/etc", '-H', $id);
    return $self->flush($id);
}

sub flush ($self, $id) {
    run_ok('postqueue', '-c', "$self->{dir}/etc", '-i', $id);
    return;
}

sub log_text ($self) { return read_file("$self->{dir}/log/maillog") }

1;
