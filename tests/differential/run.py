#!/usr/bin/env python3
"""run.py OURS THEIRS [-n COUNT] [-s SEED] [-c COMMAND...]

Sends the same random commands to two servers (HOST:PORT or PORT) and stops at the first difference in
replies or, after each round, in what the databases hold. THEIRS is meant to be a valkey-server 9.1.
The words are drawn so that options meet each other, conflict, lack their values and have bad ones.
Both servers are emptied first. Exit status 0: no difference.
"""
import argparse
import random
import socket
import sys
import time

KEYS = ["k1", "k2", "k3", "k4", "none", "n1", "n2", "f1", "{x}long" * 3]
VALUES = ["", "a", "abc", "xabcx", "10", "-5", "9223372036854775807", "9223372036854775806", "3.5",
          "1e3", " 7", "007", "-0", "+1", "v" * 70, "\x00\xff\r\n", "0x10", "nan", "inf", "x"]
INTS = ["0", "1", "-1", "2", "5", "10", "100", "-100", "9223372036854775807", "-9223372036854775808",
        "9223372036854775808", "abc", "", " 1", "1 ", "1.5", "01", "+1", "2147483648", "4294967296"]
LATER = ["200000", "1000000", "5000000", "0", "-1", "9223372036854775807", "9223372036854775", "abc",
         "-9223372036854775808", "1.0", ""]
UNIX = ["99999999999", "9999999999999", "1", "0", "-5", "x", "9223372036854775807",
        "9223372036854775", "-9223372036854775808"]
DBS = ["0", "1", "2", "15", "16", "-1", "x", "99999999999", "2147483648"]
FLOATS = ["1", "0.1", "-0.5", "1e2", "abc", "", "nan", "inf", "-inf", "1e400", " 1", "3.0e3", "1e-5", "0x1p3",
          "123456789.123456789", "1e17", "5e-324"]


def key(r):
    return r.choice(KEYS)


def some(r, words, low, high):
    return [r.choice(words) for _ in range(r.randint(low, high))]


def case(r, word):
    return "".join(c.upper() if r.random() < 0.5 else c.lower() for c in word)


def options(r, tokens, most=4):
    """Words from {token: value words or None}, sometimes incomplete or unknown."""
    out = []
    for _ in range(r.choice([0, 1, 1, 1, 2, 2, 3, most])):
        token = r.choice(list(tokens))
        out.append(case(r, token))
        values = tokens[token]
        if values is not None and r.random() < 0.96:
            out.append(r.choice(values))
    if r.random() < 0.04:
        out.append(r.choice(["FOO", "", "EXX", "N"]))
    return out


TIMES = {"EX": LATER, "PX": LATER, "EXAT": UNIX, "PXAT": UNIX}
CONDITIONS = {"NX": None, "XX": None, "GT": None, "LT": None}
GRAMMARS = {
    "SET": lambda r: [key(r), r.choice(VALUES)] + options(
        r, {**TIMES, "NX": None, "XX": None, "IFEQ": VALUES, "GET": None, "KEEPTTL": None, "PERSIST": None}),
    "GETEX": lambda r: [key(r)] + options(r, {**TIMES, "PERSIST": None, "KEEPTTL": None}, 2),
    "GET": lambda r: [key(r)],
    "GETDEL": lambda r: [key(r)],
    "GETSET": lambda r: [key(r), r.choice(VALUES)],
    "GETRANGE": lambda r: [key(r), r.choice(INTS), r.choice(INTS)],
    "SUBSTR": lambda r: [key(r), r.choice(INTS), r.choice(INTS)],
    "SETRANGE": lambda r: [key(r), r.choice(INTS + ["3", "7", "536870911", "536870912"]), r.choice(VALUES)],
    "SETNX": lambda r: [key(r), r.choice(VALUES)],
    "SETEX": lambda r: [key(r), r.choice(LATER), r.choice(VALUES)],
    "PSETEX": lambda r: [key(r), r.choice(LATER), r.choice(VALUES)],
    "STRLEN": lambda r: [key(r)],
    "APPEND": lambda r: [key(r), r.choice(VALUES)],
    "INCR": lambda r: [key(r)],
    "DECR": lambda r: [key(r)],
    "INCRBY": lambda r: [key(r), r.choice(INTS)],
    "DECRBY": lambda r: [key(r), r.choice(INTS)],
    "INCRBYFLOAT": lambda r: [r.choice(["f1", "n1", "k1"]), r.choice(FLOATS)],
    "DELIFEQ": lambda r: [key(r), r.choice(VALUES)],
    "MGET": lambda r: some(r, KEYS, 0, 4),
    "MSET": lambda r: [w for _ in range(r.randint(0, 3)) for w in (key(r), r.choice(VALUES))] +
    some(r, KEYS, 0, 1) * (r.random() < 0.1),
    "MSETNX": lambda r: [w for _ in range(r.randint(0, 3)) for w in (key(r), r.choice(VALUES))] +
    some(r, KEYS, 0, 1) * (r.random() < 0.1),
    "MSETEX": lambda r: [r.choice(["1", "2", "1", "2", "3", "0", "-1", "x", "2147483648"])] +
    [w for _ in range(r.choice([1, 2, 2, 3])) for w in (key(r), r.choice(VALUES))] +
    options(r, {**TIMES, "NX": None, "XX": None, "KEEPTTL": None}, 3),
    "LCS": lambda r: [key(r), key(r)] + options(
        r, {"LEN": None, "IDX": None, "MINMATCHLEN": INTS, "WITHMATCHLEN": None}, 3),
    "COPY": lambda r: [key(r), key(r)] + options(r, {"DB": DBS, "REPLACE": None}, 2),
    "MOVE": lambda r: [key(r), r.choice(DBS)],
    "RENAME": lambda r: [key(r), key(r)],
    "RENAMENX": lambda r: [key(r), key(r)],
    "DEL": lambda r: some(r, KEYS, 0, 3),
    "UNLINK": lambda r: some(r, KEYS, 0, 3),
    "EXISTS": lambda r: some(r, KEYS, 0, 4),
    "TOUCH": lambda r: some(r, KEYS, 0, 4),
    "TYPE": lambda r: [key(r)],
    "EXPIRE": lambda r: [key(r), r.choice(LATER)] + options(r, CONDITIONS, 3),
    "PEXPIRE": lambda r: [key(r), r.choice(["100000", "9999999"] + LATER[3:])] + options(r, CONDITIONS, 3),
    "EXPIREAT": lambda r: [key(r), r.choice(UNIX)] + options(r, CONDITIONS, 3),
    "PEXPIREAT": lambda r: [key(r), r.choice(UNIX)] + options(r, CONDITIONS, 3),
    "PERSIST": lambda r: [key(r)],
    "TTL": lambda r: [key(r)],
    "PTTL": lambda r: [key(r)],
    "EXPIRETIME": lambda r: [key(r)],
    "PEXPIRETIME": lambda r: [key(r)],
    "KEYS": lambda r: [r.choice(["*", "k*", "k[12]", "none", "?1", "[^k]*", "k[1-3]", "\\k1", "", "*x*", "k[", "{x}*"])],
    "SCAN": lambda r: [r.choice(["0", "0", "0", "0", "x", "-1", "18446744073709551615", "+0", " 0", "00", "", "0 ",
                                 "18446744073709551616", "-0"])] +
    (["COUNT", "1000"] if r.random() < 0.8 else []) +
    options(r, {"MATCH": ["k*", "*"], "TYPE": ["string", "STRING", "hash", "foo", "stream"],
                "COUNT": ["1000", "100", "0", "-1", "x"]}, 3),
    "OBJECT": lambda r: r.choice([["ENCODING", key(r)], ["REFCOUNT", key(r)], ["FREQ", key(r)],
                                  ["IDLETIME", key(r)], ["NOSUCH", key(r)], ["ENCODING"], []]),
    "COMMAND": lambda r: r.choice([
        ["GETKEYS"] + inner(r), ["GETKEYSANDFLAGS"] + inner(r), ["LIST", "FILTERBY"], ["GETKEYS"],
        ["LIST", "FILTERBY", "MODULE", "x"], ["LIST", "FILTERBY", "PATTERN", "getex"], ["NOSUCH"],
        ["LIST", "FILTERBY", "ACLCAT", "nosuch"], ["INFO", "nosuch", "get", "mset", "set", "lcs"],
        ["LIST", "FOO", "PATTERN", "x"], ["COUNT", "x"], ["DOCS", "nosuch"]]),
    "NOSUCHCOMMAND": lambda r: some(r, VALUES, 0, 3),
}
LOOSE = {"TTL": 2, "PTTL": 2000, "EXPIRETIME": 2, "PEXPIRETIME": 2000}
UNORDERED = {"KEYS"}


def inner(r):
    name = r.choice([n for n in GRAMMARS if n not in ("COMMAND",)])
    return [name] + GRAMMARS[name](r)


class Server:
    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host or "127.0.0.1", int(port)))
        self.file = self.socket.makefile("rb")

    def call(self, *words):
        data = [w.encode("latin1") for w in words]
        self.socket.sendall(b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in data))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line:
            raise EOFError("connection closed")
        kind, rest = line[:1].decode(), line[1:-2]
        if kind in "+-":
            return kind, rest
        if kind in ":,#(":
            return kind, rest if kind != ":" else int(rest)
        if kind == "_":
            return kind, None
        size = int(rest)
        if kind in "$=":
            return kind, None if size < 0 else self.file.read(size + 2)[:-2]
        if size < 0:
            return kind, None
        items = [self.read() for _ in range(size * (2 if kind == "%" else 1))]
        if kind == "~":
            items.sort(key=repr)
        return kind, items


def same(words, a, b):
    name = words[0].upper() if words else ""
    if a == b:
        return True
    if a[0] != b[0] or a[1] is None or b[1] is None:
        return False
    if name in LOOSE and a[0] == ":":
        return (a[1] < 0) == (b[1] < 0) and abs(a[1] - b[1]) <= LOOSE[name]
    if name in UNORDERED and a[0] == "*":
        return sorted(a[1]) == sorted(b[1])
    if name == "SCAN" and a[0] == "*" and (words[1] == "18446744073709551615" or "1000" not in words):
        return True  # a position of their own making, or a part: what is there, nobody knows
    if name == "SCAN" and a[0] == "*":
        return a[1][0] == b[1][0] and sorted(a[1][1][1]) == sorted(b[1][1][1])
    if name == "OBJECT" and a[0] == ":":
        return abs(a[1] - b[1]) <= 1
    if name == "COMMAND":
        return shape(a, b)
    return False


def shape(a, b):
    """COMMAND's own words may differ; everything else may not."""
    if a[0] != b[0]:
        return False
    if isinstance(a[1], list) and isinstance(b[1], list):
        if len(a[1]) != len(b[1]):
            return False
        for i, (x, y) in enumerate(zip(a[1], b[1])):
            prose = i > 0 and a[1][i - 1][1] in (b"notes", b"summary", b"complexity")
            if not prose and not shape(x, y):
                return False
        return True
    return a == b


def state(server):
    out = {}
    for db in ("0", "1", "2", "15"):
        server.call("SELECT", db)
        for _, name in server.call("KEYS", "*")[1]:
            k = name.decode("latin1")
            out[db, k] = (server.call("GET", k), server.call("PEXPIRETIME", k)[1])
    server.call("SELECT", "0")
    return out


def same_state(a, b):
    if a.keys() != b.keys():
        return "keys differ: %r" % sorted(a.keys() ^ b.keys())
    for k in a:
        if a[k][0] != b[k][0] or (a[k][1] < 0) != (b[k][1] < 0) or abs(a[k][1] - b[k][1]) > 2000:
            return "%r: %r and %r" % (k, a[k], b[k])
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("theirs")
    parser.add_argument("-n", type=int, default=20000)
    parser.add_argument("-s", type=int, default=int(time.time()))
    parser.add_argument("-c", nargs="*", default=list(GRAMMARS))
    parser.add_argument("-k", action="store_true", help="go on after a difference")
    opts = parser.parse_args()
    r = random.Random(opts.s)
    pair = [Server(opts.ours), Server(opts.theirs)]
    differences, log = set(), []
    for protocol in ("2", "3"):
        for s in pair:
            s.call("FLUSHALL")
            s.call("HELLO", protocol)
        for i in range(opts.n // 2):
            name = r.choice(opts.c)
            words = [case(r, name)] + GRAMMARS[name](r)
            log.append(words)
            a, b = [s.call(*words) for s in pair]
            if not same(words, a, b):
                kind = (name, a[0], b[0], a[1] if a[0] == "-" else "", b[1] if b[0] == "-" else "")
                if kind not in differences:
                    print("RESP%s seed %d #%d %r\n  ours   %r\n  theirs %r" % (protocol, opts.s, i, words, a, b))
                differences.add(kind)
                if not opts.k:
                    return 1
            if i % 200 == 199:
                bad = same_state(state(pair[0]), state(pair[1]))
                if bad:
                    print("RESP%s seed %d #%d: state: %s" % (protocol, opts.s, i, bad))
                    for w in log[-50:]:
                        if not opts.k:
                            print("   ", w)
                    if not opts.k:
                        return 1
                    differences.add(("state", bad))
                    for s in pair:
                        s.call("FLUSHALL")
                log.clear()
    print("%d commands, seed %d: %d differences" % (opts.n, opts.s, len(differences)))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
