package Mailreeve::PartingScenario;

# What both MTAs must show of recipients whose verdicts differ, and of the quarantine.

use v5.36;
use Exporter qw(import);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Mailreeve::Parting qw(start_parting);
use Mailreeve::Process qw(wait_until);
use Mailreeve::Scenario qw(message zip);
use Mailreeve::Smtp;

our @EXPORT_OK = qw(run_parting);

sub to (@names) { return [ map { /\@/ ? $_ : "$_\@dst.example" } @names ] }

sub five ($self) {
    my ($id, $reply) = $self->send_to(to(qw(accept tag quarantine reject discard)));
    like($reply, qr/^250 /, 'one message to five recipients with five policies is taken');
    wait_until('both who get it', sub { $self->delivered($id) == 2 });
    $self->settled;
    is_deeply([ $self->delivered($id) ], to(qw(accept tag)), 'two get it, once');
    my ($got) = Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id")->[1];
    like($got, qr/^X-Mailreeve-Verdict: tag; id=\w+;\s+finding=spf\.fail/m, 'with the strictest verdict of these two');
    unlike($got, qr/X-Mailreeve-Verdict: (?:reject|quarantine)/, 'and nothing of the others');
    my $stored = $self->stored($id);
    is_deeply([ sort keys %{$stored} ], to(qw(quarantine reject)), 'two are stored');
    is_deeply([ map { $stored->{$_}[0]{verdict} } sort keys %{$stored} ], [qw(quarantine reject)], 'each with his own verdict');
    like($self->{daemon}->verdict(qr/nrcpt=5/)->{line}, qr/verdict=tag .* sent=2 stored=2 dropped=1 quarantine=\w{16}/, 'the log tells');
    return $id;
}

sub alike ($self) {
    my ($id, $reply) = $self->send_to(to(qw(quarantine)), body => "one\n");
    like($reply, qr/^250 /, 'quarantine alone: taken');
    $self->settled;
    is_deeply($self->states($id), { 'quarantine@dst.example' => 'held' }, 'and stored');
    is(scalar $self->{mta}->held, 0, 'the MTA holds nothing');
    (my $other, $reply) = $self->send_to(to(qw(quarantine a@quarantine.example reject)));
    like($reply, qr/^250 /, 'quarantine and reject: taken');
    $self->settled;
    is_deeply($self->states($other), { map { $_ => 'held' } @{ to(qw(quarantine a@quarantine.example reject)) } }, 'and all stored');
    is(scalar $self->delivered($other), 0, 'none delivered');
    (undef, $reply) = $self->send_to(to(qw(reject)));
    like($reply, qr/^550 /, 'reject alone: the sender is told');
    ($other, $reply) = $self->send_to(to(qw(reject discard)));
    like($reply, qr/^550 /, 'reject and discard: the sender is told');
    is_deeply($self->states($other), {}, 'and nothing stored');
    is_deeply($self->found($other, @{ to(qw(reject discard)) }), { map { $_ => 'reject 550' } @{ to(qw(reject discard)) } }, 'find tells it of both');
    ($other, $reply) = $self->send_to(to(qw(accept tempfail quarantine)));
    like($reply, qr/^451 /, 'one who says later: all later');
    $self->settled;
    is_deeply([ $self->states($other), $self->delivered($other) ], [ {} ], 'nothing delivered, nothing stored');
    is_deeply($self->found($other, @{ to(qw(accept tempfail quarantine)) }), { map { $_ => 'tempfail 451' } @{ to(qw(accept tempfail quarantine)) } },
        'which find tells of all, whatever their own verdicts were');
    ($other, $reply) = $self->send_to(to(qw(accept discard)));
    $self->settled;
    is_deeply([ $reply =~ /^(250)/, $self->states($other), $self->delivered($other) ], [ 250, {}, @{ to('accept') } ], 'accept and discard');
    return $id;
}

# Spellings that must be removed exactly as they were given.
sub spellings ($self) {
    my @odd = ('Quarantine@DST.example', 'quarantine+detail@dst.example', '"quo ted"@quarantine.example', '"a\\"b"@quarantine.example', 'UPPER+x=y@Quarantine.Example');
    my ($id, $reply) = $self->send_to([ @{ to('accept') }, @odd ]);
    like($reply, qr/^250 /, 'odd spellings are taken');
    wait_until('the one who gets it', sub { $self->delivered($id) == 1 });
    $self->settled;
    is_deeply([ $self->delivered($id) ], to('accept'), 'they are removed');
    is_deeply([ sort keys %{ $self->stored($id) } ], [ sort @odd ], 'and stored as they are spelt');
    ($id, $reply) = $self->send_to(to(qw(quarantine accept quarantine accept quarantine)));
    like($reply, qr/^250 /, 'recipients that come twice');
    wait_until('the one who gets it', sub { $self->delivered($id) >= 1 });
    $self->settled;
    is_deeply([ [ $self->delivered($id) ], $self->states($id) ], [ to('accept'), { 'quarantine@dst.example' => 'held' } ], 'are one recipient');
    return;
}

sub release ($self, $id) {
    my ($row) = map { @{$_} } values %{ $self->stored($id) };
    my ($status, $text) = $self->ctl('show', $row->{id});
    like($text, qr/spf\.fail -> quarantine.*Subject: $id/s, 'show tells why, and shows the message');
    ($status, $text) = $self->ctl('release', $row->{id});
    is($status, 0, 'it is released') or diag $text;
    my $got = Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    $self->settled;
    is_deeply([ $self->delivered($id) ], to('quarantine'), 'and delivered, once');
    like($got->[0], qr/^MAIL FROM:<a\@hard\.example>/im, 'from its sender');
    unlike($got->[1], qr/X-Mailreeve-Release/i, 'without its token');
    like($got->[1], qr/^X-Mailreeve-Verdict: released; id=$row->{support_id};\s+finding=spf\.fail/m, 'it says that it was released');
    is(() = $got->[1] =~ /^Authentication-Results:/gm, 1, 'with one Authentication-Results');
    like($got->[1], qr/^Authentication-Results: mx\.test\.example;\s+spf=fail smtp\.mailfrom=a\@hard\.example/m, 'that of its arrival');
    unlike($got->[1], qr/^DKIM-Signature:/m, 'it is not signed by us');
    like($got->[1], qr/\r\n\r\none\r\n\z/, 'and its body is as it was');
    is_deeply($self->states($id), { 'quarantine@dst.example' => 'released' }, 'the quarantine knows');
    ($status, $text) = $self->ctl('release', $row->{id});
    isnt($status, 0, 'a second time there is nothing to release');
    like($text, qr/it is released/, 'which is said');
    return;
}

# An alias, or a list, is removed with all its members, and nobody who is a recipient of his own.
sub aliases ($self) {
    my $list = 'list@mx.test.example';
    for my $to ([ 'accept@dst.example', $list ], [ $list, 'accept@dst.example' ]) {
        my ($id, $reply) = $self->send_to($to);
        wait_until('who gets it', sub { scalar(my @got = $self->delivered($id)) });
        $self->settled;
        is_deeply([ [ $self->delivered($id) ], $self->states($id) ], [ to('accept'), { $list => 'held' } ], "@{$to}: the list is stored, as a list");
    }
    for my $to ([ $list, 'other@mx.test.example' ], [ 'other@mx.test.example', $list ]) {
        my ($id, $reply) = $self->send_to($to);
        wait_until('who gets it', sub { 2 <= (my @got = $self->delivered($id)) });
        $self->settled;
        is_deeply([ [ $self->delivered($id) ], $self->states($id) ], [ to(qw(m2 m3)), { $list => 'held' } ], "@{$to}: two lists with a member in common");
    }
    return;
}

sub parameters ($self) {
    my ($id, $text) = message(from => 'a@hard.example');
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => '127.0.0.9');
    $smtp->say_line($_) for 'EHLO client.example', 'MAIL FROM:<a@hard.example> RET=HDRS ENVID=x', 'RCPT TO:<accept@dst.example> NOTIFY=NEVER';
    like($smtp->say_line('RCPT TO:<quarantine@dst.example> ORCPT=rfc822;accept@dst.example NOTIFY=FAILURE'), qr/^250 /, 'a recipient with ORCPT');
    $smtp->say_line('DATA');
    $smtp->send_raw($text =~ s/\n/\r\n/gr);
    like($smtp->say_line('.'), qr/^250 /, 'is taken');
    wait_until('who gets it', sub { scalar(my @got = $self->delivered($id)) });
    $self->settled;
    is_deeply([ [ $self->delivered($id) ], $self->states($id) ], [ to('accept'), { 'quarantine@dst.example' => 'held' } ], 'and removed by his own name');
    return;
}

# What is odd about a message does not keep it from being released, byte for byte.
sub odd_messages ($self) {
    my %bodies = ('8-bit text' => "\xc3\xa4\xe4\n", 'dots' => ".\n..\n.a\n\n.\n", 'a long line' => 'x' x 900 . "\n", 'a blank end' => "a\n\n\n", 'tabs' => "\t a \t\n", 'no body' => '',
        'a large message' => join '', map { sprintf "%05d %s\n", $_, 'x' x 60 } 1 .. 3000);
    for my $what (sort keys %bodies) {
        my ($id, $reply) = $self->send_to(to('quarantine'), body => $bodies{$what}, headers => "X-Folded: a\n\tb\n  c\nX-Odd:no blank\nx-mailreeve-verdict: forged\n"
            . "Authentication-Results: mx.test.example; spf=pass\n");
        my ($row) = map { @{$_} } values %{ $self->stored($id) };
        my ($status, $text) = $self->ctl('release', $row->{id});
        is($status, 0, "$what: released") or diag $text;
        my $got = Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id")->[1];
        (my $expected = $bodies{$what}) =~ s/\n/\r\n/g;
        my ($header, $body) = $got =~ /\A(.*?\r\n)\r\n(.*)\z/s;
        is($body // '', $expected, "$what: its body is as it was");
        like($header, qr/^X-Folded: a\r\n\tb\r\n  c\r$/m, "$what: its header too");
        unlike($header, qr/forged|spf=pass/, "$what: but for what is forged");
    }
    my ($id) = $self->send_to(to('quarantine'), body => 'x' x 3000 . "\n");
    my ($row) = map { @{$_} } values %{ $self->stored($id) };
    my ($status, $text) = $self->ctl('release', $row->{id});
    is($status, 0, 'a line that the MTA breaks at delivery: released') or diag $text;
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    return;
}

# ---- five who differ by their lists and policies, and a sender who is who he says he is ----

my $own_policies = <<'END';
client { mode = off }
domain "five.example" { spf.fail = ignore attachment.archive = ignore }
recipient "tag@five.example" { attachment.archive = tag }
recipient "quarantine@five.example" { attachment.archive = quarantine }
recipient "reject@five.example" { attachment.archive = reject }
END

my @five = map { "$_\@five.example" } qw(accept block quarantine reject tag);

sub from_good ($self, $client) {
    my $smtp = Mailreeve::Smtp->connect_to($self->{mta}{port}, local => $client);
    my $reply = $smtp->say_line('EHLO client.example');
    $reply =~ /^250/ or die "EHLO after '$smtp->{banner}': '$reply'";
    return $smtp;
}

# ( id, reply to the message, those to each RCPT ) of a message with an archive.
sub send_archive ($self, $client, @to) {
    my $body = "--b\nContent-Type: application/zip; name=\"x.zip\"\nContent-Transfer-Encoding: base64\n\n" . encode_base64(zip('a.txt', 'text')) . "--b--\n";
    my ($id, $text) = message(from => 'a@good.example', body => $body, headers => "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n");
    my $smtp = from_good($self, $client);
    my $reply = $smtp->deliver(from => 'a@good.example', to => \@to, message => $text);
    @{ $smtp->{rcpt} } or die "MAIL: '$reply'";
    $smtp->say_line('QUIT');
    return ($id, $reply, @{ $smtp->{rcpt} });
}

# Until the running daemon answers RCPT for him like that.
sub answered ($self, $to, $expected) {
    return wait_until("$to to be answered $expected", sub {
        my $smtp = from_good($self, '127.0.0.7');
        $smtp->say_line('MAIL FROM:<a@good.example>');
        my $reply = $smtp->say_line("RCPT TO:<$to>");
        $smtp->say_line('QUIT');
        return $reply =~ /^$expected /;
    }, 10);
}

# Everything about one message: who got it, what is stored, and what the history says.
sub fares ($self, $id, $what, %expected) {
    wait_until("$what: who gets it", sub { @{ $expected{delivered} } <= (my @got = $self->delivered($id)) });
    $self->settled;
    is_deeply([ $self->delivered($id) ], $expected{delivered}, "$what: who gets it, once");
    is_deeply($self->states($id), $expected{stored}, "$what: what is stored, and nothing else");
    my $rows = sub ($found) { return join(',', values %{$found}) =~ tr/,// };
    my $found;
    wait_until("$what: the history", sub { $found = $self->found($id, keys %{ $expected{found} }); $rows->($found) >= $rows->($expected{found}) });
    is_deeply($found, $expected{found}, "$what: find tells for each of them");
    return;
}

sub is_blocked ($self) {
    my ($accept, $block, $quarantine, $reject, $tag) = @five;
    my ($id, $reply, @rcpt) = send_archive($self, '127.0.0.7', @five);
    is_deeply([ map { substr $_, 0, 3 } @rcpt ], [ 250, 550, 250, 250, 250 ], 'the one with the entry is refused at RCPT');
    like($rcpt[1], qr/5\.7\.1 .*The recipient does not accept mail from this sender/, 'and why is said');
    like($reply, qr/^250 /, 'the message is taken for the others');
    fares($self, $id, 'one blocks the sender', delivered => [ $accept, $tag ], stored => { $quarantine => 'held', $reject => 'held' },
        found => { $accept => 'accept', $block => 'reject at RCPT 550', $quarantine => 'quarantine', $reject => 'reject', $tag => 'tag' });
    like($self->{daemon}->verdict(qr/refused=1 nrcpt=5/)->{line}, qr/verdict=tag .* sent=2 stored=2 quarantine=/, 'the log tells');
    return;
}

sub is_not_blocked ($self) {
    my ($accept, $block, $quarantine, $reject, $tag) = @five;
    my ($id, $reply, @rcpt) = send_archive($self, '127.0.0.7', @five);
    is_deeply([ map { substr $_, 0, 3 } $reply, @rcpt ], [ (250) x 6 ], 'without the entry all are taken');
    fares($self, $id, 'nobody blocks the sender', delivered => [ $accept, $block, $tag ], stored => { $quarantine => 'held', $reject => 'held' },
        found => { $accept => 'accept', $block => 'accept', $quarantine => 'quarantine', $reject => 'reject', $tag => 'tag' });
    return $id;
}

sub release_and_allow ($self, $id) {
    my ($accept, $block, $quarantine, $reject, $tag) = @five;
    my ($status, $text) = $self->ctl('release-and-allow', $self->stored($id)->{$quarantine}[0]{id}, '--rcpt', $quarantine);
    is($status, 0, 'the quarantined copy is released, and its sender allowed') or diag $text;
    fares($self, $id, 'released', delivered => [ $accept, $block, $quarantine, $tag ], stored => { $quarantine => 'released', $reject => 'held' },
        found => { $quarantine => 'quarantine, accept', $reject => 'reject' });
    ($status, $text) = $self->mailreeve('list', 'show', '--json');
    is_deeply([ map { join ' ', @{ decode_json($_) }{qw(action entry owner)} } split /\n/, $text ], ["allow a\@good.example $quarantine"], 'his list has the entry, and nobody else\'s');
    return;
}

# The entry is his, and the true sender's.
sub allowed ($self) {
    my ($quarantine, $reject) = @five[ 2, 3 ];
    my ($id, $reply);
    wait_until('the entry to act', sub { ($id, $reply) = send_archive($self, '127.0.0.7', $quarantine, $reject); !$self->states($id)->{$quarantine} }, 10);
    like($reply, qr/^250 /, 'the same again is taken');
    fares($self, $id, 'allowed', delivered => [$quarantine], stored => { $reject => 'held' }, found => { $quarantine => 'accept', $reject => 'reject' });
    ($id, $reply) = send_archive($self, '127.0.0.9', $quarantine);
    like($reply, qr/^250 /, 'who only claims to be the sender');
    fares($self, $id, 'forged', delivered => [], stored => { $quarantine => 'held' }, found => { $quarantine => 'quarantine' });
    return;
}

sub own_lists ($self) {
    my $block = 'block@five.example';
    my ($status, $text) = $self->mailreeve('list', 'add', 'block', 'a@good.example', '--owner', $block);
    is($status, 0, 'a block entry of one recipient') or diag $text;
    answered($self, $block, 550);
    is_blocked($self);
    ($status, $text) = $self->mailreeve('list', 'remove', 'a@good.example', '--owner', $block);
    is($status, 0, 'is removed') or diag $text;
    answered($self, $block, 250);
    release_and_allow($self, is_not_blocked($self));
    allowed($self);
    return;
}

sub hold ($self) {
    $self->{daemon}->down;
    $self->configure('method = hold');
    $self->{daemon}->up;
    my ($id, $reply) = $self->send_to(to(qw(quarantine reject)));
    like($reply, qr/^250 /, 'method hold: quarantine and reject');
    my @held;
    wait_until('it to be held', sub { @held = $self->{mta}->held });
    is_deeply($self->states($id), { 'reject@dst.example' => 'held' }, 'the rejected copy is stored');
    my ($status, $text) = $self->mta_ctl('list');
    like($text, qr/\b$held[0]\b.*quarantine\@dst\.example/s, "the MTA's is listed") or diag $status;
    ($status, $text) = $self->mta_ctl('release', 'ALL');
    isnt($status, 0, 'ALL is no queue id');
    ($status, $text) = $self->mta_ctl('release', $held[0]);
    is($status, 0, 'and released') or diag $text;
    is_deeply([ $self->{mta}->held ], [], 'so that nothing is held');
    $self->{mta}->flush($held[0]);
    Mailreeve::Smtp->wait_for_message($self->{sink}, "Subject: $id");
    $self->settled;
    is_deeply([ $self->delivered($id) ], to('quarantine'), "the MTA's is released without it");
    ($id, $reply) = $self->send_to(to(qw(quarantine accept)));
    wait_until('who gets it', sub { scalar(my @got = $self->delivered($id)) });
    $self->settled;
    is_deeply([ [ $self->delivered($id) ], $self->states($id), $self->{mta}->held ], [ to('accept'), { 'quarantine@dst.example' => 'held' } ],
        'where another gets it the quarantined copy is stored');
    return;
}

# The class of the MTA.
sub run_parting ($mta_class) {
    my %lists = ('list@mx.test.example' => 'accept@dst.example, m2@dst.example', 'other@mx.test.example' => 'm2@dst.example, m3@dst.example');
    my $maps = join ', ', map { "{ $_ = $lists{$_} }" } sort keys %lists;
    my %mta = (aliases => join('', map { s/\@.*//r . ": $lists{$_}\n" } sort keys %lists), main => "virtual_alias_maps = inline:{ $maps }\n");
    my $self = start_parting($mta_class, mta => \%mta, more => $own_policies);
    my $five = five($self);
    my $alone = alike($self);
    spellings($self);
    release($self, $alone);
    aliases($self);
    parameters($self);
    odd_messages($self);
    own_lists($self);
    hold($self);
    return $self;
}

1;
