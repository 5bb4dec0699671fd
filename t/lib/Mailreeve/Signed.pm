package Mailreeve::Signed;

# Outbound mail through a real MTA: signed by Mailreeve, verified at its end by three others: Mail::DKIM (RSA only), dkimpy,
# and libopendkim in `mailreeve explain`.

use v5.36;
use Exporter qw(import);
use JSON::PP qw(decode_json);
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Net::DNS::Resolver;
use Test::More;
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Process qw(work_dir run_ok read_file write_file wait_until test_program);
use Mailreeve::Smtp;

our @EXPORT_OK = qw(run_signing);

my $mailreeve = test_program('mailreeve');

# run_ok() without the death: ( status, output with errors ).
sub run (@command) {
    my $text = eval { run_ok(@command) };
    return (0, $text) if defined $text;
    my ($status, $out) = $@ =~ /: status (\d+)\n(.*?)(?: at \S+ line \d+\.)?$/s;
    return (($status // 255) >> 8, $out);
}

sub key ($self, @arg) { return run($mailreeve, 'key', @arg, '--config', $self->{daemon}{config}) }

sub key_ok ($self, @arg) {
    my ($status, $out) = $self->key(@arg);
    die "mailreeve key @arg: $status\n$out" if $status;
    return $out;
}

# The records as `mailreeve key` prints them, for NSD as for explain; the plain text for dkimpy.
sub records ($self) {
    my ($zone, $plain) = ('', '');
    for my $key (@{ decode_json($self->key_ok('list', '--json')) }) {
        my (undef, $out) = $self->key('publish', $key->{domain}, $key->{selector}, '--dns-zone', '/dev/null');
        my ($record) = $out =~ /^(\S+ \d+ IN TXT (?:"[^"]*"|\(.*?\)))$/ms or die "no record in: $out";
        $zone .= "$record\n";
        $plain .= "$key->{selector}._domainkey.$key->{domain} " . join('', $record =~ /"([^"]*)"/g) . "\n";
    }
    $self->{zone} = write_file(work_dir() . '/signed.zone', $zone);
    $self->{plain} = write_file(work_dir() . '/signed.txt', $plain);
    return $zone;
}

sub republish ($self) {
    $self->{dns}->down;
    my $file = "$self->{dns}{dir}/root.zone";
    write_file($file, read_file($file) =~ s/^\S+\._domainkey\..*\z//msr . $self->records);
    $self->{dns}->up;
    return;
}

sub setup ($mta_class) {
    my $keys = work_dir() . '/keys';
    my $dns = Mailreeve::Dns->start('');
    my $daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, dns => 'timeout = 2s deadline = 3s ttl_negative_max = 1s ttl_max = 1s',
        config => "own_networks = {\"127.0.0.1\"}\nsign { keys_dir = \"$keys\" }\n", down => 1);
    my $self = bless { keys => $keys, dns => $dns, daemon => $daemon, mta_class => $mta_class }, __PACKAGE__;
    $self->key_ok('new', 'one.example', '--type', 'both');
    $self->key_ok('new', 'two.example', '--selector', 'sel');
    $self->key_ok('new', 'idle.example');
    $self->republish;
    $self->key_ok('activate', 'one.example');
    $self->key_ok('activate', 'two.example', 'sel');
    $daemon->up;
    $self->{sink} = Mailreeve::Smtp->sink;
    $self->{mta} = $mta_class->start(sink => $self->{sink}{port}, milter => "unix:$daemon->{socket}");
    Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $dns->{port}, recurse => 0));
    return $self;
}

# ---- verifying ----

sub by_mail_dkim ($path) {
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT(read_file($path));
    $verifier->CLOSE;
    return map { join ' ', $_->domain, $_->selector, $_->algorithm, $_->result } $verifier->signatures;
}

sub by_dkimpy ($self, @paths) {
    my $program = __FILE__ =~ s{Signed\.pm\z}{dkim_verify.py}r;
    my %results;
    for (split /\n/, run_ok('/usr/bin/python3', $program, $self->{plain}, @paths)) {
        my ($path, $result) = split / /, $_, 2;
        push @{ $results{$path} }, $result;
    }
    return \%results;
}

sub by_ourselves ($self, @paths) {
    local $ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
    my @lines = split /\n/, run_ok($mailreeve, 'explain', '--config', $self->{daemon}{config}, '--dns-zone', $self->{zone}, '--client',
        '192.0.2.9', '--from', '', '--json', @paths);
    return { map { my $object = decode_json($_); $object->{file} => [ map { "$_->{domain} $_->{selector} $_->{algorithm} $_->{result}" } @{ $object->{dkim} } ] }
            @lines };
}

# Every message in the files has been signed by these ("domain selector algorithm"), and all verifiers say so.
sub verified ($self, $name, $signatures, @paths) {
    my @all = map { "$_ pass" } sort @$signatures;
    my @rsa = grep { /rsa-sha256/ } @all;
    my ($dkimpy, $ourselves) = ($self->by_dkimpy(@paths), $self->by_ourselves(@paths));
    for my $path (@paths) {
        my $text = @paths > 1 ? "$name, $path" : $name;
        is_deeply([ sort grep { / rsa-sha256 / && !/forged/ } by_mail_dkim($path) ], \@rsa, "$text: Mail::DKIM");
        is_deeply([ sort grep { !/forged/ } @{ $dkimpy->{$path} // [] } ], \@all, "$text: dkimpy");
        is_deeply([ sort grep { !/forged/ } @{ $ourselves->{$path} // [] } ], \@all, "$text: our own gate")
            or diag(read_file($path));
    }
    return;
}

# ---- messages ----

my $serial = 0;

sub compose (%arg) {
    my $id = sprintf 's%04d-%d', ++$serial, $$;
    my $from = $arg{from_field} // "From: Anna <$arg{from}>\n";
    my $subject = $arg{subject} // "Subject: $id\n";
    return ($id, "${from}To: b\@dst.example\n" . $subject =~ s/\bID\b/$id/r . "Date: Tue, 24 Nov 2026 12:00:00 +0000\nMessage-ID: <$id\@test.example>\n"
        . ($arg{headers} // '') . "\n" . ($arg{body} // "This is $id.\n"));
}

sub submit ($self, $text, %arg) {
    return Mailreeve::Smtp->send_message($self->{mta}{port}, local => '127.0.0.1', from => 'anna@one.example', to => 'b@dst.example',
        message => $text, %arg);
}

# The file of the message with that id in the sink.
sub arrived ($self, $id) {
    my $file;
    wait_until("the message $id", sub { ($file) = grep { read_file($_) =~ /^Subject:.*\Q$id\E/mi } glob "$self->{sink}{dir}/*.eml"; defined $file });
    return $file;
}

sub month { my @now = gmtime; return sprintf '%04d%02d', $now[5] + 1900, $now[4] + 1 }
sub of_one { return ('one.example r' . month() . ' rsa-sha256', 'one.example e' . month() . ' ed25519-sha256') }

sub shapes {
    my $mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b b\"\n";
    my $forged = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=one.example; s=forged; h=from; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AAAA";
    return (
        [ 'plain' ],
        [ 'multipart', headers => $mime, body => "preamble\n--b b\nContent-Type: text/plain\n\none\n--b b\nContent-Type: text/html\n\n<p>two\n--b b--\nend\n" ],
        [ '8-bit', headers => "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", body => "Gr\xc3\xbc\xc3\x9fe \xe2\x82\xac\n" ],
        [ 'a long folded header', headers => 'References: ' . join("\n\t", map { "<$_." . 'x' x 60 . "\@test.example>" } 1 .. 40) . "\n" ],
        [ 'a field without a space', subject => "Subject:ID\n", headers => "Reply-To:x\@one.example\n" ],
        [ 'white space at every place', subject => "Subject:  \t ID \t and   more \n", headers => "Cc: \n c\@dst.example\n", body => "  two  spaces \t\n\t\n tab\tend  \n" ],
        [ 'an empty body', body => '' ],
        [ 'a body of blank lines', body => "\n\n\n" ],
        [ 'blank lines at the end', body => "text\n\n\n\n" ],
        [ 'leading dots', body => ".\n..\n.hidden\n" ],
        [ 'a bounce', envelope => '', from => 'mailer-daemon@one.example' ],
        [ 'a line of 980 bytes', body => 'x' x 980 . "\nshort\n" ],
        [ 'fields that stand twice', headers => "Subject: another one\nReply-To: a\@one.example\nReply-To: b\@one.example\nX-Other: 1\nX-Other: 2\n" ],
        [ 'forged signature and results', headers => "DKIM-Signature: $forged\nAuthentication-Results: mx.test.example; dkim=pass\n" ],
        [ 'a group of many recipients', headers => 'Cc: ' . join(",\n ", map { "Nr $_ <r$_\@dst.example>" } 1 .. 60) . "\n" ],
        [ 'a list', headers => "List-Id: L <l.one.example>\nList-Unsubscribe: <https://one.example/u>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\nSender: s\@one.example\n" ],
        [ 'lists of addresses as they come', headers => "Cc: x\@a.example,y\@b.example , \"Q, R\"<z\@c.example>,\nReply-To: x\@a.example ,y\@b.example\nBcc: q\@q.example\n" ],
        [ 'a name in UTF-8', from_field => "From: \"Gr\xc3\xbcn, Anna\" <anna\@one.example>\n" ],
        [ 'a body of 300 KB', body => join '', map { sprintf "%06d  %s \n", $_, 'y' x ($_ % 70) } 1 .. 7000 ],
        [ 'a subdomain', from => 'anna@a.b.one.example' ],
    );
}

sub sent_shapes ($self) {
    for my $shape (shapes()) {
        my ($name, %arg) = @$shape;
        my ($id, $text) = compose(from => 'anna@one.example', %arg);
        like($self->submit($text, from => $arg{envelope} // 'anna@one.example'), qr/^250 /, "$name: taken");
        my $file = $self->arrived($id);
        $self->verified($name, [ of_one() ], $file);
        my ($field) = read_file($file) =~ /\A(DKIM-Signature:.*?)\r\n(?![ \t])/s;
        ok(defined $field && !grep({ length > 78 } split /\r\n/, $field), "$name: on top, in lines below 78 bytes");
    }
    is($self->{daemon}->verdict(qr/signed=one\.example/)->{signed}, 'one.example/e' . month() . ',one.example/r' . month(), 'the log names both signatures');
    return;
}

sub other_senders ($self) {
    my ($id, $text) = compose(from => 'x@two.example');
    $self->submit($text, from => 'x@two.example');
    $self->verified('another domain', ['two.example sel rsa-sha256'], $self->arrived($id));
    ($id, $text) = compose(from_field => "From: anna\@one.example, x\@two.example\n", headers => "Sender: anna\@one.example\n");
    $self->submit($text);
    $self->verified('authors of two domains', [ of_one(), 'two.example sel rsa-sha256' ], $self->arrived($id));
    for my $case ([ 'a domain without a key', 'a@none.example', 'sign.unsigned' ], [ 'a domain with a new key', 'a@idle.example', 'sign.no_key' ],
        [ 'a domain that only ends alike', 'a@someone.example', 'sign.unsigned' ]) {
        my ($name, $from, $code) = @$case;
        ($id, $text) = compose(from => $from);
        like($self->submit($text, from => $from), qr/^250 /, "$name: taken");
        unlike(read_file($self->arrived($id)), qr/^DKIM-Signature/mi, "$name: not signed");
        like($self->{daemon}->verdict(qr/from=<\Q$from\E>/)->{findings}, qr/\b\Q$code\E\b/, "$name: $code");
    }
    ($id, $text) = compose(from => 'anna@one.example');
    like($self->submit($text, local => '127.0.0.7'), qr/^250 /, 'from elsewhere: taken');
    unlike(read_file($self->arrived($id)), qr/^DKIM-Signature/mi, 'from elsewhere: not signed');
    ($id, $text) = compose(from => 'anna@one.example', headers => "From: x\@other.example\n");
    like($self->submit($text), qr/^(?:550 5\.7\.1|250) /, 'two From fields');
    is($self->{daemon}->verdict(qr/sign\.from_unusable/)->{verdict}, 'reject', 'two From fields, one of a domain with keys: refused');
    return;
}

# What may not survive is signed, and said.
sub fragile ($self) {
    my $utf8 = "Gr\xc3\xbcn\n";
    for my $case ([ 'a line of 3,000 bytes', body => 'x' x 3000 . "\n" ], [ 'a NUL', body => "a\0b\n" ],
        [ '8-bit without a word', body => $utf8 ], [ 'a header line of 1,200 bytes', headers => 'X-Y: ' . 'y' x 1200 . "\n" ]) {
        my ($name, %arg) = @$case;
        my ($id, $text) = compose(from => 'anna@one.example', %arg);
        like($self->submit($text, from => "f$id\@one.example"), qr/^250 /, "$name: taken");
        my $verdict = $self->{daemon}->verdict(qr/from=<f\Q$id\E\@/);
        like($verdict->{findings}, qr/sign\.fragile/, "$name: sign.fragile");
        like($verdict->{signed}, qr/one\.example/, "$name: signed");
    }
    return;
}

# One key is replaced in the middle of many messages: each of them is signed by the one or the other.
sub rotation ($self) {
    my ($count, @ids) = (200);
    my $old = 'one.example r' . month() . ' rsa-sha256';
    my $new = 'one.example next rsa-sha256';
    $self->key_ok('new', 'one.example', '--selector', 'next');
    my ($status, $out) = $self->key('activate', 'one.example', 'next');
    is($status, 1, 'a key that is not in the DNS yet is not activated');
    like($out, qr/next\._domainkey\.one\.example is not in the DNS as it must be: not there/, 'and it is said why');
    $self->republish;
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => '127.0.0.1');
    $smtp->say_line('EHLO client.example');
    my ($switched, %by);
    for my $n (1 .. $count) {
        my ($id, $text) = compose(from => 'anna@one.example');
        my $reply = $smtp->deliver(from => 'anna@one.example', to => 'b@dst.example', message => $text);
        $reply =~ /^250 / or die "message $n: $reply";
        push @ids, $id;
        if ($n == $count / 2) {
            $switched = $self->key_ok('activate', 'one.example', 'next');
        }
        if ($n == $count - 1) { # by now it is noticed
            wait_until('the new key to sign', sub {
                my (undef, $probe) = compose(from => 'anna@one.example');
                $smtp->deliver(from => 'anna@one.example', to => 'b@dst.example', message => $probe);
                return $self->{daemon}->log_text =~ m{signed=[^ ]*one\.example/next\b};
            });
        }
    }
    like($switched, qr/next signs mail of one\.example.*retired r\d{6}\. Leave r\d{6}\._domainkey\.one\.example in the DNS/s, 'activate says what it did');
    my @files = map { $self->arrived($_) } @ids;
    my ($dkimpy, $ourselves) = ($self->by_dkimpy(@files), $self->by_ourselves(@files));
    my ($bad, $rsa) = (0, 0);
    for my $file (@files) {
        my @signatures = grep { / rsa-sha256 / } @{ $dkimpy->{$file} };
        $bad++ if !@signatures || grep { !/ pass\z/ } @{ $dkimpy->{$file} }, @{ $ourselves->{$file} }, grep { / rsa-sha256 / } by_mail_dkim($file);
        $by{$_}++ for @signatures;
        $rsa += @signatures;
    }
    is($bad, 0, "all $count messages are signed, and every signature verifies");
    cmp_ok($by{"$old pass"} // 0, '>', 0, sprintf '%d of them by the old key', $by{"$old pass"} // 0);
    cmp_ok($by{"$new pass"} // 0, '>', 0, sprintf '%d by the new one', $by{"$new pass"} // 0);
    return;
}

# Nothing leaves unsigned while a key is broken.
sub broken ($self) {
    my $file = "$self->{keys}/sel._domainkey.two.example.active.pem";
    my ($uid, $gid) = (getpwnam 'nobody')[ 2, 3 ];
    my $good = read_file($file);
    my $try = sub { my ($id, $text) = compose(from => 'x@two.example'); return ($id, $self->submit($text, from => 'x@two.example')) };
    write_file($file, "rubbish\n", 0600);
    wait_until('the daemon to notice', sub { $try->(); $self->{daemon}->log_text =~ /holds 0 PEM blocks.*what it held before is used/ });
    my ($id, $reply) = $try->();
    $self->verified('a key that breaks in a running daemon: what it was', ['two.example sel rsa-sha256'], $self->arrived($id));
    # What never was a key in this daemon's life.
    my $late = "$self->{keys}/sel._domainkey.late.example.active.pem";
    write_file($late, $good, 0644);
    chown $uid, $gid, $late;
    my $late_id;
    wait_until('the new file to be noticed', sub {
        ($late_id, my $text) = compose(from => 'x@late.example');
        $reply = $self->submit($text, from => 'x@late.example');
        $reply =~ /^451 /;
    });
    like($reply, qr/^451 4\.7\.5 .*could not be signed/, 'a key that everybody can read: mail of the domain is put off');
    $self->{daemon}->down;
    $self->{daemon}->up;
    ($id, $reply) = $try->();
    like($reply, qr/^451 4\.7\.5 .*could not be signed, please try again later \(support id/, 'after a restart nothing is left of the key: put off');
    like($self->{daemon}->verdict(qr/sign\.failed/)->{detail}, qr/two\.example: .*sel\._domainkey\.two\.example\.active\.pem holds 0 PEM blocks/, 'the log says which file, and why');
    ok(!grep({ read_file($_) =~ /\Q$id\E|\Q$late_id\E/ } glob "$self->{sink}{dir}/*.eml"), 'nothing of it has left');
    write_file($file, $good, 0600);
    wait_until('the key to be used again', sub { ($id, $reply) = $try->(); $reply =~ /^250 / });
    $self->verified('mended, without a restart', ['two.example sel rsa-sha256'], $self->arrived($id));
    like($self->{daemon}->log_text, qr/is good again/, 'which the log says');
    chmod 0000, $file;
    chown 0, 0, $file;
    $self->{daemon}->down;
    $self->{daemon}->up;
    ($id, $reply) = $try->();
    like($reply, qr/^451 4\.7\.5 /, 'a file that the daemon may not read: put off');
    chown $uid, $gid, $file;
    chmod 0600, $file;
    my ($other, $text) = compose(from => 'a@none.example');
    like($self->submit($text, from => 'a@none.example'), qr/^250 /, 'mail of other domains goes on meanwhile');
    unlink $late;
    return;
}

sub no_folder ($self) {
    rename $self->{keys}, "$self->{keys}.gone" or die $!;
    my ($id, $text) = compose(from => 'anna@one.example');
    wait_until('the daemon to miss it', sub { $self->submit((compose(from => 'anna@one.example'))[1]); $self->{daemon}->log_text =~ /No such file or directory; the keys stay/ });
    like($self->submit($text), qr/^250 /, 'the folder vanishes: taken');
    $self->verified('signed with the keys that were there', [ 'one.example next rsa-sha256', (of_one())[1] ], $self->arrived($id));
    $self->{daemon}->down;
    $self->{daemon}->up;
    ($id, $text) = compose(from => 'anna@one.example');
    like($self->submit($text), qr/^250 /, 'a daemon that has never seen a folder of keys takes mail');
    unlike(read_file($self->arrived($id)), qr/^DKIM-Signature/mi, 'and does not sign it');
    mkdir $self->{keys};
    chmod 0777, $self->{keys};
    wait_until('a folder open to everybody to be noticed', sub {
        ($id, $text) = compose(from => 'anna@one.example');
        $self->submit($text) =~ /^451 4\.7\.5 /;
    });
    rmdir $self->{keys};
    rename "$self->{keys}.gone", $self->{keys} or die $!;
    wait_until('the folder to be back', sub { ($id, $text) = compose(from => 'anna@one.example'); $self->submit($text) =~ /^250 / && read_file($self->arrived($id)) =~ /^DKIM-Signature/m });
    pass('the folder is back: signed again');
    return;
}

sub run_signing ($mta_class, @more) {
    my $self = setup($mta_class);
    for my $part (\&sent_shapes, \&other_senders, \&fragile, @more, \&rotation, \&broken, \&no_folder) {
        $part->($self);
    }
    is($self->{daemon}->down, 0, 'the daemon ends well');
    unlike($self->{daemon}->log_text, qr/Sanitizer|runtime error|PRIVATE KEY/, 'no sanitizer has complained, and no key is in the log');
    return $self;
}

1;
