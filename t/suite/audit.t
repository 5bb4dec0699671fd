#!/usr/bin/perl
# mailreeve audit over zone files: each fault is found, by exactly its findings, and none is invented where all is well.
use v5.36;
use JSON::PP qw(decode_json);
use Test::More;
use Mailreeve::Process qw(work_dir test_program write_file read_file source_dir);

my $mailreeve = test_program('mailreeve');
my $cases = source_dir() . '/t/suite/audit';
my @usual = qw(--selector s1 --selector e1 --helo mx1.example.com --ip 192.0.2.10);
my %key = read_file("$cases/keys.txt") =~ /^rsa(\d+) (\S+)$/mg;
my @good = split /\n/, read_file("$cases/good.zone");

# ( status, standard output )
sub audit (@arg) {
    open my $pipe, '-|', $mailreeve, 'audit', @arg or die "audit: $!";
    local $/ = undef;
    my $text = <$pipe>;
    close $pipe;
    return ($? >> 8, $text);
}

sub findings ($zone, @arg) {
    my ($status, $text) = audit('--dns-zone', $zone, '--json', @arg);
    my $object = decode_json($text);
    return ($status, $object, join ' ', sort map { $_->{id} } @{ $object->{findings} });
}

# A key may be longer than one string of a TXT record.
sub record ($line) {
    $line =~ s{KEY(\d+)}{ $key{$1} =~ s/(.{200})(?=.)/$1" "/gr }e;
    return $line;
}

# Good set-ups: these notes, and no more.
for my $row (
    [ 'good', '', 'A', 'example.com', @usual ],
    [ 'google', 'dane.unsigned mx.single', 'A', 'example.org' ],
    [ 'microsoft', 'dane.unsigned mx.no_ipv6 mx.preference_zero mx.single', 'A', 'example.org', '--selector', 'selector1' ],
    [ 'small', 'dane.unsigned mx.no_ipv6 mx.single', 'A', 'example.org', '--helo', 'mail.example.org', '--ip', '192.0.2.60', '--selector', 'mail' ],
    [ 'parked', '', 'A', 'example.org' ],
    [ 'subdomain', 'dane.unsigned mx.single', 'A', 'news.example.org', '--selector', 's1' ],
) {
    my ($name, $notes, $grade, @arg) = @$row;
    my ($status, $object, $found) = findings("$cases/$name.zone", @arg);
    is($found, $notes, "$name: nothing is invented");
    is($object->{grade}, $grade, "$name: its grade");
    is($status, 0, "$name: exit status");
}

my (%seen, $number);
my %status = (note => 0, unknown => 1, warning => 3, fault => 4);
for my $case (split /^(?== )/m, read_file("$cases/faults.txt")) {
    my @lines = grep { !/^#/ && /\S/ } split /\n/, $case;
    my $expected = join ' ', sort split ' ', substr shift @lines // next, 2;
    my @zone = @good;
    my @arg = ('example.com', @usual);
    for my $line (@lines) {
        my ($sign, $text) = $line =~ /^([-+\@]) (.*)/ or die "faults.txt: $line";
        if ($sign eq '-') { @zone = grep { !/$text/ } @zone }
        elsif ($sign eq '+') { push @zone, record($text) }
        else { @arg = split ' ', $text; unshift @arg, 'example.com' if $arg[0] =~ /^-/ }
    }
    my $zone = write_file(work_dir() . '/zone' . ++$number, join '', map { "$_\n" } @zone);
    my ($status, $object, $found) = findings($zone, @arg);
    is($found, $expected, "found: $expected") or diag(join "\n", map { "$_->{id}: $_->{found}" } @{ $object->{findings} });
    $seen{$_} = 1 for split ' ', $found;
    my ($worst) = sort { $b <=> $a } map { $status{ $_->{level} } } @{ $object->{findings} };
    is($status, $worst, '  exit status');
}
cmp_ok(scalar keys %seen, '>=', 70, 'faults of ' . keys(%seen) . ' kinds');

done_testing();
