#!/usr/bin/perl
# mailreeve audit --connect: what it says of servers that answer, against Postfix, openssl s_server and an HTTPS server.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use IO::Socket::INET;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir test_program free_port spawn stop wait_until answers write_file read_file run_ok source_dir);

my $mailreeve = test_program('mailreeve');
my $dir = work_dir();

# ---- certificates: an authority, and what it signs ----
sub openssl (@arg) { return run_ok('openssl', @arg) }

openssl(qw(req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=Authority -keyout), "$dir/ca.key", '-out', "$dir/ca.pem");

# days: how long it is valid; names: of the certificate; key: how it is made; sign: options of the signature; self: signed by itself.
sub certificate ($name, %arg) {
    my $base = "$dir/$name";
    my $days = $arg{days} // 90;
    openssl('req', '-newkey', $arg{key} ? $arg{key} : ('ec', '-pkeyopt', 'ec_paramgen_curve:P-256'), '-nodes', '-subj', "/CN=$name", '-keyout', "$base.key", '-out', "$base.csr");
    write_file("$base.ext", 'subjectAltName=' . join(',', map { "DNS:$_" } @{ $arg{names} // ['mx1.example.com'] }) . "\n");
    my @signer = $arg{self} ? ('-signkey', "$base.key") : ('-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-set_serial', int(rand 1e9) + 1);
    openssl('x509', '-req', '-in', "$base.csr", @signer, '-days', $days, '-extfile', "$base.ext", '-out', "$base.pem", @{ $arg{sign} // [] });
    chmod 0644, "$base.key";
    return $base;
}

# "3 1 1" by the openssl command, not by our code.
sub tlsa ($base) {
    return '3 1 1 ' . (split ' ', `openssl x509 -in $base.pem -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum`)[0];
}

sub zone (%arg) {
    my $tlsa = $arg{tlsa} // '';
    return write_file("$dir/zone", <<"END");
\$SECURE example.com
example.com. MX 10 mx1.example.com.
mx1.example.com. A 127.0.0.1
mx1.example.com. AAAA ::1
example.com. TXT "v=spf1 mx -all"
_dmarc.example.com. TXT "v=DMARC1; p=reject; rua=mailto:reports\@example.com"
_smtp._tls.example.com. TXT "v=TLSRPTv1; rua=mailto:tls\@example.com"
_mta-sts.example.com. TXT "v=STSv1; id=1"
mta-sts.example.com. A 127.0.0.1
@{[ $tlsa ? "_25._tcp.mx1.example.com. TLSA $tlsa" : '' ]}
END
}

my ($smtp, $https) = (1, 1); # ports; nobody listens at 1

# The findings of these subjects.
sub found ($subjects, @arg) {
    my @command = ($mailreeve, 'audit', 'example.com', '--dns-zone', "$dir/zone", '--connect', '--ca-file', "$dir/ca.pem",
        '--smtp-port', $smtp, '--https-port', $https, '--json', @arg);
    open my $pipe, '-|', @command or die "audit: $!";
    local $/ = undef;
    my $object = decode_json(scalar <$pipe>);
    close $pipe;
    return join ' ', sort map { $_->{subject} =~ /^(?:$subjects)$/ ? $_->{id} : () } @{ $object->{findings} };
}

my $good = certificate('good');
zone();
is(found('mx|starttls'), 'mx.no_answer mx.single', 'nobody listens');

# ---- Postfix ----
my $postfix = Mailreeve::Postfix->start(milter => '', sink => 1, main => <<"END");
smtpd_tls_security_level = may
smtpd_tls_cert_file = $good.pem
smtpd_tls_key_file = $good.key
smtpd_tls_protocols = >=TLSv1.2
END
$smtp = $postfix->{port};
is(found('mx|starttls'), 'mx.single', 'Postfix with a good certificate');
zone(tlsa => tlsa($good));
is(found('dane|starttls'), '', 'its TLSA record matches');
zone(tlsa => '3 1 1 ' . '00' x 32);
is(found('dane|starttls'), 'dane.mismatch', 'another does not');
zone();
is(found('dane|starttls', '--now', time + 80 * 86400), 'dane.none starttls.expires_soon', 'ten days before its end');
is(found('starttls', '--now', time + 91 * 86400), 'starttls.expired', 'behind it');
is(found('starttls', '--now', time - 2 * 86400), 'starttls.not_yet', 'before its beginning');
is(found('starttls', '--ca-file', '/dev/null'), 'starttls.untrusted', 'an authority that is not known');

sub reconfigure (@lines) {
    run_ok('postconf', '-c', "$postfix->{dir}/etc", '-e', @lines);
    run_ok('postfix', '-c', "$postfix->{dir}/etc", 'reload');
    return;
}

# A reload takes effect for processes that begin after it.
sub after ($what, $subjects, $expected) {
    my $got = '';
    eval { wait_until($what, sub { ($got = found($subjects)) eq $expected }, 60) };
    return is($got, $expected, $what);
}

reconfigure('smtpd_tls_security_level=none');
after('no STARTTLS', 'starttls', 'starttls.missing');
zone(tlsa => tlsa($good));
is(found('dane'), 'dane.no_starttls', 'though there is a TLSA record');
zone();
for my $row (
    [ 'wrong name', 'starttls.wrong_name', names => ['other.example.com'] ],
    [ 'self-signed', 'starttls.untrusted', self => 1 ],
    [ 'a short key', 'starttls.weak_key', key => 'rsa:1024' ],
    [ 'SHA-1', 'starttls.weak_signature', sign => ['-sha1'] ],
) {
    my ($what, $expected, @how) = @$row;
    state $number = 0;
    my $base = certificate('c' . ++$number, @how);
    reconfigure('smtpd_tls_security_level=may', "smtpd_tls_cert_file=$base.pem", "smtpd_tls_key_file=$base.key", 'tls_medium_cipherlist=DEFAULT:@SECLEVEL=0');
    after($what, 'starttls', $expected);
}
reconfigure("smtpd_tls_cert_file=$good.pem", "smtpd_tls_key_file=$good.key", 'smtpd_tls_protocols=>=TLSv1', 'tls_medium_cipherlist=ALL:@SECLEVEL=0');
after('TLS 1.0 beside newer', 'starttls', 'starttls.accepts_old');
reconfigure('smtpd_tls_protocols=<=TLSv1.1, >=TLSv1');
after('TLS 1.1 at most', 'starttls', 'starttls.old_only');
reconfigure("smtpd_tls_cert_file=$dir/none.pem");
after('TLS that does not work', 'starttls', 'starttls.failed');
$postfix->end;

# ---- servers that behave badly: each line is what it says, once a client is there or has said something ----
sub serve (@says) {
    my $port = free_port();
    my $process = spawn(name => "bad$port", command => [ $^X, '-MIO::Socket::INET', '-e', <<'END', $port, @says ]);
my ($port, @says) = @ARGV;
$SIG{PIPE} = 'IGNORE';
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1) or die;
while (my $client = $listener->accept) {
    for my $text (@says) {
        my $line = $text =~ s/\\r/\r/gr =~ s/\\n/\n/gr;
        syswrite $client, $line;
        defined(sysread $client, my $got, 4096) or last;
    }
}
END
    wait_until('the server', sub { answers($port) });
    return ($port, $process);
}
for my $row (
    [ 'a greeting that refuses', 'mx.refuses mx.single', "554 no\\r\\n" ],
    [ 'EHLO refused', 'mx.refuses mx.single', "220 hello\\r\\n", "550 no\\r\\n" ],
    [ 'no mail server', 'mx.no_answer mx.single', "HTTP/1.1 400\\r\\n" ],
    [ 'a line without end', 'mx.no_answer mx.single', '220 ' . 'x' x 5000 ],
    [ 'a reply without end', 'mx.no_answer mx.single', "220-x\\r\\n" x 200 ],
    [ 'STARTTLS refused', 'mx.single starttls.failed', "220 hello\\r\\n", "250-mx\\r\\n250 STARTTLS\\r\\n", "454 no\\r\\n" ],
    [ 'bytes before the handshake', 'mx.single starttls.failed', "220 hello\\r\\n", "250-mx\\r\\n250 STARTTLS\\r\\n", "220 go\\r\\n250 injected\\r\\n" ],
    [ 'no TLS behind STARTTLS', 'mx.single starttls.failed', "220 hello\\r\\n", "250-mx\\r\\n250 STARTTLS\\r\\n", "220 go\\r\\n", 'garbage' ],
) {
    my ($what, $expected, @says) = @$row;
    ($smtp, my $process) = serve(@says);
    is(found('mx|starttls'), $expected, $what);
    stop($process, 'KILL');
}
$smtp = 1;

# ---- the policy of MTA-STS ----
my $policy = "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.com\r\nmax_age: 604800\r\n";
my $python = write_file("$dir/https.py", <<'END');
import http.server, ssl, sys
port, certificate, status, kind, body = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], open(sys.argv[5], 'rb').read()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.path == '/.well-known/mta-sts.txt'
        self.send_response(status if good else 404)
        self.send_header('Content-Type', kind)
        self.send_header('Location', 'https://mta-sts.example.com/other')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate + '.pem', certificate + '.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
END
my $web = certificate('web', names => ['mta-sts.example.com']);
my $elsewhere = certificate('elsewhere', names => ['www.example.com']);
is(found('mta-sts'), 'sts.unreachable', 'MTA-STS: nobody listens');
for my $row (
    [ 'a good policy', '', {} ],
    [ 'a certificate for another name', 'sts.certificate', { certificate => $elsewhere } ],
    [ 'a certificate that is not trusted', 'sts.certificate', { certificate => certificate('lone', names => ['mta-sts.example.com'], self => 1) } ],
    [ 'not found', 'sts.status', { status => 404 } ],
    [ 'a redirection', 'sts.status', { status => 302 } ],
    [ 'another type', 'sts.content_type', { type => 'text/html' } ],
    [ 'more than 64 KB', 'sts.too_long', { body => $policy . "x: y\r\n" x 20000 } ],
    [ 'no policy', 'sts.policy_syntax', { body => "<html>\r\n" } ],
    [ 'no mode', 'sts.policy_syntax', { body => $policy =~ s/mode.*?\n//r } ],
    [ 'mode testing', 'sts.mode_testing', { body => $policy =~ s/enforce/testing/r } ],
    [ 'mode none', 'sts.mode_none', { body => $policy =~ s/enforce/none/r } ],
    [ 'a short max_age', 'sts.max_age', { body => $policy =~ s/604800/3600/r } ],
    [ 'a max_age of more than a year', 'sts.policy_syntax', { body => $policy =~ s/604800/99999999/r } ],
    [ 'a pattern', '', { body => $policy =~ s/mx1\./*./r } ],
    [ 'a pattern of two labels', 'sts.mx_missing sts.mx_unused', { body => $policy =~ s/mx1\.example/*/r } ],
    [ 'another server', 'sts.mx_missing sts.mx_unused', { body => $policy =~ s/mx1/mx2/r } ],
) {
    my ($what, $expected, $arg) = @$row;
    $https = free_port();
    write_file("$dir/policy", $arg->{body} // $policy);
    my $server = spawn(name => 'https', command => [ 'python3', $python, $https, $arg->{certificate} // $web, $arg->{status} // 200, $arg->{type} // 'text/plain', "$dir/policy" ]);
    wait_until('the HTTPS server', sub { answers($https) });
    is(found('mta-sts'), $expected, "MTA-STS: $what");
    stop($server, 'KILL');
}

# Without --connect nobody is asked, though a server answers.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1, Blocking => 0) or die;
run_ok('sh', '-c', "'$mailreeve' audit example.com --dns-zone '$dir/zone' --smtp-port @{[ $listener->sockport ]}; [ \$? = 4 ]");
ok(!defined $listener->accept, 'a zone file alone connects to nobody');

done_testing();
