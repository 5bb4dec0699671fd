#!/usr/bin/perl
# Two daemons that share a store in PostgreSQL send one report to a user.
use v5.36;
use Test::More;
use Mailreeve::Postgres;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
BEGIN { plan skip_all => 'PostgreSQL is not installed' if !defined Mailreeve::Postgres::programs() }
use Mailreeve::Daemon;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir free_port run_ok write_file wait_until test_program source_dir);
use Mailreeve::Scenario qw(message);
use Mailreeve::Smtp;

my $postgres = Mailreeve::Postgres->start;
my $zone = write_file(work_dir() . '/zone', "hard.example. TXT \"v=spf1 -all\"\n");
my $templates = work_dir() . '/templates';
run_ok('cp', '-r', source_dir() . '/conf/templates', $templates);
my $port = free_port();
my $hour = (gmtime(time - 300))[2];
my $sink = Mailreeve::Smtp->sink;
my @daemons = map {
    Mailreeve::Daemon->start(zone => $zone, name => "gate$_", down => 1, config => <<"END") } 1, 2;
store { location = "@{[$postgres->location]}" spill_dir = "@{[work_dir()]}/gate$_/store/spill" }
own_networks = {"127.0.0.1"}
policy { spf.fail = tag }
digest { from = "reports\@relay.example" frequency = daily hour = $hour time_zone = "UTC" relay = "smtp:127.0.0.1:$port" templates = "$templates" }
END
$_->up for @daemons;
my $mta = Mailreeve::Postfix->start(port => $port, sink => $sink->{port}, milter => "unix:$daemons[0]{socket}");
for my $n (1 .. 12) {
    my (undef, $text) = message(from => 'a@hard.example');
    like(Mailreeve::Smtp->send_message($port, local => '127.0.0.9', from => 'a@hard.example', to => "user$n\@dst.example", message => $text), qr/^250/, "one to user$n");
}
sub db ($sql) { return $postgres->sql('mail', $sql) }
sub count ($sql) { return db($sql) =~ /(\d+)/ ? $1 : die "no number: $sql" }
wait_until('the history', sub { count('SELECT COUNT(*) FROM history_message') == 12 });
$_->down for @daemons;
my $shift = '(10800::bigint << 31)';
db("UPDATE history_message SET id = id - $shift, time = time - 10800");
db("UPDATE history_$_ SET message = message - $shift") for qw(recipient finding sender);
db("DELETE FROM $_") for qw(store_turn digest_progress digest_address);
$_->up for @daemons;
my $reports = sub { return grep { $_->[1] =~ /^Message-ID: <digest\./m } Mailreeve::Smtp->sunk($sink) };
wait_until('the reports', sub { count('SELECT COUNT(*) FROM digest_user WHERE sent > 0') == 12 }, 90);
wait_until('the mails', sub { scalar $reports->() == 12 });
my %to = map { $_->[0] =~ /^RCPT TO:<([^>]+)>/mi ? ($1 => 1) : () } $reports->();
is(scalar keys %to, 12, 'each user got one');

# Both look again, whoever's turn it is.
db('DELETE FROM store_turn');
$_->down for @daemons;
$_->up for @daemons;
is(count('SELECT COUNT(*) FROM digest_user WHERE wanted > 0'), 0, 'nothing is wanted any more');
is(scalar $reports->(), 12, 'and nobody got a second one');
done_testing();
