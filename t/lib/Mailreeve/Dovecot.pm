package Mailreeve::Dovecot;

# Dovecot's authentication server alone, for Postfix's smtpd_sasl_type = dovecot.

use v5.36;
use Mailreeve::Process qw(work_dir spawn wait_until write_file read_file ended);

# users: name => password. Returns { socket }.
sub start ($class, %users) {
    my $dir = work_dir() . '/dovecot';
    mkdir $_ for $dir, "$dir/run";
    my $self = bless { dir => $dir, socket => "$dir/run/smtpd" }, $class;
    write_file("$dir/users", join '', map { "$_:{PLAIN}$users{$_}\n" } sort keys %users);
    write_file("$dir/dovecot.conf", <<"END");
base_dir = $dir/run
log_path = $dir/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
passdb {
  driver = passwd-file
  args = $dir/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir
}
service auth {
  unix_listener $dir/run/smtpd {
    mode = 0666
  }
}
END
    my $process = spawn(name => 'dovecot', command => [ '/usr/sbin/dovecot', '-F', '-c', "$dir/dovecot.conf" ]);
    wait_until("Dovecot: $dir/log", sub { die read_file("$dir/log") . read_file($process->{log}) if ended($process); -S $self->{socket} });
    return $self;
}

1;
