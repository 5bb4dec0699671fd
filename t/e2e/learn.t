#!/usr/bin/perl
# Ways by which Bayes is taught: mailreeve learn from files, mailboxes, maildirs and standard input, by the control socket,
# and mail of our own users to an address, through Postfix.
use v5.36;
use Test::More;
BEGIN { plan skip_all => 'needs root for a private Postfix, and to become another user' if $> != 0 }
BEGIN { plan skip_all => 'needs Dovecot (package dovecot-core)' if !-x '/usr/sbin/dovecot' }
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Mailreeve::Daemon;
use Mailreeve::Dovecot;
use Mailreeve::Postfix;
use Mailreeve::Process qw(work_dir wait_until write_file read_file run_ok test_program reachable);
use Mailreeve::Smtp;

local $ENV{MAILREEVE_INSPECT} = reachable(test_program('mailreeve-inspect'));
my $dir = work_dir();
my $zone = write_file("$dir/zone", ". 3600 IN NS ns.\n");
my $base = "control_group = \"mail\"\nclient { mode = off }\nown_networks = {\"127.0.0.8\"}\nbayes { per_user = yes }\n";
my $addresses = 'spam_address = "spam@learn.example" ham_address = "ham@learn.example"';
my $daemon = Mailreeve::Daemon->start(zone => $zone, config => "${base}learn { $addresses }\n");
my $program = reachable(test_program('mailreeve'));

# A message as it lies in a file, with LF; more: fields in front.
sub message ($n, $more = '') {
    return "${more}From: someone\@src.example\nTo: anna\@dst.example\nSubject: message $n\nDate: Tue, 24 Nov 2026 12:00:00 +0000\n\nwords of number $n\n\n>From here on\nFrom there\n";
}

sub mbox (@messages) {
    return join '', map { "From a\@b Thu Jan  1 00:00:00 2026\n" . s/^(>*From )/>$1/gmr . "\n" } @messages;
}

# ( exit status, what it said ): input: for its standard input; user: who calls it.
sub learn ($what, %arg) {
    my $in = write_file("$dir/input", $arg{input} // '');
    my @command = ($program, 'learn', ref $what ? @{$what} : split / /, $what);
    push @command, '--config', $daemon->{config} if !grep { $_ eq '--socket' } @command;
    my $pid = open my $out, '-|';
    if ($pid == 0) {
        open STDIN, '<', $in;
        open STDERR, '>&', \*STDOUT;
        if ($arg{user}) {
            my $gid = getgrnam($arg{group} // 'mail');
            $( = $) = "$gid $gid";
            my $uid = getpwnam $arg{user};
            ($<, $>) = ($uid, $uid);
        }
        { no warnings 'exec'; exec @command; }
        POSIX::_exit(127);
    }
    local $/ = undef;
    my $text = <$out>;
    close $out;
    return ($? >> 8, $text);
}

sub learn_is ($what, $want, $name, %arg) {
    my ($status, $text) = learn($what, %arg);
    is($status, delete $arg{status} // 0, "$name: the exit status");
    like($text, $want, $name);
    return;
}

sub learnt ($owner = '') {
    my $all = decode_json(run_ok($program, 'bayes', 'status', '--config', $daemon->{config}, '--json'));
    my ($row) = grep { $_->{owner} eq $owner } @{$all};
    return $row ? "$row->{spam}/$row->{ham}" : '0/0';
}

sub command {
    my @box = map { message($_) } 1 .. 5;
    write_file("$dir/box", mbox(@box));
    learn_is("spam $dir/box", qr/\A5 learnt\n\z/, 'a mailbox');
    learn_is("spam $dir/box", qr/\A5 known already\n\z/, 'is learnt once');
    learn_is('spam', qr/\A1 known already\n\z/, 'a message on standard input is the same as in the mailbox', input => $box[0] =~ s/\n/\r\n/gr);
    learn_is("ham -", qr/\A2 moved from the other class\n\z/, 'a mailbox on standard input', input => mbox(@box[ 0, 1 ]));
    is(learnt(), '3/2', 'which is what is learnt then');
    mkdir "$dir/$_" for 'Maildir', map { "Maildir/$_" } qw(cur new tmp .Junk);
    write_file("$dir/Maildir/cur/a:2,S", message(6));
    write_file("$dir/Maildir/new/b", message(7));
    write_file("$dir/Maildir/tmp/c", message(8));
    write_file("$dir/Maildir/dovecot.index", 'x');
    learn_is("ham $dir/Maildir", qr/\A2 learnt\n\z/, 'a maildir: cur and new');
    mkdir "$dir/$_" for 'tree', 'tree/deep';
    write_file("$dir/tree/one", message(9));
    write_file("$dir/tree/deep/box", mbox(message(10), message(11)));
    symlink "$dir/box", "$dir/tree/link";
    learn_is("ham $dir/tree", qr/\A3 learnt\n\z/, 'a folder, however deep, without links');
    learn_is("forget $dir/box $dir/Maildir $dir/tree", qr/\A10 forgotten\n\z/, 'all of it is forgotten');
    is(learnt(), '0/0', 'as if it had never been learnt');
    learn_is("forget $dir/box", qr/\A5 not known\n\z/, 'and is not known any more');
    learn_is("spam --user Anna+x\@DST.example $dir/box", qr/\A5 learnt\n\z/, 'for a user');
    is(learnt('anna@dst.example') . ' ' . learnt(), '5/0 0/0', 'it is his alone');
    learn_is("forget --user anna\@dst.example $dir/box", qr/\A5 forgotten\n\z/, 'and is forgotten');
    return;
}

sub attachment (@messages) {
    my $parts = join '', map { "--b\nContent-Type: message/rfc822\n\n$_\n" } @messages;
    return "From: anna\@dst.example\nSubject: look\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n${parts}--b--\n";
}

sub failures {
    learn_is("spam $dir/not-there $dir/box", qr{\Amailreeve learn: $dir/not-there: No such file.*\n5 learnt, 1 failed\n\z}s, 'a file that is not there', status => 1);
    learn_is("forget $dir/box", qr/5 forgotten/, '(forgotten)');
    learn_is('spam /dev/zero', qr/no file and no folder.*1 failed/s, 'what never ends is not read', status => 1);
    learn_is('spam --attached -', qr/no message is attached.*1 failed/s, 'nothing attached', input => message(1), status => 1);
    learn_is('spam --attached -', qr/\A2 learnt\n/, 'what is attached', input => attachment(message(1), message(2)));
    learn_is('forget -', qr/\A2 forgotten\n/, 'is the message itself', input => mbox(message(1), message(2)));
    learn_is('spam -', qr/it is empty/, 'nothing at all', status => 1);
    learn_is('spam -', qr/larger than learn\.message_max.*1 learnt, 1 failed/s, 'one that is too large is told', input => mbox(message(1) . 'x' x (11 << 20) . "\n", message(2)), status => 1);
    learn_is('forget -', qr/\A1 forgotten/, '(forgotten)', input => message(2));
    learn_is("spam --user nonsense $dir/box", qr/neither an address/, 'a user that is none', status => 1);
    is((learn('nonsense'))[0], 2, 'a wrong word');
    learn_is([ 'import', 'rspamd', "$dir/box" ], qr/hashes of its own tokens/, 'what rspamd has learnt cannot be taken over', status => 1);
    return;
}

sub imports {
    my $list = ".WORDLIST_VERSION 20040500 0 20261201\n.MSG_COUNT 30 20 20261201\nviagra 25 0 20261201\nViagra 9 1 20261201\nmeeting 0 19 20261201\nmany 99 99 20261201\nsubj:cheap 12 0 20261201\nhead:Date 30 20 20261201\n\303\244 1 0 20261201\n";
    my @import = qw(import bogofilter);
    learn_is([ @import, '-' ], qr/line 2 is not/, 'a list that is broken', input => ".MSG_COUNT 1 1 20261201\nword -1 2\n", status => 1);
    learn_is([ @import, '-' ], qr/line 1 is not/, 'a word without end', input => 'x' x 5000 . " 1 1 1\n", status => 1);
    learn_is([ @import, '-' ], qr/line 1 is not/, 'a count beyond all', input => "word 99999999999999999999 1 1\n", status => 1);
    learn_is([ @import, '-' ], qr/MSG_COUNT is missing/, 'one without its messages', input => "word 1 2 20261201\n", status => 1);
    is(learnt('imports@dst.example'), '0/0', 'of these nothing is taken over');
    learn_is([ @import, '-', '--user', 'imports@dst.example' ], qr/\A4 tokens of 30 spam and 20 ham taken over\n\z/, 'a list of bogofilter\'s', input => $list);
    is(learnt('imports@dst.example') . ' ' . learnt(), '30/20 0/0', 'is the user\'s');
    learn_is([ @import, '-', '--user', 'imports@dst.example' ], qr/was taken over before/, 'once', input => $list, status => 1);
    is(learnt('imports@dst.example'), '30/20', 'and does not count twice');
    return;
}

# What he says of himself is checked by the daemon.
sub control {
    my @socket = ('--socket', "$daemon->{socket}.control");
    my %someone = (user => 'daemon', input => message(1));
    learn_is([ 'spam', @socket, '--user', 'anna@dst.example' ], qr/\A1 learnt\n/, 'a member of control_group teaches for a user', %someone);
    learn_is([ 'ham', @socket, '--user', 'anna@dst.example' ], qr/\A1 moved/, 'and moves', %someone);
    learn_is([ 'forget', @socket, '--user', 'anna@dst.example' ], qr/\A1 forgotten/, 'and has it forgotten', %someone);
    learn_is([ 'spam', @socket ], qr/only a user's own mail/, 'but not for everybody', %someone, status => 1);
    learn_is([ 'spam', @socket ], qr/\A1 learnt\n/, 'root does', input => message(1));
    learn_is([ 'forget', @socket ], qr/\A1 forgotten\n/, 'and undoes', input => message(1));
    learn_is([ 'spam', @socket, '--user', 'x' ], qr/neither an address/, 'a user that is none', %someone, status => 1);
    learn_is([ 'spam', @socket, '--user', 'a@b.example' ], qr/does not answer/, 'who is not in the group cannot ask', %someone, group => 'daemon', status => 1);
    learn_is([ 'spam', '--user', 'anna@dst.example' ], qr/\A1 learnt\n/, 'who may not write the store asks the daemon by himself', %someone);
    learn_is([ 'forget', '--user', 'anna@dst.example' ], qr/\A1 forgotten\n/, '(forgotten)', %someone);
    $daemon->configure("${base}learn { socket = off $addresses }\n");
    run_ok($program, 'reload', '-c', $daemon->{config});
    learn_is([ 'spam', @socket, '--user', 'anna@dst.example' ], qr/nobody may teach/, 'learn.socket = off', %someone, status => 1);
    is(learnt() . learnt('anna@dst.example'), '0/00/0', 'nothing was left');
    return;
}

my $sink = Mailreeve::Smtp->sink;
my $dovecot = Mailreeve::Dovecot->start('anna@dst.example' => 'secret');
my $postfix = Mailreeve::Postfix->start(sink => $sink->{port}, milter => "unix:$daemon->{socket}", main => <<"END");
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dovecot->{socket}
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
END

# ( answers to RCPT ..., the answer at the end ).
sub send_it ($text, %arg) {
    my $smtp = Mailreeve::Smtp->connect_to($postfix->{port}, local => $arg{local} // '127.0.0.7');
    $smtp->say_line('EHLO client.example');
    $smtp->say_line('AUTH PLAIN ' . encode_base64("\0anna\@dst.example\0secret", '')) if $arg{auth};
    $smtp->say_line('MAIL FROM:<anna@dst.example>');
    my @answers = map { $smtp->say_line("RCPT TO:<$_>") } @{ $arg{to} };
    if (grep { /^250/ } @answers) {
        $smtp->say_line('DATA');
        push @answers, $smtp->say_line($text =~ s/^\./../gmr =~ s/\n/\r\n/gr . '.');
    }
    $smtp->say_line('QUIT');
    return @answers;
}

sub by_mail {
    my $resent = "Resent-From: anna\@dst.example\nResent-Date: Tue, 24 Nov 2026 13:00:00 +0000\nResent-To: spam\@learn.example\n";
    my @answers = send_it(message(20, $resent), to => ['spam@learn.example']);
    like($answers[0], qr/^550 5\.7\.1 Only our own users/, 'who is not one of ours is refused at RCPT');
    is(scalar @answers, 1, 'and nothing is sent');
    @answers = send_it(message(20, $resent), to => ['spam@learn.example'], auth => 1);
    like($answers[-1], qr/^250 /, 'who has authenticated redirects a message');
    is(learnt(), '1/0', 'which is learnt as spam');
    like($daemon->verdict(qr/learn\.taken/)->{line}, qr/verdict=discard/, 'and the log says so');
    learn_is('forget -', qr/\A1 forgotten/, 'it is the same as the message before it was redirected', input => message(20));
    @answers = send_it(attachment(message(21), message(22)), to => [ 'Ham@LEARN.example', 'other@dst.example' ], local => '127.0.0.8');
    like($answers[-1], qr/^250 /, 'one of our own networks forwards two messages as attachments, with a copy to another');
    is(learnt(), '0/2', 'both are learnt as good mail');
    my (undef, $arrived) = @{ Mailreeve::Smtp->wait_for_message($sink, 'Subject: look') };
    ok($arrived, 'the copy is delivered');
    @answers = send_it(message(23), to => ['spam@learn.example'], auth => 1);
    like($answers[-1], qr/^550 5\.6\.0 Forward the message as an attachment/, 'what is neither is refused');
    is(learnt(), '0/2', 'and not learnt');
    ok(!(grep { $_->[1] =~ /message 2[03]/ } Mailreeve::Smtp->sunk($sink)), 'nothing of that was delivered');
    $daemon->configure("${base}learn { $addresses addresses = user }\n");
    run_ok($program, 'reload', '-c', $daemon->{config});
    send_it(message(24, $resent), to => ['spam@learn.example'], auth => 1);
    is(learnt('anna@dst.example') . ' ' . learnt(), '1/0 0/2', 'addresses = user: it is the sender\'s own');
    return;
}

command();
failures();
imports();
control();
by_mail();
is($daemon->down, 0, 'the daemon ends');
unlike($daemon->log_text, qr/Sanitizer/, 'and all is well');
done_testing();
