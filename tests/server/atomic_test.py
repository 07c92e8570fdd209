#!/usr/bin/env python3
"""Many clients on the same keys: what must be one step is one step.

A server that runs commands on one thread passes by construction; one that runs them on every core must
lock. Clients are processes, so that the load is parallel, and each test is over in a second or so.
"""
import multiprocessing
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from differential import grammars  # noqa: E402
from lib import case, resp  # noqa: E402

SECONDS = 10.0 if case.LONG else 0.8


def worker(body, address, number, seed, results):
    try:
        with case.Connection(address) as client:
            results.put((number, body(client, number, random.Random(seed + number)), None))
    except Exception as why:
        results.put((number, None, "%s: %s" % (type(why).__name__, why)))


def until(seconds=None):
    end = time.monotonic() + (seconds or SECONDS)
    while time.monotonic() < end:
        yield


def batch(client, commands):
    client.send(b"".join(resp.encode([w if isinstance(w, bytes) else str(w).encode() for w in c]) for c in commands))
    return [client.read() for _ in commands]


def count_up(client, number, dice):
    done = 0
    for _ in until():
        batch(client, [["INCR", "n"], ["APPEND", "log", "x"], ["INCRBY", "m", 3], ["DECRBY", "m", 1]] * 10)
        done += 10
    return done


def write_pairs(client, number, dice):
    for i, _ in enumerate(until()):
        value = "%d-%d" % (number, i)
        batch(client, [["MSET", "p1", value, "p2", value, "p3", value]] * 3)
    return 0


def read_pairs(client, number, dice):
    bad = 0
    for _ in until():
        for kind, values in batch(client, [["MGET", "p1", "p2", "p3"]] * 10):
            bad += len({v for _, v in values}) != 1
    return bad


def transfer(client, number, dice):
    bad = 0
    for _ in until():
        a, b, amount = dice.randrange(20), dice.randrange(20), dice.randrange(1, 50)
        replies = batch(client, [["MULTI"], ["DECRBY", "acc%d" % a, amount], ["INCRBY", "acc%d" % b, amount], ["EXEC"],
                                 ["MGET"] + ["acc%d" % i for i in range(20)]])
        bad += replies[3][0] != "*"
        bad += sum(int(v) for _, v in replies[4][1]) != 20000
    return bad


def compare_and_set(client, number, dice):
    done = 0
    for _ in until():
        batch(client, [["WATCH", "cas"]])
        value = int(client.call("GET", "cas"))
        replies = batch(client, [["MULTI"], ["SET", "cas", value + 1], ["EXEC"]])
        done += replies[2] == ("*", [("+", b"OK")])
    return done


def hand_on(client, number, dice):
    """RENAME takes the one token from place to place: at most one place ever holds it."""
    moved = 0
    for _ in until():
        a, b = dice.sample(range(8), 2)
        moved += client.command("RENAMENX", "place%d" % a, "place%d" % b) == (":", 1)
    return moved


def watch_token(client, number, dice):
    bad = 0
    for _ in until():
        kind, values = client.command("MGET", *("place%d" % i for i in range(8)))
        bad += sum(v is not None for _, v in values) != 1
    return bad


def locker(client, number, dice):
    """A lock by SET NX and DELIFEQ around a read and a write that would lose updates without it."""
    done = 0
    for _ in until():
        if client.command("SET", "lock", number, "NX", "PX", 5000)[1] == b"OK":
            value = int(client.call("GET", "guarded"))
            client.call("SET", "guarded", value + 1)
            done += 1
            if client.call("DELIFEQ", "lock", number) != 1:
                return -1
    return done


def flush_and_swap(client, number, dice):
    for _ in until():
        batch(client, [["SWAPDB", 0, 1], ["FLUSHDB"], ["SELECT", dice.randrange(2)], ["DBSIZE"], ["KEYS", "*"], ["RANDOMKEY"]])
    return 0


def together(client, number, dice):
    """Two keys written by one MSET while databases are swapped and flushed: both or none."""
    bad = 0
    for i, _ in enumerate(until()):
        batch(client, [["MSET", "both1", i, "both2", i]])
        for kind, values in batch(client, [["MGET", "both1", "both2"]] * 5):
            bad += (values[0][1] is None) != (values[1][1] is None)
    return bad


def everything(client, number, dice):
    """All kinds of commands at once, for sanitizers and lock checks: only a lost connection is wrong here."""
    for _ in until():
        stream = [grammars.command(dice) for _ in range(40)]
        client.send(b"".join(resp.encode(words) for words in stream))
        for _ in stream:
            client.read()
    return 0


class Atomic(case.ServerCase):
    def setUp(self):
        super().setUp()
        with self.server.connect() as control:
            control.call("FLUSHALL")

    def run_all(self, *bodies):
        """Runs each body in a process of its own; their results, in order."""
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        processes = [context.Process(target=worker, args=(body, self.server.address, i, case.SEED, results))
                     for i, body in enumerate(bodies)]
        for process in processes:
            process.start()
        got = dict()
        for _ in processes:
            number, value, error = results.get(timeout=60)
            self.assertIsNone(error, "%s: %s; %s" % (bodies[number].__name__, error, self.server.log()[-1500:]))
            got[number] = value
        for process in processes:
            process.join()
        return [got[i] for i in range(len(bodies))]

    def test_counters(self):
        total = sum(self.run_all(*[count_up] * 6))
        client = self.connect()
        self.assertEqual(client.call("MGET", "n", "m"), [b"%d" % total, b"%d" % (2 * total)])
        self.assertEqual(client.call("STRLEN", "log"), total)

    def test_several_keys_change_at_once(self):
        self.connect().call("MSET", "p1", 0, "p2", 0, "p3", 0)
        self.assertEqual(sum(self.run_all(*[write_pairs] * 3, *[read_pairs] * 3)), 0)

    def test_transactions(self):
        client = self.connect()
        client.call("MSET", *(w for i in range(20) for w in ("acc%d" % i, 1000)))
        self.assertEqual(sum(self.run_all(*[transfer] * 6)), 0)

    def test_watch(self):
        client = self.connect()
        client.call("SET", "cas", 0)
        total = sum(self.run_all(*[compare_and_set] * 5))
        self.assertEqual(int(client.call("GET", "cas")), total)
        self.assertGreater(total, 10)

    def test_rename(self):
        self.connect().call("SET", "place0", "token")
        moved = self.run_all(*[hand_on] * 4, *[watch_token] * 2)
        self.assertEqual(moved[4:], [0, 0])
        self.assertGreater(sum(moved[:4]), 10)

    def test_lock(self):
        client = self.connect()
        client.call("SET", "guarded", 0)
        done = self.run_all(*[locker] * 5)
        self.assertNotIn(-1, done)
        self.assertEqual(int(client.call("GET", "guarded")), sum(done))

    def test_whole_keyspace_commands_beside_others(self):
        self.assertEqual(sum(self.run_all(flush_and_swap, flush_and_swap, *[together] * 4)), 0)

    def test_everything_at_once(self):
        self.run_all(*[everything] * 6)
        client = self.connect()
        client.call("DEBUG", "DIGEST")
        client.call("FLUSHALL")
        self.assertEqual(client.call("DEBUG", "DIGEST"), b"0" * 40)


if __name__ == "__main__":
    case.main()
