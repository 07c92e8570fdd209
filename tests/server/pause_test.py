#!/usr/bin/env python3
"""CLIENT PAUSE with clients that write at full speed on all cores: nothing is written while it lasts, nothing is lost, and
commands of each connection keep their order; input of paused clients is bounded; who waits can be killed or leave."""
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case  # noqa: E402
from lib.connection import Closed  # noqa: E402
from lib import resp  # noqa: E402


class Pause(case.ServerCase):
    def tearDown(self):
        with self.server.connect() as control:
            control.call("CLIENT", "UNPAUSE")
        super().tearDown()

    def test_writers(self):
        """Writers in pipelines: the sum stands still while a pause lasts, and is whole afterwards."""
        count, rounds, batch = 6, 60, 50
        errors = []

        def write(number):
            try:
                with self.server.connect() as c:
                    for n in range(rounds):
                        c.send(b"".join(resp.encode([b"RPUSH", b"l%d" % number, b"%d" % (n * batch + i)])
                                        for i in range(batch)))
                        for i in range(batch):
                            reply = c.read()
                            if reply != (":", n * batch + i + 1):
                                errors.append("%d: %r" % (number, reply))
            except Exception as error:  # noqa: BLE001 (whatever it is, the test shall say it)
                errors.append(repr(error))

        def lengths():
            return [control.call("LLEN", "l%d" % i) for i in range(count)]

        control = self.connect()
        control.call("DEL", *["l%d" % i for i in range(count)])
        threads = [threading.Thread(target=write, args=(i,)) for i in range(count)]
        for t in threads:
            t.start()
        pauses = 0
        while any(t.is_alive() for t in threads):
            control.call("CLIENT", "PAUSE", "10000", "WRITE")
            time.sleep(0.01)  # those that had begun have ended
            before = lengths()
            time.sleep(0.03)
            self.assertEqual(lengths(), before)
            pauses += 1
            control.call("CLIENT", "UNPAUSE")
            time.sleep(0.002)
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        self.assertEqual(lengths(), [rounds * batch] * count)
        for i in range(count):
            self.assertEqual(control.call("LRANGE", "l%d" % i, "0", "-1"),
                             [b"%d" % n for n in range(rounds * batch)])
        self.assertGreater(pauses, 2)

    def test_short_pauses(self):
        """Pauses that end by themselves, all at once: nobody is forgotten."""
        clients = [self.connect() for _ in range(30)]
        for n in range(15):
            clients[0].call("CLIENT", "PAUSE", "3", "WRITE" if n % 2 else "ALL")
            for c in clients:
                c.send(resp.encode([b"INCR", b"n"]) + resp.encode([b"GET", b"n"]))
            for c in clients:
                self.assertEqual(c.read(5)[0], ":")
                self.assertEqual(c.read(5)[0], "$")
        self.assertEqual(clients[0].call("GET", "n"), b"%d" % (15 * len(clients)))

    def test_inline_and_large(self):
        """What waits is executed as it was sent: quoted inline words, large values, several in a row."""
        control, c = self.connect(), self.connect()
        big = b"b" * 300000
        control.call("CLIENT", "PAUSE", "10000", "WRITE")
        c.send(b'SET a "x \\x41\\n"\r\nset b \'y y\'\nGET a\r\n' + resp.encode([b"SET", b"c", big]))
        time.sleep(0.05)
        c.send(resp.encode([b"STRLEN", b"c"]) + b"PING\r\n")
        time.sleep(0.05)
        self.assertEqual(control.call("GET", "a"), None)
        control.call("CLIENT", "UNPAUSE")
        self.assertEqual([c.read(5) for _ in range(6)],
                         [("+", b"OK"), ("+", b"OK"), ("$", b"x A\n"), ("+", b"OK"), (":", len(big)), ("+", b"PONG")])
        self.assertEqual(control.call("GET", "b"), b"y y")

    def test_bounded(self):
        """A client that sends on and on while it waits is closed at the limit of its query buffer."""
        control, c = self.connect(), self.connect()
        control.call("CONFIG", "SET", "client-query-buffer-limit", "1048576")
        control.call("CLIENT", "PAUSE", "10000", "WRITE")
        with self.assertRaises((Closed, OSError)):
            for _ in range(400):
                c.send(resp.encode([b"SET", b"x", b"x" * 10000]))
            c.read(5)
            raise Closed("it replied")
        control.call("CONFIG", "SET", "client-query-buffer-limit", "1073741824")
        self.assertEqual(self.info(control, "stats")["client_query_buffer_limit_disconnections"], "1")
        self.assertEqual(control.call("EXISTS", "x"), 0)

    def test_leaving(self):
        """Those that wait are listed, can be killed, and may go."""
        control, a, b = self.connect(), self.connect(), self.connect()
        number = a.call("CLIENT", "ID")
        control.call("CLIENT", "PAUSE", "10000", "WRITE")
        a.send(resp.encode([b"SET", b"gone", b"1"]))
        b.send(resp.encode([b"SET", b"gone", b"2"]))
        self.wait_for(lambda: self.info(control, "clients")["blocked_clients"] == "2", "two wait")
        self.assertIn(b" flags=b ", control.call("CLIENT", "LIST", "ID", number))
        self.assertEqual(control.call("CLIENT", "KILL", "ID", number), 1)
        with self.assertRaises(Closed):
            a.read(5)
        b.close()
        self.wait_for(lambda: self.info(control, "clients")["connected_clients"] == "1", "both are gone")
        control.call("CLIENT", "UNPAUSE")
        self.assertEqual(control.call("EXISTS", "gone"), 0)


if __name__ == "__main__":
    case.main()
