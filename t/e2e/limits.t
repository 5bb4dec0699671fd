#!/usr/bin/perl
# Rate limits and greylisting in the daemon, by the milter protocol: what is refused at RCPT and at the end, in which part;
# what explain says of it without counting; what the operator sees and lifts.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir wait_until write_file run_ok test_program);

my $zone = write_file(work_dir() . '/zone', <<'END');
test.example. TXT "v=spf1 ip4:127.0.0.0/8 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all"
open.example. TXT "v=spf1 +all"
big.example. TXT "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all"
_dmarc.big.example. TXT "v=DMARC1; p=reject"
END
my $limits = join ', ', map { "\"$_\"" } (
    'user:msg 3/1h', 'user:rcpt 5/1h recipients', 'user:dist 3/1d distinct lock 1h', 'user:fail 2/1h failures', 'user:net 2/1h networks',
    'user:size 10K/1h bytes', 'user:vip 100/1h', 'user:both 2/1h', 'user:both 5/1h recipients', 'user 4/1h', 'inbound client 3/1h', 'sender@test.example 2/1h', '@open.example 2/1h', 'inbound recipient 2/1h');
my $rates = "rate { limits = {$limits} exempt_networks = {\"203.0.113.0/24\"} }\n";
my $greylist = 'client { mode = off } greylist { mode = enforce delay = 2s retry_window = 60s network_after = 2 }';
my $daemon = Mailreeve::Daemon->start(tick => 1, zone => $zone, config => "own_networks = {\"127.0.0.1\"}\n${rates}${greylist}\n");

# A transaction: the answers to each RCPT (c, or a reply), and to the end of the message.
sub mail (%arg) {
    my $session = Mailreeve::Milter->session($daemon->{socket}, until => 'helo', address => $arg{address} // '127.0.0.1');
    $session->macros('M', i => 'Q1', $arg{user} ? ('{auth_authen}' => $arg{user}) : ());
    $session->step('M', '<' . ($arg{from} // 'a@test.example') . ">\0", 0x4000);
    my @answers;
    for my $rcpt (@{ $arg{to} // ['b@dst.example'] }) {
        if ($rcpt =~ s/^!//) {
            $session->macros('R', '{rcpt_mailer}' => 'error', '{rcpt_host}' => '5.1.1', '{rcpt_addr}' => 'unknown');
        } else {
            $session->macros('R', '{rcpt_mailer}' => 'smtp', '{rcpt_host}' => 'dst.example');
        }
        $session->packet('R', "<$rcpt>\0");
        push @answers, $session->verdict;
    }
    return @answers if $arg{no_data} || !grep { $_ eq 'c' } @answers;
    $session->step('L', "$_->[0]\0$_->[1]\0", 0x80) for [ From => ' ' . ($arg{author} // $arg{from} // 'a@test.example') ], [ Subject => ' test' ];
    $session->step('N', '', 0x40000);
    $session->step('B', $arg{body} // "Hello.\r\n", 0x80000);
    return (@answers, $session->finish);
}

sub passes ($what, @answers) { return is_deeply([ grep { $_ ne 'c' } @answers ], [], $what) }

# ---- messages ----
passes("message $_ of three", mail(user => 'msg')) for 1 .. 3;
my @answers = mail(user => 'msg');
like($answers[0], qr/^451 4\.7\.28 You have sent too much mail, please try again in (?:1[12]\d\d) seconds \(support id \w+\)$/, 'the fourth is refused at RCPT');
passes('another user is not concerned', mail(user => 'other'));
like((mail(user => 'MSG'))[0], qr/^451 /, 'one in capital letters is the same');
passes('nor are the clients of own networks', mail());
passes("vip $_", mail(user => 'vip')) for 1 .. 6;
mail(user => 'plain') for 1 .. 4;
like((mail(user => 'plain'))[0], qr/^451 4\.7\.28 /, 'where each has four');

# ---- recipients: in part ----
@answers = mail(user => 'rcpt', to => [ map { "r$_\@dst.example" } 1 .. 8 ]);
is_deeply([ map { /^451/ ? 'refused' : $_ } @answers ], [ ('c') x 5, ('refused') x 3, 'c' ], 'of eight recipients five are taken, and the message goes to them');
like($answers[6], qr/^451 4\.7\.28 You have sent too much mail/, 'the others get a reason');

passes("two limits: $_", mail(user => 'both')) for 1, 2;
like((mail(user => 'both'))[0], qr/^451 /, 'one of them refuses') for 1 .. 3;
wait_until('the other to get back what it had counted', sub {
    run_ok(test_program('mailreeve'), 'rate', 'show', 'both', '--config', $daemon->{config}) =~ /^outbound user:both 5\/1h recipients +both +3 +0 /m });

# ---- different recipients, and a lock ----
passes('three different recipients', mail(user => 'dist', to => [ 'a@dst.example', 'b@dst.example', 'c@dst.example', 'A@dst.example' ]));
@answers = mail(user => 'dist', to => [ 'a@dst.example', 'd@dst.example' ]);
is($answers[0], 'c', 'one of them again');
like($answers[1], qr/^451 4\.7\.28 You have sent to too many recipients/, 'a fourth one is too many');
like((mail(user => 'dist', to => ['a@dst.example']))[0], qr/^451 4\.7\.13 Your account may not send mail/, 'and the user is locked');
like($daemon->log_text, qr/user dist is locked for 3600 s, limit "user:dist 3\/1d distinct lock 1h"/, 'which the log tells');
my @rate = (test_program('mailreeve'), 'rate');
my $show = run_ok(@rate, 'show', '--config', $daemon->{config});
like($show, qr/^LOCKED: user dist since .* UTC, for another \d+ min: outbound user:dist 3\/1d distinct lock 1h$/m, 'the operator sees it');
like($show, qr{^outbound user:msg 3/1h +msg +0 +2 +}m, 'and who is at his limit');
like(run_ok(@rate, 'reset', 'Dist', '--config', $daemon->{config}), qr/^dist: counted anew$/m, 'he lifts it');
passes('the user sends again', mail(user => 'dist', to => ['d@dst.example']));
run_ok(@rate, 'lock', 'other', '--for', '1h', '--reason', 'stolen', '--config', $daemon->{config});
like((mail(user => 'other'))[0], qr/^451 4\.7\.13 /, 'he locks one');
my $json = decode_json(run_ok(@rate, 'show', 'other', '--json', '--config', $daemon->{config}));
is_deeply([ $json->{locks}[0]{user}, $json->{locks}[0]{reason} ], [ 'other', 'stolen' ], 'as JSON');
run_ok(@rate, 'reset', 'other', '--config', $daemon->{config});
passes('and lifts it', mail(user => 'other'));
isnt(system("@rate reset nobody --config $daemon->{config} > /dev/null 2>&1"), 0, 'nothing to lift is told');

# ---- failures ----
passes('recipients that the MTA refuses', mail(user => 'fail', to => [ '!x@dst.example', 'a@dst.example' ]));
passes('a second time', mail(user => 'fail', to => [ 'a@dst.example', '!y@dst.example' ], no_data => 1));
wait_until('the failures to be counted', sub { run_ok(@rate, 'show', 'fail', '--config', $daemon->{config}) =~ /failures +fail +0 / });
like((mail(user => 'fail', to => ['a@dst.example']))[0], qr/^451 4\.7\.28 Too many of your recipients were refused/, 'then nothing goes');

# ---- places ----
passes("from network $_", mail(user => 'net', address => "192.0.$_.1")) for 2, 3;
passes('from one of them again', mail(user => 'net', address => '192.0.2.77'));
like((mail(user => 'net', address => '192.0.4.1'))[0], qr/^451 4\.7\.28 Your account is used from too many places/, 'not from a third');

# ---- bytes: at the end ----
my $nine = join '', ('x' x 62 . "\r\n") x 140;
passes('nine kilobytes of ten', mail(user => 'size', body => $nine));
is((mail(user => 'size', body => $nine))[0], 'c', 'recipients are taken');
like((mail(user => 'size', body => $nine))[-1], qr/^451 4\.7\.28 /, 'a message too much is put off at its end');

# ---- inbound ----
my $in = '192.0.2.10';
passes("client: message $_ of three", mail(address => $in, from => "a$_\@test.example", to => ["x$_\@dst.example"])) for 1 .. 3;
like((mail(address => $in, from => 'a@test.example', to => ['x4@dst.example']))[0], qr/^451 4\.7\.28 Too much mail from your address/, 'the fourth is not taken');
passes('his neighbour is another one', mail(address => '192.0.2.11', to => ['x5@dst.example']));
passes("an exempt one: message $_", mail(address => '203.0.113.9', user => undef, from => '', author => 'm@test.example', to => ['same@dst.example'], no_data => 1)) for 1 .. 5;
passes("sender $_ of two", mail(address => "192.0.2.2$_", from => 'sender@test.example')) for 1, 2;
like((mail(address => '192.0.2.23', from => 'Sender@test.example'))[0], qr/^451 4\.7\.28 Too much mail from this sender/, 'a sender that SPF knows');
is((mail(address => "10.1.$_.1", from => 'sender@test.example', to => ["f$_\@dst.example"], no_data => 1))[0], 'c', "forgery $_ does not count, nor is it counted") for 1 .. 4;
is((mail(address => "10.2.$_.1", from => 'x@open.example', to => ["g$_\@dst.example"], no_data => 1))[0], 'c', "+all proves nothing: $_") for 1 .. 4;
is((mail(address => "10.3.0.$_", from => '', to => ['victim@dst.example'], no_data => 1))[0], 'c', "a recipient from a network: $_") for 1, 2;
like((mail(address => '10.3.0.3', from => '', to => ['Victim@dst.example'], no_data => 1))[0], qr/^451 4\.7\.28 Too much mail from you to this recipient/, 'a third is too much');
is((mail(address => '10.4.0.3', from => '', to => ['victim@dst.example'], no_data => 1))[0], 'c', 'but nobody locks him out for others');

# ---- explain ----
my @explain = (test_program('mailreeve'), 'explain', '--json', '--config', $daemon->{config}, '--dns-zone', $zone);
local $ENV{MAILREEVE_INSPECT} = test_program('mailreeve-inspect');
sub explained (@arg) { return decode_json(run_ok(@explain, @arg)) }
my $object = explained('--client', '127.0.0.1', '--auth', 'msg', '--from', 'a@test.example', '--rcpt', 'b@dst.example');
is($object->{action}, 'tempfail', 'explain: a user at his limit');
is_deeply([ map { $_->{code} } grep { $_->{code} =~ /^rate/ } @{ $object->{findings} } ], ['rate.exceeded_user'], 'and why');
for my $round (1, 2) {
    $object = explained('--client', '127.0.0.1', '--auth', 'fresh', '--from', 'a@test.example', '--rcpt', 'b@dst.example');
    is($object->{action}, 'accept', "a new one: round $round");
}
my @eight = map { ('--rcpt', "r$_\@dst.example") } 1 .. 8;
run_ok(@rate, 'reset', 'rcpt', '--config', $daemon->{config});
run_ok(@rate, 'reset', 'dist', '--config', $daemon->{config});
$object = explained('--client', '127.0.0.1', '--auth', 'rcpt', '--from', 'a@test.example', @eight);
is(join(' ', map { $_->{action} } @{ $object->{recipients} }), join(' ', ('accept') x 5, ('tempfail') x 3), 'explain takes nothing, but counts the recipients of its message');
$object = explained('--client', '127.0.0.1', '--auth', 'dist', '--from', 'a@test.example', @eight);
is(join(' ', map { $_->{action} } @{ $object->{recipients} }), join(' ', ('accept') x 3, ('tempfail') x 5), 'the different ones too');
is_deeply(decode_json(run_ok(@rate, 'show', 'dist', '--json', '--config', $daemon->{config})), { locks => [], limits => [] }, 'nothing was written');

# ---- greylist ----
$daemon->down;
$daemon->configure("own_networks = {\"127.0.0.1\"}\n$greylist\n");
$daemon->up;
my @grey = (test_program('mailreeve'), 'greylist');
my %spam = (address => '10.9.1.1', from => 'bot17@nowhere.example', author => 'x@nowhere.example');
like((mail(%spam))[-1], qr/^451 4\.7\.1 Greylisted, please try again in 2 seconds \(support id \w+\)$/, 'a suspicious message waits');
like((mail(%spam))[-1], qr/^451 4\.7\.1 Greylisted/, 'a second try at once waits as well');
like(run_ok(@grey, 'show', '--config', $daemon->{config}), qr{^waiting .* 10\.9\.1\.0/24 <bot#\@nowhere\.example>$}m, 'the operator sees it');
$object = explained('--client', '10.9.1.1', '--from', 'bot18@nowhere.example', '--rcpt', 'b@dst.example', write_file(work_dir() . '/m', "From: x\@nowhere.example\n\nhi\n"));
is((grep { $_->{code} =~ /^greylist/ } @{ $object->{findings} })[0]{code}, 'greylist.delayed', 'so does explain, of another from there');
wait_until('the delay to be over', sub { (mail(%spam))[-1] eq 'c' });
passes('who has waited passes', mail(%spam, from => 'bot99@nowhere.example'));
like(run_ok(@grey, 'show', 'nowhere', '--config', $daemon->{config}), qr/^passed /m, 'as the operator sees');
like((mail(%spam, address => '10.9.2.1'))[-1], qr/^451 4\.7\.1 /, 'from elsewhere he has to wait again');
passes('mail that SPF authenticates is not suspicious', mail(address => '198.51.100.7', from => 'a@big.example', to => ['g@dst.example']));
like((mail(address => '10.9.3.1', from => '', author => 'x@nowhere.example', to => ['b1@dst.example']))[-1], qr/^451 4\.7\.1 /, 'a bounce waits');
like($daemon->verdict(qr/10\.9\.3\.1/)->{line}, qr/greylist\.delayed .*detail="10\.9\.3\.0\/24 <> b1\@dst\.example: first seen 0 s ago, another 2 s to wait, because of unauthenticated"/, 'by its recipient, which the log tells');
my $eicar = 'X5O!P%@AP[4\PZX54(P^)7CC)7}$' . 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*';
like((mail(address => '10.9.6.1', from => 'v@nowhere.example', author => 'x@nowhere.example', body => $eicar))[-1], qr/^550 5\.7\.0 /, 'what is refused anyway is refused at once');
unlike(run_ok(@grey, 'show', '--config', $daemon->{config}), qr/10\.9\.6\.0/, 'and gets no place in the list');
passes('outbound mail never waits', mail(from => 'nobody@nowhere.example'));
run_ok(@grey, 'remove', '10.9.1.0/24 <bot#@nowhere.example>', '--config', $daemon->{config});
like((mail(%spam))[-1], qr/^451 4\.7\.1 /, 'who is removed has to wait again');
is($daemon->down, 0, 'the daemon ends well');
unlike($daemon->log_text, qr/Sanitizer|runtime error/, 'no sanitizer has complained');

# ---- it starts again with what it knew; observe only says; the store is gone ----
$daemon->configure("own_networks = {\"127.0.0.1\"}\n$rates" . $greylist =~ s/enforce/observe/r . "\n");
$daemon->up;
like((mail(user => 'msg'))[0], qr/^451 4\.7\.28 /, 'what was used up is so after a restart');
passes('observe delays nobody', mail(%spam, address => '10.9.4.1'));
like($daemon->verdict(qr/10\.9\.4\.1/)->{line}, qr/greylist\.delayed/, 'but says whom it would have');
$daemon->down;

# ---- what is over goes out of the store, though no mail comes and the stages are off ----
my @store = (test_program('mailreeve'), 'store');
my $export = sub { return run_ok(@store, 'export', '--quiet', '--config', $daemon->{config}, '-') };
my %over = (
    greylist => 'told i5 i9 i0 i1 i0',
    rate_bucket => 'trule told i5 i1 i0',
    rate_seen => 'trule told tvalue i9',
    rate_lock => 'told twhy i5 i9',
    quarantine_copy => 'told i1 b t t t t tsame theld i9 i5 t t t i0 i0 i0',
);
my $rows = join '|', keys %over;
my $dump = $export->() =~ s/^row\t.*\n//gmr;
$dump =~ s/^(table\t($rows)\t.*\n)/"$1row\t" . $over{$2} =~ tr{ }{\t}r . "\n"/gme;
$dump = write_file("$daemon->{dir}/dump", $dump =~ s/^end\t\K\d+/keys %over/mer);
$daemon->configure("rate { mode = off }\ngreylist { mode = off }\nstore { location = \"sqlite:$daemon->{dir}/store/swept.db\" spill_dir = \"$daemon->{dir}/store/spill\" }\n");
run_ok(@store, 'import', '--config', $daemon->{config}, $dump);
my $left = sub { my %row; my $table; /^table\t(\w+)/ ? $table = $1 : /^row\t/ && $row{$table}++ for split /\n/, $export->(); return grep { $row{$_} } sort keys %over };
is_deeply([ $left->() ], [ sort keys %over ], 'a row that is over in each table');
$daemon->up;
wait_until('housekeeping to delete them', sub { !$left->() });
is_deeply([ $left->() ], [], 'the daemon deletes them');
$daemon->down;
run_ok(test_program('mailreeve'), $_, 'show', '--config', $daemon->{config}) for qw(rate greylist);
chown 0, 0, "$daemon->{dir}/store/swept.db";
chmod 0600, "$daemon->{dir}/store/swept.db";
for my $command (qw(rate greylist)) {
    my $said = qx('$store[0]' $command show --config '$daemon->{config}' 2>&1);
    ok($? != 0 && $said =~ /Permission denied/, "root asks as the daemon's user: $command show") || diag($said);
}
$daemon->configure("own_networks = {\"127.0.0.1\"}\n$rates$greylist\nstore { location = \"\" }\n");
$daemon->up;
passes('without a store nobody is counted', mail(user => 'msg'));
like($daemon->verdict(qr/auth=msg/)->{line}, qr/rate\.unavailable/, 'which the log tells');
passes('and nobody waits', mail(%spam, address => '10.9.5.1'));
like($daemon->verdict(qr/10\.9\.5\.1/)->{line}, qr/greylist\.unavailable/, 'likewise');
$daemon->down;
done_testing();
