#!/usr/bin/perl
# What the daemon tells of itself after mail of known kinds through a real Postfix: metrics, status, top, the log as JSON; and
# what status says while each thing that it depends on is down.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use HTTP::Tiny;
use IO::Socket::UNIX;
use JSON::PP qw(decode_json);
use Socket qw(SOCK_STREAM);
use Mailreeve::Daemon;
use Mailreeve::Dns;
use Mailreeve::Milter;
use Mailreeve::Postfix;
use Mailreeve::Postgres;
use Mailreeve::Process qw(work_dir spawn answers wait_until write_file read_file test_program free_port source_dir);
use Mailreeve::Prometheus qw(read_metrics metric_names);
use Mailreeve::Scenario qw(message);
use Mailreeve::Smtp;

plan skip_all => 'PostgreSQL is not installed' if !Mailreeve::Postgres::programs();

my $promtool = -x '/usr/bin/promtool' ? '/usr/bin/promtool' : undef;
my $dns = Mailreeve::Dns->start(<<'END', negative_ttl => 1);
good.example. TXT "v=spf1 ip4:127.0.0.7 -all"
hard.example. TXT "v=spf1 -all"
soft.example. TXT "v=spf1 ~all"
perm.example. TXT "v=spf1 nonsense"
2.0.0.127.bl.test. 1 IN A 127.0.0.2
END
my $postgres = Mailreeve::Postgres->start;
my $port = free_port();
my $base = <<"END";
own_networks = {"127.0.0.1"}
store { location = "@{[ $postgres->location ]}" spill_dir = "@{[ work_dir() ]}/m/store/spill" timeout = 2s }
log { format = json }
metrics { listen = "127.0.0.1:$port" store_interval = 1s }
dnsbl { lists = {"bl.test codes=127.0.0.2:bad tag"} timeout = 2s test_interval = 1s test_retry = 1s }
greylist { mode = off }
quarantine { method = store }
policy { spf.fail = reject spf.fail_dmarc_policy = reject spf.softfail = quarantine spf.permerror = tempfail }
END
my $quiet = "virus { mode = off }\n";
my $daemon = Mailreeve::Daemon->start(name => 'm', forwarder => $dns->{forwarder}, dns => 'timeout = 1s deadline = 2s ttl_negative_max = 1s', config => "$base$quiet");
my $sink = Mailreeve::Smtp->sink;
my $postfix = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}");

sub scrape {
    my $answer = HTTP::Tiny->new(timeout => 60)->get("http://127.0.0.1:$port/metrics");
    die "scrape: $answer->{status} $answer->{content}" if !$answer->{success};
    return $answer->{content};
}

# ( exit status, what it printed )
sub run (@command) {
    my $text = qx('@{[ test_program('mailreeve') ]}' @command -c '$daemon->{config}' 2>&1);
    return ($? >> 8, $text);
}
sub status { my ($code, $text) = run('status', '--json'); return ($code, $code == 3 ? { text => $text } : decode_json($text)) }

# The check of that name, once it is in that state. Its exit status.
sub wait_for ($name, $state, $what) {
    my ($code, $status, $check);
    wait_until("$name to be $state",
        sub { ($code, $status) = status(); ($check) = grep { $_->{name} eq $name } @{ $status->{health} // [] }; ($check->{state} // '') eq $state }, 60);
    pass("$what: $check->{text}");
    return $code;
}

sub send_it ($domain, %arg) {
    my ($id, $text) = message(from => "a\@$domain");
    return Mailreeve::Smtp->send_message($postfix->{port}, local => '127.0.0.7', from => "a\@$domain", to => 'b@dst.example', message => $text, %arg);
}

sub kinds {
    my %sent = ('good.example' => 5, 'hard.example' => 3, 'soft.example' => 2, 'perm.example' => 1);
    for my $domain (sort keys %sent) {
        send_it($domain) for 1 .. $sent{$domain};
    }
    like(send_it('good.example', local => '127.0.0.1'), qr/^250/, 'one that goes out');
    my ($value, $type, $problems) = read_metrics(scrape());
    is_deeply($problems, [], 'what Prometheus reads is well-formed');
    my %is = map { ("$_->[0] $_->[1]" => $value->{"mailreeve_messages_total{action=\"$_->[0]\",direction=\"$_->[1]\"}"}) }
        map { my $action = $_; map { [ $action, $_ ] } qw(inbound outbound) } qw(accept tag quarantine tempfail discard reject);
    is_deeply(\%is, { (map { ("$_ inbound" => 0, "$_ outbound" => 0) } qw(tag discard)), 'accept inbound' => 5, 'accept outbound' => 1,
        'quarantine inbound' => 2, 'quarantine outbound' => 0, 'tempfail inbound' => 1, 'tempfail outbound' => 0, 'reject inbound' => 3, 'reject outbound' => 0 },
        'messages by action and direction add up');
    is($value->{'mailreeve_findings_total{code="spf.fail"}'}, 3, 'findings by code');
    is($value->{'mailreeve_findings_total{code="spf.softfail"}'}, 2, 'of each');
    is($value->{mailreeve_message_seconds_count}, 12, 'each is in the histogram');
    is($value->{'mailreeve_stage_seconds_count{stage="spf"}'}, 11, 'and in that of a stage that looked at it');
    is($value->{'mailreeve_sessions_total'}, 13, 'sessions: one more looked whether Postfix answers');
    is($value->{'mailreeve_worker_wait_seconds_count'}, $value->{mailreeve_worker_requests_total}, 'requests to workers');
    cmp_ok($value->{'mailreeve_dns_answers_total{result="answered"}'}, '>', 0, 'answers of the resolver');
    is($value->{'mailreeve_store_up'}, 1, 'the store is up');
    wait_until('two to be counted in the quarantine', sub { ((read_metrics(scrape()))[0]->{'mailreeve_quarantine_copies{state="held"}'} // 0) == 2 });
    return ($value, $type);
}

sub tools {
    my $file = write_file(work_dir() . '/scrape', scrape());
    my $rules = source_dir() . '/conf/prometheus/mailreeve.rules.yml';
    SKIP: {
        skip 'promtool is not installed', 2 if !$promtool;
        is(scalar(qx($promtool check metrics < $file 2>&1)), '', 'promtool has nothing to say of the metrics');
        like(scalar(qx($promtool check rules $rules 2>&1)), qr/SUCCESS: \d\d? rules found/, 'nor of the rules');
    }
    my ($value, $type) = read_metrics(read_file($file));
    my $names = { %{ metric_names($value) }, %$type }; # of what there is none of at this moment there is the type
    my $dashboard = decode_json(read_file(source_dir() . '/conf/grafana/mailreeve.json'));
    my @expressions = map { $_->{expr} } map { @{ $_->{targets} // [] } } @{ $dashboard->{panels} };
    cmp_ok(scalar @expressions, '>', 20, 'a dashboard');
    my @used = map { /\b(mailreeve_\w+)/g } @expressions, read_file($rules) =~ /^\s+expr: (.*)$/mg;
    is_deeply([ grep { !$names->{$_} } @used ], [], 'it and the rules use metrics that there are');
    my $page = read_file(source_dir() . '/man/mailreeved.8');
    is_deeply([ grep { $page !~ /\b$_\b/ } keys %$type ], [], 'each is told of in mailreeved(8)');
    return;
}

sub commands {
    my ($code, $text) = run('status');
    is($code, 0, 'all is well') or diag $text;
    like($text, qr/\Amailreeved \S+: ok, up /, 'says the first line');
    like($text, qr/^configuration: \Q$daemon->{config}\E, read 20/m, 'which configuration, and since when');
    like($text, qr/^  reject +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +3$/m, 'rates and totals');
    like($text, qr/^next tasks: history in /m, 'what comes next');
    my (undef, $status) = status();
    cmp_ok(abs($status->{rates}{15}{accept} * $status->{rates}{15}{seconds} - 6), '<', 0.1, 'the rate of fifteen minutes is of all of them');
    ($code, $text) = run('top', '--once');
    is($code, 0, 'a frame of top');
    cmp_ok(length($_), '<=', 80, 'no line is longer than the screen') for (sort { length $b <=> length $a } split /\n/, $text)[0];
    like($text, qr/^ +6 a\@good\.example +12 b\@dst\.example/m, 'who sends most, and to whom');
    like($text, qr/^ +11 127\.0\.0\.7 /m, 'from where');
    ($code, $text) = run('top');
    is($code, 2, 'which needs a terminal else');
    my $screen = qx((sleep 2.5; printf q) | script -qec "stty rows 24 cols 80; '@{[ test_program('mailreeve') ]}' top -c '$daemon->{config}'; echo status \$?" /dev/null);
    my (undef, @frames) = split /\e\[H/, $screen;
    cmp_ok(scalar @frames, '>=', 2, 'on a terminal one frame a second');
    my @lines = map { s/\e\[[KJ]//gr } split /\r\n/, $frames[0];
    ok(@lines <= 24 && !(grep { length > 80 } @lines), 'of the size of the screen');
    like($screen, qr/\e\[\?25h\e\[\?1049lstatus 0/, 'q ends it, and the terminal is as it was');
    return;
}

sub hostile {
    my $mta = Mailreeve::Milter->session($daemon->{socket}, address => '127.0.0.7', from => "x\e[2J\xff\"\\{}\n<evil>\@soft.example", id => "Q\e\"1");
    $mta->finish;
    my ($code, $text) = run('top', '--once');
    unlike($text, qr/[\e\xff]/, 'top shows no control bytes');
    like($text, qr/\\x1b\[2J\\xff/, 'but what they were');
    ($code, my $status) = status();
    ok((grep { $_->{name} =~ /\\x1b/ } @{ $status->{minute}{senders} }), 'status --json too');
    is_deeply((read_metrics(scrape()))[2], [], 'the metrics stay well-formed');
    my @lines = map { decode_json($_) } grep { !/^mailreeve-inspect\[/ } split /\n/, $daemon->log_text;
    my @verdicts = grep { ($_->{event} // '') eq 'verdict' } @lines;
    is(scalar @verdicts, 13, 'each line of the log is an object, and each message has its verdict');
    my ($evil) = grep { $_->{queue_id} =~ /\\x1b/ } @verdicts;
    is($evil->{verdict}, 'reject', 'with fields');
    ok((grep { $_ eq 'dmarc.from_malformed' } @{ $evil->{findings} }), 'lists as arrays');
    return;
}

sub levels {
    my ($code, $text) = run('log', 'level', 'spf', 'debug');
    is("$code $text", "0 all info\nspf debug\n", 'a level for one stage');
    send_it('good.example');
    wait_until('lines of that stage', sub { $daemon->log_text =~ /"level":"debug".*"stage":"spf".*spf at end: done/ });
    is_deeply([ grep { /"level":"debug"/ && !/"stage":"spf"/ } split /\n/, $daemon->log_text ], [], 'of no other');
    ($code, $text) = run('log', 'level', 'nonsense', 'debug');
    is($code, 1, 'a stage that is none');
    like($text, qr/there is no stage "nonsense"/, 'is refused');
    run('reload');
    ($code, $text) = run('log', 'level');
    is("$code $text", "0 all info\n", 'a reload sets what is configured');
    return;
}

sub dependencies {
    $dns->down;
    is(wait_for('resolver', 'critical', 'the resolver is gone'), 2, 'which is critical');
    is(wait_for('dnsbl', 'warning', 'so its lists cannot be asked'), 2, 'the worst counts');
    $dns->up;
    wait_for('resolver', 'ok', 'it comes back');
    is(wait_for('dnsbl', 'ok', 'the lists too'), 0, 'and all is well');

    $postgres->down;
    is(wait_for('store', 'critical', 'the store is gone'), 2, 'which is critical');
    is((read_metrics(scrape()))[0]->{mailreeve_store_up}, 0, 'the metrics say so');
    $postgres->up;
    wait_for('store', 'ok', 'it comes back');

    my $path = "$daemon->{socket}.away";
    rename $daemon->{socket}, $path;
    is(wait_for('listener', 'critical', 'the socket is gone'), 2, 'which is critical');
    rename $path, $daemon->{socket};
    wait_for('listener', 'ok', 'it comes back');

    my $nursery = $daemon->nursery;
    kill 'STOP', $nursery;
    kill 'KILL', $_ for $daemon->workers;
    kill 'KILL', $nursery;
    wait_until('the nursery to have been replaced',
        sub { (read_metrics(scrape()))[0]->{mailreeve_nursery_restarts_total} >= 1 });
    wait_for('workers', 'ok', 'workers that were killed are replaced');

    my $good = read_file($daemon->{config});
    write_file($daemon->{config}, "$good\nnonsense = 1\n");
    kill 'HUP', $daemon->{process}{pid};
    write_file("$daemon->{config}.good", $good);
    my $code;
    wait_until('the reload to be refused', sub { system "'@{[ test_program('mailreeve') ]}' status -c '$daemon->{config}.good' > /dev/null"; ($code = $? >> 8) == 1 });
    is($code, 1, 'a refused reload is a warning');
    write_file($daemon->{config}, $good);
    run('reload');
    wait_for('configuration', 'ok', 'a good one ends it');
    return;
}

sub virus {
    $daemon->configure($base);
    run('reload');
    my ($code, $text) = run('status');
    is($code, 1, 'without an official virus database there is a warning');
    like($text, qr/^  warning +virus +no official database is loaded/m, 'which says why');
    for my $days (2, 20) {
        my $socket = work_dir() . "/clamd$days";
        spawn(name => "clamd$days", command => [ $^X, source_dir() . '/t/lib/Mailreeve/fakeclamd.pl', $socket, 'fd[10]: OK', 'ClamAV 1.4.6/27000/' . gmtime(time - $days * 86400) ]);
        wait_until('the stand-in for clamd', sub { answers($socket) });
        $daemon->configure("${base}virus { engine = clamd clamd_socket = \"$socket\" self_test = no databases = {} check_interval = 1s }\n");
        run('reload');
        is(wait_for('virus', $days > 7 ? 'warning' : 'ok', "a database of $days days"), $days > 7 ? 1 : 0, 'exit status');
    }
    return;
}

kinds();
tools();
commands();
hostile();
levels();
dependencies();
virus();
is($daemon->down, 0, 'the daemon ends well');
my ($code, $text) = run('status');
is($code, 3, 'then status is unknown');
like($text, qr/does not answer/, 'and says so');
done_testing();
