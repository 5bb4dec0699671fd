#!/usr/bin/perl
# The show of ./quickstart: real messages through a real Postfix and mailreeved, each with what was expected of it.
use v5.36;
use MIME::Base64 qw(encode_base64);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir run_ok test_program wait_until write_file);
use Mailreeve::Scenario qw(eicar make_key message sign zip);
use Mailreeve::Smtp;

my $keep = @ARGV && $ARGV[0] eq '--keep';
$| = 1;

my ($key, $record) = make_key();
my $zone = <<"END";
bank.example. TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.bank.example. TXT "v=DMARC1; p=reject"
sel._domainkey.bank.example. TXT $record
shop.example. TXT "v=spf1 ip4:192.0.2.20 -all"
_dmarc.shop.example. TXT "v=DMARC1; p=quarantine"
hard.example. TXT "v=spf1 -all"
plain.example. A 192.0.2.30
END

say ' - NSD with a zone of a few made-up domains, as the whole DNS';
my $dns = Mailreeve::Dns->start($zone);
say ' - mailreeved with its default configuration, but for:';
say '     socket, user, spool_dir, content.tmp_dir   a private instance';
say '     dns { }                                    that NSD, which is not signed; short timeouts';
say '     virus.databases                            only the test signature that Mailreeve ships';
my $daemon = Mailreeve::Daemon->start(forwarder => $dns->{forwarder}, dns => 'timeout = 2s deadline = 2s');
say ' - a sink that takes what Postfix delivers, and Postfix with smtpd_milters';
my $sink = Mailreeve::Smtp->sink;
my $postfix = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}");
say ' - messages (the client address is set by XCLIENT)';

my $eicar = "--b\nContent-Type: application/octet-stream; name=\"invoice.bin\"\nContent-Transfer-Encoding: base64\n\n"
    . encode_base64(eicar()) . "--b--\n";
my $script = "--b\nContent-Type: application/zip; name=\"invoice.zip\"\nContent-Transfer-Encoding: base64\n\n"
    . encode_base64(zip('invoice.pdf.js', "WScript.Echo(1)\n")) . "--b--\n";
my $mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n";

# what is sent, by whom, and the reply and verdict that it must get
my @cases = (
    { sent => 'clean, SPF aligned', client => '192.0.2.10', from => 'clerk@bank.example', reply => qr/^250 /, verdict => 'accept',
        lines => "Authentication-Results: mx.test.example; dkim=pass\n", delivered => qr/dmarc=pass/,
        absent => qr/mx\.test\.example; dkim=pass/, expected => '250, results added, forged ones gone' },
    { sent => 'clean, DKIM signed, forwarded', client => '198.51.100.7', from => 'clerk@bank.example', sender => 'fwd@plain.example',
        signed => 'bank.example', reply => qr/^250 /, verdict => 'accept', delivered => qr/dkim=pass.*dmarc=pass/s,
        expected => '250, DMARC passes by DKIM' },
    { sent => 'DMARC forgery (p=reject)', client => '203.0.113.66', from => 'ceo@bank.example', reply => qr/^550 5\.7\.1 .*DMARC/,
        verdict => 'reject', expected => '550 5.7.1 by DMARC' },
    { sent => 'signed, then changed', client => '198.51.100.7', from => 'clerk@bank.example', sender => 'fwd@plain.example',
        signed => 'bank.example', change => 1, reply => qr/^550 5\.7\.1 .*DMARC/, verdict => 'reject', expected => '550 5.7.1 by DMARC' },
    { sent => 'SPF hard fail, no DMARC', client => '203.0.113.66', from => 'x@hard.example', reply => qr/^550 5\.7\.23 .*SPF/,
        verdict => 'reject', expected => '550 5.7.23 by SPF' },
    { sent => 'EICAR attachment', client => '192.0.2.10', from => 'clerk@bank.example', lines => $mime, body => $eicar,
        reply => qr/^550 5\.7\.0 .*malware/, verdict => 'reject', expected => '550 5.7.0 by ClamAV' },
    { sent => 'EICAR from our own network', client => '127.0.0.1', from => 'us@plain.example', lines => $mime, body => $eicar,
        reply => qr/^550 5\.7\.0 .*malware/, verdict => 'reject', expected => '550 5.7.0, outbound too' },
    { sent => 'a script in an archive', client => '192.0.2.10', from => 'clerk@bank.example', lines => $mime, body => $script,
        reply => qr/^550 5\.7\.0 The message carries/, verdict => 'reject', expected => '550 5.7.0 for invoice.pdf.js in invoice.zip' },
    { sent => 'DMARC failure (p=quarantine)', client => '203.0.113.66', from => 'x@shop.example', reply => qr/^250 /,
        verdict => 'quarantine', held => 1, expected => '250, in the hold queue' },
    { sent => 'two From fields', client => '192.0.2.10', from => 'clerk@bank.example', lines => "From: ceo\@other.example\n",
        reply => qr/^550 5\.7\.1 /, verdict => 'reject', expected => '550 5.7.1' },
    { sent => 'no policy, nothing wrong', client => '192.0.2.30', from => 'joe@plain.example', reply => qr/^250 /,
        verdict => 'accept', delivered => qr/spf=none/, expected => '250' },
    { sent => 'on the recipient\'s own block list', client => '192.0.2.30', from => 'pest@plain.example', block => 1,
        reply => qr/^550 5\.7\.1 /, verdict => 'reject', expected => '550 5.7.1 at RCPT, a second after `mailreeve list add block`' },
    { sent => 'while DNS is dead', client => '192.0.2.10', from => 'new@late.example', dead => 1, reply => qr/^451 4\.7\.24 /,
        verdict => 'tempfail', expected => '451: come again, never lost' },
);

# What is wrong with the outcome; nothing when it is as it must be.
sub outcome ($case) {
    my @wrong;
    push @wrong, 'another reply' if $case->{got} !~ $case->{reply};
    push @wrong, "verdict $case->{log}{verdict}" if $case->{log}{verdict} ne $case->{verdict};
    if ($case->{delivered}) {
        my $mail = Mailreeve::Smtp->wait_for_message($sink, "Subject: $case->{id}")->[1];
        push @wrong, 'not as expected when delivered' if $mail !~ $case->{delivered};
        push @wrong, 'a forged header survived' if $case->{absent} && $mail =~ $case->{absent};
    }
    if ($case->{held}) {
        my @held;
        wait_until('the message in the hold queue', sub { @held = $postfix->held; @held });
        push @wrong, 'held ' . @held if @held != 1;
    }
    return @wrong;
}

# As an operator would, while the daemon runs; then waits until it knows.
sub block ($case, $recipient) {
    run_ok(test_program('mailreeve'), 'list', 'add', 'block', $case->{from}, '--owner', $recipient, '--config', $daemon->{config});
    wait_until('the block to hold', sub {
        my $smtp = Mailreeve::Smtp->connect_to($postfix->{port});
        $smtp->say_line($_) for 'EHLO mail.sender.example', "XCLIENT ADDR=$case->{client} NAME=[UNAVAILABLE]", 'EHLO mail.sender.example',
            "MAIL FROM:<$case->{from}>";
        my $reply = $smtp->say_line("RCPT TO:<$recipient>");
        $smtp->say_line('QUIT');
        return $reply =~ /^550/;
    });
    return;
}

sub run_case ($case) {
    ($case->{id}, my $text) = message(from => $case->{from}, headers => $case->{lines}, body => $case->{body});
    $text = sign($key, $case->{signed}, $text) if $case->{signed};
    $text =~ s/This is/This was/ if $case->{change};
    $case->{text} = $text;
    $dns->down if $case->{dead};
    block($case, "$case->{id}\@dst.example") if $case->{block};
    $case->{got} = Mailreeve::Smtp->send_message($postfix->{port}, client => $case->{client}, helo => 'mail.sender.example',
        from => $case->{sender} // $case->{from}, to => "$case->{id}\@dst.example", message => $text);
    $case->{log} = $daemon->verdict(qr/rcpt=<\Q$case->{id}\E\@/);
    $case->{wrong} = [ outcome($case) ];
    $dns->up if $case->{dead};
    return;
}

for my $case (@cases) {
    print "     $case->{sent} ";
    eval { run_case($case); 1 } or $case->{wrong} = [ $@ =~ s/\s+\z//r ];
    say '.' x (50 - length $case->{sent}), @{ $case->{wrong} } ? ' WRONG' : ' right';
}

my $file = write_file(work_dir() . '/forgery.eml', $cases[2]{text});
my $zone_file = write_file(work_dir() . '/example.zone', $zone);
my @explain = ('explain', '--config', $daemon->{config}, '--dns-zone', $zone_file, '--client', '203.0.113.66', '--helo',
    'mail.sender.example', '--from', 'ceo@bank.example', '--rcpt', 'you@dst.example', $file);
say "\nWhy was the forgery rejected? `mailreeve explain` judges any message again, without an MTA:\n";
$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
print run_ok(test_program('mailreeve'), @explain);

# Folded to the terminal, later lines under the first.
sub folded ($label, $text) {
    my ($out, $line) = ('', sprintf '    %-9s', $label);
    for my $word (map { length > 80 ? split /(?<=,)/ : $_ } split / /, $text) {
        if (length($line) + length($word) > 97) {
            $out .= "$line\n";
            $line = ' ' x 13;
        }
        $line .= " $word";
    }
    return "$out$line\n";
}

my ($number, $bad, $rule) = (0, 0, '-' x 98);
say "\n$rule\n  # sent\n    expected | what Postfix answered | the verdict line in the log\n$rule";
for my $case (@cases) {
    my $wrong = @{ $case->{wrong} };
    $bad++ if $wrong;
    printf "%3d %-86s %7s\n", ++$number, $case->{sent}, $wrong ? 'WRONG' : 'right';
    print folded('expected', $case->{expected}), folded('answered', ($case->{got} // 'nothing') =~ s/\n/ /gr);
    print folded('verdict', $case->{log} ? $case->{log}{line} =~ s/^mailreeved\[\d+\]: //r =~ s/^\w+: info: //r : 'none');
    print folded('wrong', join ', ', @{ $case->{wrong} }) if $wrong;
}
say $rule;
printf "%d messages, %d as expected\n", scalar @cases, @cases - $bad;

if ($keep) {
    say "It is running until you press Enter. Send mail through it:\n  swaks --server 127.0.0.1:$postfix->{port} "
        . "--from you\@bank.example --to b\@dst.example --xclient 'ADDR=192.0.2.10 NAME=mail.bank.example'\n"
        . "  log: $daemon->{log}   delivered: $sink->{dir}   configuration: $daemon->{config}";
    <STDIN>;
}
exit($bad ? 1 : 0);
