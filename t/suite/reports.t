#!/usr/bin/perl
# Reports that others send: real ones from public projects, and hostile ones.
use v5.36;
use IO::Compress::Gzip qw(gzip);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Mailreeve::Process qw(work_dir test_program write_file run_ok read_file);

my $mailreeve = test_program('mailreeve');
my $dir = work_dir() . '/store';
mkdir $dir;
chown +(getpwnam 'nobody')[ 2, 3 ], $dir;
my $config = write_file(work_dir() . '/conf', qq(user = nobody\nstore { location = "sqlite:$dir/mailreeve.db" spill_dir = "$dir/spill" }\n));

# ( status, output with errors )
sub import_files (@files) {
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) { open STDERR, '>&', \*STDOUT; exec $mailreeve, qw(report import --config), $config, @files }
    my $text = join '', <$out>;
    close $out;
    return ($? >> 8, $text =~ s/^==\d+==.*\n//mgr);
}
sub of_domain ($domain, @arg) { return decode_json(run_ok($mailreeve, qw(report domain --json --config), $config, '--since', '2000-01-01', @arg, $domain)) }
sub file ($name, $text) { return write_file(work_dir() . "/$name", $text) }

my $record = join '', '<record><row><source_ip>192.0.2.1</source_ip><count>7</count><policy_evaluated><disposition>none</disposition>',
    '<dkim>fail</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>example.net</header_from></identifiers>',
    '<auth_results><dkim><domain>a.example</domain></dkim><dkim><domain>b.example</domain></dkim><spf><domain>example.net</domain></spf></auth_results></record>';
my $bad = $record =~ s/192\.0\.2\.1/192.0.2.2/r =~ s/<spf>pass/<spf>fail/r =~ s/>7</>3</r =~ s/<disposition>none/<disposition>reject/r;
sub xml ($id, @records) {
    return "<?xml version=\"1.0\"?>\n<feedback><report_metadata><org_name>O&amp;rg\e[31m</org_name><email>a\@b</email><report_id>$id</report_id>"
        =~ s/\e\[31m//r . '<date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata>'
        . '<policy_published><domain>Example.NET</domain><p>none</p></policy_published>' . join('', @records) . '</feedback>';
}
my ($status, $out) = import_files(file('a.xml', xml(1, $record, $bad)));
is($status, 0, 'an XML file');
like($out, qr/^\S+: dmarc report of O&rg about example\.net$/m, 'is named');
gzip(\xml(2, $record), \my $gz);
like((import_files(file('a.xml.gz', $gz)))[1], qr/^1 imported, 0 known before, 0 failed$/m, 'in gzip');
run_ok('sh', '-c', "cd '@{[work_dir()]}' && cp a.xml b.xml && sed -i 's/<report_id>1/<report_id>3/' b.xml && zip -q b.zip b.xml");
like((import_files(work_dir() . '/b.zip'))[1], qr/^1 imported/m, 'in zip');
my $mail = "From: a\@b\r\nTo: c\@d\r\nSubject: Report Domain: example.net\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
    . "Content-Type: text/html\r\n\r\n<p>hello</p>\r\n--x\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n";
gzip(\xml(4, $bad), \$gz);
like((import_files(file('a.eml', $mail . encode_base64($gz, "\r\n") . "--x--\r\n")))[1], qr/^1 imported, 0 known before, 0 failed$/m, 'in a message, beside text that is none');
like((import_files(work_dir() . '/a.eml', work_dir() . '/a.xml'))[1], qr/^0 imported, 2 known before, 0 failed$/m, 'none counts twice');
my $sum = of_domain('example.net');
is_deeply([ @{$sum}{qw(reports messages pass fail stopped)} ], [ 4, 30, 21, 9, 9 ], 'their sum') or diag explain $sum;
is_deeply($sum->{sources}[0], { source => '192.0.2.1', messages => 21, pass => 21, fail => 0, dkim_pass => 0, spf_pass => 21, dkim_domains => 'a.example,b.example',
    spf_domain => 'example.net' }, 'a source');
is(of_domain('example.net', '--limit', 1)->{sources}->@*, 1, 'no more sources than asked for');
is(decode_json(run_ok($mailreeve, qw(report domain --json --config), $config, 'example.net'))->{reports}, 0, 'none in the last days');

# Hostile ones cost no more than themselves.
my @hostile = (
    [ 'a bomb', do { gzip(\("\0" x (300 << 20)), \my $bomb); $bomb }, qr/unpacks to more than a report has/ ],
    [ 'entities', "<?xml version=\"1.0\"?><!DOCTYPE f [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><feedback>&b;</feedback>", qr/declares entities/ ],
    [ 'an external entity', "<!DOCTYPE f [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><feedback>&a;</feedback>", qr/declares entities/ ],
    [ 'deep nesting', '<feedback>' . '<a>' x 5000, qr/nested too deeply/ ],
    [ 'an end too early', substr(xml(9, $record), 0, 300), qr/no element found|unclosed/ ],
    [ 'another XML', '<html><body/></html>', qr/no aggregate report/ ],
    [ 'no organisation', '<feedback><policy_published><domain>x</domain></policy_published></feedback>', qr/no org_name/ ],
    [ 'a domain that is none', xml(10, $record) =~ s/Example\.NET/a b;--/r, qr/no domain name/ ],
    [ 'JSON of something else', '{"a": 1}', qr/no TLS report/ ],
    [ 'deep JSON', '{"a":' . '[' x 100_000, qr/no JSON/ ],
    [ 'nothing', '', qr/no report in it/ ],
    [ 'text', "hello\n", qr/no report in it/ ],
    [ 'broken gzip', substr($gz, 0, 40), qr/cannot be unpacked/ ],
);
for my $case (@hostile) {
    my ($name, $text, $expected) = @$case;
    my ($failed, $said) = import_files(file('hostile', $text));
    is($failed, 1, "$name: refused");
    like($said, qr/^mailreeve report import: \S+: .*$expected/m, '  with the reason');
}
is(of_domain('example.net')->{messages}, 30, 'and nothing of them was kept');
like((import_files(file('hostile', "<feedback>"), work_dir() . '/a.xml'))[1], qr/^0 imported, 1 known before, 1 failed$/m, 'those beside it are read');
my $long = 'x' x 100_000;
like((import_files(file('long.xml', xml(11, $record =~ s/a\.example/$long/r))))[1], qr/^1 imported/m, 'long values are cut');
ok((grep { length $_->{dkim_domains} <= 600 } of_domain('example.net')->{sources}->@*) == 2, 'to a bound');

SKIP: {
    my $data = ($ENV{MAILREEVE_DATA} // '/nonexistent') . '/dkim/mailauth';
    skip 'no reports of others: MAILREEVE_DATA is not set or has none', 5 if !-d $data;
    my ($good, $text) = import_files(glob "$data/dmarc-feedback/*.xml $data/dmarc-feedback/*.eml $data/tlsrpt/*.eml");
    is($good, 0, 'real ones') or diag $text;
    my $real = of_domain('stalw.art');
    is_deeply([ @{$real}{qw(reports messages pass)} ], [ 6, 14, 2 ], 'what they say of a domain');
    my ($ours) = grep { $_->{source} eq '2a01:4f9:c011:b43c::1' } $real->{sources}->@*;
    is_deeply([ @{$ours}{qw(dkim_pass spf_pass dkim_domains)} ], [ 1, 1, 'stalw.art' ], 'of a source');
    my $tls = of_domain('company-y.example');
    is_deeply([ @{$tls}{qw(tls_reports tls_success tls_failure)} ], [ 1, 5326, 303 ], 'of TLS');
    is($tls->{tls_failures}[0]{details}, 'certificate-expired (100), starttls-not-supported (200), validation-failure (3)', 'and why it failed');
}
done_testing();
