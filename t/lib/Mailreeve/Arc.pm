package Mailreeve::Arc;

# ARC through a real MTA: what our gate seals is verified where it arrives, by a second gate (`mailreeve explain`) and by
# dkimpy; and what comes back to the gate with a trusted sealer's word gets past a DMARC failure, and nothing else does.

use v5.36;
use Exporter qw(import);
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Process qw(work_dir run_ok read_file write_file wait_until test_program);
use Mailreeve::Scenario qw(message);
use Mailreeve::Smtp;

our @EXPORT_OK = qw(run_arc);

my @python = ('/usr/bin/python3', __FILE__ =~ s{Arc\.pm\z}{arc.py}r);
my $mailreeve = test_program('mailreeve');
$ENV{MAILREEVE_INSPECT} //= test_program('mailreeve-inspect');

# For the sealing gate and for a forwarder whom nobody trusts. The daemon's user must be able to read them.
sub make_keys () {
    my $dir = work_dir() . '/keys';
    mkdir $dir, 0700;
    my ($zone, $plain) = ('', '');
    for my $name ('r1._domainkey.relay.example', 'e1._domainkey.evil.example') {
        my $file = "$dir/$name.active.pem";
        run_ok('openssl', 'genrsa', '-traditional', '-out', $file, '2048');
        my $public = run_ok('openssl', 'rsa', '-in', $file, '-pubout') =~ s/^writing.*\n//mgr =~ s/-----[^-]+-----|\s//gr;
        my $record = "v=DKIM1; k=rsa; p=$public";
        $zone .= "$name. TXT " . join(' ', map { "\"$_\"" } $record =~ /(.{1,250})/g) . "\n";
        $plain .= "$name $record\n";
    }
    my ($uid, $gid) = (getpwnam 'nobody')[ 2, 3 ];
    chown $uid, $gid, $dir, glob "$dir/*";
    return ($dir, $zone, write_file(work_dir() . '/keys.txt', $plain));
}

my $authors = <<'END';
good.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
END

sub config ($self, $more) {
    return "own_networks = {\"127.0.0.1\"}\nsign { keys_dir = \"$self->{keys}\" }\n"
        . "arc { seal = yes  seal_domain = \"relay.example\"  $more }\n";
}

sub setup ($mta_class) {
    my ($keys, $zone, $plain) = make_keys();
    my $self = bless { keys => $keys, plain => $plain }, __PACKAGE__;
    $self->{zone} = write_file(work_dir() . '/arc.zone', $zone . $authors);
    $self->{dns} = Mailreeve::Dns->start($zone . $authors);
    $self->{daemon} = Mailreeve::Daemon->start(forwarder => $self->{dns}{forwarder}, dns => 'timeout = 2s deadline = 3s',
        config => $self->config(''));
    $self->{sink} = Mailreeve::Smtp->sink;
    $self->{mta} = $mta_class->start(sink => $self->{sink}{port}, milter => "unix:$self->{daemon}{socket}");
    return $self;
}

sub trust ($self, $domain) {
    my $before = () = $self->{daemon}->log_text =~ /is in force/g;
    $self->{daemon}->configure($self->config("trusted_sealers = {\"$domain\"}"));
    kill 'HUP', $self->{daemon}{process}{pid};
    wait_until('the reload', sub { $before < (() = $self->{daemon}->log_text =~ /is in force/g) });
    return;
}

# ( the last reply, the message as it arrived )
sub relay ($self, $client, $from, $id, $text) {
    my $before = () = Mailreeve::Smtp->sunk($self->{sink});
    my $reply = Mailreeve::Smtp->send_message($self->{mta}{port}, local => $client, from => $from, to => 'b@dst.example', message => $text);
    return ($reply, undef) if $reply !~ /^250 /;
    my @sunk;
    wait_until("$id in the sink", sub { @sunk = Mailreeve::Smtp->sunk($self->{sink}); @sunk > $before });
    return ($reply, $sunk[-1][1]);
}

sub second_gate ($self, $text, @more) {
    my $file = write_file(work_dir() . '/explain.eml', $text);
    my $out = run_ok($mailreeve, 'explain', '--json', '--dns-zone', $self->{zone}, '--client', '192.0.2.9', '--helo', 'mx.test.example',
        '--from', 'list@list.example', '--rcpt', 'c@far.example', @more, $file);
    return decode_json($out =~ s/\A.*?^(?=\{)//msr);
}

sub python ($self, $text, $verb, @arg) {
    my $file = write_file(work_dir() . '/python.eml', $text);
    return run_ok('sh', '-c', 'file=$1; shift; exec "$@" < "$file"', 'sh', $file, @python, $verb, $self->{plain}, @arg);
}

# Both verifiers on what arrived.
sub chain_is ($self, $text, $result, $instances, $name) {
    my $arc = $self->second_gate($text)->{arc};
    is($arc->{result}, $result, "$name: $result, says a second gate") or diag($arc->{problem});
    is($arc->{instances}, $instances, "$name: $instances sets");
    is($arc->{sealer}, 'relay.example', "$name: the newest by us");
    my $word = $result eq 'pass' ? 'pass' : 'none'; # for a chain that is over dkimpy has no word
    like($self->python($text, 'verify'), qr/^$word /, "$name: dkimpy agrees");
    return;
}

sub field ($text, $name) { return $text =~ /^\Q$name\E:((?:.*\n[ \t])*.*)\r?$/mi ? $1 : '' }

sub first_hop ($self) {
    my ($id, $text) = message(from => 'a@good.example',
        headers => "Cc: x\@dst.example,\"Y, why\" <y\@dst.example>  ,\n\tz\@dst.example\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nReferences: <a\@x.example>\n <b\@x.example>\n"
            . "Authentication-Results: mx.test.example; dmarc=pass (forged)\nX-Mailreeve-Verdict: tag; id=FORGED\n",
        body => "Hello  \n\nworld\t \n.dot\n\n\n");
    my ($reply, $got) = $self->relay('127.0.0.7', 'a@good.example', $id, $text);
    like($reply, qr/^250 /, 'a message is taken');
    my @names = $got =~ /^([A-Za-z-]+):/mg;
    is("@names[0..2]", 'ARC-Seal ARC-Message-Signature ARC-Authentication-Results', 'its set is on top, in the order of RFC 8617');
    my ($ours, $aar) = map { field($got, $_) =~ s/\s+/ /gr } 'Authentication-Results', 'ARC-Authentication-Results';
    is($aar, " i=1;$ours", 'ARC-Authentication-Results says what our Authentication-Results says');
    like($aar, qr/arc=none; dmarc=pass .*header\.from=good\.example/, 'no chain, and DMARC passed');
    unlike($got, qr/forged/i, 'nothing of the forged is left, or under the seal');
    unlike(field($got, 'ARC-Message-Signature') =~ s/\s+//gr, qr/h=[^;]*(?:authentication-results|received|arc-|return-path)/i,
        'no result and no trace field is signed');
    like(field($got, 'ARC-Seal'), qr/cv=none/, 'cv=none');
    $self->chain_is($got, 'pass', 1, 'the first hop');
    is($self->{daemon}->verdict(qr/arc_sealed=1/)->{arc_sealed}, '1', 'the log says that it was sealed');
    return ($id, $got);
}

# The sealed message again, as from a forwarder whose address SPF does not know.
sub second_hop ($self, $id, $sealed) {
    my ($reply) = $self->relay('127.0.0.9', 'list@list.example', $id, $sealed);
    like($reply, qr/^550 5\.7\.1 .*DMARC/, 'forwarded, it fails DMARC: a chain by itself means nothing');
    $self->trust('example');
    my $over;
    ($reply, $over) = $self->relay('127.0.0.9', 'list@list.example', $id, $sealed);
    like($reply, qr/^250 /, 'with its sealer trusted it is taken');
    my $results = field($over, 'Authentication-Results');
    like($results, qr/arc=pass \(i=1 sealers: relay\.example\)\s+smtp\.remote-ip=127\.0\.0\.9\s+header\.oldest-pass=0;/, 'arc=pass in our results');
    like($results, qr/dmarc=fail/, 'DMARC has failed nevertheless');
    like(field($over, 'ARC-Seal'), qr/cv=pass/, 'sealed again, cv=pass');
    $self->chain_is($over, 'pass', 2, 'the second hop');
    return $over;
}

sub no_way_around ($self, $id, $sealed) {
    my ($reply) = $self->relay('127.0.0.9', 'list@list.example', $id, $sealed =~ s/^world/moon!/mr);
    like($reply, qr/^550 5\.7\.1 .*DMARC/, 'with another body it is not taken');
    ($reply) = $self->relay('127.0.0.9', 'list@list.example', $id, $sealed =~ s/^From: a@/From: ceo@/mr);
    like($reply, qr/^550 5\.7\.1 .*DMARC/, 'nor with another author');
    $self->trust('relay.example');
    ($reply) = $self->relay('127.0.0.9', 'list@list.example', $id, $sealed);
    like($reply, qr/^250 /, 'the sealer by its own name: taken');
    my $stolen = "Authentication-Results: evil.example; arc=pass; dmarc=pass header.from=good.example\r\n" . $sealed =~ s/^world/moon!/mr;
    my $resealed = $self->python($stolen, 'seal', 'evil.example', 'e1', "$self->{keys}/e1._domainkey.evil.example.active.pem");
    is($self->second_gate($resealed)->{arc}{result}, 'pass', 'a stranger lifts the chain, changes the body and seals it: a chain that passes');
    ($reply) = $self->relay('127.0.0.9', 'list@list.example', $id, $resealed);
    like($reply, qr/^550 5\.7\.1 .*DMARC/, 'but the trusted seal under it counts for nothing');
    return;
}

# A chain that came broken: mail of an author without a policy.
sub broken ($self, $sealed) {
    my ($id, $text) = message(from => 'a@none.example');
    my $chain = join '', map { my $value = field($sealed, $_); "$_:$value\n" } qw(ARC-Seal ARC-Message-Signature ARC-Authentication-Results);
    my ($reply, $got) = $self->relay('127.0.0.9', 'a@none.example', $id, $chain . $text);
    like($reply, qr/^250 /, 'a message with a chain of another is taken where DMARC asks for nothing');
    like(field($got, 'ARC-Seal'), qr/cv=fail/, 'sealed with cv=fail');
    like(field($got, 'ARC-Authentication-Results'), qr/i=2;.*arc=fail/s, 'as the second set, which says arc=fail');
    $self->chain_is($got, 'fail', 2, 'the broken chain');
    my ($again, $last) = $self->relay('127.0.0.9', 'a@none.example', $id, $got);
    is(scalar(() = $last =~ /^ARC-Seal:/mg), 2, 'to a chain that is over nothing is added');
    return;
}

sub run_arc ($mta_class) {
    my $self = setup($mta_class);
    my ($id, $sealed) = $self->first_hop;
    $self->second_hop($id, $sealed);
    $self->no_way_around($id, $sealed);
    $self->broken($sealed);
    return $self;
}

1;
