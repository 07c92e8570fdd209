#!/usr/bin/env python3
"""Clients that wait for a key: who is served, in which order, what ends it, and what they sent meanwhile."""
import collections
import os
import random
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, resp, server  # noqa: E402
from lib.connection import Closed, plain  # noqa: E402

LONG = case.LONG


def words(*command):
    return resp.encode([w if isinstance(w, bytes) else str(w).encode() for w in command])


class BlockingCase(case.ServerCase):
    def setUp(self):
        super().setUp()
        self.main = self.connect()
        self.main.call("FLUSHALL")

    def tearDown(self):
        numbers = self.info(self.main, "clients")
        super().tearDown()
        self.assertEqual(numbers["total_blocking_keys"], "0")
        self.assertEqual(numbers["total_blocking_keys_on_nokey"], "0")

    def blocked(self):
        return int(self.info(self.main, "clients")["blocked_clients"])

    def wait_blocked(self, count):
        self.wait_for(lambda: self.blocked() == count, "%d clients must be blocked" % count)

    def block(self, *command, protocol=2):
        """A new client that waits."""
        before, client = self.blocked(), self.connect(protocol)
        client.send(words(*command))
        self.wait_blocked(before + 1)
        return client

    def silent(self, client, seconds=0.05):
        with self.assertRaises(socket.timeout):
            client.read(timeout=seconds)


class Order(BlockingCase):
    def test_first_come_first_served(self):
        waiters = [self.block("BLPOP", "k", 0) for _ in range(10)]
        self.assertEqual(self.main.call("RPUSH", "k", *range(10)), 10)
        for number, client in enumerate(waiters):
            self.assertEqual(plain(client.read()), [b"k", b"%d" % number])
        self.assertEqual(self.main.call("EXISTS", "k"), 0)

    def test_one_push_serves_one(self):
        waiters = [self.block("BRPOP", "k", 0) for _ in range(5)]
        for number, client in enumerate(waiters):
            self.main.call("LPUSH", "k", number)
            self.assertEqual(plain(client.read()), [b"k", b"%d" % number])
            if number < 4:
                self.silent(waiters[number + 1], 0.01)

    def test_nobody_else_sees_the_element(self):
        """The commands behind a push in one pipeline find that it has been taken."""
        client = self.block("BLPOP", "k", 0)
        self.main.send(words("RPUSH", "k", "a") + words("LLEN", "k") + words("LPOP", "k") + words("RPUSH", "k", "b"))
        self.assertEqual([plain(self.main.read()) for _ in range(4)], [1, 0, None, 1])
        self.assertEqual(plain(client.read()), [b"k", b"a"])

    def test_a_transaction_serves_at_its_end(self):
        first, second = self.block("BLPOP", "k", "other", 0), self.block("BLPOP", "other", 0)
        self.main.call("MULTI")
        for command in (("RPUSH", "other", "o"), ("RPUSH", "k", "x"), ("LPOP", "k"), ("RPUSH", "k", "y"), ("LLEN", "k")):
            self.main.call(*command)
        self.assertEqual(self.main.call("EXEC"), [1, 1, b"x", 1, 1])
        self.assertEqual(plain(first.read()), [b"k", b"y"])
        self.assertEqual(plain(second.read()), [b"other", b"o"])

    def test_many_keys_of_many_shards(self):
        keys = ["key:%d" % i for i in range(300)]
        clients = [self.block("BLPOP", *random.sample(keys, 250), 0) for _ in range(4)]
        for client in clients:
            self.main.call("RPUSH", *(random.choice(keys), "v"))
        served = 0
        for client in clients:
            try:
                client.read(timeout=0.2)
                served += 1
            except socket.timeout:
                pass
        self.assertEqual(served + sum(self.main.call("LLEN", key) for key in keys), 4)
        self.main.call("FLUSHALL")
        for client in clients:
            client.close()
        self.wait_blocked(0)

    def test_protocol_of_the_waiter(self):
        two, three = self.block("BLPOP", "k", 0.2), self.block("BLPOP", "k", 0.2, protocol=3)
        self.assertEqual(two.read(), ("*", None))
        self.assertEqual(three.read(), ("_", None))


class Ending(BlockingCase):
    def test_timeouts(self):
        for seconds in (0.001, 0.02, 0.3):
            begun = time.monotonic()
            self.assertEqual(self.main.call("BLPOP", "k", seconds), None)
            took = time.monotonic() - begun
            self.assertGreaterEqual(took, seconds)
            if not server.sanitized():
                self.assertLess(took, seconds + 1)

    def test_many_timeouts(self):
        clients = []
        for _ in range(200):
            client = self.connect()
            client.send(words("BLPOP", "k", "%.3f" % random.uniform(0.05, 0.4)))
            clients.append(client)
        for client in clients:
            self.assertEqual(client.read(), ("*", None))
        self.assertEqual(self.blocked(), 0)

    def test_unblock(self):
        client = self.connect()
        number = client.call("CLIENT", "ID")
        for how, reply in (((), ("*", None)), (("TIMEOUT",), ("*", None)),
                           (("ERROR",), ("-", b"UNBLOCKED client unblocked via CLIENT UNBLOCK"))):
            self.assertEqual(self.main.call("CLIENT", "UNBLOCK", number, *how), 0)
            client.send(words("BLPOP", "k", 0))
            self.wait_blocked(1)
            self.assertEqual(self.main.call("CLIENT", "UNBLOCK", number, *how), 1)
            self.assertEqual(self.main.call("CLIENT", "UNBLOCK", number, *how), 0)
            self.assertEqual(client.read(), reply)
        self.assertEqual(self.main.call("RPUSH", "k", "x"), 1)
        self.assertEqual(self.main.call("LLEN", "k"), 1)

    def test_list_and_kill(self):
        client = self.block("BLPOP", "k", 0)
        listed = self.main.call("CLIENT", "LIST", "FLAGS", "b").decode()
        self.assertRegex(listed, r"(?s)^id=\d+ .* flags=b .* cmd=blpop [^\n]*\n$")
        self.assertEqual(self.main.call("CLIENT", "KILL", "ID", re.match(r"id=(\d+)", listed).group(1)), 1)
        with self.assertRaises(Closed):
            client.read()
        self.wait_blocked(0)
        self.main.call("RPUSH", "k", "x")
        self.assertEqual(self.main.call("LLEN", "k"), 1)

    def test_those_who_leave_get_nothing(self):
        for end in ("close", "reset"):
            clients = [self.block("BLPOP", "k", "k2", 0) for _ in range(3)]
            getattr(clients[0], end)()
            getattr(clients[1], end)()
            self.wait_blocked(1)
            self.main.call("RPUSH", "k2", "x", "y")
            self.assertEqual(plain(clients[2].read()), [b"k2", b"x"])
            self.assertEqual(self.main.call("LPOP", "k2"), b"y")

    def test_replies_that_are_not_wanted(self):
        client = self.connect()
        client.send(words("CLIENT", "REPLY", "OFF") + words("BLPOP", "k", 0) + words("SET", "seen", "1"))
        self.wait_blocked(1)
        self.main.call("RPUSH", "k", "x")
        self.wait_for(lambda: self.main.call("GET", "seen") == b"1", "what follows must run")
        client.send(words("CLIENT", "REPLY", "ON"))
        self.assertEqual(client.read(), ("+", b"OK"))

    def test_idle_clients_may_wait(self):
        self.main.call("CONFIG", "SET", "timeout", 1)
        try:
            client, deadline = self.block("BLPOP", "k", 0), time.monotonic() + 2.5
            while time.monotonic() < deadline:
                self.main.call("PING")
                time.sleep(0.1)
            self.main.call("RPUSH", "k", "x")
            self.assertEqual(plain(client.read()), [b"k", b"x"])
        finally:
            self.main.call("CONFIG", "SET", "timeout", 0)


class Pipelines(BlockingCase):
    def test_what_follows_waits(self):
        client = self.connect()
        client.send(b"".join(words("BLPOP", "k", 0) + words("ECHO", i) for i in range(50)) + b"ECHO \"in \\x41 line\"\r\n")
        for i in range(50):
            self.wait_blocked(1)
            self.silent(client, 0.001)
            self.main.call("RPUSH", "k", "x%d" % i)
            self.assertEqual(plain(client.read()), [b"k", b"x%d" % i])
            self.assertEqual(plain(client.read()), b"%d" % i)
        self.assertEqual(plain(client.read()), b"in A line")

    def test_in_any_pieces(self):
        """The bytes behind a blocking command come in pieces, before and after it is served."""
        rest = b"".join([words("SET", "a", b"v" * 20000), b"ECHO \"in \\x41 line\"\r\n", words("GET", "a"), b"\r\n",
                         words("BLPOP", "k", "0.01"), words("ECHO", "end")])
        for _ in range(100 if LONG else 25):
            cuts = sorted(random.randrange(len(rest)) for _ in range(random.choice((0, 1, 3, 8))))
            pieces = [rest[a:b] for a, b in zip([0] + cuts, cuts + [len(rest)])]
            client = self.connect()
            client.send(words("BLPOP", "k", 0) + (pieces.pop(0) if random.random() < 0.5 else b""))
            self.wait_blocked(1)
            while pieces and random.random() < 0.7:
                client.send(pieces.pop(0))
                time.sleep(0.001)
            self.main.call("RPUSH", "k", "x")
            for piece in pieces:
                client.send(piece)
                time.sleep(0.0005)
            replies = [plain(client.read()) for _ in range(6)]
            self.assertEqual(replies, [[b"k", b"x"], b"OK", b"in A line", b"v" * 20000, None, b"end"])
            client.close()

    def test_much_may_follow(self):
        client, large = self.block("BLPOP", "k", 0), b"v" * 3000000
        client.send(words("SET", "a", large))
        client.send(b"".join(words("INCR", "n") for _ in range(20000)))
        self.silent(client, 0.05)
        self.main.call("RPUSH", "k", "x")
        self.assertEqual(plain(client.read()), [b"k", b"x"])
        self.assertEqual(plain(client.read()), b"OK")
        self.assertEqual([plain(client.read()) for _ in range(20000)], list(range(1, 20001)))
        self.assertEqual(self.main.call("STRLEN", "a"), len(large))

    def test_not_without_limit(self):
        self.main.call("CONFIG", "SET", "client-query-buffer-limit", 1 << 20)
        try:
            client = self.block("BLPOP", "k", 0)
            try:
                for _ in range(64):
                    client.send(words("ECHO", b"v" * 100000))
                    time.sleep(0.002)
            except OSError:
                pass
            self.assertTrue(client.closed_within(5))
            self.wait_blocked(0)
        finally:
            self.main.call("CONFIG", "SET", "client-query-buffer-limit", 1 << 30)

    def test_a_protocol_error_behind(self):
        client = self.connect()
        client.send(words("BLPOP", "k", 0) + b"*x\r\n")
        self.wait_blocked(1)
        self.silent(client)
        self.main.call("RPUSH", "k", "x")
        self.assertEqual(plain(client.read()), [b"k", b"x"])
        self.assertEqual(client.read()[0], "-")
        self.assertTrue(client.closed_within(5))


class Load(BlockingCase):
    seconds = 10 if LONG else 1.5

    def run_all(self, *bodies):
        failures = []
        def guarded(body):
            try:
                body()
            except Exception as why:  # told by the main thread
                failures.append("%s: %r" % (getattr(body, "__name__", body), why))
        threads = [threading.Thread(target=guarded, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(failures, [])

    def test_nothing_is_lost_and_nothing_comes_twice(self):
        """Producers push numbered elements to random lists, in and out of transactions; consumers wait for random sets of
        them. In the end everything has come exactly once."""
        lists, end = ["list:%d" % i for i in range(6)], time.monotonic() + self.seconds
        pushed, popped = [], []
        producing = [True]

        def produce(who):
            with self.server.connect() as client:
                own, number = [], 0
                while time.monotonic() < end:
                    some = [b"%d:%d" % (who, number + i) for i in range(random.randrange(1, 4))]
                    number += len(some)
                    if random.random() < 0.3:
                        client.call("MULTI")
                        for element in some:
                            client.call(random.choice(("RPUSH", "LPUSH")), random.choice(lists), element)
                        client.call("EXEC")
                    else:
                        client.call(random.choice(("RPUSH", "LPUSH")), random.choice(lists), *some)
                    own += some
                pushed.extend(own)

        def consume():
            with self.server.connect() as client:
                own = []
                while True:
                    keys = random.sample(lists, random.randrange(1, 4)) if producing[0] else lists
                    got = client.call(random.choice(("BLPOP", "BRPOP")), *keys, random.choice(("0.003", "0.02", "0.2")))
                    if got:
                        own.append(got[1])
                    elif not producing[0]:
                        break
                popped.extend(own)

        def stop():
            time.sleep(self.seconds + 0.3)
            producing[0] = False

        self.run_all(*[lambda who=who: produce(who) for who in range(4)], *[consume] * 8, stop)
        print("%d elements" % len(pushed))
        self.assertEqual(collections.Counter(pushed), collections.Counter(popped))

    def test_a_line_of_movers(self):
        """Producers push to one list, movers carry from list to list, some to a list of their own and on, consumers take from
        the last: everything arrives once, and nothing lies about."""
        producing, seconds = [True], self.seconds
        pushed, popped = [], []

        def produce(who):
            with self.server.connect() as client:
                end, number = time.monotonic() + seconds, 0
                while time.monotonic() < end:
                    client.send(b"".join(words("RPUSH", "first", "%d:%d" % (who, number + i)) for i in range(8)))
                    for i in range(8):
                        client.read()
                        pushed.append(b"%d:%d" % (who, number + i))
                    number += 8

        def move(who):
            with self.server.connect() as client:
                own = "own:%d" % who
                while producing[0] or client.call("EXISTS", "first", own):
                    if who % 2:
                        client.call("BLMOVE", "first", "last", "LEFT", "RIGHT", "0.05")
                    elif client.call("BRPOPLPUSH", "first", own, "0.05"):
                        client.call("LMOVE", own, "last", "LEFT", "RIGHT")

        def consume():
            with self.server.connect() as client:
                while True:
                    got = client.call("BLMPOP", "0.3", 1, "last", "LEFT", "COUNT", random.choice("123"))
                    if got:
                        popped.extend(got[1])
                    elif not producing[0] and not client.call("EXISTS", "first", *["own:%d" % i for i in range(6)]):
                        break

        def stop():
            time.sleep(seconds + 0.3)
            producing[0] = False

        self.run_all(*[lambda who=who: produce(who) for who in range(2)], *[lambda who=who: move(who) for who in range(6)],
                     *[consume] * 3, stop)
        print("%d elements" % len(pushed))
        self.assertEqual(collections.Counter(pushed), collections.Counter(popped))
        self.assertEqual(self.main.call("DBSIZE"), 0)

    def test_groups_get_each_entry_once(self):
        producing, seconds, got, added = [True], self.seconds, [], []
        for stream in ("s", "t"):
            self.main.call("XGROUP", "CREATE", stream, "g", "$", "MKSTREAM")

        def produce():
            with self.server.connect() as client:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    stream = random.choice("st")
                    added.append((stream.encode(), client.call("XADD", stream, "*", "f", "v")))
            producing[0] = False

        def consume(who):
            with self.server.connect() as client:
                while True:
                    reply = client.call("XREADGROUP", "GROUP", "g", "c%d" % who, "COUNT", random.choice("12"), "BLOCK", 300,
                                        "STREAMS", "s", "t", ">", ">")
                    for stream, entries in reply or []:
                        for entry in entries:
                            got.append((stream, entry[0]))
                            self_acked = client.call("XACK", stream, "g", entry[0])
                            assert self_acked == 1, entry
                    if not reply and not producing[0]:
                        break

        self.run_all(produce, produce, *[lambda who=who: consume(who) for who in range(6)])
        print("%d entries" % len(added))
        self.assertEqual(collections.Counter(added), collections.Counter(got))
        for stream in ("s", "t"):
            self.assertEqual(self.main.call("XPENDING", stream, "g")[0], 0)

    def test_ends_of_every_kind_at_once(self):
        """Pushes, timeouts, UNBLOCK, KILL and disconnects race for the same clients."""
        end, names = time.monotonic() + self.seconds, ["k", "l", "m"]

        def wait():
            while time.monotonic() < end:
                with self.server.connect() as client:
                    for _ in range(random.randrange(1, 20)):
                        try:
                            client.send(words("BLPOP", *random.sample(names, 2), random.choice(("0.001", "0.01", "0"))))
                            if random.random() < 0.1:
                                break
                            client.read(timeout=5)
                        except (Closed, OSError):
                            break

        def push():
            with self.server.connect() as client:
                while time.monotonic() < end:
                    client.call("RPUSH", random.choice(names), "v")
                    client.call("LTRIM", random.choice(names), 1, 0)

        def end_it():
            with self.server.connect() as client:
                while time.monotonic() < end:
                    for number in re.findall(r"id=(\d+) ", client.call("CLIENT", "LIST", "FLAGS", "b").decode()):
                        how = random.choice((("UNBLOCK", number), ("UNBLOCK", number, "ERROR"), ("KILL", "ID", number)))
                        client.call("CLIENT", *how)
                # whoever waits without a timeout
                while self.info(client, "clients")["blocked_clients"] != "0":
                    for number in re.findall(r"id=(\d+) ", client.call("CLIENT", "LIST", "FLAGS", "b").decode()):
                        client.call("CLIENT", "UNBLOCK", number)

        self.run_all(*[wait] * 8, push, push, end_it)
        self.wait_blocked(0)


if __name__ == "__main__":
    case.main()
