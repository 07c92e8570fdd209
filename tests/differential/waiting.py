#!/usr/bin/env python3
"""Random clients that wait, push, move, delete and end each other's waiting, on two servers at once: after each step the same
clients must still wait on both, and the others must have got the same.

  waiting.py PORT [--steps N] [--seed S]     PORT: of the server to compare with; its data is FLUSHED
"""
import argparse
import os
import random
import re
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import resp, server  # noqa: E402
from lib.connection import Connection  # noqa: E402

CLIENTS = 8
KEYS = ["a", "b", "c", "d", "e"]
ENDS = ["LEFT", "RIGHT"]


def some_keys(r):
    return r.choices(KEYS, k=r.choice([1, 1, 1, 2, 2, 3]))


def stream_read(r, kind):
    keys = some_keys(r)
    if kind == "XREAD":
        ids = [r.choice(["$", "$", "$", "0", "+"]) for _ in keys]
        words = ["XREAD"]
    else:
        ids = [">" if r.random() < 0.95 else "0" for _ in keys]
        words = ["XREADGROUP", "GROUP", r.choice(["g", "g", "h"]), r.choice(["one", "two"])]
    return words + r.choice([[], ["COUNT", "1"]]) + ["BLOCK", "0", "STREAMS"] + keys + ids


WAITS = [
    lambda r: ["BLPOP"] + some_keys(r) + ["0"],
    lambda r: ["BRPOP"] + some_keys(r) + ["0"],
    lambda r: ["BLMOVE", r.choice(KEYS), r.choice(KEYS), r.choice(ENDS), r.choice(ENDS), "0"],
    lambda r: ["BRPOPLPUSH", r.choice(KEYS), r.choice(KEYS), "0"],
    lambda r: (lambda k: ["BLMPOP", "0", str(len(k))] + k + [r.choice(ENDS), "COUNT", r.choice("123")])(some_keys(r)),
    lambda r: [r.choice(["BZPOPMIN", "BZPOPMAX"])] + some_keys(r) + ["0"],
    lambda r: (lambda k: ["BZMPOP", "0", str(len(k))] + k + [r.choice(["MIN", "MAX"]), "COUNT", r.choice("12")])(some_keys(r)),
    lambda r: stream_read(r, "XREAD"),
    lambda r: stream_read(r, "XREADGROUP"),
    lambda r: stream_read(r, "XREADGROUP"),
]


class Changes:
    """Commands that change something; ids of entries and elements are counted, so that they are told apart."""

    def __init__(self, r):
        self.r, self.number = r, 0

    def some(self):
        r, key = self.r, self.r.choice(KEYS)
        self.number += 1
        return r.choice([
            lambda: [r.choice(["RPUSH", "LPUSH"]), key] + ["%d.%d" % (self.number, i) for i in range(r.choice([1, 1, 2, 3]))],
            lambda: [r.choice(["RPUSH", "LPUSH"]), key] + ["%d.%d" % (self.number, i) for i in range(r.choice([1, 1, 2, 3]))],
            lambda: ["ZADD", key] + [w for i in range(r.choice([1, 2, 3])) for w in (r.choice("12345"), "m%d.%d" % (self.number, i))],
            lambda: ["XADD", key, "%d-1" % self.number, "f", "v"],
            lambda: ["XADD", key, "%d-1" % self.number, "f", "v"],
            lambda: ["XADD", key, "MAXLEN", "2", "%d-1" % self.number, "f", "v"],
            lambda: ["XGROUP", "CREATE", key, r.choice("gh"), r.choice("$0"), "MKSTREAM"],
            lambda: ["XGROUP", "CREATE", key, r.choice("gh"), r.choice("$0"), "MKSTREAM"],
            lambda: ["XGROUP", "DESTROY", key, r.choice("gh")],
            lambda: ["XGROUP", "SETID", key, r.choice("gh"), r.choice("$0")],
            lambda: ["XTRIM", key, "MAXLEN", "1"],
            lambda: [r.choice(["DEL", "UNLINK"])] + some_keys(r),
            lambda: ["DEL", key],
            lambda: ["SET", key, "string"],
            lambda: [r.choice(["LPOP", "RPOP", "ZPOPMIN"]), key],
            lambda: ["LTRIM", key, "1", "-2"],
            lambda: ["RENAME", key, r.choice(KEYS)],
            lambda: ["RENAMENX", key, r.choice(KEYS)],
            lambda: ["COPY", key, r.choice(KEYS)] + r.choice([[], ["REPLACE"]]),
            lambda: ["LMOVE", key, r.choice(KEYS), r.choice(ENDS), r.choice(ENDS)],
            lambda: ["RPOPLPUSH", key, r.choice(KEYS)],
            lambda: ["EXPIRE", key, "-1"],
            lambda: ["PERSIST", key],
            lambda: ["XACK", key, "g", "%d-1" % r.randint(1, self.number)],
            lambda: ["LLEN", key],
            lambda: ["COPY", key, key, "DB", "1", "REPLACE"],
            lambda: r.choice([["FLUSHALL"], ["FLUSHDB"], ["SWAPDB", "0", "1"], ["SWAPDB", "0", "1"]]) if r.random() < 0.2 else ["TYPE", key],
        ])()

    def transaction(self):
        inside = [self.some() if self.r.random() < 0.9 else self.r.choice(WAITS)(self.r) for _ in range(self.r.choice([2, 3, 4]))]
        return [["MULTI"]] + inside + [["EXEC"]]


class Side:
    """One of the two servers, with the same clients as the other."""

    def __init__(self, address):
        self.address = address
        self.control = Connection(address, 2)
        self.control.call("FLUSHALL")
        self.clients = [None] * CLIENTS
        self.owed = [0] * CLIENTS

    def client(self, i):
        if self.clients[i] is None:
            self.clients[i] = Connection(self.address, 2 + i % 2)
            self.control.call("CLIENT", "ID")
            self.clients[i].call("CLIENT", "SETNAME", "c%d" % i)
        return self.clients[i]

    def listed(self):
        lines = self.control.call("CLIENT", "LIST").decode().split("\n")
        return {int(m.group(2)): (m.group(1), "b" in m.group(3)) for m in
                (re.match(r"id=(\d+) .* name=c(\d+) .*? flags=(\w+) ", line) for line in lines) if m}

    def send(self, i, commands):
        self.owed[i] = len(commands)
        self.client(i).send(b"".join(resp.encode([w.encode() for w in c]) for c in commands))

    def settle(self):
        """Reads what has come, {client: replies}, until who is still owed something is said to wait."""
        deadline, got = time.monotonic() + 10, {}
        while time.monotonic() < deadline:
            listed = self.listed()
            waiting = [i for i in range(CLIENTS) if self.owed[i]]
            if all(listed[i][1] for i in waiting):
                return got, waiting
            for i in waiting:
                try:
                    while self.owed[i] and not listed[i][1]:
                        reply = self.clients[i].read(timeout=0.002)
                        got.setdefault(i, []).append(reply)
                        self.owed[i] -= 1
                except socket.timeout:
                    pass
        raise SystemExit("clients %s neither wait nor answer" % waiting)

    def content(self):
        out = {}
        for db in ("0", "1"):
            self.control.call("SELECT", db)
            for key in self.control.call("KEYS", "*"):
                kind = self.control.call("TYPE", key)
                words = {b"list": ("LRANGE", key, 0, -1), b"zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
                         b"stream": ("XRANGE", key, "-", "+"), b"string": ("GET", key)}[kind]
                out[db, key] = (kind, self.control.call(*words))
        self.control.call("SELECT", "0")
        return out


def play(one, two, steps, seed):
    r = random.Random(seed)
    changes = Changes(r)
    history = []
    for number in range(steps):
        free = [i for i in range(CLIENTS) if not one.owed[i]]
        commands, who = None, None
        dice = r.random()
        if dice < 0.1 and len(free) < CLIENTS:
            victim = r.choice([i for i in range(CLIENTS) if one.owed[i]])
            how = r.choice(["TIMEOUT", "ERROR", "KILL", "CLOSE"])
            history.append((victim, how))
            for side in (one, two):
                if how == "CLOSE":
                    side.clients[victim].close()
                elif how == "KILL":
                    side.control.call("CLIENT", "KILL", "ID", side.listed()[victim][0])
                else:
                    side.control.call("CLIENT", "UNBLOCK", side.listed()[victim][0], how)
                if how in ("CLOSE", "KILL"):
                    while victim in side.listed():
                        time.sleep(0.0002)
                    side.clients[victim].close()
                    side.clients[victim], side.owed[victim] = None, 0
                    side.client(victim)
        elif free:
            who = r.choice(free)
            # somebody must stay free to change things
            if len(free) > 1 and r.random() < 0.55:
                commands = [r.choice(WAITS)(r)] + [["ECHO", str(number)]] * r.choice([0, 0, 1])
            elif r.random() < 0.3:
                commands = changes.transaction()
            else:
                commands = [changes.some()]
            history.append((who, commands))
            one.send(who, commands)
            two.send(who, commands)
        first, second = one.settle(), two.settle()
        if first != second:
            for line in history[-40:]:
                print("  ", line)
            print("step %d, seed %d: %s" % (number, seed, history[-1]))
            print("  there: %s, waiting %s\n  here:  %s, waiting %s" % (first + second))
            return False
    if one.content() != two.content():
        print("seed %d: the data differ\n  there: %s\n  here:  %s" % (seed, one.content(), two.content()))
        return False
    return True


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("port", type=int)
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    chosen = options.parse_args()
    with server.Server() as own:
        for i in range(chosen.rounds):
            sides = Side(("127.0.0.1", chosen.port)), Side(own.address)
            for side in sides:
                for client in range(CLIENTS):
                    side.client(client)
            good = play(*sides, chosen.steps, chosen.seed + i)
            for side in sides:
                for client in side.clients + [side.control]:
                    client.close()
            if not good:
                return 1
            print("seed %d: %d steps, no difference" % (chosen.seed + i, chosen.steps), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
