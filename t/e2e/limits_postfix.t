#!/usr/bin/perl
# Greylisting and rate limits through Postfix, and limits of users who have really authenticated (at Dovecot).
use v5.36;
use MIME::Base64 qw(encode_base64);
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix' if $> != 0 }
BEGIN { plan skip_all => 'needs Dovecot (package dovecot-core)' if !-x '/usr/sbin/dovecot' }
use Mailreeve::Dovecot;
use Mailreeve::Limits qw(run_limits);
use Mailreeve::Postfix;
use Mailreeve::Process qw(run_ok test_program wait_until);

my $dovecot = Mailreeve::Dovecot->start(anna => 'secret', bob => 'secret');
my $main = <<"END";
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dovecot->{socket}
smtpd_recipient_restrictions = check_recipient_access inline:{{gone\@dst.example = 550 5.1.1 no such user}}, permit
END

sub login ($user, $password = 'secret') {
    return sub ($smtp) { return $smtp->say_line('AUTH PLAIN ' . encode_base64("\0$user\0$password", '')) };
}

sub send_as ($self, $user, @to) {
    my ($id, $text) = Mailreeve::Limits::compose("$user\@own.example");
    my ($auth, @answers) = Mailreeve::Limits::transaction($self, local => $user eq 'bob' ? '127.0.0.10' : '127.0.0.9', login => login($user), from => "$user\@own.example", to => \@to, message => $text);
    like($auth, qr/^235 /, "$user has authenticated");
    return ($id, @answers);
}

sub users ($self) {
    for my $n (1 .. 3) {
        my ($id, @answers) = send_as($self, 'anna', "a$n\@dst.example");
        like($answers[-1], qr/^250 /, "message $n of three is taken");
        wait_until('it', sub { Mailreeve::Limits::arrivals($self, $id) });
    }
    my (undef, @answers) = send_as($self, 'anna', 'a4@dst.example');
    is($answers[0], '451', 'the fourth is refused at RCPT');
    my $line = $self->{daemon}->verdict(qr/auth=anna\@?\S* .*rate\.exceeded_user/)->{line};
    like($line, qr/direction=outbound /, 'the log tells by whose limit');
    my @rate = (test_program('mailreeve'), 'rate');
    my @config = ('--config', $self->{daemon}{config});
    my ($name) = run_ok(@rate, 'show', @config) =~ /^outbound user:anna 3\/1h +(\S+) +0 +1 /m;
    ok(defined $name, 'the operator sees him at his limit') or return;
    run_ok(@rate, 'reset', $name, @config);
    like((send_as($self, 'anna', 'a5@dst.example'))[-1], qr/^250 /, 'and lets him send again');
    return;
}

# Postfix refuses these, not we.
sub failures ($self) {
    my @rate = (test_program('mailreeve'), 'rate', 'show', '--config', $self->{daemon}{config});
    my (undef, @answers) = send_as($self, 'bob', 'gone@dst.example', 'b1@dst.example', 'gone@dst.example');
    is(join(' ', @answers[ 0 .. 2 ]), '550 250 550', 'two recipients that are not there');
    wait_until('them to be counted', sub { run_ok(@rate) =~ /failures lock 1h +bob +0 / });
    (undef, @answers) = send_as($self, 'bob', 'b2@dst.example');
    is($answers[0], '451', 'are enough');
    like(run_ok(@rate), qr/^LOCKED: user bob since /m, 'and the user is locked');
    (undef, @answers) = send_as($self, 'bob', 'b3@dst.example');
    is($answers[0], '451', 'for all mail');
    return;
}

run_limits('Mailreeve::Postfix', mta => { main => $main }, parts => [ \&users, \&failures ]);
done_testing();
