#!/usr/bin/python3
"""bayes_table.py NAME SCORES...: one row: spam missed at 0, 1, 2 and 5 false positives, and the area under the curve.

bayes_table.py --split FOLDER A B: two lists of the messages in FOLDER/spam and FOLDER/ham, by the hash of their names.
bayes_table.py --unlike TRAIN TEST: the lines of TEST whose messages are no near duplicate of one of TRAIN.
bayes_table.py --thin KIND LIST: one in ten of that kind, and all of the other.
bayes_table.py --bins SCORES...: what share was spam, by the probability.
"""
import bisect
import hashlib
import os
import re
import sys

EDGES = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 1.1)


def scores(paths):
    rows = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            rows += [(float(line.split()[1]), line.startswith("spam ")) for line in file]
    return rows


def table(name, paths):
    rows = scores(paths)
    ham = sorted(score for score, spam in rows if not spam)
    spam = sorted(score for score, is_spam in rows if is_spam)
    missed = [bisect.bisect_right(spam, ham[-1 - allowed]) for allowed in (0, 1, 2, 5)]
    worse = sum(len(ham) - (bisect.bisect_left(ham, s) + bisect.bisect_right(ham, s)) / 2 for s in spam)
    print("%-44s %5d %5d %5d %5d   %.1e   (%d spam, %d ham)"
          % (name, *missed, worse / len(spam) / len(ham), len(spam), len(ham)))


def bins(paths):
    rows = scores(paths)
    low = 0.0
    for high in EDGES:
        inside = [row for row in rows if low <= row[0] < high]
        if inside:
            print("%.3f to %.3f: %5d messages, mean %.4f, %.4f of them spam"
                  % (low, min(high, 1), len(inside), sum(r[0] for r in inside) / len(inside),
                     sum(r[1] for r in inside) / len(inside)))
        low = high


def split(folder, first, second):
    with open(first, "w", encoding="utf-8") as a, open(second, "w", encoding="utf-8") as b:
        for kind in ("spam", "ham"):
            for name in sorted(os.listdir(os.path.join(folder, kind))):
                half = a if hashlib.sha256(name.encode()).digest()[0] & 1 else b
                half.write("%s %s\n" % (kind, os.path.join(folder, kind, name)))


def bands(path):
    """Eight hashes; messages of which four words in five are in the same order share one of them with near certainty."""
    with open(path, "rb") as file:
        words = re.findall(rb"[a-z]{3,}", file.read().partition(b"\n\n")[2].lower())[:3000]
    shingles = {hash(b" ".join(words[i:i + 4])) for i in range(max(1, len(words) - 3))}
    least = [min((s ^ seed) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF for s in shingles) for seed in range(1, 49, 2)]
    return [(i, tuple(least[i * 3:i * 3 + 3])) for i in range(8)]


def unlike(train, test):
    with open(train, encoding="utf-8") as file:
        known = {band for line in file for band in bands(line.split()[1])}
    with open(test, encoding="utf-8") as file:
        for line in file:
            if not known.intersection(bands(line.split()[1])):
                print(line, end="")


def thin(kind, path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith(kind + " ") or hashlib.sha256(line.split()[1].encode()).digest()[1] % 10 == 0:
                print(line, end="")


def main():
    commands = {"--split": split, "--unlike": unlike, "--thin": thin}
    if sys.argv[1] in commands:
        commands[sys.argv[1]](*sys.argv[2:])
    elif sys.argv[1] == "--bins":
        bins(sys.argv[2:])
    else:
        table(sys.argv[1], sys.argv[2:])


main()
