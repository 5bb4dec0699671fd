package Mailreeve::Dovecot;

# Dovecot's authentication server, for Postfix's smtpd_sasl_type = dovecot, and its delivery agent into Maildirs.

use v5.36;
use Mailreeve::Process qw(work_dir spawn wait_until write_file read_file ended);

# users: name => password. Returns { socket }.
sub start ($class, %users) {
    my $dir = work_dir() . '/dovecot';
    mkdir $_ for $dir, "$dir/run", "$dir/mail";
    chown +(getpwnam 'nobody')[ 2, 3 ], "$dir/mail";
    chmod 0755, $dir;
    my $self = bless { dir => $dir, socket => "$dir/run/smtpd" }, $class;
    write_file("$dir/users", join '', map { "$_:{PLAIN}$users{$_}\n" } sort keys %users);
    write_file("$dir/dovecot.conf", <<"END");
base_dir = $dir/run
log_path = $dir/log
protocols =
mail_location = maildir:$dir/mail/%u
hostname = mx.test.example
postmaster_address = postmaster\@test.example
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
  unix_listener auth-userdb {
    mode = 0666
  }
}
END
    my $process = spawn(name => 'dovecot', command => [ '/usr/sbin/dovecot', '-F', '-c', "$dir/dovecot.conf" ]);
    wait_until("Dovecot: $dir/log", sub { die read_file("$dir/log") . read_file($process->{log}) if ended($process); -S $self->{socket} });
    return $self;
}

# For master.cf: the transport "dovecot" puts mail into Maildirs.
sub transport ($self) {
    return "dovecot unix - n n - 4 pipe flags=DRhu user=nobody argv=/usr/lib/dovecot/dovecot-lda -c $self->{dir}/dovecot.conf"
        . " -o log_path=$self->{dir}/mail/log -o stats_writer_socket_path="
        . ' -f ${sender} -d ${user}@${domain}' . "\n";
}

# What is in a user's mailbox, oldest first.
sub mailbox ($self, $user) {
    my %when = map { m{/(\d+)\.M(\d+)P[^/]*\z} ? ($_ => $1 * 1e6 + $2) : () } glob "$self->{dir}/mail/$user/{new,cur}/*";
    return map { read_file($_) } sort { $when{$a} <=> $when{$b} } keys %when;
}

1;
