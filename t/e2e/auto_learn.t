#!/usr/bin/perl
# learn.auto in the daemon, by the milter protocol: what is learnt without anybody's word, what is not, and that a person's
# word is above it.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
BEGIN { plan skip_all => 'needs root to become another user' if $> != 0 }
use Mailreeve::Daemon;
use Mailreeve::Milter;
use Mailreeve::Process qw(work_dir wait_until write_file run_ok test_program reachable);

local $ENV{MAILREEVE_INSPECT} = reachable(test_program('mailreeve-inspect'));
my $zone = write_file(work_dir() . '/zone', <<'END');
bad.example. TXT "v=spf1 ~all"
good.example. TXT "v=spf1 ip4:127.0.0.0/8 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
aligned.example. TXT "v=spf1 ip4:127.0.0.0/8 ip4:192.0.2.0/24 ip4:198.51.100.0/24 -all"
END
# Who has no name gets points off; who is at bad.example many.
my $policy = 'policy { client.ptr_unconfirmed = "score -2" client.helo_unresolved = ignore virus.no_database = ignore spf.softfail = "score 20" }';
my $base = "own_networks = {\"127.0.0.8\"}\nlog_level = debug\n$policy\n";
my $daemon = Mailreeve::Daemon->start(zone => $zone, config => "${base}bayes { min_learnt = 3 }\n");
my $program = test_program('mailreeve');
my $serial = 0;

sub configure ($learn, $bayes = 'min_learnt = 1000', $more = '') {
    $daemon->configure("${base}${more}\nbayes { $bayes }\nlearn { $learn }\n");
    run_ok($program, 'reload', '-c', $daemon->{config});
    return;
}

# Sends one, and returns what the log says of its learning. at: its domain; body: what it says.
sub fate (%arg) {
    my ($at, $n) = ($arg{at} // 'bad.example', ++$serial);
    my $from = "n$n\@$at";
    my $body = $arg{body} // join ' ', map { "word$n" . chr(97 + $_ % 26) . 'x' x ($_ / 26) } 0 .. 40;
    my $headers = [ [ From => ' ' . ($arg{author} // $from) ], [ Subject => ' about ' . ($arg{subject} // "n$n") ], [ Date => ' Tue, 24 Nov 2026 12:00:00 +0000' ] ];
    my $session = Mailreeve::Milter->session($daemon->{socket}, from => $from, address => $arg{address} // '192.0.2.7', headers => $headers, body => "$body\r\n");
    $session->finish;
    my $line = $daemon->verdict(qr/from=<\Q$from\E>/);
    undef $session;
    my ($id) = $line->{line} =~ /\bid=(\w+)/ or die "no support id: $line->{line}";
    my $said;
    return wait_until("what becomes of it", sub { ($said) = $daemon->log_text =~ /auto-learn: $id: (.*)/; $said }) && $said if !$arg{silent};
    return $line->{line};
}

sub learnt {
    my ($row) = grep { $_->{owner} eq '' } @{ decode_json(run_ok($program, 'bayes', 'status', '--config', $daemon->{config}, '--json')) };
    return $row ? "$row->{spam}/$row->{ham}" : '0/0';
}

sub by_default {
    like(fate(silent => 1), qr/score=18 /, 'spam of 18 points');
    like(fate(at => 'good.example', silent => 1), qr/score=-2 /, 'and good mail');
    configure('auto = yes');
    is(fate(), 'spam, learnt', 'with auto it is learnt');
    is(learnt(), '1/0', 'and nothing was before that');
    return;
}

sub guards {
    my %not = (
        'no points' => [ [ address => '127.0.0.7' ], 'auto_spam_score = 25', 'not learnt: its points are between -auto_ham_points and auto_spam_score' ],
        'few points off' => [ [ at => 'good.example' ], 'auto_ham_points = 3', 'not learnt: its points are between -auto_ham_points and auto_spam_score' ],
        'few tokens' => [ [ body => 'x' ], 'auto_tokens_min = 80', 'not learnt: it has too few tokens' ],
        'outbound' => [ [ address => '127.0.0.8' ], '', 'not learnt: it is no mail from outside' ],
        'no authentication' => [ [ at => 'none.example' ], '', 'not learnt: its author\'s domain is not authenticated' ],
        'another author' => [ [ at => 'aligned.example', author => 'x@none.example' ], '', 'not learnt: its author\'s domain is not authenticated' ],
    );
    my $before = learnt();
    for my $name (sort keys %not) {
        my ($mail, $option, $want) = @{ $not{$name} };
        configure("auto = yes auto_balance = 100 $option");
        is(fate(@{$mail}), $want, $name);
    }
    configure('auto = yes auto_balance = 100');
    my $eicar = 'X5O!P%@AP[4\PZX54(P^)7CC)7}' . '$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*';
    is(fate(body => $eicar), 'not learnt: it has a virus, or another enforced finding', 'a virus, whatever its points');
    is(learnt(), $before, 'nothing of that was learnt');
    return;
}

sub ham {
    configure('auto = yes auto_balance = 100');
    my ($spam, $ham) = split m{/}, learnt();
    is(fate(at => 'good.example', address => '198.51.100.1'), 'ham, learnt', 'good mail that passes DMARC');
    is(fate(at => 'aligned.example', address => '198.51.100.1'), 'ham, learnt', 'or that would, where its domain has no record');
    is(learnt(), "$spam/" . ($ham + 2), 'is learnt as good');
    return;
}

sub caps {
    my $spam_from = sub ($address) { return fate(address => $address) };
    configure('auto = yes auto_balance = 100 auto_client_max = 2');
    is($spam_from->('203.0.113.1'), 'spam, learnt', 'one from a network');
    is($spam_from->('203.0.113.2'), 'spam, learnt', 'and a second');
    is($spam_from->('203.0.113.3'), 'spam, not learnt: auto_daily_max or auto_client_max', 'but no third');
    is($spam_from->('203.0.114.1'), 'spam, learnt', 'from another network there is');
    my ($spam, $ham) = split m{/}, learnt();
    configure("auto = yes auto_balance = 100 auto_daily_max = @{[ $spam + 1 ]}");
    is($spam_from->('203.0.115.1'), 'spam, learnt', 'the last of the day');
    is($spam_from->('203.0.116.1'), 'spam, not learnt: auto_daily_max or auto_client_max', 'another is not');
    is(fate(at => 'good.example', address => '198.51.100.9'), 'ham, learnt', 'but of the other kind');
    ($spam, $ham) = split m{/}, learnt();
    my $balance = sprintf '%.2f', ($spam + 0.5) / $ham;
    configure("auto = yes auto_balance = $balance");
    is($spam_from->('203.0.117.1'), 'spam, not learnt: auto_balance', 'as much as auto_balance allows');
    $daemon->down;
    $daemon->configure("${base}bayes { min_learnt = 1000 }\nlearn { auto = yes auto_balance = 100 auto_client_max = 2 }\n");
    $daemon->up;
    is($spam_from->('203.0.113.5'), 'spam, not learnt: auto_daily_max or auto_client_max', 'what was counted outlives the daemon');
    return;
}

# A message as the milter saw it, as a file.
sub people {
    configure('auto = yes auto_balance = 100 auto_client_max = 50');
    my @words = map { "thing$_" } 'aa' .. 'bz';
    my $author = 'one@bad.example';
    my $text = "From: $author\nSubject: about this\nDate: Tue, 24 Nov 2026 12:00:00 +0000\n\n@words\n";
    my $file = write_file(work_dir() . '/mail', $text);
    my ($spam, $ham) = split m{/}, learnt();
    like(run_ok($program, 'learn', 'ham', $file, '--config', $daemon->{config}), qr/\A1 learnt/, 'a person has learnt it as good mail');
    is(fate(subject => 'this', author => $author, body => "@words"), 'spam, known already', 'then it is not learnt as spam');
    is(learnt(), "$spam/" . ($ham + 1), 'and is what he said');
    run_ok($program, 'learn', 'forget', $file, '--config', $daemon->{config});
    is(fate(subject => 'this', author => $author, body => "@words"), 'spam, learnt', 'forgotten, it is learnt as spam');
    is(fate(subject => 'this', author => $author, body => "@words"), 'spam, known already', 'once');
    like(run_ok($program, 'learn', 'ham', $file, '--config', $daemon->{config}), qr/\A1 moved from the other class/, 'and his word moves it');
    is(learnt(), "$spam/" . ($ham + 1), 'exactly');
    run_ok($program, 'learn', 'forget', $file, '--config', $daemon->{config});
    is(learnt(), "$spam/$ham", 'or has it forgotten');
    return;
}

# What Bayes is sure of is not contradicted.
sub bayes {
    my @files;
    for my $kind (qw(spam ham)) {
        for my $n (1 .. 30) {
            push @{ $files[ $kind eq 'ham' ] }, write_file(work_dir() . "/$kind$n", "From: a\@$kind.example\nSubject: $kind\n\n" . join(' ', map { "$kind$_" } 'aa' .. 'bz', "n$n") . "\n");
        }
    }
    run_ok($program, 'learn', 'spam', '--quiet', @{ $files[0] }, '--config', $daemon->{config});
    run_ok($program, 'learn', 'ham', '--quiet', @{ $files[1] }, '--config', $daemon->{config});
    configure('auto = no', 'min_learnt = 3');
    my %body = map { my $kind = $_; $kind => join ' ', map { "$kind$_" } 'aa' .. 'bz' } qw(spam ham);
    wait_until('the daemon to know', sub { fate(body => $body{ham}, subject => 'ham', silent => 1) =~ /bayes\.ham/ });
    configure('auto = yes auto_client_max = 50', 'min_learnt = 3');
    is(fate(body => $body{ham}, subject => 'ham'), 'not learnt: Bayes is sure that it is good mail', 'what looks like good mail is not learnt as spam');
    is(fate(at => 'good.example', body => $body{spam}, subject => 'spam'), 'not learnt: Bayes is sure that it is spam', 'nor what looks like spam as good mail');
    is(fate(body => $body{spam}, subject => 'spam'), 'spam, learnt', 'but as spam, with no points of Bayes');
    return;
}

by_default();
guards();
ham();
caps();
people();
bayes();
is($daemon->down, 0, 'the daemon ends');
unlike($daemon->log_text, qr/Sanitizer/, 'and all is well');
done_testing();
