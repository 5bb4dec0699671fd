#!/usr/bin/perl
# The show of ./quickstart as its user sees it.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::Process qw(source_dir work_dir);

$ENV{TMPDIR} = work_dir();
chdir source_dir();
my $text = `$^X -It/lib scripts/quickstart.pl 2>&1 < /dev/null`;
is($?, 0, 'it says that all went well') or diag($text);

my ($rule, $table) = ('-' x 98, {});
my (undef, undef, $rows, $summary) = split /^$rule\n/m, $text;
for my $row (split /^(?=\s*\d+ )/m, $rows // '') {
    my ($sent, $mark, $rest) = $row =~ /^\s*\d+ (.*?)\s+(right|WRONG)\n(.*)/s or next;
    $table->{$sent} = { mark => $mark, map { my ($key, $value) = /^    (\w+)\s+(.*)/s; $key => $value =~ s/\s+/ /gr }
            split /^(?=    \w)/m, $rest };
}
my @expected = (
    [ 'clean, SPF aligned',            qr/^250 /,                 'accept' ],
    [ 'clean, DKIM signed, forwarded', qr/^250 /,                 'accept',   qr/ dkim=pass\(bank\.example\) dmarc=pass/ ],
    [ 'DMARC forgery (p=reject)',      qr/^550 5\.7\.1 .*support id \w{8}/, 'reject', qr/ findings=(?:[^=]*,\s*)?dmarc\.reject,/ ],
    [ 'SPF hard fail, no DMARC',       qr/^550 5\.7\.23 /,        'reject',   qr/ spf=fail / ],
    [ 'EICAR attachment',              qr/^550 5\.7\.0 /,         'reject',   qr/ virus=Eicar/ ],
    [ 'a script in an archive',        qr/^550 5\.7\.0 /,         'reject',   qr/attachment\.script/ ],
    [ 'DMARC failure (p=quarantine)',  qr/^250 /,                 'quarantine' ],
    [ 'on the recipient\'s own block list', qr/^550 5\.7\.1 /, 'reject', qr/ reason=list\.blocked_user .*at=rcpt/ ],
    [ 'while DNS is dead',             qr/^451 /,                 'tempfail' ],
);
for my $case (@expected) {
    my ($sent, $reply, $verdict, $more) = @{$case};
    my $row = $table->{$sent} // { mark => 'not there', answered => '', verdict => '' };
    is($row->{mark}, 'right', "$sent: right");
    like($row->{answered}, $reply, "$sent: what Postfix answered");
    like($row->{verdict}, qr/^\w+: .*\bverdict=$verdict /, "$sent: the verdict line");
    like($row->{verdict}, $more, "$sent: and why") if $more;
}
like($summary, qr/\A(\d+) messages, \1 as expected\n\z/, 'all of them as expected');
like($text, qr/verdict: REJECT because of dmarc\.reject/, 'mailreeve explain says why');
is(scalar(grep { length > 100 } split /\n/, $text), 0, 'no line is longer than a terminal');
is_deeply([ glob work_dir() . '/*' ], [], 'nothing is left behind');
done_testing();
