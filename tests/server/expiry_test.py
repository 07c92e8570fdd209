#!/usr/bin/env python3
"""What has expired is gone by itself, soon, and without holding up anybody."""
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, resp, server  # noqa: E402


class Expiry(case.ServerCase):
    count = 20000

    def fill(self, client, prefix, milliseconds):
        client.send(b"".join(resp.encode([b"SET", b"%s%d" % (prefix, i), b"v", b"PX", b"%d" % milliseconds])
                             for i in range(self.count)))
        for _ in range(self.count):
            self.assertEqual(client.read(), ("+", b"OK"))

    def test_gone_within_100_ms_without_being_asked_for(self):
        client = self.connect()
        client.call("FLUSHALL")
        client.call("SET", "stays", "v")
        before = int(self.info(client, "stats")["expired_keys"])
        at = int(time.time() * 1000) + (5000 if server.sanitized() else 2000)
        client.send(b"".join(resp.encode([b"SET", b"k%d" % i, b"v", b"PXAT", b"%d" % at]) for i in range(self.count)))
        for _ in range(self.count):
            self.assertEqual(client.read(), ("+", b"OK"))
        self.assertLess(time.time() * 1000, at, "too slow a machine to fill in time")
        self.assertEqual(client.call("DBSIZE"), self.count + 1)
        time.sleep(max(0, at / 1000 + 0.1 - time.time()))
        left = client.call("DBSIZE") - 1
        late = time.time() * 1000 - at
        print("%d of %d keys left %.0f ms after the deadline" % (left, self.count, late))
        if server.is_tuco() and not server.sanitized():
            self.assertEqual(left, 0)
        self.wait_for(lambda: client.call("DBSIZE") == 1, "all must go", 20)
        self.assertEqual(int(self.info(client, "stats")["expired_keys"]) - before, self.count)

    def rss(self):
        with open("/proc/%d/status" % self.server.process.pid, encoding="ascii") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:"))

    @unittest.skipUnless(server.is_tuco(), "other servers keep it")
    @unittest.skipIf(server.sanitized(), "a sanitizer has a heap of its own")
    def test_their_memory_is_gone_with_them(self):
        client = self.connect()
        client.call("FLUSHALL")
        before = self.rss()
        client.send(b"".join(resp.encode([b"SET", b"m%d" % i, b"v" * 300, b"PX", b"%d" % (1500 + i * 7919 % 1000)])
                             for i in range(3 * self.count)))
        for _ in range(3 * self.count):
            self.assertEqual(client.read(), ("+", b"OK"))
        full = self.rss() - before
        self.assertGreater(full, 15 << 20)
        self.wait_for(lambda: client.call("DBSIZE") == 0, "all must go", 20)
        self.wait_for(lambda: self.rss() - before < full / 4, "their memory must go", 5)

    def test_others_are_served_while_keys_expire(self):
        client, other = self.connect(), self.connect()
        client.call("FLUSHALL")
        self.fill(client, b"w", 800)
        worst, end = 0.0, time.monotonic() + 1.2
        while time.monotonic() < end:
            begun = time.monotonic()
            other.call("SET", "x", "y")
            worst = max(worst, time.monotonic() - begun)
        print("slowest SET while %d keys expire: %.1f ms" % (self.count, 1000 * worst))
        self.wait_for(lambda: client.call("DBSIZE") == 1, "all must go", 20)
        if not server.sanitized():
            self.assertLess(worst, 0.25)

    def test_never_seen_after_its_deadline(self):
        """Eight clients read keys at the moment they expire: a value is never read after PTTL said it was gone."""
        failures = []
        def work(name):
            with self.server.connect() as client:
                for i in range(60):
                    key = "%s%d" % (name, i)
                    client.call("SET", key, "v", "PX", 5)
                    end = time.monotonic() + 0.012
                    gone = False
                    while time.monotonic() < end:
                        left, value = client.call("PTTL", key), client.call("GET", key)
                        gone = gone or left == -2
                        if gone and value is not None:
                            failures.append((key, left, value))
        threads = [threading.Thread(target=work, args=("t%d-" % n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_a_new_deadline_replaces_the_old(self):
        client = self.connect()
        client.call("FLUSHALL")
        self.fill(client, b"k", 400)
        self.fill(client, b"k", 600000)
        for i in range(100):
            client.call("SET", "p%d" % i, "v", "PX", 300)
            client.call("PERSIST", "p%d" % i)
        time.sleep(0.7)
        self.assertEqual(client.call("DBSIZE"), self.count + 100)
        client.call("FLUSHALL")

    def test_deadlines_go_with_rename_copy_move_swap(self):
        client = self.connect()
        client.call("FLUSHALL")
        client.call("SET", "a", "v", "PX", 150)
        client.call("RENAME", "a", "b")
        client.call("COPY", "b", "c")
        client.call("COPY", "b", "d", "DB", 1)
        client.call("SET", "m", "v", "PX", 150)
        client.call("MOVE", "m", 1)
        client.call("SWAPDB", 1, 2)
        client.call("SET", "e", "v", "PX", 150)
        client.call("SET", "e", "w")
        time.sleep(0.4)
        self.assertEqual(client.call("KEYS", "*"), [b"e"])
        client.call("SELECT", 2)
        self.assertEqual(client.call("DBSIZE"), 0)


if __name__ == "__main__":
    case.main()
