#!/usr/bin/python3
# Signs and verifies with dkimpy, for dkim_differential.t. Lines of JSON in, one line of JSON out for each:
# {"sign": message, "key": file, "options": {...}} gives the DKIM-Signature field; {"verify": message, "dns": {name: text}}
# gives true or false. Messages are base64.
import base64
import json
import sys

import dkim


def sign(request):
    with open(request['key'], 'rb') as key:
        pem = key.read()
    options = request['options']
    return dkim.sign(
        base64.b64decode(request['sign']), options['selector'].encode(), options['domain'].encode(), pem,
        canonicalize=tuple(c.encode() for c in options['canonicalization'].split('/')),
        signature_algorithm=options['algorithm'].encode(), length=options.get('length', False),
        include_headers=[h.encode() for h in options['headers']]).decode()


def verify(request):
    def dns(name, timeout=5):
        return request['dns'].get(name.decode().rstrip('.'), '').encode() or None

    message = base64.b64decode(request['verify'])
    for i in range(message.lower().count(b'dkim-signature')):
        try:
            if dkim.DKIM(message).verify(idx=i, dnsfunc=dns):
                return True
        except Exception as error:  # dkimpy is not crash-proof: that is no pass
            print(f'{type(error).__name__}: {error}', file=sys.stderr)
    return False


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(sign(request) if 'sign' in request else verify(request)), flush=True)
