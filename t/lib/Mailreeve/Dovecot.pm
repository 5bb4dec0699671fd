package Mailreeve::Dovecot;

# Dovecot's authentication server, for Postfix's smtpd_sasl_type = dovecot, and its delivery agent into Maildirs; or its IMAP
# server.

use v5.36;
use IO::Socket::INET;
use Mailreeve::Process qw(work_dir spawn wait_until write_file read_file ended free_port answers);

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

# An IMAP server, mail in maildirs of a user and a group of their own. more: text for its configuration. Returns { port }.
sub start_imap ($class, %arg) {
    my $dir = work_dir() . '/imap';
    my $port = free_port();
    mkdir $_ for $dir, "$dir/run", "$dir/mail";
    my ($uid, $gid) = (scalar(getpwnam $arg{user}), scalar(getgrnam $arg{group}));
    chown $uid, $gid, "$dir/mail";
    my $self = bless { dir => $dir, port => $port }, $class;
    write_file("$dir/users", join '', map { "$_:{PLAIN}$arg{users}{$_}\n" } sort keys %{ $arg{users} });
    write_file("$dir/dovecot.conf", <<"END");
base_dir = $dir/run
log_path = $dir/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
default_vsz_limit = 0
first_valid_gid = 1
mail_location = maildir:$dir/mail/%u
passdb {
  driver = passwd-file
  args = $dir/users
}
userdb {
  driver = static
  args = uid=$uid gid=$gid home=$dir/mail/%u
}
service imap-login {
  inet_listener imap {
    port = $port
  }
  inet_listener imaps {
    port = 0
  }
}
namespace inbox {
  inbox = yes
  mailbox Junk {
    auto = create
  }
  mailbox Trash {
    auto = create
  }
}
$arg{more}
END
    my $process = spawn(name => 'dovecot-imap', command => [ '/usr/sbin/dovecot', '-F', '-c', "$dir/dovecot.conf" ]);
    wait_until("Dovecot: $dir/log", sub { die read_file("$dir/log") . read_file($process->{log}) if ended($process); answers($port) });
    return $self;
}

# A session of that user: a function that says a command and returns all lines of the answer; it dies where that is not OK.
sub session ($self, $user, $password) {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) or die "IMAP: $!";
    my $serial = 0;
    my $greeting = <$socket>;
    my $say = sub ($command, $literal = undef) {
        my $tag = 'a' . ++$serial;
        my $text = '';
        print $socket defined $literal ? "$tag $command {" . length($literal) . "+}\r\n$literal\r\n" : "$tag $command\r\n";
        while (defined(my $line = <$socket>)) {
            $text .= $line;
            last if $line =~ /^$tag /;
        }
        die "IMAP: $command: $text" if $text !~ /^$tag OK/m;
        return $text;
    };
    $say->("LOGIN $user $password");
    return $say;
}

sub log_text ($self) { return read_file("$self->{dir}/log") }

1;
