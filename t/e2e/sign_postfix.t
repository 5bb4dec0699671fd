#!/usr/bin/perl
# DKIM signatures through Postfix: of clients in own_networks, of authenticated users, of local submission.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
use Mailreeve::Postfix;
use Mailreeve::Signed qw(run_signing);

sub authenticated ($self) {
    my ($id, $text) = Mailreeve::Signed::compose(from => 'anna@one.example');
    like($self->submit($text, client => '198.51.100.7', login => 'anna'), qr/^250 /, 'an authenticated user from elsewhere: taken');
    $self->verified('an authenticated user', [ Mailreeve::Signed::of_one() ], $self->arrived($id));
    is($self->{daemon}->verdict(qr/auth=anna/)->{direction}, 'outbound', 'it was outbound');
    return;
}

# What Postfix itself adds (Date, Message-ID, From) is signed too.
sub local_submission ($self) {
    my $id = "local-$$";
    my $path = Mailreeve::Process::write_file(Mailreeve::Process::work_dir() . '/local.eml', "To: b\@dst.example\nFrom: Anna <anna\@one.example>\nSubject: $id\n\nbare\n");
    Mailreeve::Process::run_ok('sh', '-c', 'sendmail -C "$1" -f anna@one.example b@dst.example < "$2"', 'sh', "$self->{mta}{dir}/etc", $path);
    $self->verified('local submission', [ Mailreeve::Signed::of_one() ], $self->arrived($id));
    return;
}

run_signing('Mailreeve::Postfix', \&authenticated, \&local_submission);
done_testing();
