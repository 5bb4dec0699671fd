package Mailreeve::Parting;

# One message, many recipients, each with a policy of his own, through a real MTA: each gets exactly what his policy says, nothing twice,
# nothing lost; and what was stored comes back through the same MTA.

use v5.36;
use Exporter qw(import);
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);
use Mailreeve::Daemon;
use Mailreeve::Process qw(work_dir run_ok read_file wait_until write_file test_program reachable ended);
use Mailreeve::Scenario qw(message eicar);
use Mailreeve::Smtp;

our @EXPORT_OK = qw(start_parting);

my $zone = <<'END';
hard.example. TXT "v=spf1 -all"
late.hard.example. TXT "v=spf1 -all"
good.example. TXT "v=spf1 ip4:127.0.0.7 -all"
END

my $policies = <<'END';
policy { spf.fail = reject }
recipient "accept@dst.example" { spf.fail = ignore }
recipient "tag@dst.example" { spf.fail = tag }
recipient "quarantine@dst.example" { spf.fail = quarantine }
recipient "reject@dst.example" { spf.fail = reject }
recipient "discard@dst.example" { spf.fail = discard }
recipient "tempfail@dst.example" { spf.fail = tempfail }
recipient "list@mx.test.example" { spf.fail = quarantine }
recipient "other@mx.test.example" { spf.fail = tag }
domain "quarantine.example" { spf.fail = quarantine }
domain "accept.example" { spf.fail = ignore }
END

sub start_parting ($mta_class, %arg) {
    my $self = bless { mta_class => $mta_class }, __PACKAGE__;
    $self->{daemon} = Mailreeve::Daemon->start(zone => write_file(work_dir() . '/zone', $zone), down => 1, config => '');
    $self->{sink} = Mailreeve::Smtp->sink;
    $self->{mta} = $mta_class->start(sink => $self->{sink}{port}, milter => "unix:$self->{daemon}{socket}", %{ $arg{mta} // {} });
    $self->configure($arg{quarantine} // 'method = store', $arg{more} // '');
    $self->{daemon}->up;
    return $self;
}

sub configure ($self, $quarantine, $more = '') {
    my $relay = $self->{relay} // "smtp:127.0.0.1:$self->{mta}{port}";
    $self->{daemon}->configure("own_networks = {\"127.0.0.1\"}\nmessage_memory = 64K\nquarantine { $quarantine relay = \"$relay\" }\n$policies$more");
    return;
}

# ( id, last reply ) of a message from hard.example, whose SPF fails.
sub send_to ($self, $rcpt, %arg) {
    my $from = delete $arg{from} // 'a@hard.example';
    my ($id, $text) = message(from => $from, %arg);
    my $reply = Mailreeve::Smtp->send_message($self->{mta}{port}, local => '127.0.0.9', from => $from, to => $rcpt, message => $text,
        helo => 'client.example');
    return ($id, $reply);
}

# Recipients that the sink got the message for, sorted.
sub delivered ($self, $id) {
    my @rcpt = sort map { $_->[1] =~ /^Subject: $id\r?$/m ? $_->[0] =~ /^RCPT TO:<([^>]*)>/gim : () } Mailreeve::Smtp->sunk($self->{sink});
    return @rcpt;
}

# Until the MTA has nothing of it any more.
sub settled ($self) { wait_until('the MTA to have delivered all', sub { !$self->{mta}->queued }); return }

# ( exit status, all that it says ) of a command of mailreeve.
sub mailreeve ($self, @words) {
    my $pid = open my $out, '-|';
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec test_program('mailreeve'), @words, '--config', $self->{daemon}{config};
    }
    local $/ = undef;
    my $text = <$out> // '';
    close $out;
    return ($? >> 8, $text);
}

sub ctl ($self, @words) { return $self->mailreeve('quarantine', @words) }

# The same with --mta, as its administrator calls it.
sub mta_ctl ($self, @words) {
    local %ENV = (%ENV, $self->{mta}->environment);
    return $self->ctl(@words, '--mta');
}

# What the quarantine has of a message, by recipient: { rcpt => row }.
sub stored ($self, $id, @more) {
    my ($status, $text) = $self->ctl('list', '--json', '--state', 'all', @more);
    $status == 0 or die $text;
    my @rows = grep { $_->{subject} eq $id } map { decode_json($_) } split /\n/, $text;
    my %by;
    push @{ $by{ $_->{rcpt} } }, $_ for @rows;
    return \%by;
}

sub states ($self, $id) {
    my $stored = $self->stored($id);
    return { map { $_ => join ',', map { $_->{state} } @{ $stored->{$_} } } keys %{$stored} };
}

# What mailreeve find has of a message for each recipient: { rcpt => "reject at RCPT 550, accept" }, oldest first.
sub found ($self, $id, @to) {
    my %found;
    for my $to (@to) {
        my @rows;
        wait_until("the history to have $id for $to", sub {
            my ($status, $text) = $self->mailreeve('find', '--json', '--limit', '0', '--to', $to);
            $status == 0 or die $text;
            return @rows = grep { $_->{subject} eq $id } map { decode_json($_) } split /\n/, $text;
        });
        my @his = grep { $_->{rcpt} eq $to } map { @{ $_->{recipients} } } reverse @rows;
        $found{$to} = join ', ', map { $_->{action} . ($_->{refused_at_rcpt} ? ' at RCPT' : '') . ($_->{reply} ? ' ' . substr $_->{reply}, 0, 3 : '') } @his;
    }
    return \%found;
}

1;
