#!/usr/bin/perl
# Mail that a user moves in a real Dovecot: into Junk it is spam, out of it it is good mail, his own.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root to start Dovecot' if $> != 0 }
BEGIN { plan skip_all => 'needs Dovecot (packages dovecot-imapd and dovecot-sieve)' if !-x '/usr/lib/dovecot/imap' || !-e '/usr/lib/dovecot/modules/sieve/lib90_sieve_imapsieve_plugin.so' }
use Mailreeve::Daemon;
use Mailreeve::Dovecot;
use Mailreeve::Process qw(work_dir wait_until write_file read_file run_ok test_program source_dir reachable);

my $zone = write_file(work_dir() . '/zone', ". 3600 IN NS ns.\n");
my $daemon = Mailreeve::Daemon->start(zone => $zone, config => "control_group = \"mail\"\nbayes { per_user = yes }\n");

# The files of conf/dovecot, with the paths of this test.
sub install_scripts {
    my $dir = work_dir() . '/sieve';
    mkdir $_ for $dir, "$dir/bin";
    my $from = source_dir() . '/conf/dovecot';
    for my $name ('report-spam.sieve', 'report-ham.sieve') {
        write_file("$dir/$name", read_file("$from/$name"));
    }
    my $mailreeve = reachable(test_program('mailreeve'));
    write_file("$dir/defaults", "MAILREEVE_SOCKET=$daemon->{socket}.control\nMAILREEVE_DOMAIN=dst.example\nMAILREEVE=$mailreeve\n");
    write_file("$dir/bin/mailreeve-learn", read_file("$from/mailreeve-learn") =~ s{/etc/default/mailreeve-learn}{$dir/defaults}gr, 0755);
    chown +(getpwnam 'daemon')[2], scalar(getgrnam 'mail'), $dir; # Dovecot puts what it compiles beside them
    return read_file("$from/90-mailreeve.conf") =~ s{/etc/dovecot/sieve-bin}{$dir/bin}gr =~ s{/etc/dovecot/sieve/}{$dir/}gr;
}

my $dovecot = Mailreeve::Dovecot->start_imap(user => 'daemon', group => 'mail', users => { anna => 'secret', 'bob@other.example' => 'secret' }, more => install_scripts());

sub message ($n) {
    return "From: someone\@src.example\r\nTo: anna\@dst.example\r\nSubject: message $n\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nwords of number $n\r\n";
}

# ( spam, ham ) that an owner has learnt.
sub learnt ($owner) {
    my $text = run_ok(test_program('mailreeve'), 'bayes', 'status', '--config', $daemon->{config}, '--json');
    my ($row) = grep { /"owner":\s*"\Q$owner\E"/ } $text =~ /(\{[^{}]*\})/g;
    return $row ? join('/', map { $row =~ /"$_":\s*(\d+)/ ? $1 : '?' } qw(spam ham)) : 'nothing';
}

sub learnt_is ($owner, $want, $name) {
    my $good = eval { wait_until($name, sub { learnt($owner) eq $want }, 60) };
    ok($good, $name) or diag "$owner: " . learnt($owner) . ", not $want\n" . $dovecot->log_text . $daemon->log_text;
    return;
}

my $imap = $dovecot->session('anna', 'secret');
$imap->('APPEND INBOX', message($_)) for 1 .. 3;
$imap->('SELECT INBOX');
$imap->('MOVE 1:2 Junk');
learnt_is('anna@dst.example', '2/0', 'what is moved into Junk is spam');
$imap->('SELECT Junk');
$imap->('MOVE 1 INBOX');
learnt_is('anna@dst.example', '1/1', 'what is moved out of it is good mail, and spam no more');
$imap->('MOVE 1 Trash');
$imap->('SELECT INBOX');
$imap->('COPY 1 Junk');
learnt_is('anna@dst.example', '2/1', 'a copy into Junk is learnt; what was thrown away from there was not learnt as good mail');
$imap->('APPEND Junk', message(4));
learnt_is('anna@dst.example', '3/1', 'what a mail program stores there is spam');
my $other = $dovecot->session('bob@other.example', 'secret');
$other->('APPEND INBOX', message(1));
$other->('SELECT INBOX');
$other->('MOVE 1 Junk');
learnt_is('bob@other.example', '1/0', 'another user has his own, by his address');
is(learnt('anna@dst.example'), '3/1', 'which the first one does not know');
is(learnt(''), 'nothing', 'and nothing is learnt for everybody');
$daemon->down;
$imap->('SELECT INBOX');
$imap->('MOVE 1 Junk');
pass('with the daemon away mail can be moved all the same');
unlike($daemon->log_text, qr/Sanitizer/, 'and all is well');
done_testing();
