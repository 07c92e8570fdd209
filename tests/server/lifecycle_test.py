#!/usr/bin/env python3
"""Signals, SHUTDOWN, CONFIG REWRITE, protected mode, passwords from the file."""
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, resp, server  # noqa: E402


class Signals(unittest.TestCase):
    def ends(self, number, word):
        with server.Server() as own:
            client = own.connect()
            client.call("SET", "k", "v")
            own.process.send_signal(number)
            self.assertEqual(own.wait_exit(), 0)
            self.assertTrue(client.closed_within(1))
            client.close()
            self.assertIn("Received %s scheduling shutdown..." % word, own.log())
            self.assertIn("User requested shutdown...", own.log())
            self.assertIn("is now ready to exit, bye bye...", own.log())

    def test_term(self):
        self.ends(signal.SIGTERM, "SIGTERM")

    def test_int(self):
        self.ends(signal.SIGINT, "SIGINT")

    def test_hup_and_pipe_are_ignored(self):
        with server.Server() as own:
            for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGHUP):
                own.process.send_signal(number)
            time.sleep(0.2)
            with own.connect() as client:
                self.assertEqual(client.call("PING"), b"PONG")

    def test_quit_dumps_goroutines_and_goes_on(self):
        own = server.Server()
        try:
            with own.connect() as client:
                for _ in range(2):
                    before = len(own.log())
                    own.process.send_signal(signal.SIGQUIT)
                    deadline = time.monotonic() + 10
                    while '"main" [' not in own.log()[before:] and time.monotonic() < deadline:
                        time.sleep(0.02)
                    dump = own.log()[before:]
                    self.assertIn("tuco: SIGQUIT", dump)
                    self.assertRegex(dump, r"goroutine \d+ .*\[read, .*descriptor \d+\]")
                    self.assertEqual(client.call("PING"), b"PONG")
            own.process.send_signal(signal.SIGTERM)
            self.assertEqual(own.wait_exit(), 0)
        finally:
            own.ended = True  # stop() would take the dump in the log for a crash
            own.kill()
            own.log_file.close()
            shutil.rmtree(own.folder, ignore_errors=True)

    def test_term_while_clients_are_busy(self):
        with server.Server() as own:
            stop, served = threading.Event(), []
            def work():
                try:
                    with own.connect() as client:
                        while not stop.is_set():
                            client.send(resp.encode([b"INCR", b"n"]) * 50)
                            served.extend(client.read() for _ in range(50))
                except (case.Closed, OSError):
                    pass
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(0.3)
            own.process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            self.assertEqual(own.wait_exit(), 0)
            self.assertLess(time.monotonic() - begun, 3)
            stop.set()
            for thread in threads:
                thread.join()
            self.assertGreater(len(served), 100)


class Shutdown(unittest.TestCase):
    def test_forms_that_end_it(self):
        for words in (["SHUTDOWN"], ["shutdown", "nosave"], ["SHUTDOWN", "NOSAVE", "NOW", "FORCE"]):
            with self.subTest(words), server.Server() as own:
                client = own.connect()
                client.send(resp.encode([w.encode() for w in words]))
                self.assertTrue(client.closed_within(10))
                client.close()
                self.assertEqual(own.wait_exit(), 0)
                self.assertIn("bye bye", own.log())

    def test_refusals(self):
        with server.Server() as own, own.connect() as client:
            for words in (["FOO"], ["SAVE", "NOSAVE"], ["ABORT", "NOW"], ["NOSAVE", "ABORT"]):
                self.assertEqual(client.command("SHUTDOWN", *words), ("-", b"ERR syntax error"), words)
            self.assertEqual(client.command("SHUTDOWN", "ABORT"), ("-", b"ERR No shutdown in progress."))
            self.assertEqual(client.command("MULTI"), ("+", b"OK"))
            self.assertEqual(client.command("SHUTDOWN"), ("-", b"ERR Command 'shutdown' not allowed inside a transaction"))
            self.assertEqual(client.call("DISCARD"), b"OK")
            self.assertEqual(client.call("PING"), b"PONG")


class Rewrite(unittest.TestCase):
    def test_round_trip(self):
        text = ("# kept: the first comment\n\ntimeout 10\n# kept: the second\nmaxmemory 10mb\n"
                "client-output-buffer-limit normal 1mb 512kb 30\ntcp-keepalive 60\n")
        names = ("timeout", "maxmemory", "maxmemory-policy", "client-output-buffer-limit", "save", "requirepass",
                 "notify-keyspace-events", "tcp-keepalive", "loglevel", "maxclients")
        with tempfile.TemporaryDirectory(prefix="tuco-test-") as folder:
            with server.Server(config=text, folder=folder) as own, own.connect() as client:
                client.call("CONFIG", "SET", "timeout", 77, "maxmemory", "123mb", "maxmemory-policy", "volatile-ttl")
                client.call("CONFIG", "SET", "requirepass", "a \"b\" \x01", "notify-keyspace-events", "Kg$")
                client.call("CONFIG", "SET", "save", "111 2 33 4", "tcp-keepalive", 300, "maxclients", 700)
                before = {name: client.call("CONFIG", "GET", name)[1] for name in names}
                self.assertEqual(client.call("CONFIG", "REWRITE"), b"OK")
                client.call("CONFIG", "SET", "save", "")
            with open(own.config_path) as rewritten:
                lines = rewritten.read()
            self.assertIn("# kept: the first comment", lines)
            self.assertIn("# kept: the second", lines)
            self.assertIn("timeout 77\n", lines)
            again = server.Server("--port", own.port, "--dir", folder, "--enable-debug-command", "local",
                                  defaults=False, folder=folder, port=own.port, wait=False, config=lines)
            with again:
                again.wait_ready()
                with again.connect() as client:
                    client.call("AUTH", "a \"b\" \x01")
                    after = {name: client.call("CONFIG", "GET", name)[1] for name in names}
                    self.assertEqual(after, before)
                    client.call("CONFIG", "SET", "save", "")
                    self.assertEqual(client.call("CONFIG", "REWRITE"), b"OK")
                    with open(again.config_path) as twice:
                        self.assertEqual(sorted(twice.read().split()), sorted(
                            lines.replace("save 111 2 33 4\n", "save \"\"\n").split()))

    def test_without_a_file(self):
        with server.Server() as own, own.connect() as client:
            self.assertEqual(client.command("CONFIG", "REWRITE"),
                             ("-", b"ERR The server is running without a config file"))


class Protected(unittest.TestCase):
    @staticmethod
    def other_address():
        """An address of this machine that is not loopback, or None."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
                name = probe.getsockname()[0]
            except OSError:
                return None
        return None if name.startswith("127.") or name == "0.0.0.0" else name

    def test_only_loopback_is_served_without_a_password(self):
        outside = self.other_address()
        if not outside:
            self.skipTest("this machine has no address besides loopback")
        with server.Server("--bind", "0.0.0.0") as own:
            with case.Connection((outside, own.port)) as client:
                kind, text = client.read()
                self.assertEqual(kind, "-")
                self.assertTrue(text.startswith(b"DENIED "), text)
                self.assertTrue(client.closed_within(5))
            with own.connect() as control:
                self.assertEqual(control.call("CONFIG", "SET", "requirepass", "p"), b"OK")
                with case.Connection((outside, own.port)) as client:
                    self.assertEqual(client.command("PING"), ("-", b"NOAUTH Authentication required."))
                    self.assertEqual(client.call("AUTH", "p"), b"OK")
                control.call("CONFIG", "SET", "requirepass", "", "protected-mode", "no")
                with case.Connection((outside, own.port)) as client:
                    self.assertEqual(client.call("PING"), b"PONG")


class Quiet(unittest.TestCase):
    def test_an_idle_server_sleeps(self):
        with server.Server() as own:
            clients = [own.connect() for _ in range(20)]
            for client in clients:
                client.call("SET", "k", "v", "PX", 60000)
            time.sleep(0.3)
            before = own.cpu_seconds()
            time.sleep(1.5)
            used = own.cpu_seconds() - before
            print("an idle server with 20 clients uses %.1f %% of a core" % (used / 1.5 * 100))
            for client in clients:
                client.close()
            if not server.sanitized():
                self.assertLessEqual(used, 0.05)

    def test_connections_that_come_and_go_leave_nothing(self):
        with server.Server() as own:
            def churn(count):
                for i in range(count):
                    with own.connect() as client:
                        client.send(b"SELECT 3\r\nCLIENT SETNAME n\r\nWATCH k\r\nMULTI\r\nSET k v\r\n")
                        for _ in range(5):
                            client.read()
            churn(500)
            descriptors, memory = own.descriptors(), own.memory()
            churn(3000)
            time.sleep(0.1)
            self.assertLessEqual(own.descriptors(), descriptors + 1)
            grown = own.memory() - memory
            print("3000 connections later: %+d KiB" % (grown >> 10))
            if not server.sanitized():
                self.assertLess(grown, 4 << 20)


class Password(unittest.TestCase):
    def test_from_the_file(self):
        with server.Server(config="requirepass \"s p\\x41\"\n") as own, own.connect() as client:
            self.assertEqual(client.command("GET", "k"), ("-", b"NOAUTH Authentication required."))
            self.assertEqual(client.call("AUTH", "s pA"), b"OK")
            self.assertIsNone(client.call("GET", "k"))


if __name__ == "__main__":
    case.main()
