#!/bin/sh
# sign.sh BUILD [SECONDS]: DKIM signatures by libopendkim and by lib/auth/dkim_sign.c, for HACKING.
# `make t/bench/sign_bench` in BUILD first; the machine should have nothing else to do.
set -eu
bench=$1/t/bench/sign_bench
seconds=${2:-3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for bits in 1024 2048 4096; do
	openssl genrsa -traditional -out "$dir/rsa-$bits" "$bits" 2>/dev/null
done
openssl genpkey -algorithm ed25519 -out "$dir/ed25519"
printf '%-9s %-8s %7s %12s %14s %13s\n' key by threads signatures/s 'CPU us for one' 'bytes leaked'
for key in rsa-1024 rsa-2048 rsa-4096 ed25519; do
	for library in opendkim ours; do
		for threads in 1 2; do
			# shellcheck disable=SC2046 # three numbers
			printf '%-9s %-8s %7s %12s %14s %13s\n' "$key" "$library" "$threads" \
				$("$bench" "$library" "$dir/$key" "$threads" "$seconds")
		done
	done
done
