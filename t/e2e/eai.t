#!/usr/bin/perl
# Internationalized mail (RFC 6531, 6532, 8616) through a real Postfix. Debian's Sendmail does not offer SMTPUTF8.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Postfix;
use Mailreeve::Scenario qw(make_key message sign);
use Mailreeve::Sendmail;
use Mailreeve::Smtp;

# Everything here is bytes: UTF-8 as it is on the wire.
my ($name, $domain, $ascii) = ('müller', 'bücher.example', 'xn--bcher-kva.example');
my ($key, $record) = make_key();
my $dns = Mailreeve::Dns->start(<<"END");
$ascii. TXT "v=spf1 ip4:127.0.0.7 -all exp=why.$ascii"
why.$ascii. TXT "100%% sure: %{i} is not %{d}"
_dmarc.$ascii. TXT "v=DMARC1; p=reject"
sel._domainkey.$ascii. TXT $record
hard.example. TXT "v=spf1 exists:%{l}.hard.example -all exp=why.$ascii"
*.hard.example. A 127.0.0.2
END
my $daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, config => "own_networks = {\"127.0.0.1\"}\n");
my $sink = Mailreeve::Smtp->sink;
my $mta = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}", main => "smtputf8_enable = yes\n");

sub send_utf8 ($client, %arg) {
    return Mailreeve::Smtp->send_message($mta->{port}, local => $client, to => 'büro@dst.example', mail => 'SMTPUTF8', %arg);
}

# The message as it arrived, as [ envelope, what was put in front, what was sent ].
sub arrived ($id) {
    my ($envelope, $got) = @{ Mailreeve::Smtp->wait_for_message($sink, "Subject: $id") };
    my ($above, $rest) = $got =~ /\A((?:(?:Authentication-Results|X-Mailreeve-Verdict|Received):.*\n(?:[ \t].*\n)*)*)((?s:.*))\z/;
    return ($envelope, $above =~ s/\r?\n[ \t]+/ /gr, $rest);
}

sub accepted ($what, $client, $text, $id, %arg) {
    like(send_utf8($client, message => $text, %arg), qr/^250 /, "$what: taken");
    my ($envelope, $above, $rest) = arrived($id);
    is($rest, $text =~ s/\r?\n/\r\n/gr, "$what: delivered as it was sent, byte for byte");
    return ($envelope, $above);
}

# SPF alone.
my ($id, $text) = message(from => "Jürgen Müller <$name\@$domain>", body => "Grüße\n");
my ($envelope, $above) = accepted('SPF', '127.0.0.7', $text, $id, from => "$name\@$domain", helo => $ascii);
like($envelope, qr/^MAIL FROM:<\Q$name\E\@.*SMTPUTF8/m, 'as an internationalized message');
like($above, qr/^Authentication-Results: mx\.test\.example; spf=pass smtp\.mailfrom=\Q$name\E\@\Q$ascii\E; spf=pass smtp\.helo=\Q$ascii\E;/m,
    'the local part in UTF-8, domains in A-labels');
like($above, qr/dmarc=pass \(.*?\) header\.from=\Q$ascii\E/, 'DMARC passes for the domain in A-labels');
my $line = $daemon->verdict(qr/spf=pass spf_helo=pass/)->{line};
like($line, qr/ from=<m\\xc3\\xbcller\@b\\xc3\\xbccher\.example> /, 'the log is ASCII');
unlike($line, qr/[^ -~]/, 'all of it');

# DKIM, from a client that SPF does not know: d= in A-labels and in U-labels.
for my $signer ($ascii, $domain) {
    ($id, $text) = message(from => "$name\@$domain", body => "Grüße\n");
    my (undef, $field) = accepted("DKIM with d=$signer", '127.0.0.9', sign($key, $signer, $text), $id, from => 'list@none.example');
    like($field, qr/dkim=pass \(2048-bit key\) header\.d=\Q$ascii\E header\.s=sel .*dmarc=pass/, "d=$signer passes");
}

# Forgeries, however the domain is written.
for my $form ($domain, "B\xc3\x9cCHER.example", "bu\xcc\x88cher\xe3\x80\x82example", uc $ascii, 'exämple@bücher.example, x') {
    ($id, $text) = message(from => $form =~ /,/ ? "\"$form\" <$name\@$domain>" : "$name\@$form");
    my $reply = send_utf8('127.0.0.9', from => 'a@none.example', message => $text);
    like($reply, qr/^550 5\.7\.1 DMARC: mail from \Q$ascii\E .*support id/, "a forgery of $form is rejected");
    unlike($reply, qr/[^ -~\n]/, 'in ASCII');
}
($id, $text) = message(from => "$name\@$domain");
like(send_utf8('127.0.0.7', from => "$name\@$domain", message => sign($key, $domain, $text) =~ s/This is/This was/r), qr/^250 /,
    'a signature that is broken does no harm where SPF passes');
like(send_utf8('127.0.0.9', from => "$name\@$domain", message => sign($key, $domain, $text) =~ s/This is/This was/r), qr/^550 5\.7\.1 /,
    'and does not help where it fails');

# SPF's macros have no value for a local part in UTF-8; its explanation is given, with its percent sign.
($id, $text) = message(from => 'a@none.example');
like(send_utf8('127.0.0.9', from => "$name\@hard.example", message => $text),
    qr/^550 5\.7\.23 SPF: hard\.example does not permit 127\.0\.0\.9 to send its mail; hard\.example explains: 100% sure: 127\.0\.0\.9 is not hard\.example \(support id \w{8}\)$/,
    '%{l} matches nothing, and the domain explains');
like(send_utf8('127.0.0.9', from => 'mueller@hard.example', message => $text), qr/^250 /, 'in ASCII it does match');

# A message that is none of them: no UTF-8 in what is added.
($id, $text) = message(from => "a\@$ascii");
like(Mailreeve::Smtp->send_message($mta->{port}, local => '127.0.0.7', to => 'b@dst.example', from => "a\@$ascii", message => $text), qr/^250 /,
    'the same domain in an ASCII message');
unlike((arrived($id))[1], qr/[^ -~\r\n\t]/, 'gets ASCII results');
$daemon->down;
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');

# Sendmail 8.17.1 as Debian builds it has no SMTPUTF8; a header in UTF-8 comes through it all the same.
$daemon = Mailreeve::Daemon->start(name => 'second', forwarder => $dns->{forwarder}, config => "own_networks = {\"127.0.0.1\"}\n");
$mta = Mailreeve::Sendmail->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}");
my $smtp = Mailreeve::Smtp->connect_to($mta->{port}, local => '127.0.0.7');
unlike($smtp->say_line('EHLO client.example'), qr/SMTPUTF8/, 'Sendmail does not offer SMTPUTF8');
like($smtp->say_line("MAIL FROM:<a\@$ascii> SMTPUTF8"), qr/^5\d\d /, 'and refuses it');
($id, $text) = message(from => "$name\@$domain");
like($smtp->deliver(from => "a\@$ascii", to => 'b@dst.example', message => $text), qr/^250 /, 'a From field in UTF-8 is taken');
like((arrived($id))[1], qr/^Authentication-Results: [ -~]*smtp\.mailfrom=a\@\Q$ascii\E;[ -~]*dmarc=pass [ -~]*header\.from=\Q$ascii\E(?:;[ -~]*)?\r?$/m,
    'DMARC passes, and the results are ASCII');
like(Mailreeve::Smtp->send_message($mta->{port}, local => '127.0.0.9', to => 'b@dst.example', from => 'a@none.example', message => $text),
    qr/^550 5\.7\.1 DMARC: mail from \Q$ascii\E /, 'a forgery is rejected');
($id, $text) = message(from => "a\@$ascii");
like($smtp->deliver(from => "$name\@$ascii", to => 'b@dst.example', message => $text), qr/^250 /, 'Sendmail takes 8-bit senders without it');
like((arrived($id))[1], qr/^Authentication-Results: [ -~]*spf=pass smtp\.mailfrom=\Q$ascii\E;[ -~]*\r?$/m, 'whose local part is left out');
$smtp->say_line('QUIT');
$daemon->down;
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');
done_testing();
