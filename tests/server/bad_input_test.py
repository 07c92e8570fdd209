#!/usr/bin/env python3
"""Hostile and broken clients: what is answered is in tests/commands/protocol; here the server must outlive them."""
import os
import random
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, resp  # noqa: E402


class BadInput(case.ServerCase):
    def test_client_vanishes_after_every_byte(self):
        stream = (resp.encode([b"SET", b"key", b"value" * 5]) + resp.encode([b"MULTI"]) + resp.encode([b"GET", b"key"])
                  + resp.encode([b"EXEC"]) + resp.encode([b"WATCH", b"key"]) + b"PING \"a b\"\r\n")
        for cut in range(len(stream) + 1):
            for how in ("close", "reset", "half"):
                client = self.server.connect()
                client.send(stream[:cut])
                if how == "reset":
                    client.reset()
                elif how == "half":  # the other direction stays open until the server has closed
                    client.socket.shutdown(socket.SHUT_WR)
                    self.assertTrue(client.closed_within(5), "not closed after end of input at byte %d" % cut)
                    client.close()
                else:
                    client.close()

    def test_what_was_complete_before_the_end_is_executed_and_answered(self):
        client = self.connect()
        client.send(resp.encode([b"SET", b"half", b"1"]) + resp.encode([b"GET", b"half"]) + b"*2\r\n$3\r\nGE")
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(client.read(), ("+", b"OK"))
        self.assertEqual(client.read(), ("$", b"1"))
        self.assertTrue(client.closed_within(5))

    def test_garbage(self):
        dice = random.Random(case.SEED)
        heads = [b"*", b"$", b"*1\r\n$", b"*3\r\n$3\r\nSET\r\n$", b"\"", b"'", b"\x16\x03\x01\x02\x00", b"", b"*-", b"\r\n"]
        for _ in range(400):
            client = self.server.connect()
            length = dice.choice((1, 7, 100, 3000))
            try:
                client.send(dice.choice(heads) + dice.randbytes(length) + dice.choice((b"", b"\r\n", b"\r\n*1\r\n$4\r\nPING\r\n")))
                if dice.random() < 0.5:
                    client.socket.settimeout(0.002)
                    client.socket.recv(65536)
            except OSError:
                pass
            client.close()

    def test_mutated_commands(self):
        """One byte of a good stream is changed: every reply must still be RESP, or the connection closes."""
        dice = random.Random(case.SEED)
        stream = b"".join(resp.encode(c) for c in (
            [b"SET", b"k", b"12"], [b"INCRBY", b"k", b"7"], [b"SET", b"t", b"v", b"PX", b"100000"], [b"MGET", b"k", b"t"],
            [b"CONFIG", b"GET", b"maxmemory"], [b"GETRANGE", b"k", b"0", b"-1"], [b"SCAN", b"0", b"COUNT", b"5"]))
        for _ in range(600):
            broken = bytearray(stream)
            for _ in range(dice.choice((1, 1, 2, 5))):
                broken[dice.randrange(len(broken))] = dice.choice(b"\r\n*$-+:0129 a\x00\xff")
            client = self.server.connect(timeout=5.0)
            client.send(bytes(broken))
            client.socket.shutdown(socket.SHUT_WR)
            try:
                while True:
                    client.read()
            except case.Closed as how:
                self.assertIn("b'' left", str(how), "half a reply to %r" % bytes(broken))
            except resp.ProtocolError as why:
                self.fail("%s after %r" % (why, bytes(broken)))
            client.close()

    def test_inline_without_an_end(self):
        client = self.connect()
        try:
            client.send(b"A" * 70000)
        except OSError:
            pass
        self.assertEqual(client.read(), ("-", b"ERR Protocol error: too big inline request"))
        self.assertTrue(client.closed_within(5))

    def test_multibulk_count_without_an_end(self):
        client = self.connect()
        try:
            client.send(b"*" + b"1" * 70000)
        except OSError:
            pass
        self.assertEqual(client.read(), ("-", b"ERR Protocol error: too big mbulk count string"))
        self.assertTrue(client.closed_within(5))

    def test_bulk_length_without_an_end(self):
        client = self.connect()
        try:
            client.send(b"*1\r\n$" + b"1" * 70000)
        except OSError:
            pass
        self.assertEqual(client.read(), ("-", b"ERR Protocol error: too big bulk count string"))
        self.assertTrue(client.closed_within(5))

    def test_announced_lengths_cost_nothing(self):
        """A hundred clients announce half a gigabyte or a million arguments each and send nothing."""
        before = self.server.memory()
        clients = []
        for i in range(100):
            client = self.connect()
            client.send(b"*2\r\n$3\r\nGET\r\n$536870912\r\n" if i % 2 else b"*1048576\r\n$3\r\nDEL\r\n")
            clients.append(client)
        with self.server.connect() as control:
            self.assertEqual(control.call("PING"), b"PONG")
        grown = self.server.memory() - before
        if case.server.is_tuco() and not case.server.sanitized():
            self.assertLess(grown, 64 << 20, "memory for what was only announced")

    def test_many_arguments(self):
        client = self.connect()
        count = 200000
        client.call("FLUSHALL")
        client.send(b"*%d\r\n$6\r\nEXISTS\r\n" % (count + 1) + b"$1\r\nk\r\n" * count)
        self.assertEqual(client.read(), (":", 0))
        client.send(b"*%d\r\n$4\r\nMSET\r\n" % (2 * count + 1) + b"".join(
            b"$%d\r\nm%d\r\n$1\r\nv\r\n" % (len(str(i)) + 1, i) for i in range(count)))
        self.assertEqual(client.read(), ("+", b"OK"))
        self.assertEqual(client.call("DBSIZE"), count)
        client.send(b"*%d\r\n$4\r\nMGET\r\n" % (count + 1) + b"$2\r\nm7\r\n" * count)
        self.assertEqual(client.read(), ("*", [("$", b"v")] * count))
        self.assertEqual(client.call("FLUSHALL"), b"OK")

    def test_arity_and_unknown_commands_leave_the_connection_alone(self):
        client = self.connect()
        for _ in range(2000):
            client.send(b"GET\r\nNOPE\r\n*1\r\n$3\r\nSET\r\n")
        for _ in range(6000):
            self.assertEqual(client.read()[0], "-")
        self.assertEqual(client.call("PING"), b"PONG")


if __name__ == "__main__":
    case.main()
