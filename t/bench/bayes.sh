#!/bin/sh
# bayes.sh BUILD [ARCHIVE]: how well Bayes tells spam from ham that it has not learnt, beside bogofilter and SpamAssassin's
# Bayes (Debian packages bogofilter, spamassassin; left out where they are not there). Learns one half of ARCHIVE and tests on
# the other, both ways; a row of the table is one of the two. `make t/bench/bayes_bench` in BUILD first.
set -eu
bench=$1/t/bench/bayes_bench
here=$(cd "$(dirname "$0")" && pwd)
archive=${2:-$here/../../../shared/data/spam/spam-open.tar.xz}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PYTHONHASHSEED=0
table="python3 $here/bayes_table.py"
mkdir "$dir/mail"
tar -C "$dir/mail" -xJf "$archive"
$table --split "$dir/mail/spam-open" "$dir/1" "$dir/2"

# bogo TRAIN TEST OPTIONS...
bogo() {
	train=$1
	test=$2
	shift 2
	rm -rf "$dir/bogo"
	mkdir "$dir/bogo"
	sed -n 's/^spam //p' "$train" | xargs bogofilter -d "$dir/bogo" -s -B
	sed -n 's/^ham //p' "$train" | xargs bogofilter -d "$dir/bogo" -n -B
	cut -d' ' -f2- "$test" | bogofilter -d "$dir/bogo" -TT -v -b "$@" >"$dir/bogo.out" || true
	awk 'NR == FNR { kind[$2] = $1; next } { print kind[$1], $2, $1 }' "$test" "$dir/bogo.out"
}

echo 'spam missed at so many false positives:             0     1     2     5   1 - AUC'
for half in 1 2; do
	other=$((3 - half))
	$table --unlike "$dir/$half" "$dir/$other" >"$dir/unlike"
	$table --thin spam "$dir/$half" >"$dir/few_spam"
	$table --thin ham "$dir/$half" >"$dir/few_ham"
	"$bench" scores "$dir/$half" "$dir/$other" >"$dir/ours.$half"
	$table "mailreeve, learnt half $half" "$dir/ours.$half"
	MAILREEVE_BENCH_SKIP=7 "$bench" scores "$dir/$half" "$dir/$other" >"$dir/out"
	$table '  without To and Received' "$dir/out"
	MAILREEVE_BENCH_SKIP=237 "$bench" scores "$dir/$half" "$dir/$other" >"$dir/out"
	$table '  without any header but Subject' "$dir/out"
	"$bench" scores "$dir/$half" "$dir/unlike" >"$dir/out"
	$table '  tested on no near duplicates' "$dir/out"
	"$bench" scores "$dir/few_spam" "$dir/$other" >"$dir/out"
	$table '  learnt a tenth of the spam' "$dir/out"
	"$bench" scores "$dir/few_ham" "$dir/$other" >"$dir/out"
	$table '  learnt a tenth of the ham' "$dir/out"
	if command -v bogofilter >/dev/null; then
		bogo "$dir/$half" "$dir/$other" >"$dir/out"
		$table 'bogofilter' "$dir/out"
		bogoutil -d "$dir/bogo/wordlist.db" >"$dir/words"
		"$bench" import "$dir/words" "$dir/$other" >"$dir/out" 2>/dev/null
		$table '  its list, imported' "$dir/out"
		bogo "$dir/$half" "$dir/$other" -m 0.1,0.1 >"$dir/out"
		$table '  min_dev 0.1, robs 0.1' "$dir/out"
		bogo "$dir/$half" "$dir/unlike" >"$dir/out"
		$table '  tested on no near duplicates' "$dir/out"
		bogo "$dir/few_spam" "$dir/$other" >"$dir/out"
		$table '  learnt a tenth of the spam' "$dir/out"
		bogo "$dir/few_ham" "$dir/$other" >"$dir/out"
		$table '  learnt a tenth of the ham' "$dir/out"
	fi
	if perl -MMail::SpamAssassin -e 1 2>/dev/null; then
		rm -rf "$dir/sa"
		mkdir "$dir/sa"
		perl "$here/bayes_sa.pl" "$dir/$half" "$dir/$other" "$dir/sa" >"$dir/out" 2>"$dir/sa.log"
		$table 'SpamAssassin (Bayes alone)' "$dir/out"
		grep SpamAssassin: "$dir/sa.log" || true
	fi
done
echo 'what the probability is worth, both halves:'
$table --bins "$dir/ours.1" "$dir/ours.2"
echo 'CPU, tokens and classification:'
"$bench" time "$dir/1"
echo 'words of ham in the spam of the other half, as they are called (by probability):'
for how in visible hidden random; do
	for count in 0 50 200 500; do
		python3 "$here/bayes_poison.py" "$dir/1" "$dir/2" "$dir/poison" $count $how >"$dir/list"
		"$bench" scores "$dir/1" "$dir/list" | awk -v what="$count $how" \
			'{ if ($2 >= 0.95) spam++; else if ($2 > 0.05) unsure++; else ham++ }
			 END { printf "%-12s %d spam, %d unsure, %d ham\n", what, spam, unsure, ham }'
		rm -rf "$dir/poison"
	done
done
