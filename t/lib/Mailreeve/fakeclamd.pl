#!/usr/bin/perl
# What a clamd would hardly say: answers every scan with a fixed text, and the version with another. "silence" says
# nothing, "close" hangs up, "endless" never comes to an end.
use v5.36;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

my ($path, $answer, $version) = @ARGV;
$SIG{PIPE} = 'IGNORE';
my $server = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path, Listen => 10) or die "$path: $!";
chmod 0666, $path;
my @held;
while (my $client = $server->accept) {
    my $command = '';
    $client->sysread($command, 1024);
    # Behind zFILDES and its NUL comes a byte with the descriptor: an answer before it would be a hangup to the client.
    $client->sysread($command, 1, length $command) if $command eq "zFILDES\0";
    my $text = $command =~ /^zVERSION/ ? $version : $answer;
    if ($text eq 'silence') { push @held, $client }
    elsif ($text eq 'endless') { $client->syswrite('x' x 1000) for 1 .. 10; push @held, $client }
    elsif ($text ne 'close') { $client->syswrite("$text\0") }
}
