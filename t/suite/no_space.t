#!/usr/bin/perl
# A full disk: a message whose signatures could not be looked at is put off, never judged a forgery.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir test_program write_file run_ok);
use Mailreeve::Scenario qw(make_key sign message);

$ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
my $mailreeve = test_program('mailreeve');
my ($key, $record) = make_key();
my $zone = write_file(work_dir() . '/zone', <<"END");
_dmarc.good.example. TXT "v=DMARC1; p=reject"
sel._domainkey.good.example. TXT $record
END
my (undef, $text) = message(from => 'a@good.example');
my $long = $text . "a line of the body\n" x 10000;
my $file = write_file(work_dir() . '/message.eml', sign($key, 'good.example', $long));

sub explain_with ($spool) {
    my $config = write_file(work_dir() . '/conf', "spool_dir = \"$spool\"\nmessage_memory = 64K\nvirus { mode = off }\n"
        . 'content { workers = 1 tmp_dir = "' . work_dir() . "\" }\n");
    return decode_json(run_ok($mailreeve, 'explain', '--json', '--config', $config, '--dns-zone', $zone, '--client',
        '198.51.100.7', '--helo', 'mail.example', '--from', 'x@none.example', '--rcpt', 'b@dst.example', $file));
}

my $kept = explain_with(work_dir());
is_deeply([ $kept->{action}, $kept->{dkim}[0]{result}, $kept->{dmarc}{result} ], [ 'accept', 'pass', 'pass' ],
    'with a spool folder it passes');
my $lost = explain_with(work_dir() . '/nowhere');
is($lost->{action}, 'tempfail', 'without one it is put off');
like($lost->{reply}, qr/^452 4\.3\.1 /, 'for want of room');
is_deeply([ $lost->{dkim}[0]{result}, $lost->{dmarc}{result} ], [ 'temperror', 'temperror' ], 'its signature is not judged');
done_testing;
