package Mailreeve::Prometheus;

# Prometheus' text form, read strictly: what a scrape says, and what is wrong with it.

use v5.36;
use Exporter qw(import);

our @EXPORT_OK = qw(read_metrics metric_names);

my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $label = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"/;
my $number = qr/[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN/;

# ( { 'name{labels}' => value }, { name => type }, [ problems ] )
sub read_metrics ($text) {
    my (%value, %type, %help, %last, @problems);
    push @problems, 'it does not end with a line break' if $text !~ /\n\z/;
    for my $line (split /\n/, $text) {
        if ($line =~ /\A# HELP ($name) (\S.*)\z/) {
            push @problems, "HELP twice: $line" if $help{$1}++;
        } elsif ($line =~ /\A# TYPE ($name) (counter|gauge|histogram)\z/) {
            push @problems, "TYPE twice or without HELP: $line" if $type{$1} || !$help{$1};
            $type{$1} = $2;
        } elsif ($line =~ /\A($name)((?:\{$label(?:,$label)*\})?) ($number)\z/) {
            my ($metric, $labels, $value) = ($1, $2, $3);
            my $family = $metric =~ s/_(?:bucket|sum|count)\z//r;
            $family = $metric if ($type{$family} // '') ne 'histogram';
            push @problems, "no TYPE before it: $line" if !$type{$family};
            push @problems, "a counter without _total: $line" if ($type{$family} // '') eq 'counter' && $metric !~ /_total\z/;
            push @problems, "no whole or negative count: $line" if ($type{$family} // '') eq 'counter' && $value !~ /\A\d+\z/;
            push @problems, "twice: $line" if exists $value{"$metric$labels"};
            if ($metric =~ /_bucket\z/) {
                my $series = $family . $labels =~ s/,?le="[^"]*"//r;
                push @problems, "buckets go down: $line" if ($last{$series} // 0) > $value;
                $last{$series} = $value;
            }
            $value{"$metric$labels"} = $value;
        } else {
            push @problems, "what is this: $line";
        }
    }
    return (\%value, \%type, \@problems);
}

# Names that samples have: of a histogram with _bucket, _sum and _count.
sub metric_names ($value) {
    my %names = map { s/\{.*//sr => 1 } keys %$value;
    return \%names;
}

1;
