#!/usr/bin/env python3
"""Every extreme number in every place of every command, with keys of every type, on two servers: the replies must agree.

  extremes.py - HOST:PORT                    starts build/tuco-server (or TUCO_SERVER) and compares it with the one given
  extremes.py - HOST:PORT -c ZADD GETRANGE   only these commands

Both servers are FLUSHED, and get a proto-max-bulk-len of 1 MB. The commands, their arguments and options are what the other server's COMMAND DOCS
say; those that only ours knows are run on ours alone, which must stay whole (DEBUG VERIFY). A call is a minimal one, or one with one more option;
one of its words is an extreme after the other. Blocking commands run inside MULTI. Ours is ended if it takes more than 3 GB.
"""
import argparse
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from differential import run  # noqa: E402
from lib import server  # noqa: E402
from lib.connection import Connection  # noqa: E402

EXTREMES = [b"-9223372036854775808", b"9223372036854775807", b"-9223372036854775809", b"9223372036854775808", b"18446744073709551615", b"18446744073709551616",
            b"-4611686018427387905", b"4611686018427387904", b"9223372036854775", b"-9223372036854775", b"9223372036854776",
            b"2147483647", b"2147483648", b"2147483649", b"-2147483647", b"-2147483648", b"-2147483649", b"4294967295", b"4294967296",
            b"-1", b"0", b"-0", b"+1", b"01", b"1", b"", b" 1", b"1 ", b"0x10", b"1e3", b"1e308", b"-1e308", b"1e309", b"1e-320", b"1.5", b".5", b"5.",
            b"nan", b"-nan", b"inf", b"-inf", b"+inf", b"infinity", b"1" * 400, b"0." + b"3" * 300, b"1\x00", b"(1", b"[a", b"-", b"+", b"$", b">", b"*", b"1-1",
            b"0-18446744073709551615", b"18446744073709551615-18446744073709551615", b"18446744073709551616-1", b"1-", b"u64", b"i65", b"#1", b"a" * 70]
# Random members without end, what ends a connection or the server, waits, or is about the server itself.
HUGE = {"SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"}
INTENDED = {"LSET", "XAUTOCLAIM"}  # differ in numbers of more than 32 bits: CAVEATS.md
LEFT_OUT = {"SHUTDOWN", "FAILOVER", "REPLICAOF", "SLAVEOF", "SYNC", "PSYNC", "MONITOR", "QUIT", "DEBUG", "RESET", "AUTH", "HELLO", "CLIENT", "CONFIG", "ACL",
            "CLUSTER", "MODULE", "REPLCONF", "SAVE", "BGSAVE", "BGREWRITEAOF", "EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "SCRIPT", "FUNCTION",
            "FCALL", "FCALL_RO", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "PUBLISH", "SPUBLISH",
            "PUBSUB", "INFO", "LATENCY", "MEMORY", "SLOWLOG", "COMMANDLOG", "COMMAND", "LOLWUT", "TIME", "LASTSAVE", "ROLE", "WAIT", "WAITAOF", "MIGRATE", "MULTI", "EXEC",
            "DISCARD", "WATCH", "UNWATCH", "RANDOMKEY", "RESTORE-ASKING", "CLUSTERSCAN", "ASKING", "READONLY", "READWRITE", "PFDEBUG", "PFSELFTEST", "SPOP", "SELECT"}
MANY = [w for i in range(200) for w in (b"%d" % (i * 7), b"m%d" % i)]
SETUP = [[b"SET", b"string", b"text of a string"], [b"SET", b"integer", b"10"], [b"SET", b"float", b"1.5"],
         [b"RPUSH", b"list", b"a", b"1", b"b", b"2"], [b"RPUSH", b"quicklist"] + MANY, [b"SADD", b"intset", b"1", b"2", b"3"], [b"SADD", b"set", b"a", b"b", b"1"],
         [b"HSET", b"hash", b"a", b"1", b"b", b"1.5", b"f", b"x"], [b"ZADD", b"zset", b"1", b"a", b"2", b"b", b"-inf", b"c"], [b"ZADD", b"tree"] + MANY,
         [b"GEOADD", b"geo", b"13.36", b"38.11", b"a", b"15.08", b"37.5", b"b"], [b"PFADD", b"hll", b"a", b"b"],
         [b"XADD", b"stream", b"1-1", b"a", b"1"], [b"XADD", b"stream", b"2-1", b"b", b"2"], [b"XGROUP", b"CREATE", b"stream", b"g", b"0"],
         [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"1", b"STREAMS", b"stream", b">"]]
KEYS = [b"string", b"integer", b"float", b"list", b"quicklist", b"intset", b"set", b"hash", b"zset", b"tree", b"geo", b"hll", b"stream", b"missing"]
OF_GROUP = {"string": (b"string", b"integer", b"float"), "list": (b"list", b"quicklist"), "set": (b"intset", b"set"), "hash": (b"hash",),
            "sorted_set": (b"zset", b"tree"), "geo": (b"geo", b"zset"), "hyperloglog": (b"hll",), "stream": (b"stream",), "bitmap": (b"string", b"integer")}
PLAIN = {b"numkeys": b"1", b"numfields": b"1", b"group": b"g", b"consumer": b"c", b"field": b"a", b"member": b"a", b"element": b"a", b"value": b"5",
         b"encoding": b"u8", b"cursor": b"0", b"unix-time-seconds": b"99999999999", b"unix-time-milliseconds": b"99999999999999", b"seconds": b"100000",
         b"milliseconds": b"100000000", b"ttl": b"100000000", b"timeout": b"1", b"min-idle-time": b"0", b"start": b"0", b"min": b"0", b"max": b"9"}


class Word(bytes):
    """A word that an extreme may replace."""


def plain(node):
    kind, name = node["type"], node["name"].encode()
    if kind == "key":
        return b"KEY"
    default = {"integer": b"2", "double": b"1.5", "pattern": b"*", "unix-time": b"99999999999"}.get(kind, b"a")
    return Word(PLAIN.get(name, b"1-1" if "id" in node["name"] and kind == "string" else default))


def ways(node, optional=False):
    """Lists of words, each a way to give this argument; the first is the plainest."""
    flags = node.get("flags", ())
    if "optional" in flags and not optional:
        return [[]]
    kind = node["type"]
    if kind == "pure-token":
        return [[node["token"].encode()]] if node.get("token") else [[]]
    if kind == "oneof":
        found = [w for sub in node["arguments"] for w in ways(sub, True)]
    elif kind == "block":
        found = sequences(node["arguments"])
    else:
        found = [[plain(node)]]
    return [[node["token"].encode()] + w if node.get("token") else w for w in found]


def sequences(nodes):
    """The plainest words of all, then each way in which one of them is given otherwise, or an optional one is given."""
    base = [ways(node)[0] for node in nodes]
    out = [[w for part in base for w in part]]
    for i, node in enumerate(nodes):
        for way in ways(node, True):
            if way != base[i]:
                out.append([w for k, part in enumerate(base) for w in (way if k == i else part)])
    return out


def from_resp(reply):
    """COMMAND DOCS as dictionaries, lists and texts."""
    kind, value = reply
    if kind == "%":
        return {from_resp(k): from_resp(v) for k, v in value}
    if kind in "*~":
        return [from_resp(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def commands(address):
    with Connection(address, 3) as c:
        docs = from_resp(c.command("COMMAND", "DOCS"))
    out = {}
    for name, doc in docs.items():
        for full, d in [(name, doc)] + [(full, d) for full, d in doc.get("subcommands", {}).items()]:
            if name.upper() in LEFT_OUT or (full == name and doc.get("subcommands")):
                continue
            out[full.upper()] = (doc["group"].replace("-", "_"), sequences(d.get("arguments", [])))
    return out


def streams(name, group, sequence):
    """One stream for each place of the call that takes a value."""
    head = [w.encode() for w in name.split("|")]
    if name == "XADD":  # not by the clock
        sequence = [b"8-*" if w == b"*" and not isinstance(w, Word) else w for w in sequence]
    places = [i for i, w in enumerate(sequence) if isinstance(w, Word)]
    keys = OF_GROUP.get(group, ()) + (b"missing",) if group in OF_GROUP else tuple(KEYS)
    others = tuple(k for k in KEYS if k not in keys)
    for place in places:
        stream = list(SETUP)
        for n, extreme in enumerate(EXTREMES):
            if name in HUGE and extreme[:1] == b"-" and len(extreme) > 3 or name in INTENDED and len(extreme) > 9 \
                    or name in ("XCLAIM", "XAUTOCLAIM", "XPENDING") and extreme == b"1":  # an idle time of a millisecond
                continue
            for key in keys + (others[n % len(others):][:1] if others else ()):
                words = [key if w == b"KEY" and not isinstance(w, Word) else bytes(w) for w in sequence]
                words[place] = extreme
                if name.startswith("B") and name not in ("BITCOUNT", "BITFIELD", "BITFIELD_RO", "BITOP", "BITPOS") or name in ("XREAD", "XREADGROUP"):
                    stream += [[b"MULTI"], head + words, [b"EXEC"]]
                else:
                    stream.append(head + words)
        yield place, stream


exact = run.near


def near(words, a, b):
    """Replies that need not agree beyond what run.py allows: what CAVEATS.md calls intended, and what is chance."""
    if exact(words, a, b):
        return True
    name, words = (words[0].upper() if words else b""), [bytes(w) for w in words]
    if name == b"SCAN" and a[0] == b[0] == "-":
        return a[1][:60] == b[1][:60]  # shown up to 128 bytes
    if name in (b"SCAN", b"SSCAN", b"HSCAN", b"ZSCAN", b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER"):
        return a[0] == b[0] != "-"  # their parts and choices are each server's own
    return False


def watch(own, state):
    """Says which stream it was, and ends the server, when that takes too much memory."""
    while not state["over"]:
        with open("/proc/%d/statm" % own.pid) as f:
            if int(f.read().split()[1]) * 4096 > 3 << 30:
                print("TOO MUCH MEMORY in", state["at"], flush=True)
                os.kill(own.pid, 9)
                return
        time.sleep(0.05)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("ours", help="HOST:PORT, or - to start a server")
    options.add_argument("theirs", help="HOST:PORT")
    options.add_argument("-c", "--commands", nargs="+", default=[])
    options.add_argument("--no-shrink", action="store_true")
    chosen = options.parse_args()
    own, state = None, {"over": False, "at": ""}
    run.near = near
    if chosen.ours == "-":
        own = server.Server()
        threading.Thread(target=watch, args=(own, state), daemon=True).start()
    left = run.Side(("127.0.0.1", own.port) if own else run.address(chosen.ours))
    right = run.Side(run.address(chosen.theirs))
    theirs, ours = commands(right.address), commands(left.address)
    for side in (left, right):
        side.control.command("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    begun, calls, count, differ = time.monotonic(), 0, 0, 0
    names = [n for n in sorted(set(theirs) | set(ours)) if not chosen.commands or n in [c.upper() for c in chosen.commands]]
    unknown = [n for n in names if not left.knows(n.split("|")[0])]
    for name in names:
        if name in unknown:
            continue
        group, found = (theirs if name in theirs else ours)[name]
        for nth, sequence in enumerate(found[:60]):
            for place, stream in streams(name, group, sequence):
                state["at"] = "%s, way %d, place %d: %s" % (name, nth, place, b" ".join(sequence).decode())
                calls, count = calls + len(stream), count + 1
                if name not in theirs:
                    left.play(stream, 2 + count % 2)
                    if not left.verifies:
                        print("NOT SOUND:", state["at"], left.control.command("DEBUG", "VERIFY"))
                        return 1
                    continue
                what = run.difference(left, right, stream, 2 + count % 2)
                if what:
                    differ += 1
                    print("%s" % state["at"])
                    if not chosen.no_shrink:
                        stream = run.shrink(left, right, stream, 2 + count % 2, what)
                        what = run.difference(left, right, stream, 2 + count % 2) or what
                    print(run.transcript(right, stream, 2 + count % 2, what), flush=True)
    state["over"] = True
    print("%d commands, %d streams, %d calls, %d streams differ, %.1f s; ours does not know %s" %
          (len(names) - len(unknown), count, calls, differ, time.monotonic() - begun, " ".join(unknown) or "none"))
    if own:
        own.stop()
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
