#!/usr/bin/perl
# What two gates behind a real Postfix remember in one store, and what find, report and explain ID say of it.
use v5.36;
use utf8;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use IO::Socket::SSL ();
use JSON::PP qw(decode_json);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Postfix;
use Mailreeve::Postgres;
use Mailreeve::Process qw(work_dir free_port run_ok read_file write_file wait_until test_program);
use Mailreeve::Scenario qw(message eicar);
use Mailreeve::Smtp;

my $mailreeve = test_program('mailreeve');
$ENV{TZ} = 'UTC';
$ENV{MAILREEVE_INSPECT} //= test_program('mailreeve-inspect');

# A Postfix with a second port, whose mail goes to the second gate.
{
    package TwoGates;
    our @ISA = ('Mailreeve::Postfix');
    sub master_cf ($self) {
        return $self->SUPER::master_cf . "127.0.0.1:$self->{second_port} inet n - n - - smtpd\n  -o smtpd_milters=$self->{second_milter}\n";
    }
}

my $dns = Mailreeve::Dns->start(<<'END');
good.example. TXT "v=spf1 ip4:127.0.0.7 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
hard.example. TXT "v=spf1 -all"
END

my $config = <<'END';
own_networks = {"127.0.0.1"}
message_memory = 256K
client { mode = off }
spf { mode = observe }
policy { spf.fail = reject }
END

my @certificate = map { work_dir() . "/$_" } 'tls.key', 'tls.crt';
run_ok('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', $certificate[0], '-out', $certificate[1], '-days', '30',
    '-subj', '/CN=mx.test.example');

sub gate ($name, $store, $more = '') {
    my ($extra) = Mailreeve::Daemon->start(name => $name, tick => 1, forwarder => $dns->{forwarder}, dns => 'timeout = 2s deadline = 3s', down => 1);
    $extra->configure("${config}store { $store }\n$more");
    $extra->up;
    return $extra;
}

sub find (@arg) { return map { decode_json($_) } grep { /^\{/ } split /\n/, command('find', '--json', @arg) }
my $conf;
sub command ($name, @arg) {
    my $pid = open my $out, '-|';
    if (!$pid) { open STDERR, '>&', \*STDOUT; exec $mailreeve, $name, '--config', $conf, @arg; }
    local $/ = undef;
    return scalar(<$out>) =~ s/^==\d+==.*\n//mgr;
}
sub report (@arg) { return decode_json(command('report', '--json', @arg)) }

my $sink = Mailreeve::Smtp->sink;

sub by_tls ($port, %arg) {
    my $smtp = Mailreeve::Smtp->connect_to($port, %arg);
    $smtp->say_line('EHLO client.example');
    $smtp->say_line('STARTTLS');
    IO::Socket::SSL->start_SSL($smtp->{socket}, SSL_verify_mode => 0) or die IO::Socket::SSL::errstr();
    $smtp->say_line('EHLO client.example');
    my $reply = $smtp->deliver(%arg);
    $smtp->say_line('QUIT');
    return $reply;
}

# The mail of the test; how many rows it makes.
sub traffic ($mta) {
    my ($one, $two) = ($mta->{port}, $mta->{second_port});
    my %from = (good => '127.0.0.7', other => '127.0.0.9');
    my ($id, $text) = message(from => 'a@good.example', headers => '');
    like(by_tls($one, local => $from{good}, from => 'a@good.example', to => 'b@dst.example', message => $text), qr/^250/, 'a good one, by TLS');
    (undef, $text) = message(from => 'ceo@good.example');
    my $reply = Mailreeve::Smtp->send_message($two, local => $from{other}, from => 'ceo@good.example', to => 'b@dst.example', message => $text);
    like($reply, qr/^550 5\.7\.1 DMARC/, 'a forged one, at the other gate');
    my ($support) = $reply =~ /support id (\w+)/;
    write_file(work_dir() . '/forged.eml', $text);
    for my $port ($one, $two, $two) {
        (undef, $text) = message(from => 'x@hard.example');
        like(Mailreeve::Smtp->send_message($port, local => $from{other}, from => 'x@hard.example', to => [ 'b@dst.example', 'c@third.example' ], message => $text),
            qr/^250/, 'one that SPF would reject, were it not observed');
    }
    (undef, $text) = message(from => 'v@none.example', body => eicar() . "\n");
    like(Mailreeve::Smtp->send_message($one, local => $from{other}, from => '', to => 'b@dst.example', message => $text), qr/^550 5\.7\.0/, 'a virus');
    (undef, $text) = message(from => '"; DROP TABLE history_message;--"@none.example', headers => "X: y\n");
    $text =~ s/^Subject:.*/Subject: =?utf-8?q?=1B=5B31mred=0AFrom:_x=E2=80=AE?= 'quoted' \x{1b}]0;title\x{7}/m;
    like(Mailreeve::Smtp->send_message($one, local => $from{other}, helo => "evil'\x1b[2J<b>%n.example", from => 'h%_\'x@none.example', to => 'd@dst.example', message => $text),
        qr/^250/, 'a hostile one');
    (undef, $text) = message(from => 'me@good.example');
    like(Mailreeve::Smtp->send_message($one, local => '127.0.0.1', from => 'me@good.example', to => 'out@far.example', message => $text), qr/^250/, 'an outbound one');
    return (8, $support);
}

sub finds ($support) {
    my ($forged) = find('--support-id', $support);
    is($forged->{action}, 'reject', 'the forged one, by its support id: rejected');
    is($forged->{reason}, 'dmarc.reject', 'for DMARC');
    like($forged->{reply}, qr/^550 5\.7\.1 DMARC.*\Q$support\E/, 'with its reply');
    is("$forged->{client} $forged->{helo} $forged->{mail_from}", '127.0.0.9 client.example ceo@good.example', 'client, HELO and sender');
    is($forged->{dmarc}{policy}, 'reject', 'with the results');
    ok($forged->{stages}{spf} >= 0 && $forged->{ms} >= 0, 'and the times');
    like($forged->{time}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$/, 'and the time');
    is((find('--queue-id', $forged->{queue_id}))[0]{support_id}, $support, 'by its queue id');
    my ($good) = find('--from', 'A@good.example');
    like($good->{tls}{version} // '', qr/^TLSv1\.[23]$/, 'the good one came by TLS');
    ok($good->{size} > 100 && $good->{message_id} =~ /\@test\.example>$/ && $good->{subject} =~ /^m\d+-/, 'size, Message-ID, Subject');
    is(scalar(find('--from', 'hard.example')), 3, 'by the sender\'s domain');
    is(scalar(find('--from', 'hard.example', '--limit', 2)), 2, 'no more than asked for');
    is(scalar(find('--to', 'third.example')), 3, 'by a recipient\'s domain');
    is(scalar(find('--to', '*@t*h*')), 0, 'a star within is refused');
    is(scalar(find('--to', '@th')), 0, 'a domain that nobody has');
    is(scalar(find('--to', '*rd.exam*')), 3, 'by a part');
    is(scalar(find('--from', '<>')), 1, 'by the null path');
    is(scalar(find('--client', '127.0.0.9')), 6, 'by the client');
    is(scalar(find('--action', 'reject')), 2, 'by the action');
    is(scalar(find('--finding', 'spf.fail', '--to', 'c@third.example')), 3, 'by finding and recipient');
    is(scalar(find('--since', '1h')), 8, 'since an hour ago');
    is(scalar(find('--until', '1h')), 0, 'until an hour ago');
    is(scalar(find('--from', 'h%_\'x@none.example')), 1, 'by an address with signs of SQL');
    my $table = command('find', '--from', 'hard.example');
    is(scalar(() = $table =~ /^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  accept /mg), 3, 'a table has a line for each message');
    like($table, qr/<x\@hard\.example>\s+b\@dst\.example \(\+1\)/, 'with sender and recipients');
    for my $bad ([ '--since', 'soon' ], [ '--action', 'deny' ], [ '--client', 'here' ], [ '--limit', '-1' ], ['word']) {
        like(command('find', @$bad), qr/^mailreeve find: .*(expected|by options)/, "find @$bad is refused");
    }
    return;
}

sub escapes () {
    my ($row) = find('--to', 'd@dst.example');
    is($row->{helo} =~ /[\x00-\x1f\x7f]/ ? 'raw' : 'escaped', 'escaped', 'of a hostile HELO and');
    unlike($row->{subject}, qr/[\x00-\x1f\x7f]/, 'Subject no control character is kept');
    like($row->{subject}, qr/\\x1b\[31mred\\x0aFrom: x/, 'they are shown as what they are');
    for my $output (command('find', '--to', 'd@dst.example'), command('find', '--json', '--to', 'd@dst.example'),
        command('report', 'summary'), command('report', 'would'), command('explain', $row->{queue_id})) {
        unlike($output, qr/[\x00-\x09\x0b-\x1f\x7f]/, 'no control character reaches the terminal');
        unlike($output, qr/\xe2\x80\xae(?!.*\})/, 'nor a sign that turns the line around');
    }
    return;
}

sub reports () {
    my $would = report('would');
    is($would->{messages}, 8, 'report would: eight messages');
    my ($fail) = grep { $_->{code} eq 'spf.fail' } @{ $would->{findings} };
    is("$fail->{mode} $fail->{would} $fail->{messages} $fail->{delivered}", 'observe reject 3 3', 'SPF would have rejected three, all delivered');
    is($fail->{senders}[0]{domain} . ' ' . $fail->{senders}[0]{messages}, 'hard.example 3', 'by sender');
    is($fail->{clients}[0]{client} . ' ' . $fail->{clients}[0]{messages}, '127.0.0.9 3', 'by client');
    is(scalar @{ $fail->{examples} }, 3, 'with examples');
    is(scalar @{ report('would', '--stage', 'dmarc')->{findings} }, 0, 'of a stage that is enforced: nothing');
    like(command('report', 'would'), qr/^spf\.fail \(mode observe\) would reject: 3 messages, 37\.5 %/m, 'for people too');
    my $tls = report('tls');
    my %domain = map { $_->{domain} => $_ } @{ $tls->{domains} };
    is("$domain{'good.example'}{messages} $domain{'good.example'}{none} $domain{'good.example'}{require_tls}{accepted}", '2 1 0', 'report tls: good.example');
    is("$domain{'hard.example'}{none} $domain{'hard.example'}{require_tls}{accepted} $domain{'hard.example'}{require_1_2}{messages}", '3 3 3', 'hard.example');
    is("$tls->{total}{messages} $tls->{total}{none}", '7 6', 'in all; outbound mail is not in it');
    like(command('report', 'tls'), qr/^hard\.example +3 +3 +0 +0 +0 +3 \(3 accepted, 0 DMARC pass\)/m, 'for people too');
    my $summary = report('summary');
    my %action = map { $_->{action} => $_->{messages} } @{ $summary->{actions} };
    is_deeply(\%action, { 'inbound accept' => 5, 'inbound reject' => 2, 'outbound accept' => 1 }, 'report summary: messages by action');
    is(scalar @{ report('direct')->{clients} }, 0, 'report direct: nobody');
    like(command('report', 'summary'), qr/^  hard\.example +3  37\.5 %$/m, 'for people too');
    return;
}

# ( exit status, what config diff says ) of the configuration with that change.
sub diff ($from, $to, @arg) {
    my $new = write_file(work_dir() . '/new.conf', read_file($conf) =~ s/\Q$from/$to/r);
    my $text = qx('$mailreeve' config diff --config '$conf' @arg '$new' 2>&1);
    return ($? >> 8, $text);
}

# A configuration that is not in force yet, judged by what was found of late.
sub differs () {
    my ($status, $text) = diff('spf {', 'spf {');
    is($status, 0, 'config diff: the same file');
    like($text, qr/^every value is the same\n\n8 messages with 11 recipients: 0 outcomes would change$/m, 'changes nothing');
    unlike($text, qr/recorded with another outcome/, 'and comes to what was recorded');
    ($status, $text) = diff('spf { mode = observe }', 'spf { mode = enforce }');
    is($status, 1, 'SPF enforced');
    like($text, qr/^spf mode: observe -> enforce$/m, 'that is what differs');
    is(scalar(() = $text =~ /<x\@hard\.example>  +<[bc]\@\w+\.example>  +accept  +reject  +spf\.fail$/mg), 6, 'six recipients would not have got theirs');
    like($text, qr/^  6 from accept to reject$/m, 'and that is all');
    ($status, $text) = diff('spf { mode = observe }', 'spf { mode = enforce }', '--last', 3, '--json');
    my $object = decode_json($text);
    is_deeply([ $object->{messages}, scalar @{ $object->{changes} } < 6, $object->{options} ],
        [ 3, !!1, [ { name => 'spf mode', old => 'observe', new => 'enforce' } ] ], 'of the last three, as JSON');
    (undef, $text) = diff('policy { spf.fail = reject }', "policy { spf.fail = reject  dmarc.reject = tag }\ndomain \"third.example\" { spf.fail = tag }");
    like($text, qr/^  1 from reject to tag$/m, 'a milder action');
    like($text, qr/^domain "third\.example" spf\.fail: \(not given\) -> tag$/m, 'a block');
    ($status, $text) = diff('own_networks', "nonsense = 1\nown_networks");
    is($status, 2, 'a bad file');
    like($text, qr/new\.conf:\d+: .*nonsense/, 'is refused');
    return;
}

sub remembered ($kind, $store) {
    my $first = gate("$kind-first", $store->());
    my $second = gate("$kind-second", $store->());
    $conf = $first->{config};
    my $mta = TwoGates->start(sink => $sink->{port}, milter => "unix:$first->{socket}", second_port => free_port(), second_milter => "unix:$second->{socket}",
        main => "smtpd_tls_security_level = may\nsmtpd_tls_key_file = $certificate[0]\nsmtpd_tls_cert_file = $certificate[1]\n");
    my ($count, $support) = traffic($mta);
    wait_until('the rows', sub { find() >= $count });
    is(scalar(find()), $count, 'a row for each message of both gates');
    finds($support);
    escapes();
    reports();
    differs();
    replay($support);
    return ($first, $second, $mta);
}

# The forged message again: by the answers of then, and when its domain has given up its policy.
sub replay ($support) {
    my ($recorded) = map { decode_json($_) } grep { /^\{/ } split /\n/, command('explain', '--json', $support);
    my ($finding) = grep { $_->{action} eq 'reject' } @{ $recorded->{findings} };
    is("$recorded->{support_id} $recorded->{action} $finding->{code}", "$support reject dmarc.reject", 'explain ID: what was recorded');
    my $table = command('explain', $recorded->{queue_id});
    like($table, qr/^\Q$recorded->{queue_id}\E, support id $support, recorded by mx\.test\.example at 20/m, 'for people: by the queue id');
    like($table, qr/^  dmarc +\d+\.\d\d ms  fail for good\.example, policy reject\n +\* dmarc\.reject -> reject: /m, 'each stage with its time, result and findings');
    like($table, qr/^  verdict: reject because of dmarc\.reject, after \d+ ms/m, 'and the verdict');
    like(command('explain', 'NOSUCHID'), qr/is no file, and the history has no message/, 'an id that nobody has');
    my $zone = read_file("$dns->{dir}/root.zone");
    $dns->down;
    write_file("$dns->{dir}/root.zone", $zone =~ s/^_dmarc\.good.*\n//mr =~ s/^good\.example\. TXT .*/good.example. TXT "v=spf1 +all"/mr);
    $dns->up;
    my ($again) = map { decode_json($_) } grep { /^\{/ } split /\n/, command('explain', '--json', '--id', $support, work_dir() . '/forged.eml');
    is($again->{recorded}{action} . " $again->{recorded}{dmarc}{result}", 'reject fail', 'explain --id: recorded as rejected');
    is("$again->{then}{action} $again->{then}{dmarc}{result} $again->{then}{spf}{result}", 'reject fail fail', 'by the answers of then it would be again');
    is("$again->{now}{action} $again->{now}{dmarc}{result} $again->{now}{spf}{result}", 'accept none pass', 'by those of now it is not');
    $table = command('explain', '--id', $support, work_dir() . '/forged.eml');
    like($table, qr/^  verdict +reject +reject +accept +differs$/m, 'for people: side by side');
    like($table, qr/^  dmarc\.reject +reject +reject +- +differs$/m, 'with what was found');
    like(command('explain', '--id', $support), qr/the quarantine has no copy of that message/, '--id without a message');
    $dns->down;
    write_file("$dns->{dir}/root.zone", $zone);
    $dns->up;
    return;
}

# What history.subject lets in is what the files hold.
sub subjects ($mta, $gate, $file) {
    my %expected = (none => qr/\A\z/, hash => qr/\A[0-9a-f]{16}\z/, word => qr/\AUnforeseeable\z/, full => qr/\AUnforeseeable merger of Zweifelscheid\z/);
    for my $level (qw(none hash word full)) {
        $gate->down;
        $gate->configure("${config}store { location = \"sqlite:$file-$level\" spill_dir = \"$file-spill\" }\nhistory { subject = $level }\n");
        $gate->up;
        my (undef, $text) = message(from => 'a@none.example');
        $text =~ s/^Subject:.*/Subject: Unforeseeable\n merger of Zweifelscheid/m;
        Mailreeve::Smtp->send_message($mta->{port}, local => '127.0.0.9', from => "$level\@none.example", to => 'b@dst.example', message => $text);
        wait_until("the row of $level", sub { find('--from', "$level\@none.example") });
        like((find('--from', "$level\@none.example"))[0]{subject}, $expected{$level}, "subject = $level");
        my $bytes = join '', map { read_file($_) } glob "$file-$level*";
        ok(index($bytes, "$level\@none.example") >= 0, 'the store\'s files have the message');
        is(index($bytes, 'Zweifelscheid') >= 0 ? 'there' : 'not there', $level eq 'full' ? 'there' : 'not there', 'and the end of its subject is');
    }
    return;
}

# Old rows go, at the latest with the next round.
sub expiry ($gate, $file) {
    $gate->down;
    $gate->configure("${config}store { location = \"sqlite:$file-full\" spill_dir = \"$file-spill\" }\nhistory { keep = 1s }\n");
    $gate->up;
    wait_until('the row to be old', sub { !find('--from', 'none.example') }, 60);
    is(scalar(find()), 0, 'with keep = 1s the rows go');
    is(report('tls')->{total}{messages}, 1, 'the ledger of TLS stays');
    return;
}

# The store goes away and comes back: mail goes on, and its rows are there afterwards, once.
sub store_down ($mta, $gate, $postgres) {
    $postgres->down;
    for my $n (1 .. 3) {
        my (undef, $text) = message(from => 'a@none.example');
        like(Mailreeve::Smtp->send_message($mta->{port}, local => '127.0.0.9', from => "down$n\@none.example", to => 'b@dst.example', message => $text), qr/^250/,
            'without its store the gate takes mail');
    }
    like(command('find'), qr/^mailreeve find: |PostgreSQL|store/, 'find says that it is away');
    $postgres->up;
    wait_until('the rows', sub { find('--from', '*down*') == 3 }, 60);
    is_deeply([ map { $_->{mail_from} } find('--from', '*down*') ], [ map { "down$_\@none.example" } 3, 2, 1 ], 'when it is back the rows are there, in order, once');
    return;
}

# Recipients refused at RCPT: with a message for others behind it, and in a session that ends there.
sub direct ($mta, $gate, $file) {
    my $store = "store { location = \"sqlite:$file-direct\" spill_dir = \"$file-spill\" }\n";
    my $guard = 'guard = {"guarded.example: 192.0.2.0/24"}';
    $gate->down;
    $gate->configure("$config${store}upstream { $guard }\n");
    $gate->up;
    my (undef, $text) = message(from => 'a@none.example');
    my $smtp = Mailreeve::Smtp->connect_to($mta->{port}, local => '127.0.0.9');
    $smtp->say_line('EHLO past.example');
    is($smtp->deliver(from => 'a@none.example', to => [ 'x@guarded.example', 'y@dst.example' ], message => $text) =~ /^(\d+)/ ? $1 : 0, 250,
        'the recipient whose domain is not guarded gets it');
    $smtp->say_line('MAIL FROM:<probe@none.example>');
    like($smtp->say_line('RCPT TO:<y@dst.example>'), qr/^250/, 'a recipient is taken');
    like($smtp->say_line("RCPT TO:<$_\@guarded.example>"), qr/^550 5\.7\.1/, "$_ is refused at RCPT") for 'x', 'z';
    $smtp->say_line('QUIT');
    wait_until('both rows', sub { find('--to', 'guarded.example') == 2 });
    my ($probe, $message) = find();
    is("$probe->{action} $probe->{reason} $probe->{size} " . join(' ', map { "$_->{rcpt}=$_->{action}" } @{ $probe->{recipients} }),
        'reject upstream.direct 0 y@dst.example=aborted x@guarded.example=reject z@guarded.example=reject', 'a session that ended at RCPT has a row');
    is($probe->{data} ? 1 : 0, 0, 'that says so');
    is("$message->{action} " . join(' ', map { "$_->{rcpt}=$_->{action}" } @{ $message->{recipients} }), 'accept x@guarded.example=reject y@dst.example=accept',
        'a message that was taken has its refused recipient');
    like(command('find', '--to', 'x@guarded.example'), qr/  reject .* x\@guarded\.example .*\n +accept +y\@dst\.example/, 'find shows both sides');
    my ($client, @more) = @{ report('direct')->{clients} };
    is(scalar @more, 0, 'report direct: one client');
    is("$client->{client} $client->{helo} $client->{messages} $client->{refused} $client->{recipients}", '127.0.0.9 past.example 2 2 2', 'two messages, two recipients');
    is_deeply($client->{domains}, [ { domain => 'guarded.example', messages => 2 } ], 'the domains that it was kept from, and no others');
    $gate->down;
    $gate->configure("$config${store}upstream { mode = observe $guard }\n");
    $gate->up;
    Mailreeve::Smtp->send_message($mta->{port}, local => '127.0.0.9', from => 'b@none.example', to => 'x@guarded.example', message => $text);
    wait_until('the row', sub { find('--to', 'guarded.example') == 3 });
    ($client) = @{ report('direct')->{clients} };
    is("$client->{messages} $client->{refused} $client->{recipients}", '3 2 2', 'in observe mode it is reported as well');
    is_deeply([ map { "$_->{code} $_->{would} $_->{messages} $_->{delivered}" } @{ report('would', '--stage', 'upstream')->{findings} } ],
        ['upstream.direct reject 1 1'], 'and as what would have been');
    like(command('report', 'direct'), qr/^127\.0\.0\.9 +3 +2 +2 .* HELO (?:past|client)\.example/m, 'for people too');
    return;
}

my $dir = work_dir() . '/shared';
mkdir $dir;
chown +(getpwnam 'nobody')[ 2, 3 ], $dir;
my $n = 0;
my ($first, $second, $mta) = remembered('sqlite', sub { "location = \"sqlite:$dir/shared.db\" spill_dir = \"$dir/spill" . $n++ . '"' });
subjects($mta, $first, "$dir/subject");
expiry($first, "$dir/subject");
SKIP: {
    skip 'this version has no stage upstream' if run_ok($mailreeve, 'config', 'sample') !~ /^upstream \{/m;
    direct($mta, $first, "$dir/direct");
}
$_->down for $first, $second;
$mta->end;

SKIP: {
    skip 'PostgreSQL is not installed' if !defined Mailreeve::Postgres::programs();
    my $postgres = Mailreeve::Postgres->start;
    my $location = $postgres->location;
    ($first, $second, $mta) = remembered('postgres', sub { "location = \"$location\" spill_dir = \"$dir/spill" . $n++ . '"' });
    store_down($mta, $first, $postgres);
    $_->down for $first, $second;
}
done_testing();
