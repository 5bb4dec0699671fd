package Mailreeve::Scenario;

# What every MTA must show: the same messages, the same verdicts, through a real Postfix or Sendmail.

use v5.36;
use Exporter qw(import);
use Mail::DKIM::PrivateKey;
use Mail::DKIM::Signer;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Mmdb qw(write_mmdb);
use Mailreeve::Process qw(work_dir run_ok read_file write_file wait_until);
use Mailreeve::Smtp;

our @EXPORT_OK = qw(eicar zip sign make_key run_scenario message);

# The test string of eicar.org, in two pieces, so that no scanner trips over this file.
sub eicar { return 'X5O!P%@AP[4\PZX54(P^)7CC)7}$' . 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*' }

# A zip archive of stored members, by hand: the tool would refuse some of the names.
sub zip (@members) {
    my ($out, $central) = ('', '');
    while (my ($name, $content) = splice @members, 0, 2) {
        my $crc = crc32($content);
        my $common = pack 'vvvvvVVVvv', 20, 0, 0, 0, 0x5821, $crc, length $content, length $content, length $name, 0;
        $central .= "PK\x01\x02" . pack('v', 20) . $common . pack('vvvVV', 0, 0, 0, 0, length $out) . $name;
        $out .= "PK\x03\x04" . $common . $name . $content;
    }
    my $n = () = $central =~ /PK\x01\x02/g;
    return $out . $central . "PK\x05\x06" . pack('vvvvVVv', 0, 0, $n, $n, length $central, length $out, 0);
}

sub crc32 ($text) {
    my $crc = 0xffffffff;
    for my $byte (unpack 'C*', $text) {
        $crc ^= $byte;
        $crc = $crc & 1 ? ($crc >> 1) ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    }
    return $crc ^ 0xffffffff;
}

# A key pair: the private file, and the text of its DNS record in strings of at most 255 bytes.
sub make_key {
    my $file = work_dir() . '/dkim.key';
    run_ok('openssl', 'genrsa', '-out', $file, '2048');
    my $public = run_ok('openssl', 'rsa', '-in', $file, '-pubout');
    $public =~ s/^writing.*\n//mg;
    $public =~ s/-----[^-]+-----|\s//g;
    my $record = "v=DKIM1; k=rsa; p=$public";
    return ($file, join ' ', map { "\"$_\"" } $record =~ /(.{1,250})/g);
}

sub sign ($key, $domain, $message) {
    my $signer = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => 'relaxed/relaxed', Domain => $domain,
        Selector => 'sel', KeyFile => $key);
    $signer->PRINT($message =~ s/\r?\n/\r\n/gr);
    $signer->CLOSE;
    return $signer->signature->as_string . "\r\n" . $message =~ s/\r?\n/\r\n/gr;
}

my $serial = 0;

sub message (%arg) {
    my $id = sprintf 'm%04d-%d', ++$serial, $$;
    my $headers = $arg{headers} // '';
    return ($id, "From: $arg{from}\nTo: b\@dst.example\nSubject: $id\nDate: Tue, 24 Nov 2026 12:00:00 +0000\n"
        . "Message-ID: <$id\@test.example>\n${headers}\n" . ($arg{body} // "This is $id.\n"));
}

sub zone ($key) {
    return <<"END";
good.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
sel._domainkey.good.example. TXT $key
quar.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.quar.example. TXT "v=DMARC1; p=quarantine"
hard.example. TXT "v=spf1 -all exp=why.hard.example"
why.hard.example. TXT "100%% sure that %{i} is not ours (support id 12AB34CD?)"
expl.example. TXT "v=spf1 -all exp=why.expl.example"
why.expl.example. TXT "100%% sure: see http://expl.example/%{S}"
fresh.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.fresh.example. TXT "v=DMARC1; p=reject"
helo.example. TXT "v=spf1 ip4:127.0.0.7 -all"
lists.example. TXT "v=spf1 ip4:127.0.0.9 -all"
7.0.0.127.in-addr.arpa. PTR client.example.
client.example. A 127.0.0.7
10.0.0.127.in-addr.arpa. PTR pool-127-0-0-10.dsl.isp.example.
pool-127-0-0-10.dsl.isp.example. A 127.0.0.10
END
}

# mta: a class with start(sink, milter) giving { port }, and held, release.
sub run_scenario ($mta_class) {
    my ($key, $record) = make_key();
    my $dns = Mailreeve::Dns->start(zone($record));
    my $daemon = Mailreeve::Daemon->start(
        forwarder => $dns->{forwarder},
        dns => 'timeout = 2s deadline = 3s ttl_negative_max = 1s',
        config => "own_networks = {\"127.0.0.1\"}\nmessage_memory = 256K\nauthres { received_spf = yes }\n"
            . 'geo { country_database = "' . write_mmdb(work_dir() . '/geo.mmdb', 'SE', 64496) . "\" asn_database = \"\" only_countries = {\"SE\", \"NO\"} }\n"
            . "policy { client.helo_bare_address = reject geo.country_not_listed = reject }\n"
            . "dmarc { trusted_forwarders = {\"127.0.0.8\"} mailing_lists = {\"lists.example\"} }\n",
    );
    my $sink = Mailreeve::Smtp->sink;
    my $mta = $mta_class->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}");
    my $self = { dns => $dns, daemon => $daemon, sink => $sink, mta => $mta, key => $key };
    for my $part (\&clean, \&fifty, \&fifty_outbound, \&forwarded, \&forgeries, \&infected, \&quarantine, \&signed, \&envelopes, \&strangers, \&countries, \&large, \&dead_dns) {
        $part->($self);
    }
    return $self;
}

sub send_from ($self, $client, %arg) {
    return Mailreeve::Smtp->send_message($self->{mta}{port}, local => $client, to => 'b@dst.example', %arg);
}

sub arrived ($self, $id) { return Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id")->[1] }

sub clean ($self) {
    my $forged = join '', map { "$_\n" } 'Authentication-Results: mx.test.example; spf=pass', 'authentication-RESULTS: (x) MX.Test.EXAMPLE 1 ; dkim=pass',
        'Authentication-Results: other.example; dkim=pass', "Authentication-Results:\n\tmx.test.example.; dmarc=pass";
    my ($id, $text) = message(from => 'a@good.example', headers => $forged);
    my $reply = send_from($self, '127.0.0.7', from => 'a@good.example', message => $text);
    like($reply, qr/^250 /, 'a clean message is taken');
    my $got = arrived($self, $id);
    my @fields = $got =~ /^(Authentication-Results:(?:.*\n[ \t])*.*)$/gim;
    is(scalar @fields, 2, 'of the Authentication-Results the foreign one and ours are left');
    like($got, qr/\AAuthentication-Results: mx\.test\.example;/, 'ours stands on top of all');
    like($fields[0], qr/spf=pass smtp\.mailfrom=a\@good\.example/, 'it tells SPF');
    like($fields[0], qr/dmarc=pass .*header\.from=good\.example/s, 'and DMARC');
    like($fields[1], qr/other\.example/, 'the foreign one is as it was');
    my $verdict = $self->{daemon}->verdict(qr/from=<a\@good\.example>/);
    is($verdict->{verdict}, 'accept', 'the log says so too');
    like($verdict->{line}, qr/: [0-9A-Za-z]{8,}: verdict=/, 'by queue id');
    return;
}

# Fifty ways to put our identifier, or none, into a field; each is marked "forged".
sub forged_fields () {
    my $id = 'mx.test.example';
    my $mark = 'spf=pass smtp.mailfrom=forged@bank.example';
    my @values = map { "$_; $mark" } $id, uc $id, 'Mx.Test.Example', "$id.", "$id..", "$id 1", "$id/1", "$id:25", "$id,x", "<$id>", "[$id]",
        "\"$id\"", "\" $id \"", "\"mx\\.test.example\"", "(c) $id", "(a (b) c)$id", "(a\\)b) $id(d)", "(x)\n\t$id", "\n $id", "\n\t\n\t$id", "\t$id\t",
        "$id\n\t1", "mx . test . example", "mx.(x)test.example", "$id\x0b", "\x01$id", "mx.\x7ftest.example", "\xa0$id", "\xc2\xa0$id\xc2\xa0" . 1,
        "\xe2\x80\x8b$id", "mx.te\xe2\x80\x8bst.example", "mx.te\xc2\xadst.example", "\xef\xbb\xbf$id", "\xef\xbd\x8dx.test.example", "mx\xe3\x80\x82test.example",
        '', '(nobody)', '""';
    my @fields = map { "Authentication-Results: $_" } @values, "$id $mark", $mark, "spf (x) = pass smtp.mailfrom=forged\@b.example", "=?utf-8?q?$id?=; $mark",
        "(unclosed $id; $mark";
    push @fields, "authentication-results:$id; $mark", "AUTHENTICATION-RESULTS:\t$id; $mark", "Authentication-Results : $id; $mark", "Authentication-Results\t:$id; $mark",
        "Received-SPF: pass (forged) client-ip=192.0.2.1; receiver=$id", "received-spf: pass ($id: forged) client-ip=192.0.2.1", "Received-SPF: pass receiver = \"MX.test.example\"; problem=forged";
    return @fields;
}

# What must stay, in its order, byte for byte.
sub foreign_fields () {
    return ('Authentication-Results: other.example; spf=pass smtp.mailfrom=mx.test.example', 'authentication-RESULTS:  mx.test.example.org;  dkim=pass',
        "Authentication-Results: (mx.test.example) third.example\n\t1; none", 'Authentication-Results: amx.test.example; none',
        'Received-SPF: pass (google.com: domain of a@b.example designates 192.0.2.1) client-ip=192.0.2.1;', 'Received-SPF: fail receiver=other.example; helo=mx.test.example',
        'X-Authentication-Results: mx.test.example; spf=pass', 'ARC-Authentication-Results: i=1; mx.test.example; spf=pass');
}

# All of them, one foreign field behind every sixth forged one.
sub mixed_headers () {
    my @foreign = foreign_fields();
    my $n = 0;
    return join '', map { ("$_\n", ++$n % 6 == 0 && @foreign ? shift(@foreign) . "\n" : ()) } forged_fields();
}

sub fields_left ($self, $got, $name) {
    my ($header) = $got =~ /\A(.*?)\r?\n\r?\n/s;
    unlike($header, qr/forged/i, "$name: none of the forged is left");
    my @fields = ($header =~ s/\r//gr . "\n") =~ /^((?:X-|ARC-)?(?:Authentication-Results|Received-SPF)[ \t]*:.*\n(?:[ \t].*\n)*)/gim;
    return map { s/\n\z//r } @fields;
}

sub fifty ($self) {
    is(scalar(my @forged = forged_fields()), 50, 'fifty forged fields');
    my ($id, $text) = message(from => 'a@good.example', headers => mixed_headers());
    my $reply = send_from($self, '127.0.0.7', from => 'a@good.example', message => $text);
    like($reply, qr/^250 /, 'a message with all of them is taken');
    my $got = arrived($self, $id);
    my ($ours, $spf, @left) = fields_left($self, $got, 'inbound');
    like($got, qr/\AAuthentication-Results: mx\.test\.example;\r?\n\tspf=pass smtp\.mailfrom=a\@good\.example/, 'ours is on top, once');
    is($spf, qq{Received-SPF: pass (mx.test.example: good.example permits 127.0.0.7)\n\tidentity=mailfrom; client-ip=127.0.0.7; helo=client.example;\n}
        . qq{\tenvelope-from="a\@good.example"; mechanism="ip4:127.0.0.7";\n\treceiver=mx.test.example}, 'Received-SPF is below it');
    like($got, qr/\A.*?^Received-SPF:.*?^Received:/ms, "above the MTA's own Received");
    is_deeply(\@left, [ foreign_fields() ], 'the foreign ones are left, in order, byte for byte');
    like($self->{daemon}->verdict(qr/from=<a\@good\.example>.*authres\.forged/)->{line}, qr/authres\.forged/, 'the log tells of them');
    return;
}

sub fifty_outbound ($self) {
    my ($id, $text) = message(from => 'a@good.example', headers => mixed_headers());
    my $reply = send_from($self, '127.0.0.1', from => 'out@good.example', message => $text);
    like($reply, qr/^250 /, 'the same from our own network is taken');
    my @left = fields_left($self, arrived($self, $id), 'outbound');
    is_deeply(\@left, [ foreign_fields() ], 'nobody goes out in our name, and no field is added');
    return;
}

sub forwarded ($self) {
    my ($id, $text) = message(from => 'a@good.example', headers => "List-Id: Dev <dev.lists.example>\n");
    my $reply = send_from($self, '127.0.0.8', from => 'a@good.example', message => $text);
    like($reply, qr/^250 /, 'a trusted forwarder may break DMARC');
    like(arrived($self, $id), qr/dmarc=fail \(p=reject dis=none trusted_forwarder:/, 'and the message says why it is here');
    like($self->{daemon}->verdict(qr/dmarc_override=/)->{line}, qr/ dmarc_override=trusted_forwarder .*findings=\S*dmarc\.override/, 'so does the log');
    ($id, $text) = message(from => 'a@good.example', headers => "List-Id: Dev <dev.lists.example>\n");
    $reply = send_from($self, '127.0.0.9', from => 'dev-bounces@lists.example', message => $text);
    like($reply, qr/^250 /, 'so may a mailing list that passes SPF');
    like(arrived($self, $id), qr/dmarc=fail \(p=reject dis=none mailing_list:/, 'which the message says');
    $reply = send_from($self, '127.0.0.9', from => 'a@none.example', message => $text);
    like($reply, qr/^550 5\.7\.1 .*DMARC/, 'a List-Id alone proves nothing');
    $reply = send_from($self, '127.0.0.9', from => 'a@none.example', message => $text =~ s/^From: .*/From: x <a\@good.example> junk/r);
    like($reply, qr/^550 5\.7\.1 .*From field/, 'a From that cannot be read is no way around');
    return;
}

sub forgeries ($self) {
    my ($id, $text) = message(from => 'boss@good.example');
    my $reply = send_from($self, '127.0.0.9', from => 'boss@good.example', message => $text);
    like($reply, qr/^550 5\.7\.1 .*DMARC.*good\.example.*support id [0-9A-Z]{8}/, 'a forgery is rejected by DMARC, with a support id');
    my ($support) = $reply =~ /support id (\w+)/;
    is($self->{daemon}->verdict(qr/id=$support/)->{reason}, 'dmarc.reject', 'the log tells why by that id');
    ($id, $text) = message(from => 'a@hard.example');
    $reply = send_from($self, '127.0.0.9', from => 'a@hard.example', message => $text);
    like($reply, qr/^550 5\.7\.23 .*SPF.*hard\.example/, 'an SPF hard fail without a DMARC policy is rejected');
    unlike($reply, qr/12AB34CD/, 'the domain cannot speak of support ids');
    ($id, $text) = message(from => 'a@expl.example');
    $reply = send_from($self, '127.0.0.9', from => 'a@expl.example', message => $text);
    like($reply, qr{^550 5\.7\.23 (?:<\S+>[:.]* )?SPF: expl\.example does not permit 127\.0\.0\.9 to send its mail; expl\.example explains: 100% sure: see http://expl\.example/a%40expl\.example \(support id \w{8}\)$},
        'but it can explain its refusal');
    ($id, $text) = message(from => 'a@good.example');
    like(send_from($self, '127.0.0.7', from => 'a@good.example', helo => 'expl.example', message => $text), qr/^250 /, 'a HELO name that is another\'s');
    my $got = arrived($self, $id);
    like($got, qr/spf=pass smtp\.mailfrom=a\@good\.example;\s+spf=fail smtp\.helo=expl\.example/, 'has a result of its own');
    like($got, qr/^X-Mailreeve-Verdict: tag; id=\w+;\s+finding=spf\.helo_fail/m, 'and is tagged');
    ($id, $text) = message(from => 'a@good.example', headers => "From: b\@good.example\n");
    $reply = send_from($self, '127.0.0.7', from => 'a@good.example', message => $text);
    like($reply, qr/^550 5\.7\.1 /, 'two From fields are rejected');
    return;
}

sub infected ($self) {
    my $body = "--b\nContent-Type: application/octet-stream; name=\"x.bin\"\nContent-Transfer-Encoding: base64\n\n"
        . encode_base64(eicar()) . "--b--\n";
    my ($id, $text) = message(from => 'a@good.example', body => $body,
        headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
    my $reply = send_from($self, '127.0.0.7', from => 'a@good.example', message => $text);
    like($reply, qr/^550 5\.7\.0 .*malware/, 'EICAR in an attachment is rejected');
    $reply = send_from($self, '127.0.0.1', from => 'a@good.example', message => $text);
    like($reply, qr/^550 5\.7\.0 .*malware/, 'outbound too');
    $body = "--b\nContent-Type: image/jpeg; name=\"holiday.jpg\"\nContent-Transfer-Encoding: base64\n\n" . encode_base64("MZ" . "\0" x 100) . "--b--\n";
    ($id, $text) = message(from => 'a@good.example', body => $body, headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
    $reply = send_from($self, '127.0.0.7', from => 'a@good.example', message => $text);
    like($reply, qr/^550 5\.7\.0 The message carries a program/, 'a program is rejected under any name');
    return;
}

sub quarantine ($self) {
    my ($id, $text) = message(from => 'a@quar.example');
    my $reply = send_from($self, '127.0.0.9', from => 'a@quar.example', message => $text);
    like($reply, qr/^250 /, 'p=quarantine: the message is taken');
    my @held;
    wait_until('the message to be held', sub { @held = $self->{mta}->held; @held });
    is(scalar @held, 1, 'and held by the MTA');
    is(scalar(grep { $_->[1] =~ /Subject: $id/ } Mailreeve::Smtp->sunk($self->{sink})), 0, 'not delivered');
    $self->{mta}->release($held[0]);
    my $got = arrived($self, $id);
    like($got, qr/^X-Mailreeve-Verdict: quarantine; id=\w+;\s+finding=dmarc\.quarantine/m, 'released, it says why it was held');
    return;
}

sub signed ($self) {
    my ($id, $text) = message(from => 'a@good.example');
    my $signed = sign($self->{key}, 'good.example', $text);
    my $reply = send_from($self, '127.0.0.9', from => 'list@none.example', message => $signed);
    like($reply, qr/^250 /, 'a signed message passes DMARC from any client');
    like(arrived($self, $id), qr/dkim=pass \(2048-bit key\) header\.d=good\.example header\.s=sel/, 'dkim=pass');
    $reply = send_from($self, '127.0.0.9', from => 'list@none.example', message => $signed =~ s/This is/This was/r);
    like($reply, qr/^550 5\.7\.1 .*DMARC/, 'changed on its way, it does not');
    return;
}

sub envelopes ($self) {
    my ($id, $text) = message(from => 'a@good.example', headers => "X-Mailreeve-Verdict: tag; id=FORGED\n");
    my $reply = send_from($self, '127.0.0.7', from => '', helo => 'helo.example', message => $text);
    like($reply, qr/^550 5\.7\.1 /, 'the null sender does not get around DMARC');
    ($id, $text) = message(from => 'a@none.example', headers => "X-Mailreeve-Verdict: tag; id=FORGED\n");
    $reply = send_from($self, '127.0.0.7', from => '', helo => 'helo.example', message => $text);
    like($reply, qr/^250 /, 'a bounce is taken');
    my $got = arrived($self, $id);
    like($got, qr/spf=pass smtp\.helo=helo\.example/, 'SPF of the null sender is that of HELO');
    unlike($got, qr/FORGED/, 'a verdict that came with it is removed');
    ($id, $text) = message(from => 'a@good.example');
    $reply = send_from($self, '127.0.0.7', from => 'a@good.example', to => [ map { "r$_\@dst.example" } 1 .. 5 ], message => $text);
    like($reply, qr/^250 /, 'five recipients');
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => '127.0.0.7');
    $smtp->say_line('EHLO client.example');
    my ($id2, $forged) = message(from => 'a@hard.example');
    my ($id3, $clean) = message(from => 'a@good.example');
    like($smtp->deliver(from => 'a@hard.example', to => 'b@dst.example', message => $forged), qr/^550 /, 'first of a session: rejected');
    like($smtp->deliver(from => 'a@good.example', to => 'b@dst.example', message => $clean), qr/^250 /, 'second: taken');
    $smtp->say_line("MAIL FROM:<a\@hard.example>");
    $smtp->say_line('RSET');
    like($smtp->deliver(from => 'a@good.example', to => 'b@dst.example', message => $clean), qr/^250 /, 'third, after RSET: taken');
    $smtp->say_line('QUIT');
    return;
}

# HELO, and the names of the client's address.
sub strangers ($self) {
    my ($id, $text) = message(from => 'a@good.example');
    like(send_from($self, '127.0.0.7', from => 'a@good.example', message => $text), qr/^250 /, 'a client with a good name');
    like(arrived($self, $id), qr/iprev=pass\s+policy\.iprev=127\.0\.0\.7\s+\(client\.example\)/, 'has iprev=pass');
    my $verdict = $self->{daemon}->verdict(qr/from=<a\@good\.example>.* iprev=|iprev=.*from=<a\@good\.example>/);
    is($verdict->{iprev}, 'pass', 'the log tells iprev');
    ($id, $text) = message(from => 'a@none.example');
    like(send_from($self, '127.0.0.10', from => 'ten@none.example', helo => 'mx.test.example', message => $text), qr/^250 /, 'one from a pool that takes our name');
    my $got = arrived($self, $id);
    like($got, qr/iprev=pass\s+policy\.iprev=127\.0\.0\.10\s/, 'has a name too');
    like($got, qr/^X-Mailreeve-Verdict: tag;(?=.*finding=client\.ptr_generic\b).*finding=client\.helo_ours\b/ms, 'and is tagged for both');
    ($id, $text) = message(from => 'a@none.example');
    like(send_from($self, '127.0.0.11', from => 'eleven@none.example', helo => 'client.example', message => $text), qr/^250 /, 'one without a name');
    like(arrived($self, $id), qr/iprev=permerror \(the address has no PTR record\)\s+policy\.iprev=127\.0\.0\.11/, 'has iprev=permerror');
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => '127.0.0.7');
    $smtp->say_line('HELO 127.0.0.1');
    $smtp->say_line('MAIL FROM:<a@good.example>');
    like($smtp->say_line('RCPT TO:<b@dst.example>'), qr/^550 5\.5\.2 .*must stand in brackets/, 'a rule is answered at RCPT');
    $smtp->say_line('RSET');
    $smtp->say_line('HELO client.example');
    $smtp->say_line('MAIL FROM:<a@good.example>');
    like($smtp->say_line('RCPT TO:<b@dst.example>'), qr/^250 /, 'and HELO is judged anew');
    $smtp->say_line('QUIT');
    return;
}

# The database is replaced while we run; one that is damaged is not taken.
sub countries ($self) {
    my $file = work_dir() . '/geo.mmdb';
    my $send = sub ($tag) {
        my ($id, $text) = message(from => 'a@good.example');
        return send_from($self, '127.0.0.7', from => "$tag\@good.example", message => $text);
    };
    like($send->('geo1'), qr/^250 /, 'from a country that may send');
    is($self->{daemon}->verdict(qr/geo1/)->{country}, 'SE', 'the log tells the country');
    write_mmdb($file, 'NO', 64496);
    my $n = 1;
    wait_until('the new database', sub { $send->('geo' . ++$n); $self->{daemon}->verdict(qr/from=<geo$n\@/)->{country} eq 'NO' });
    my $junk = write_file("$file.junk", 'x' x 100_000);
    rename $junk, $file or die $!;
    wait_until('the junk to be refused', sub { $send->('geo' . ++$n); $self->{daemon}->log_text =~ /geo: \Q$file\E is refused: it is no MaxMind DB file.*what was loaded before is used/ });
    $send->('geo' . ++$n);
    is($self->{daemon}->verdict(qr/from=<geo$n\@/)->{country}, 'NO', 'damaged, it changes nothing');
    write_mmdb($file, 'XX', 64496);
    my $reply;
    wait_until('another country', sub { $reply = $send->('geo' . ++$n); $reply !~ /^250 / });
    like($reply, qr/^550 5\.7\.1 .*country/, 'another country is turned away');
    write_mmdb($file, 'SE', 64496);
    wait_until('the first country again', sub { $send->('geo' . ++$n) =~ /^250 / });
    return;
}

sub large ($self) {
    my $body = join '', map { sprintf "%06d %s\n", $_, 'x' x 60 } 1 .. 120_000;
    my ($id, $text) = message(from => 'a@good.example', body => $body);
    my $reply = send_from($self, '127.0.0.7', from => 'a@good.example', message => $text);
    like($reply, qr/^250 /, 'a message of 8 MB, through the spool file');
    my $got = arrived($self, $id);
    is(() = $got =~ /^\d{6} x{60}\r?$/mg, 120_000, 'arrives whole');
    is(scalar(glob("$self->{daemon}{dir}/tmp/mailreeve.*") // ''), '', 'nothing is left in the spool folder');
    return;
}

sub dead_dns ($self) {
    $self->{dns}->down;
    my ($id, $text) = message(from => 'a@fresh.example');
    my $reply = send_from($self, '127.0.0.7', from => 'a@fresh.example', message => $text);
    like($reply, qr/^451 4\.7\.24 /, 'DNS is dead: put off, not rejected, not let in');
    $self->{dns}->up;
    wait_until('the message to be taken once DNS is back', sub {
        send_from($self, '127.0.0.7', from => 'a@fresh.example', message => $text) =~ /^250 /;
    }, 60);
    like(arrived($self, $id), qr/dmarc=pass/, 'DNS is back: taken');
    return;
}

1;
