package Mailreeve::Upstream;

# A filter in front of a real MTA, who delivers past it, and TLS: the same through Postfix and Sendmail. The filter is
# another real Postfix, which writes its own Received.

use v5.36;
use Exporter qw(import);
use Test::More;
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir run_ok write_file read_file wait_until);
use Mailreeve::Scenario qw(message);
use Mailreeve::Smtp;

our @EXPORT_OK = qw(run_upstream);

my $zone = <<'END';
good.example. TXT "v=spf1 ip4:198.51.100.7 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
END

# An authority, and what it has signed for the server and a client: { ca, cert, key, client_cert, client_key }, and a
# certificate that nobody has signed but its owner.
sub certificates {
    my $dir = work_dir() . '/tls';
    mkdir $dir;
    my @new = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes');
    run_ok('openssl', 'req', '-x509', @new, '-days', '2', '-subj', '/CN=Test CA', '-keyout', "$dir/ca.key", '-out', "$dir/ca.pem");
    for my $name ('server', 'client') {
        my $subject = $name eq 'server' ? '/CN=mx.test.example' : '/O=Bank & Sons (test)/CN=mail.bank.example';
        run_ok('openssl', 'req', @new, '-subj', $subject, '-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
        run_ok('openssl', 'x509', '-req', '-in', "$dir/$name.csr", '-days', '2', '-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-CAcreateserial',
            '-out', "$dir/$name.pem");
    }
    run_ok('openssl', 'req', '-x509', @new, '-days', '2', '-subj', '/CN=self.example', '-keyout', "$dir/self.key", '-out', "$dir/self.pem");
    chmod 0600, glob "$dir/*.key";
    return { ca => "$dir/ca.pem", cert => "$dir/server.pem", key => "$dir/server.key", dir => $dir };
}

sub run_upstream ($mta_class) {
    my $tls = certificates();
    my $networks = write_file(work_dir() . '/filter.networks', "# the filter\n127.0.0.2\n");
    my $dns = Mailreeve::Dns->start($zone);
    my $daemon = Mailreeve::Daemon->start(
        forwarder => $dns->{forwarder},
        config => "own_networks = {\"127.0.0.1\"}\nauthres { received_spf = yes }\n"
            . "upstream { guard = {\"guarded.example: file:$networks\"} }\n"
            . "tls { require_from = {\"bank.example TLSv1.3\"} require_to = {\"secret.example\"} }\n",
    );
    my $sink = Mailreeve::Smtp->sink;
    my $mta = $mta_class->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}", $mta_class->with_tls($tls));
    my $front = Mailreeve::Postfix->start(name => 'front', sink => $mta->{port}, milter => '',
        main => "myhostname = front.test.example\nsmtp_bind_address = 127.0.0.2\n");
    my $self = { daemon => $daemon, sink => $sink, mta => $mta, front => $front, tls => $tls, networks => $networks, sendmail => scalar($mta_class =~ /Sendmail/) };
    $_->($self) for \&direct, \&relayed, \&forged, \&one_connection, \&sessions, \&required, \&reloaded;
    return $self;
}

sub arrived ($self, $id) { return Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id") }
sub connected ($self, $local) {
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => $local);
    $smtp->say_line('EHLO client.example');
    return $smtp;
}

# Some recipients are guarded, others not: each gets its answer, and the message goes to those that were taken.
sub direct ($self) {
    my ($id, $text) = message(from => 'a@direct.example');
    my $smtp = connected($self, '127.0.0.7');
    my $reply = $smtp->deliver(from => 'a@direct.example', to => [ map { ("$_\@dst.example", "$_\@guarded.example") } 1, 2 ], message => $text);
    is_deeply([ map { substr $_, 0, 9 } @{ $smtp->{rcpt} } ], [ map { $_ % 2 ? '550 5.7.1' : '250 2.1.5' } 0 .. 3 ], 'direct delivery: each RCPT has its answer');
    like($smtp->{rcpt}[1], qr/please deliver to its MX \(support id \w{8}\)/, 'with the reason');
    like($reply, qr/^250 /, 'the others are delivered to');
    my ($envelope) = @{ arrived($self, $id) };
    like($envelope, qr/1\@dst\.example/, 'the first');
    unlike($envelope, qr/guarded/, 'and to nobody else');
    my $verdict = $self->{daemon}->verdict(qr/from=<a\@direct\.example>.* size=/);
    is_deeply([ @{$verdict}{qw(verdict client refused nrcpt tls)} ], [ 'accept', '127.0.0.7', 2, 4, 'none' ], 'the log counts the refused');
    like($self->{daemon}->verdict(qr/at=rcpt/)->{line}, qr/verdict=reject .*reason=upstream\.direct/, 'and has a line for each');
    $smtp->say_line('RSET');
    $reply = $smtp->deliver(from => 'b@direct.example', to => 'x@guarded.example', message => $text);
    like($reply, qr/^550 5\.7\.1 /, 'where all are guarded there is nothing to deliver');
    $smtp->say_line('QUIT');
    return;
}

sub through_front ($self, $client, %arg) {
    return Mailreeve::Smtp->send_message($self->{front}{port}, client => $client, helo => 'mail.good.example', to => 'x@guarded.example', %arg);
}

sub relayed ($self) {
    my ($id, $text) = message(from => 'a@good.example');
    like(through_front($self, '198.51.100.7', from => 'a@good.example', message => $text), qr/^250 /, 'the filter takes a message');
    my $got = arrived($self, $id)->[1];
    like($got, qr/^Authentication-Results: mx\.test\.example;\s+spf=pass smtp\.mailfrom=a\@good\.example/m, 'SPF is that of the true client');
    like($got, qr/dmarc=pass/, 'as is DMARC');
    like($got, qr/client-ip=198\.51\.100\.7; helo=mail\.good\.example/, 'Received-SPF shows it');
    like($got, qr/Received: from mail\.good\.example \(unknown \[198\.51\.100\.7\]\)\s+by front\.test\.example \(Postfix\)/, 'which stands in a real Received');
    my $verdict = $self->{daemon}->verdict(qr/from=<a\@good\.example>/);
    is_deeply([ @{$verdict}{qw(verdict client relay helo)} ], [ 'accept', '198.51.100.7', '127.0.0.2', 'mail.good.example' ], 'the log has both addresses');
    return;
}

# What stands below the filter's own Received is the sender's word.
sub forged ($self) {
    my $headers = "Received: from mail.good.example (mail.good.example [198.51.100.7])\n\tby front.test.example (Postfix) with ESMTP id 4A1; Tue, 24 Nov 2026 12:00:00 +0000\n";
    my (undef, $text) = message(from => 'f@good.example', headers => $headers);
    like(through_front($self, '203.0.113.66', from => 'f@good.example', message => $headers . $text), qr/^250 /, 'the filter takes a forgery');
    my $verdict = $self->{daemon}->verdict(qr/from=<f\@good\.example>/);
    is_deeply([ @{$verdict}{qw(verdict client relay spf reason)} ], [ 'reject', '203.0.113.66', '127.0.0.2', 'fail', 'dmarc.reject' ], 'but we do not');
    my $bounce = $self->{daemon}->verdict(qr/from=<> /);
    is_deeply([ @{$bounce}{qw(verdict client relay)} ], [ 'accept', 'unknown', '127.0.0.2' ], 'its bounce began at the filter: no client');
    like($bounce->{findings}, qr/upstream\.client_unknown/, 'which is told');
    return;
}

# Each message of a connection has its own client.
sub one_connection ($self) {
    my $smtp = connected($self, '127.0.0.2');
    my @got;
    for my $client ('198.51.100.7', '203.0.113.66', '198.51.100.7') {
        my $n = @got;
        my (undef, $text) = message(from => "n$n\@good.example", headers => "Received: from h$n.example (unknown [$client])\n\tby front.test.example with ESMTP id 1; x\n");
        push @got, substr $smtp->deliver(from => "n$n\@good.example", to => 'x@guarded.example', message => $text), 0, 9;
        my $verdict = $self->{daemon}->verdict(qr/from=<n$n\@good\.example>/);
        is_deeply([ @{$verdict}{qw(client helo relay)} ], [ $client, "h$n.example", '127.0.0.2' ], "message $n of a connection");
    }
    is_deeply([ map { substr $_, 0, 3 } @got ], [ 250, 550, 250 ], 'each with its own verdict');
    $smtp->say_line('QUIT');
    return;
}

sub encrypted ($self, $version, %ssl) {
    my $smtp = connected($self, '127.0.0.7');
    $smtp->starttls('mail.bank.example', SSL_version => $version, %ssl);
    return $smtp;
}

# { verdict line } of a message sent by such a session.
sub session_of ($self, $name, $version, %ssl) {
    my (undef, $text) = message(from => "$name\@tls.example");
    my $smtp = encrypted($self, $version, %ssl);
    like($smtp->deliver(from => "$name\@tls.example", to => 'x@secret.example', message => $text), qr/^250 /, "$name: taken");
    $smtp->say_line('QUIT');
    return $self->{daemon}->verdict(qr/from=<$name\@tls\.example>/);
}

sub client_cert ($self, $name) {
    return (SSL_use_cert => 1, SSL_cert_file => "$self->{tls}{dir}/$name.pem", SSL_key_file => "$self->{tls}{dir}/$name.key");
}

sub sessions ($self) {
    my $new = session_of($self, 'new', 'TLSv1_3');
    is_deeply([ $new->{tls}, $new->{tls_cipher} =~ /^TLS_/ ? 'yes' : $new->{tls_cipher}, $new->{tls_cert} ], [ 'TLSv1.3', 'yes', undef ], 'TLSv1.3 without a certificate');
    my $old = session_of($self, 'old', 'TLSv1_2');
    is_deeply([ $old->{tls}, $old->{tls_cipher} =~ /^ECDHE-/ ? 'yes' : $old->{tls_cipher} ], [ 'TLSv1.2', 'yes' ], 'TLSv1.2');
    my $signed = session_of($self, 'signed', 'TLSv1_3', client_cert($self, 'client'));
    my $self_signed = session_of($self, 'selfmade', 'TLSv1_3', client_cert($self, 'self'));
    my $subject = $self->{sendmail} ? '/O=Bank & Sons (test)/CN=mail.bank.example' : 'mail.bank.example';
    is($signed->{tls_cert}, "verified($subject)", 'a certificate of our authority; Postfix gives the common name alone');
    is($self_signed->{tls_cert}, $self->{sendmail} ? 'unverified(/CN=self.example)' : undef, 'one that nobody has signed: Postfix does not name it');
    return;
}

sub required ($self) {
    my (undef, $text) = message(from => 'x@bank.example');
    my $plain = connected($self, '127.0.0.7');
    like($plain->deliver(from => 'x@bank.example', to => 'x@dst.example', message => $text), qr/^550 5\.7\.10 .*STARTTLS/, 'without TLS the bank is refused at RCPT');
    $plain->say_line('RSET');
    like($plain->deliver(from => 'x@open.example', to => [ 'x@dst.example', 'x@secret.example' ], message => $text), qr/^250 /, 'and others not');
    is_deeply([ map { substr $_, 0, 3 } @{ $plain->{rcpt} } ], [ 250, 550 ], 'but for a recipient that asks for TLS');
    like(encrypted($self, 'TLSv1_2')->deliver(from => 'x@bank.example', to => 'x@dst.example', message => $text), qr/^550 5\.7\.10 .*TLSv1\.3/, 'nor is an old version enough');
    like(encrypted($self, 'TLSv1_3')->deliver(from => 'x@bank.example', to => 'x@dst.example', message => $text), qr/^250 /, 'a new one is');
    return;
}

# A bad line is refused at a reload, and what was before stays; a good one is in force soon, without one.
sub reloaded ($self) {
    my (undef, $text) = message(from => 'r@direct.example');
    my $daemon = $self->{daemon};
    my $send = sub { connected($self, '127.0.0.9')->deliver(from => 'r@direct.example', to => 'x@guarded.example', message => $text) };
    like($send->(), qr/^550 5\.7\.1 /, 'a host that is not in the file');
    write_file($self->{networks}, "127.0.0.2\n127.0.0.9/8\n");
    kill 'HUP', $daemon->{process}{pid};
    wait_until('the bad file to be refused', sub { $daemon->log_text =~ m{\Q$self->{networks}\E:2 to be a network} });
    like($daemon->log_text, qr/the configuration stays as it was/, 'a bad line keeps the old configuration');
    write_file($self->{networks}, "127.0.0.2\n127.0.0.9\n");
    wait_until('the file to be in force', sub { $daemon->log_text =~ /stays as it was.*a file that the configuration names has changed\n.*is in force for new connections/s });
    like($send->(), qr/^250 /, 'once it is, it may deliver');
    return;
}

1;
