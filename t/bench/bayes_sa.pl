#!/usr/bin/perl
# bayes_sa.pl TRAIN TEST DIRECTORY: SpamAssassin's Bayes alone, by its own code: learns what the list TRAIN names and prints
# "label probability file" for each message of TEST, and on stderr its CPU time.
use strict;
use warnings;
use Mail::SpamAssassin;
use Mail::SpamAssassin::PerMsgStatus;

my ($train, $test, $dir) = @ARGV;
my $spamassassin = Mail::SpamAssassin->new({
	dont_copy_prefs => 1, local_tests_only => 1, require_rules => 0, userprefs_filename => "$dir/none",
	home_dir_for_helpers => $dir, userstate_dir => $dir, site_rules_filename => '/nonexistent', rules_filename => '/nonexistent',
	config_text => join("\n", 'loadplugin Mail::SpamAssassin::Plugin::Bayes', 'use_bayes 1', "bayes_path $dir/bayes",
		'bayes_auto_expire 0', 'bayes_auto_learn 0', 'bayes_learn_to_journal 0', 'bayes_expiry_max_db_size 5000000', ''),
});
$spamassassin->init(1);

sub message {
	my ($path) = @_;
	open my $file, '<', $path or die "$path: $!\n";
	local $/;
	my $text = <$file>;
	$text =~ s/\AFrom [^\n]*\n//;
	return $spamassassin->parse($text);
}

sub each_line {
	my ($path, $do) = @_;
	open my $list, '<', $path or die "$path: $!\n";
	while (<$list>) {
		chomp;
		my ($kind, $file) = split / /, $_, 2;
		my $message = message($file);
		$do->($kind, $file, $message);
		$message->finish;
	}
	return;
}

each_line($train, sub {
	my ($kind, undef, $message) = @_;
	my $status = $spamassassin->learn($message, undef, $kind eq 'spam' ? 1 : 0, 0);
	$status->finish if $status;
});
my ($bayes) = grep { ref($_) =~ /Plugin::Bayes$/ } @{$spamassassin->{plugins}{plugins}};
my $start = (times)[0] + (times)[1];
my $count = 0;
each_line($test, sub {
	my ($kind, $file, $message) = @_;
	my $status = Mail::SpamAssassin::PerMsgStatus->new($spamassassin, $message);
	$status->extract_message_metadata;
	my $probability = $bayes->scan($status, $message) // 0.5;
	printf "%s %.17g %s\n", $kind, $probability, $file;
	$status->finish;
	$count++;
});
printf {*STDERR} "SpamAssassin: %.0f us of CPU a message\n", 1e6 * ((times)[0] + (times)[1] - $start) / $count;
