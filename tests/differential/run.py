#!/usr/bin/env python3
"""Random command streams on two servers: every reply must agree, and at the end the digest of the data, the number of changes
that each has counted, every key's form and, where a value has an order, DUMP; ours must find all its values sound (DEBUG VERIFY).

  run.py - HOST:PORT                     starts build/tuco-server and compares it with the one given
  run.py HOST:PORT HOST:PORT -s 7 -n 500 ours and theirs; a seed and a number of streams
  run.py - HOST:PORT -c SET GETEX TTL    only these commands

Both servers are FLUSHED. A stream that differs is shrunk by leaving out commands and words while it still
differs, and printed as a transcript for tests/commands, with the replies of the server it was compared to.
Replies are compared as they come, but: KEYS and SCAN in any order, what depends on the clock within two seconds.
"""
import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from differential import grammars  # noqa: E402
from lib import resp, server  # noqa: E402
from lib.connection import Closed, Connection  # noqa: E402

class Side:
    def __init__(self, address):
        self.address = address
        self.control = Connection(address)
        self.verifies = True  # until it says that it does not know DEBUG VERIFY

    def play(self, stream, protocol):
        """The replies to the stream on a new connection, then the digest of all data."""
        self.control.call("FLUSHALL")
        self.control.command("CONFIG", "SET", "hll-sparse-max-bytes", "3000")
        before = self.changes()
        with Connection(self.address, protocol, timeout=20.0) as client:
            client.send(b"".join(resp.encode(words) for words in stream))
            replies = []
            try:
                for _ in stream:
                    replies.append(client.read())
            except Closed as how:
                replies.append(("closed", str(how)))
            except TimeoutError:
                replies.append(("timeout", None))
            except resp.ProtocolError as why:
                replies.append(("broken", str(why)))
        replies.append((":", self.changes() - before))
        replies.append(self.control.command("DEBUG", "DIGEST"))
        if self.verifies:
            self.verifies = self.control.command("DEBUG", "VERIFY")[0] == ":"
        return replies

    def knows(self, name):
        return self.control.command("COMMAND", "INFO", name)[1][0][1] is not None

    def changes(self):
        """What the server has counted of changes (rdb_changes_since_last_save)."""
        text = self.control.call("INFO", "persistence")
        return int(text.split(b"rdb_changes_since_last_save:")[1].split(b"\r")[0])

    def values(self):
        """(database, key, form, payload) of every key; no payload where the order is the server's own."""
        out = []
        for db in (0, 1, 2, 15):
            self.control.command("SELECT", str(db))
            for key in sorted(self.control.call("KEYS", "*")):
                form = self.control.command("OBJECT", "ENCODING", key)[1]
                if form is None or form.startswith(b"ERR"):
                    continue  # it has expired meanwhile
                payload = None if form in (b"hashtable", None) else self.control.command("DUMP", key)[1]
                if form == b"stream" and self.control.command("XINFO", "GROUPS", key)[1]:
                    payload = None  # it has times in it
                out.append((b"%d" % db, key, form or b"", payload or b""))
        self.control.command("SELECT", "0")
        return out


def near(words, a, b):
    """Replies agree where they must: in any order, or near in time, for the commands that allow it."""
    if a == b:
        return True
    name = words[0].upper() if words else b""
    if a[0] != b[0] or a[1] is None or b[1] is None:
        return False
    if name == b"HELLO":
        return a[0] in "*%"
    if name == b"SSCAN" and a[0] == "*":
        return a[1][0] == b[1][0] and sorted(a[1][1][1]) == sorted(b[1][1][1]) if b"1000" in words else True
    if name in (b"KEYS", b"HKEYS", b"HVALS", b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF") and a[0] in "*~":
        return sorted(a[1]) == sorted(b[1])
    if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER") and len(words) == 2:
        return True  # of one, any will do
    if name in (b"SRANDMEMBER", b"SPOP", b"HRANDFIELD", b"ZRANDMEMBER", b"HSCAN", b"ZSCAN") and a[0] in "*~":
        return in_any_order(words, a) == in_any_order(words, b)
    if name == b"DUMP" and a[1][:1] == b[1][:1] and a[1][:1] in (b"\2", b"\4", b"\x16"):
        return True  # a large set or hash: its order is the server's own; the digest looks at the rest
    if name == b"HGETALL":
        return sorted(in_pairs(a), key=repr) == sorted(in_pairs(b), key=repr)
    if name in (b"SORT", b"SORT_RO") and a[0] == "*" and b"BY" in upper(words):
        return near_sorted(words[1], set(upper(words)), a[1], b[1])
    if name == b"SCAN" and a[0] == "*":
        if not any(w in (b"1000", b"100") for w in words) or words[1].lstrip(b" +0-") != b"":
            return True  # a part, or a cursor of nobody's making: what comes is each server's own
        return a[1][0] == b[1][0] and sorted(a[1][1][1]) == sorted(b[1][1][1])
    if name in (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME", b"OBJECT") and a[0] == ":" and min(a[1], b[1]) >= 0:
        return abs(a[1] - b[1]) <= (2000 if name.startswith(b"P") else 2)
    if name in (b"HTTL", b"HPTTL", b"HEXPIRETIME", b"HPEXPIRETIME") and a[0] == b[0] == "*" and len(a[1]) == len(b[1]):
        return all(x == y or min(x[1], y[1]) >= 0 and abs(x[1] - y[1]) <= (2000 if b"P" in name[:2] else 2)
                   for x, y in zip(a[1], b[1]))
    if name == b"COMMAND" and (len(words) == 1 or words[1].upper() in (b"COUNT", b"LIST")
                               or len(words) == 2 and words[1].upper() in (b"DOCS", b"INFO")):
        return True  # each server's own commands
    if name.startswith(b"GEO") and b"COUNT" in upper(words) and a[0] == "*" and len(a[1]) == len(b[1]):
        return True  # which of those at one distance come first is as a partial sort leaves them
    if name == b"COMMAND" and a == ("-", b"ERR Invalid command specified"):
        return True  # one that ours does not have
    if name == b"COMMAND":
        return facts(a) == facts(b)
    if name in (b"XINFO", b"XPENDING"):
        return near_in_time(a, b)
    return False


def upper(words):
    return [w.upper() for w in words]


def near_sorted(key, words, a, b):
    """SORT BY: elements without an order among them come in that of a hash table, or as a partial sort leaves them."""
    if b"ALPHA" not in words and key[:1] != b"s" or b"ALPHA" in words and key[:1] == b"l" and b"LIMIT" not in words:
        return a == b
    return len(a) == len(b) and (bool(words & {b"LIMIT", b"GET"}) or sorted(a, key=repr) == sorted(b, key=repr))


def near_in_time(a, b, field=None):
    """Equal but for moments and idle times, within two seconds, and for how many nodes a tree has."""
    if a[0] != b[0]:
        return False
    if a[0] == ":":
        return a[1] == b[1] or field not in EXACT and abs(a[1] - b[1]) <= 2000
    if a[0] not in "*%" or a[1] is None or b[1] is None:
        return a == b
    left, right = ([x for pair in r[1] for x in pair] if r[0] == "%" else list(r[1]) for r in (a, b))
    names = [None] + [x[1] if x[0] == "$" else None for x in left]
    return len(left) == len(right) and all(near_in_time(x, y, n) for x, y, n in zip(left, right, names))


EXACT = (b"length", b"radix-tree-keys", b"entries-added", b"groups", b"entries-read", b"lag", b"pel-count", b"consumers")


def in_any_order(words, reply):
    """The members or fields of a reply, with their scores or values where it has those."""
    items = reply[1]
    if words[0].upper() in (b"HSCAN", b"ZSCAN"):
        items = items[1][1]
        paired = b"NOVALUES" not in upper(words)
    else:
        paired = bool({b"WITHVALUES", b"WITHSCORES"} & set(upper(words))) and items and items[0][0] != "*"
    return sorted(zip(items[::2], items[1::2]) if paired else items, key=repr)


def in_pairs(reply):
    return list(reply[1]) if reply[0] == "%" else list(zip(reply[1][::2], reply[1][1::2]))


def facts(reply):
    """COMMAND's reply without what each server says in its own words."""
    if isinstance(reply, tuple) and reply[0] in ("%", "*", "~"):
        items = [item for pair in reply[1] for item in pair] if reply[0] == "%" else list(reply[1])
        for i in range(1, len(items)):
            if items[i - 1] in (("$", b"notes"), ("$", b"summary"), ("$", b"complexity")):
                items[i] = "prose"
        items = [facts(item) for item in items]
        return (reply[0], sorted(items, key=repr) if reply[0] == "~" else items)
    return reply


UNPACKED = ((b"listpack", b"skiplist"), (b"\x11", b"\x05"))


def unpacked(words, a, b):
    """OBJECT ENCODING and DUMP of a sorted set that the peer's SORT has unpacked."""
    if a[0] != "$" or b[0] != "$" or words[0].upper() not in (b"OBJECT", b"DUMP"):
        return False
    return any((a[1] or b"").startswith(x) and (b[1] or b"").startswith(y) for x, y in UNPACKED)


def compare(stream, ours, theirs):
    """The index of the first reply that is not near, or None. EXEC's elements are compared as what they answer."""
    queued, has_sorted = [], False
    for i, words in enumerate(stream):
        a = ours[i] if i < len(ours) else ("missing", None)
        b = theirs[i] if i < len(theirs) else ("missing", None)
        if a == b == ("+", b"QUEUED"):
            queued.append(words)
            continue
        if words and words[0].upper() == b"EXEC" and a[0] == b[0] == "*" and a[1] and b[1]:
            has_sorted = has_sorted or any(w and w[0].upper() in (b"SORT", b"SORT_RO") for w in queued)
            if len(a[1]) != len(b[1]) or not all(near(w, x, y) or has_sorted and unpacked(w, x, y)
                                                 for w, x, y in zip(queued, a[1], b[1])):
                return i
        elif not near(words, a, b) and not (has_sorted and unpacked(words, a, b)):
            return i
        elif a[0] == "timeout":
            return i
        elif a[0] in ("closed", "broken", "missing"):
            return None
        if words and words[0].upper() in (b"EXEC", b"DISCARD", b"MULTI"):
            queued = []
        has_sorted = has_sorted or bool(words) and words[0].upper() in (b"SORT", b"SORT_RO")
    return None if near([b"DEBUG"], ours[-1], theirs[-1]) and ours[-2] == theirs[-2] else len(stream)


def difference(left, right, stream, protocol):
    """None, or (index of the first reply that differs, ours, theirs); after the last reply comes the digest."""
    ours, theirs = left.play(stream, protocol), right.play(stream, protocol)
    at = compare(stream, ours, theirs)
    if at == len(stream):  # the peer counts what has expired until it is collected
        time.sleep(0.3)
        ours[-1], theirs[-1] = (side.control.command("DEBUG", "DIGEST") for side in (left, right))
        at = compare(stream, ours, theirs)
    if at is None:
        a, b = left.values(), right.values()
        if a != b:  # the peer keeps a hash whose fields are over until they are collected
            time.sleep(0.3)
            a, b = left.values(), right.values()
        if any(words and words[0].upper() in (b"SORT", b"SORT_RO") for words in stream):
            a, b = ([v for v in x if v[2] not in (b"listpack", b"skiplist")] for x in (a, b))  # the peer's SORT unpacks a sorted set
        if a == b:
            return None
        only_a, only_b = ([("$", w) for item in x if item not in y for w in item] for x, y in ((a, b), (b, a)))
        return len(stream), ("*", only_a), ("*", only_b)
    if at == len(stream) and near([b"DEBUG"], ours[-1], theirs[-1]):
        return at, ("changes", ours[-2][1]), ("changes", theirs[-2][1])
    if at == len(stream):
        return at, ours[-1], theirs[-1]
    return at, (ours + [("missing", None)] * len(stream))[at], (theirs + [("missing", None)] * len(stream))[at]


def shrink(left, right, stream, protocol, found):
    """A smaller stream that still differs: chunks are left out, then words are made plain."""
    def differs(candidate):
        return candidate and difference(left, right, candidate, protocol) is not None
    stream = stream[:found[0] + 1]
    chunk = max(1, len(stream) // 2)
    while chunk:
        at = 0
        while at < len(stream):
            candidate = stream[:at] + stream[at + chunk:]
            if differs(candidate):
                stream = candidate
            else:
                at += chunk
        chunk //= 2
    for i, words in enumerate(stream):
        for j in range(len(words) - 1, 0, -1):
            # a number stays as it is: a shorter deadline would make the two differ in time alone
            for plain in (None, b"a") if words[j].isdigit() else (None, b"a", words[j][:len(words[j]) // 2]):
                replaced = words[:j] + ([] if plain is None else [plain]) + words[j + 1:]
                if replaced != words and differs(stream[:i] + [replaced] + stream[i + 1:]):
                    words = replaced
                    stream[i] = words
                    break
    return stream


def transcript(right, stream, protocol, found):
    replies = right.play(stream, protocol)
    lines = ["# found by tests/differential/run.py (RESP%d)" % protocol]
    for words, reply in zip(stream, replies):
        lines.append("> " + " ".join(w.decode() if w and all(33 <= c < 127 and c not in b'"\'\\' for c in w)
                                     else resp.quote_text(w) for w in words))
        if reply[0] not in ("closed", "timeout", "broken"):
            shown = resp.show_lines(reply)
            lines += [line[:400] for line in ["< " + shown[0]] + shown[1:20]]
    def text(reply):
        return resp.show(reply) if reply[0] not in ("closed", "timeout", "broken", "missing", "changes") else repr(reply)
    where = found[1][0] if found[1][0] == "changes" else "digest" if found[0] >= len(stream) else "reply %d" % (found[0] + 1)
    return "\n".join(lines) + "\n# %s: ours %s\n# %s: theirs %s" % (where, text(found[1])[:600], where, text(found[2])[:600])


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("ours", help="HOST:PORT, or - to start a server")
    options.add_argument("theirs", help="HOST:PORT")
    options.add_argument("-s", "--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    options.add_argument("-n", "--streams", type=int, default=100)
    options.add_argument("-l", "--length", type=int, default=200)
    options.add_argument("-c", "--commands", nargs="*", help="only these, of " + " ".join(grammars.ALL))
    options.add_argument("--family", choices=sorted(grammars.FAMILIES), help="only the commands of one type, and those for any")
    options.add_argument("-f", "--failures", type=int, default=5, help="stop after so many kinds of difference")
    chosen = options.parse_args()
    if chosen.family:
        chosen.commands = grammars.FAMILIES[chosen.family]
    own = server.Server() if chosen.ours == "-" else None
    left, right = Side(own.address if own else address(chosen.ours)), Side(address(chosen.theirs))
    names = chosen.commands or list(grammars.ALL)
    chosen.commands = [n for n in names if left.knows(n) or n == "NOSUCHCOMMAND"]
    if len(chosen.commands) < len(names):
        print("ours does not know " + " ".join(n for n in names if n not in chosen.commands))
    begun, failures, kinds = time.monotonic(), 0, set()
    print("seed %d" % chosen.seed)
    for number in range(chosen.streams):
        protocol, dice = 2 + number % 2, random.Random(chosen.seed + number)
        stream = [grammars.command(dice, chosen.commands) for _ in range(chosen.length)]
        first = difference(left, right, stream, protocol)
        if first is None:
            continue
        failures += 1
        small = shrink(left, right, stream, protocol, first)
        found = difference(left, right, small, protocol)
        if found is None:  # a matter of timing: all there is to show is what it was
            print("stream %d of seed %d differed once, not again, at %s\n  ours   %s\n  theirs %s" % (
                number, chosen.seed, stream[first[0]] if first[0] < len(stream) else "the digest",
                repr(first[1])[:600], repr(first[2])[:600]), flush=True)
            continue
        kind = tuple(words[0].upper() for words in small)
        if kind not in kinds:
            print("\nstream %d of seed %d differs:\n%s" % (number, chosen.seed, transcript(right, small, protocol, found)),
                  flush=True)
        kinds.add(kind)
        if len(kinds) >= chosen.failures:
            break
    print("%d streams of %d commands, %d differ, %.1f s" % (number + 1, chosen.length, failures, time.monotonic() - begun))
    if own:
        own.stop()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
