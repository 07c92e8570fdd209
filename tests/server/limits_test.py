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


class RandomReplies(case.ServerCase):
    """A negative count may ask for more random members than there is memory for: the reply is made as it is taken."""
    ASKED = 4000000000
    HEAD = b"*%d\r\n" % ASKED

    def fill(self, control):
        control.call("SADD", "s", *["m%d" % i for i in range(300)])
        control.call("SADD", "large", *["m%d" % i + "x" * 100000 for i in range(50)])
        control.call("HSET", "h", *[w for i in range(300) for w in ("f%d" % i, "v%d" % i)])
        control.call("ZADD", "z", *[w for i in range(300) for w in (i, "m%d" % i)])

    def take(self, client, size):
        data = b""
        while len(data) < size:
            more = client.socket.recv(1 << 20)
            self.assertNotEqual(more, b"")
            data += more
        return data

    def test_memory_stays_small_and_all_of_it_comes(self):
        control = self.connect()
        self.fill(control)
        parts = int(self.info(control, "stats").get("tuco_replies_in_parts", 0))
        for words, name, members in (("SRANDMEMBER s -200000", b"$", 1), ("HRANDFIELD h -100000 WITHVALUES", b"$", 2),
                                     ("ZRANDMEMBER z -100000 WITHSCORES", b"$", 2)):
            for protocol in (2, 3):
                client = self.connect(protocol)
                client.send(resp.encode([w.encode() for w in words.split()]) + resp.encode([b"ECHO", b"the end"]))
                data = b""
                while not data.endswith(b"the end\r\n"):
                    data += self.take(client, 1)
                lines = data.split(b"\r\n")
                count = 200000 // members
                self.assertEqual(lines[0], b"*%d" % (count if protocol == 3 else 200000))
                texts = [line for line in lines[1:-3] if not line[:1] in b"*$,"]
                self.assertEqual(len(texts), 200000 if protocol == 2 or b"Z" not in words.encode() else 100000)
                self.assertEqual(len(set(texts[::members] if protocol == 2 or "H" in words else texts)), 300)
        if server.is_tuco():
            self.assertEqual(int(self.info(control, "stats")["tuco_replies_in_parts"]), parts + 6)

    def test_endless_ones_that_nobody_takes(self):
        if not server.is_tuco():
            self.skipTest("a peer fills its memory")
        control = self.connect()
        self.fill(control)
        before = self.server.memory()
        clients = [self.connect(receive_buffer=4096) for _ in range(8)]
        for i, client in enumerate(clients):
            key, name = ((b"s", b"SRANDMEMBER"), (b"large", b"SRANDMEMBER"), (b"h", b"HRANDFIELD"), (b"z", b"ZRANDMEMBER"))[i % 4]
            client.send(resp.encode([name, key, b"-%d" % self.ASKED]))
            self.assertEqual(self.take(client, len(self.HEAD))[:len(self.HEAD)], self.HEAD)
        self.assertEqual(control.call("DEL", "s", "h", "z", "large"), 4)  # none of the keys is held
        for client in clients:
            self.take(client, 300000)
        if not server.sanitized():
            self.assertLess(self.server.memory() - before, 40 * MB)  # "large" takes 5 MB, twice
        for line in control.call("CLIENT", "LIST").decode().splitlines():
            if "name= " in line and "cmd=client" not in line:
                control.command("CLIENT", "KILL", "ID", line.split("id=")[1].split()[0])
        self.wait_for(lambda: self.info(control, "clients")["connected_clients"] == "1", "each can be killed")

    def test_inside_a_transaction_and_unseen(self):
        control = self.connect()
        self.fill(control)
        client = self.connect()
        for words in ("MULTI", "SRANDMEMBER s -100000", "SCARD s", "EXEC", "CLIENT REPLY SKIP", "SRANDMEMBER s -100000", "ECHO x"):
            client.send(resp.encode([w.encode() for w in words.split()]))
        for expected in ((b"OK"), b"QUEUED", b"QUEUED"):
            self.assertEqual(client.read(), ("+", expected))
        reply = client.read()[1]
        self.assertEqual(len(reply[0][1]), 100000)
        self.assertEqual(reply[1], (":", 300))
        self.assertEqual(client.read(), ("$", b"x"))

    def test_the_bounds_of_one_reply(self):
        """client-output-buffer-limit, maxmemory-clients and maxmemory bound what one command may answer."""
        if not server.is_tuco():
            self.skipTest("maxmemory bounds no reply there")
        control = self.connect()
        self.fill(control)
        control.call("SET", "big", b"x" * MB)
        for setting, value, off in (("client-output-buffer-limit", "normal 4mb 0 0", "normal 0 0 0"),
                                    ("maxmemory-clients", "4mb", "0"), ("maxmemory", "200mb", "0")):
            closed = int(self.info(control, "stats")["client_output_buffer_limit_disconnections"])
            control.call("CONFIG", "SET", setting, value)
            for words in ([b"MGET"] + [b"big"] * 300, [b"SRANDMEMBER", b"large", b"-%d" % self.ASKED]):
                if words[1] == b"large" and setting == "maxmemory":
                    continue  # the copy of 5 MB is allowed
                client = self.connect(receive_buffer=4096)
                client.send(resp.encode(words))
                closed += 1
                self.wait_for(lambda: int(self.info(control, "stats")["client_output_buffer_limit_disconnections"]) == closed,
                              "%s bounds %s" % (setting, words[0]))
            control.call("CONFIG", "SET", setting, off)


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
