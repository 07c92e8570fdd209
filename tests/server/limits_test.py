#!/usr/bin/env python3
"""Limits: clients, descriptors, output and query buffers, idle time, big values, long pipelines."""
import os
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, resp, server  # noqa: E402

MB = 1 << 20


class MaxClients(case.ServerCase):
    arguments = ("--maxclients", 5)

    def test_one_too_many(self):
        clients = [self.connect() for _ in range(5)]
        for client in clients:
            self.assertEqual(client.call("PING"), b"PONG")
        for _ in range(3):
            extra = self.connect()
            self.assertEqual(extra.read(), ("-", b"ERR max number of clients reached"))
            self.assertTrue(extra.closed_within(5))
        self.assertEqual(clients[0].call("PING"), b"PONG")
        self.assertEqual(self.info(clients[0], "stats")["rejected_connections"], "3")
        clients[4].close()
        self.wait_for(lambda: self.info(clients[0], "clients")["connected_clients"] == "4", "a place must be free again")
        self.assertEqual(self.connect().call("PING"), b"PONG")
        self.assertEqual(clients[0].call("CONFIG", "SET", "maxclients", "20"), b"OK")
        more = [self.connect() for _ in range(10)]
        for client in more:
            self.assertEqual(client.call("PING"), b"PONG")
        self.assertEqual(clients[0].call("CONFIG", "SET", "maxclients", "5"), b"OK")
        self.assertEqual(more[0].call("PING"), b"PONG")


class Descriptors(unittest.TestCase):
    def test_maxclients_is_lowered_to_what_the_system_allows(self):
        with server.Server(files=64) as own:
            first = own.connect()
            room = int(first.call("CONFIG", "GET", "maxclients")[1])
            self.assertLess(room, 64)
            self.assertGreater(room, 0)
            self.assertIn("maxclients has been reduced to %d" % room, own.log())
            held, refused = [first], 0
            for _ in range(80):
                try:
                    client = own.connect(timeout=5.0)
                    client.send(b"PING\r\n")
                    reply = client.read()
                except (case.Closed, OSError):
                    reply = ("closed", None)
                if reply == ("+", b"PONG"):
                    held.append(client)
                else:
                    self.assertIn(reply, [("-", b"ERR max number of clients reached"), ("closed", None)])
                    refused += 1
            self.assertGreaterEqual(len(held), min(room, 8))
            self.assertGreater(refused, 0)
            for client in held:
                self.assertEqual(client.call("PING"), b"PONG")
            busy = own.cpu_seconds()
            time.sleep(0.3)
            self.assertLess(own.cpu_seconds() - busy, 0.15, "a server out of descriptors must not spin")
            for client in held[1:]:
                client.close()
            deadline = time.monotonic() + 5
            while True:
                try:
                    with own.connect() as again:
                        if again.command("PING") == ("+", b"PONG"):
                            break
                except (case.Closed, OSError):
                    pass
                self.assertLess(time.monotonic(), deadline, "a place must be free again")
                time.sleep(0.02)


class Output(case.ServerCase):
    quiet = True

    def test_client_that_never_reads_is_closed_at_the_hard_limit(self):
        control = self.connect()
        control.call("CONFIG", "SET", "client-output-buffer-limit", "normal 8mb 0 0")
        control.call("SET", "big", b"x" * MB)
        before = self.server.memory()
        glutton = self.connect(receive_buffer=4096)
        glutton.call("PING")  # from here on it is counted
        glutton.send(resp.encode([b"GET", b"big"]) * 200)
        self.wait_for(lambda: self.info(control, "clients")["connected_clients"] == "1", "must be closed", 20)
        if server.is_tuco() and not server.sanitized():
            self.assertLess(self.server.memory() - before, 80 * MB)
        self.assertEqual(self.info(control, "stats").get("client_output_buffer_limit_disconnections"), "1")
        control.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
        control.call("DEL", "big")

    def test_soft_limit_closes_after_its_seconds(self):
        control = self.connect()
        control.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 2mb 1")
        control.call("SET", "big", b"x" * MB)
        glutton = self.connect(receive_buffer=4096)
        glutton.call("PING")  # from here on it is counted
        glutton.send(resp.encode([b"GET", b"big"]) * 12)
        time.sleep(0.4)
        self.assertEqual(self.info(control, "clients")["connected_clients"], "2")
        self.wait_for(lambda: self.info(control, "clients")["connected_clients"] == "1", "must be closed", 10)
        control.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
        control.call("DEL", "big")

    def test_slow_reader_without_a_limit_gets_everything(self):
        control = self.connect()
        control.call("SET", "big", bytes(range(256)) * 4096)
        slow = self.connect(receive_buffer=4096)
        slow.send(resp.encode([b"GET", b"big"]) * 24 + resp.encode([b"PING"]))
        time.sleep(0.1)
        self.assertEqual(control.call("PING"), b"PONG")  # others are served meanwhile
        for _ in range(24):
            self.assertEqual(slow.read(), ("$", bytes(range(256)) * 4096))
        self.assertEqual(slow.read(), ("+", b"PONG"))
        control.call("DEL", "big")

    def test_deep_pipelines_that_are_not_read(self):
        """100,000 commands are sent before the first reply is read, by a thread, as clients do."""
        count = 100000
        client = self.connect()
        stream = b"".join(resp.encode([b"SET", b"k%d" % (i % 1000), b"%d" % i]) + resp.encode([b"GET", b"k%d" % (i % 1000)])
                          for i in range(count // 2))
        sender = threading.Thread(target=client.send, args=(stream,))
        sender.start()
        time.sleep(0.3)
        with self.server.connect() as other:
            self.assertEqual(other.call("PING"), b"PONG")
        for i in range(count // 2):
            self.assertEqual(client.read(), ("+", b"OK"))
            self.assertEqual(client.read(), ("$", b"%d" % i))
        sender.join()
        client.call("FLUSHALL")


class Query(case.ServerCase):
    def test_query_buffer_limit(self):
        control = self.connect()
        control.call("CONFIG", "SET", "client-query-buffer-limit", 2 * MB)
        client = self.connect()
        try:
            client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (8 * MB))
            client.send(b"x" * (8 * MB) + b"\r\n")
        except OSError:
            pass
        self.assertTrue(client.closed_within(5))
        self.assertEqual(control.call("EXISTS", "k"), 0)
        self.assertEqual(self.info(control, "stats")["client_query_buffer_limit_disconnections"], "1")
        control.call("CONFIG", "SET", "client-query-buffer-limit", "1gb")

    def test_proto_max_bulk_len(self):
        control = self.connect()
        control.call("CONFIG", "SET", "proto-max-bulk-len", MB)
        client = self.connect()
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (MB + 1))
        self.assertEqual(client.read(), ("-", b"ERR Protocol error: invalid bulk length"))
        self.assertTrue(client.closed_within(5))
        self.assertEqual(control.call("SET", "k", b"x" * MB), b"OK")
        self.assertEqual(control.command("APPEND", "k", "y"),
                         ("-", b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"))
        self.assertEqual(control.command("SETRANGE", "k", MB, "y"),
                         ("-", b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"))
        control.call("CONFIG", "SET", "proto-max-bulk-len", "512mb")
        control.call("DEL", "k")

    def test_idle_clients_are_closed_after_the_timeout(self):
        control = self.connect()
        control.call("CONFIG", "SET", "timeout", 1)
        idle, busy = self.connect(), self.connect()
        deadline = time.monotonic() + 8
        begun = time.monotonic()
        gone = None
        while gone is None and time.monotonic() < deadline:
            self.assertEqual(busy.call("PING"), b"PONG")
            self.assertEqual(control.call("PING"), b"PONG")
            if idle.closed_within(0.1):
                gone = time.monotonic() - begun
        self.assertIsNotNone(gone, "an idle client must be closed")
        self.assertGreater(gone, 0.9)
        control.call("CONFIG", "SET", "timeout", 0)


class BigValues(case.ServerCase):
    def test_values_of_many_megabytes(self):
        client = self.connect()
        size = (256 if case.LONG else 64) * MB
        value = bytes(range(256)) * (size // 256)
        self.assertEqual(client.call("SET", "big", value), b"OK")
        self.assertEqual(client.call("STRLEN", "big"), size)
        self.assertEqual(client.call("GET", "big"), value)
        self.assertEqual(client.call("GETRANGE", "big", size - 3, -1), value[-3:])
        self.assertEqual(client.call("SETRANGE", "big", size, "tail"), size + 4)
        self.assertEqual(client.call("APPEND", "big", "end"), size + 7)
        self.assertEqual(client.call("GETRANGE", "big", size - 1, -1), value[-1:] + b"tailend")
        self.assertEqual(client.call("COPY", "big", "big2"), 1)
        self.assertEqual(client.call("UNLINK", "big", "big2"), 2)
        if server.is_tuco() and not server.sanitized():
            self.wait_for(lambda: self.server.memory() < 2 * size, "memory must come back: %d MB" % (self.server.memory() // MB))

    def test_a_value_that_never_comes_whole(self):
        for _ in range(5):
            client = self.server.connect()
            client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (64 * MB) + b"x" * (8 * MB))
            client.reset()
        with self.server.connect() as control:
            self.assertEqual(control.call("EXISTS", "k"), 0)

    def test_many_big_ones_at_once(self):
        def work(i, failures):
            value = b"%d" % i * MB
            with self.server.connect() as client:
                for _ in range(4):
                    if client.call("SET", "big%d" % i, value) != b"OK" or client.call("GET", "big%d" % i) != value:
                        failures.append(i)
        failures = []
        threads = [threading.Thread(target=work, args=(i, failures)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        with self.server.connect() as control:
            control.call("FLUSHALL", "ASYNC")


if __name__ == "__main__":
    case.main()
