#!/usr/bin/python3
"""dkim_verify.py ZONE MESSAGE...: verifies every DKIM-Signature with dkimpy, keys from ZONE ("name text" a line).
Prints "MESSAGE DOMAIN SELECTOR ALGORITHM pass|fail" for each."""
import sys
import dkim

with open(sys.argv[1], "rb") as zone:
    records = dict(line.rstrip(b"\n").split(b" ", 1) for line in zone)


def lookup(name, timeout=5):
    name = name if isinstance(name, bytes) else name.encode()
    return records.get(name.rstrip(b".").lower())


for path in sys.argv[2:]:
    with open(path, "rb") as file:
        message = file.read()
    verifier = dkim.DKIM(message, minkey=1024)
    fields = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
    for index, field in enumerate(fields):
        tags = {k.strip(): v.strip() for k, v in (tag.split(b"=", 1) for tag in field.split(b";") if b"=" in tag)}
        try:
            good = verifier.verify(idx=index, dnsfunc=lookup)
        except dkim.DKIMException:
            good = False
        words = [tags.get(tag, b"?").decode("ascii", "replace") for tag in (b"d", b"s", b"a")]
        print(path, *words, "pass" if good else "fail")
