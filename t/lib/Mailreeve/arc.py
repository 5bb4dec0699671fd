"""arc.py verify KEYS < message: dkimpy's verdict on its ARC chain, and its reason.
arc.py seal KEYS DOMAIN SELECTOR KEYFILE < message: the message with a set by dkimpy on top.
KEYS: lines "name record". Debian: python3-dkim, python3-authres."""
import sys

import dkim


def main():
    with open(sys.argv[2], "rb") as file:
        records = dict(line.rstrip(b"\n").split(b" ", 1) for line in file)

    def txt(name, timeout=5):
        name = name if isinstance(name, bytes) else name.encode()
        return records.get(name.rstrip(b"."))

    message = sys.stdin.buffer.read()
    if sys.argv[1] == "verify":
        result, sets, reason = dkim.arc_verify(message, dnsfunc=txt)
        print((result or b"none").decode(), len(sets), reason)
        return
    domain, selector = sys.argv[3].encode(), sys.argv[4].encode()
    with open(sys.argv[5], "rb") as file:
        key = file.read()
    fields = dkim.arc_sign(message, selector, domain, key, domain)
    sys.stdout.buffer.write(b"".join(fields) + message)


main()
