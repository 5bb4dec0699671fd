package Mailreeve::Mmdb;

# A MaxMind DB file for tests: 0.0.0.0/1, with 127.0.0.0/8 in it, in one country and one autonomous system.

use v5.36;
use Exporter qw(import);
use Mailreeve::Process qw(write_file);

our @EXPORT_OK = qw(write_mmdb);

sub text ($text) { return pack('C', 2 << 5 | length $text) . $text }
sub uint16 ($number) { return pack 'Cn', 5 << 5 | 2, $number }
sub uint32 ($number) { return pack 'CN', 6 << 5 | 4, $number }
sub uint64 ($number) { return pack 'CCQ>', 8, 2, $number }
sub map_of (@pairs) { return pack('C', 7 << 5 | @pairs / 2) . join '', @pairs }

# Under another name first, then renamed, as geoipupdate does it. Returns the path.
sub write_mmdb ($path, $country, $asn) {
    state $epoch = 1_790_000_000;
    my $record = map_of(text('country') => map_of(text('iso_code') => text($country)), text('autonomous_system_number') => uint32($asn),
        text('as_name') => text('Example Net'));
    my $tree = pack 'xnxn', 1 + 16, 1;
    my $metadata = map_of(text('binary_format_major_version') => uint16(2), text('binary_format_minor_version') => uint16(0), text('build_epoch') => uint64(++$epoch), text('database_type') => text('Test'),
        text('description') => map_of(), text('ip_version') => uint16(4), text('languages') => "\0\4", text('node_count') => uint32(1), text('record_size') => uint16(24));
    write_file("$path.new", $tree . "\0" x 16 . $record . "\xab\xcd\xefMaxMind.com" . $metadata);
    chmod 0644, "$path.new";
    rename "$path.new", $path or die "$path: $!";
    return $path;
}

1;
