#!/usr/bin/perl
# Rate limits and greylisting in the configuration: what is refused, with its line and what was expected; what is warned
# of; what config show prints.
use v5.36;
use Test::More;
use Mailreeve::Process qw(work_dir test_program write_file);

my $mailreeve = test_program('mailreeve');
my $file = work_dir() . '/conf';

sub config ($what, $text) {
    write_file($file, $text);
    my $out = `'$mailreeve' config $what '$file' 2>&1`;
    return ($? >> 8, $out);
}

for my $case (
    [ "rate {\n limits = {\"user 100/1h\",\n  \"user hundred/1h\"}\n}\n", 3, 'rate\.limits: "user hundred/1h" is not allowed; expected a number of 1 to 10000000' ],
    [ "rate {\n limits = {\"users 100/1h\"}\n}\n", 2, 'rate\.limits: "users 100/1h" is not allowed; expected a rule that begins with client, ' ],
    [ "rate {\n limits = {\"client 100/1h lock 1h\"}\n}\n", 2, '.*; expected lock only for users' ],
    [ "rate {\n limits = {\"\"}\n}\n", 2, 'rate\.limits: "" is not allowed; expected a list of rules' ],
    [ "greylist {\n suspicious = {\"all\", \"everything\"}\n}\n", 2, 'greylist\.suspicious: "everything" is not allowed; expected all, unauthenticated, ' ],
    [ "greylist { delay = 0s }\n", 1, 'greylist\.delay: "0s" is not allowed' ],
) {
    my ($text, $line, $expected) = @$case;
    my ($status, $out) = config('check', $text);
    is($status, 1, "refused: $text");
    like($out, qr/^\Q$file\E:$line: $expected/m, 'with its line, and what was expected');
}
my ($status, $out) = config('check', "store { location = \"\" }\nrate { limits = {\"user 5/1h\"} }\n");
is($status, 0, 'limits without a store are no error');
like($out, qr/^warning: rate\.limits does nothing without a store/m, 'but a warning');
($status, $out) = config('check', "store { location = \"\" }\nrate { limits = {\"user 5/1h\"} }\ngreylist { mode = observe }\n");
like($out, qr/^warning: rate\.limits and greylist do nothing without a store/m, 'for both');
($status, $out) = config('check', "greylist { mode = enforce suspicious = {\"spf.*\", \"spf.fial\", \"all\"} }\n");
like($out, qr/^warning: greylist\.suspicious: no finding is called "spf\.fial"$/m, 'a code that there is not');
unlike($out, qr/"spf\.\*"/, 'a pattern that there is');
($status, $out) = config('check', "spf { mode = off }\nrate { limits = {\"sender 5/1h\"} }\n");
like($out, qr/^warning: rate\.limits: "sender 5\/1h" holds for nobody inbound/m, 'senders without SPF');
($status, $out) = config('show', "rate { limits = {\"USER 100/60m burst 5\", \"inbound client 3/m\"} }\n");
like($out, qr/^\s*limits = \{"USER 100\/60m burst 5", "inbound client 3\/m"\}$/m, 'config show prints limits as they were written');
done_testing();
