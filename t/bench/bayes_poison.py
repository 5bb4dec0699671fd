#!/usr/bin/python3
"""bayes_poison.py TRAIN TEST OUT WORDS visible|hidden|random|top: the spam of TEST with WORDS words of TRAIN's ham in it.

"visible" and "hidden" take the words that were in the most ham messages and in the fewest spam, which no spammer knows so
well; "top" puts them in front of the text; "random" takes any words of ham. Prints the list of the new messages.
"""
import collections
import os
import random
import re
import sys

WORD = re.compile(rb"[a-z]{3,15}")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def body_of(message):
    return message.partition(b"\n\r\n" if b"\n\r\n" in message[:65536] else b"\n\n")[2]


def good_words(train, how):
    ham, spam = collections.Counter(), collections.Counter()
    for line in open(train, encoding="ascii"):
        kind, path = line.split()
        (ham if kind == "ham" else spam).update(set(WORD.findall(body_of(read(path)).lower())))
    if how == "random":
        return [word for word, count in ham.items() if count > 1]
    ranked = sorted(ham, key=lambda word: (ham[word] + 0.1) ** 1.5 / (spam[word] + 0.5), reverse=True)
    return ranked[:600]


def with_words(message, words, how):
    salad = b" ".join(words)
    if how == "hidden":
        salad = b"<div style=\"display:none\">" + salad + b"</div>"
    head, separator, body = message.partition(b"\n\n")
    if how == "top":
        return head + separator + salad + b"\n\n" + body
    end = body.lower().rfind(b"</body>")
    closing = re.search(rb"\n--[^\n]+--\s*$", body)
    at = end if end >= 0 else closing.start() if closing else len(body)
    return head + separator + body[:at] + b"\n" + salad + b"\n" + body[at:]


def main():
    train, test, out, count, how = sys.argv[1:]
    random.seed(1)
    words = good_words(train, how)
    os.makedirs(out, exist_ok=True)
    for line in open(test, encoding="ascii"):
        kind, path = line.split()
        message = read(path).replace(b"\r\n", b"\n")
        if kind != "spam" or b"base64" in message.lower():
            continue
        if how == "hidden" and b"<html" not in message.lower():
            continue
        name = os.path.join(out, os.path.basename(path))
        with open(name, "wb") as file:
            chosen = random.sample(words, min(int(count), len(words))) if int(count) > 0 else []
            file.write(with_words(message, chosen, how) if chosen else message)
        print("spam", name)


main()
