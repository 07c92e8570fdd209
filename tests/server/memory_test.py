#!/usr/bin/env python3
"""Running out of memory: the command that asked gets an error, everybody else goes on, and freed memory serves again.

The system's limit on data (RLIMIT_DATA) is set below the running server: what it has it keeps, and not much more.
"""
import os
import resource
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, server  # noqa: E402

MB = 1 << 20


def is_no_memory(reply):
    return isinstance(reply, case.Error) and str(reply).startswith("OOM out of memory")


@unittest.skipIf(server.sanitized(), "a sanitizer's shadow counts, too")
@unittest.skipUnless(server.is_tuco(), "other servers end when memory ends")
class OutOfMemory(case.ServerCase):
    def data_bytes(self):
        with open("/proc/%d/status" % self.server.process.pid, encoding="ascii") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmData:"))

    def limit(self, more):
        resource.prlimit(self.server.process.pid, resource.RLIMIT_DATA,
                         (self.data_bytes() + more if more else resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def tearDown(self):
        self.limit(None)
        super().tearDown()

    def call(self, client, *words):
        """The reply, or the error as a value."""
        try:
            return client.call(*words)
        except case.Error as error:
            return error

    def fill(self, client, size):
        """Sets keys until one is refused; how many were set."""
        value = b"x" * size
        for number in range(2000000):
            reply = self.call(client, "SET", "k%d:%d" % (size, number), value)
            if is_no_memory(reply):
                return number
            self.assertEqual(reply, b"OK")
        self.fail("memory never ran out")

    def refuses(self, *words):
        """An error for a command whose words may themselves be too large to be kept: the connection may then end
        before or after the error could be read."""
        with self.connect() as client:
            try:
                self.assertTrue(is_no_memory(self.call(client, *words)))
            except (case.Closed, ConnectionError):
                pass

    def test_the_command_that_asked_gets_an_error(self):
        client, other = self.connect(), self.connect()
        other.call("SET", "mine", "before")
        self.limit(24 * MB)
        self.assertGreater(self.fill(client, 100000), 50)
        small = self.fill(client, 2000)
        for _ in range(3):
            self.assertEqual(client.call("PING"), b"PONG")
            self.assertEqual(other.call("GET", "mine"), b"before")
            self.assertTrue(is_no_memory(self.call(client, "SETRANGE", "mine", 40 * MB, "z")))
            self.assertTrue(is_no_memory(self.call(client, "SETRANGE", "new", 40 * MB, "z")))
            self.refuses("SET", "big", b"y" * 25 * MB)
            self.refuses("APPEND", "k100000:1", b"y" * 25 * MB)
        self.assertEqual(other.call("GET", "mine"), b"before")
        self.assertEqual(client.call("STRLEN", "k100000:1"), 100000)
        self.assertGreater(int(client.call("DBSIZE")), small)
        self.assertEqual(self.connect().call("PING"), b"PONG")
        self.assertEqual(client.call("FLUSHALL"), b"OK")
        self.assertEqual(client.call("SET", "big", b"y" * 4 * MB), b"OK")
        self.assertEqual(client.call("STRLEN", "big"), 4 * MB)

    def test_what_is_being_freed_serves_at_once(self):
        """FLUSHALL frees in the background: whoever needs that memory before it is there helps."""
        client = self.connect()
        client.call("CONFIG", "RESETSTAT")
        self.limit(24 * MB)
        keys = 0
        for _ in range(4):
            keys += self.fill(client, 3000)
            self.assertEqual(client.call("FLUSHALL", "ASYNC"), b"OK")
            self.assertEqual(client.call("SETRANGE", "big", 4 * MB, "y"), 4 * MB + 1)
            self.assertEqual(client.call("DEL", "big"), 1)
        self.wait_for(lambda: self.info(client, "memory")["lazyfree_pending_objects"] == "0", "all is freed")
        self.assertGreaterEqual(int(self.info(client, "memory")["lazyfreed_objects"]), keys)

    def test_a_pipeline_and_a_transaction(self):
        client = self.connect()
        self.limit(20 * MB)
        self.fill(client, 50000)
        client.call("DEL", *("k50000:%d" % number for number in range(20)))
        client.call("MULTI")
        for words in (("SET", "a", "1"), ("SETRANGE", "b", 40 * MB, "z"), ("INCR", "a")):
            self.assertEqual(client.call(*words), b"QUEUED")
        kind, (one, two, three) = client.command("EXEC")
        self.assertEqual((kind, one, three), ("*", ("+", b"OK"), (":", 2)))
        self.assertEqual(two[0], "-")
        self.assertTrue(two[1].startswith(b"OOM out of memory"), two)
        self.assertEqual(client.call("PING"), b"PONG")


if __name__ == "__main__":
    case.main()
