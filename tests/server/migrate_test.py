#!/usr/bin/env python3
"""MIGRATE between two servers: every type arrives as it was, nothing is lost when the other server refuses, hangs or goes
away, and a key that is written while it moves goes with its last value."""
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, server  # noqa: E402
from lib.connection import Error  # noqa: E402


class Migrate(case.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = server.Server()

    @classmethod
    def tearDownClass(cls):
        cls.other.stop()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.here, self.there = self.connect(), self.other.connect()
        self.here.call("FLUSHALL")
        self.there.call("FLUSHALL")
        self.host, self.port = self.other.address

    def tearDown(self):
        self.there.close()
        super().tearDown()

    def migrate(self, key, *options, db="0", timeout="5000", port=None):
        return self.here.call("MIGRATE", self.host, str(port or self.port), key, db, timeout, *options)

    def refused(self, text, *arguments, **options):
        with self.assertRaises(Error) as caught:
            self.migrate(*arguments, **options)
        self.assertIn(text, str(caught.exception))

    def test_types(self):
        c = self.here
        c.call("SET", "string", "x" * 100000)
        c.call("SET", "number", "12345")
        c.call("RPUSH", "list", *range(1000))
        c.call("SADD", "set", *["m%d" % i for i in range(1000)])
        c.call("ZADD", "zset", *[w for i in range(500) for w in (i / 7, "m%d" % i)])
        c.call("HSET", "hash", *[w for i in range(500) for w in ("f%d" % i, i)])
        c.call("XADD", "stream", "1-1", "f", "v")
        c.call("PFADD", "hll", *range(100))
        c.call("SET", "dies", "x", "PX", "100000")
        keys = ["string", "number", "list", "set", "zset", "hash", "stream", "hll", "dies"]
        before = c.call("DEBUG", "DIGEST-VALUE", *keys)
        self.assertEqual(self.migrate("", "KEYS", *keys, "none"), b"OK")
        self.assertEqual(c.call("DBSIZE"), 0)
        self.assertEqual(self.there.call("DEBUG", "DIGEST-VALUE", *keys), before)
        self.assertTrue(90000 < self.there.call("PTTL", "dies") <= 100000)

    def test_options(self):
        c, other = self.here, self.there
        c.call("SET", "k", "new")
        other.call("SET", "k", "old")
        self.refused("BUSYKEY", "k")
        self.assertEqual((c.call("GET", "k"), other.call("GET", "k")), (b"new", b"old"))
        self.assertEqual(self.migrate("k", "COPY", "REPLACE"), b"OK")
        self.assertEqual((c.call("GET", "k"), other.call("GET", "k")), (b"new", b"new"))
        self.assertEqual(self.migrate("k", db="3"), b"OK")
        other.call("SELECT", "3")
        self.assertEqual((c.call("EXISTS", "k"), other.call("GET", "k")), (0, b"new"))
        other.call("SELECT", "0")
        c.call("SET", "k", "v")
        self.refused("DB index is out of range", "k", "REPLACE", db="99")
        # some arrive, one does not
        c.call("MSET", "a", "1", "b", "2", "c", "3")
        other.call("SET", "b", "old")
        self.refused("BUSYKEY", "", "KEYS", "a", "b", "none", "c")
        self.assertEqual(c.call("MGET", "a", "b", "c"), [None, b"2", None])
        self.assertEqual(other.call("MGET", "a", "b", "c"), [b"1", b"old", b"3"])
        self.assertEqual(self.migrate("", "REPLACE", "KEYS", "b", "b"), b"OK")
        self.assertEqual(c.call("EXISTS", "b"), 0)

    def test_password(self):
        self.there.call("CONFIG", "SET", "requirepass", "secret")
        try:
            self.here.call("SET", "k", "v")
            self.here.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
            self.refused("NOAUTH", "k")
            self.refused("WRONGPASS", "k", "AUTH", "bad")
            self.assertEqual(self.migrate("k", "COPY", "AUTH", "secret"), b"OK")
            self.assertEqual(self.migrate("k", "REPLACE", "AUTH2", "default", "secret"), b"OK")
            log = repr(self.here.call("SLOWLOG", "GET", "-1"))
            self.assertIn("(redacted)", log)
            self.assertNotIn("secret", log)
        finally:
            self.there.call("AUTH", "secret")
            self.there.call("CONFIG", "SET", "requirepass", "")

    def test_no_answer(self):
        """A target that takes everything and says nothing, or says only so much: the key stays."""
        for reply in (b"", b"+OK\r\n", b"+OK\r\n+O", b"+OK\r\n-ERR no\r\n", b"x" * 5000):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                def serve(what=reply):
                    peer, _ = listener.accept()
                    peer.sendall(what)
                    time.sleep(0.5)
                    peer.close()
                thread = threading.Thread(target=serve)
                thread.start()
                self.here.call("SET", "k", "v")
                expected = "Target instance replied" if b"no" in reply else "reading from target"
                self.refused(expected, "k", timeout="200", port=listener.getsockname()[1])
                thread.join()
                self.assertEqual(self.here.call("GET", "k"), b"v")

    def test_not_in_a_transaction(self):
        self.here.call("SET", "k", "v")
        self.here.call("MULTI")
        self.migrate("k")
        reply = self.here.command("EXEC")
        self.assertEqual(reply[1][0], ("-", b"ERR MIGRATE cannot wait for another server inside a transaction"))
        self.assertEqual(self.here.call("GET", "k"), b"v")

    def test_written_meanwhile(self):
        """The last value that a writer could set while the key was still here is the one that arrives."""
        writer = self.connect()
        for n in range(15):
            self.here.call("SET", "k", "0" * 20000)
            last, stop = [b"0" * 20000], threading.Event()

            def write():
                i = 0
                while not stop.is_set():
                    i += 1
                    value = b"%020000d" % i
                    if writer.call("SET", "k", value, "XX") is None:
                        return
                    last[0] = value

            thread = threading.Thread(target=write)
            thread.start()
            time.sleep(0.003)
            done = False
            try:
                done = self.migrate("k", "REPLACE", timeout="3000") == b"OK"
            except Error as error:  # never a quiet moment: it stays
                self.assertIn("timeout", str(error))
            stop.set()
            thread.join()
            if done:
                self.assertEqual(self.there.call("GET", "k"), last[0], "round %d" % n)
                self.assertEqual(self.here.call("EXISTS", "k"), 0)
            else:
                self.assertEqual(self.here.call("GET", "k"), last[0])


if __name__ == "__main__":
    case.main()
