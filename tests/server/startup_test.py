#!/usr/bin/env python3
"""Configuration file and command line: what is taken, what is refused, with which words and exit status.

The refusals were recorded from valkey-server 9.1.2; only the version in the first line is each server's own.
"""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, server  # noqa: E402

# command line: what the report quotes, and why
BAD_ARGUMENTS = [
    (["--nosuch", "1"], 2, "nosuch \"1\"", "Bad directive or wrong number of arguments"),
    (["--port", "abc"], 2, "port \"abc\"", "argument couldn't be parsed into an integer"),
    (["--port", "70000"], 2, "port \"70000\"", "argument must be between 0 and 65535 inclusive"),
    (["--port"], 2, "port", "wrong number of arguments"),
    (["--requirepass"], 2, "requirepass", "wrong number of arguments"),
    (["--maxmemory", "10xb"], 2, "maxmemory \"10xb\"", "argument must be a memory value"),
    (["--loglevel", "loud"], 2, "loglevel \"loud\"",
     "argument(s) must be one of the following: debug, verbose, notice, warning, nothing"),
    (["--maxclients", "0"], 2, "maxclients \"0\"", "argument must be between 1 and 4294967295 inclusive"),
    (["--databases", "0"], 2, "databases \"0\"", "argument must be between 1 and 2147483647 inclusive"),
    (["--save", "abc"], 2, "save \"abc\"", "Invalid save parameters"),
    (["--save", "100"], 2, "save \"100\"", "Invalid save parameters"),
    (["--client-output-buffer-limit", "nope 1 2 3"], 2, "client-output-buffer-limit \"nope 1 2 3\"",
     "Invalid client class specified in buffer limit configuration."),
    (["--dir", "/nonexistent"], 2, "dir \"/nonexistent\"", "No such file or directory"),
    (["--appendonly", "maybe"], 2, "appendonly \"maybe\"", "argument must be 'yes' or 'no'"),
    (["--port", "0", "--port", "0", "--appendonly"], 4, "appendonly", "wrong number of arguments"),
]
BAD_FILES = [
    ("port 0\nnosuch a b\n", 2, "nosuch a b", "Bad directive or wrong number of arguments"),
    ("port 0\ntimeout \"unbal\n", 2, "timeout \"unbal", "Unbalanced quotes in configuration line"),
    ("# a comment\n\nport\n", 3, "port", "wrong number of arguments"),
    ("port 0\nmaxmemory-policy foo\n", 2, "maxmemory-policy foo",
     "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, "
     "allkeys-lru, allkeys-lfu, allkeys-random, noeviction"),
    ("port 0\n  timeout   -1  \n", 2, "timeout   -1", "argument must be between 0 and 2147483647 inclusive"),
]


def start(*arguments, stdin=None):
    return subprocess.run(server.program() + [str(a) for a in arguments], input=stdin, capture_output=True,
                          text=True, timeout=10)


class Refusals(unittest.TestCase):
    def refused(self, result, line, quoted, why):
        self.assertEqual(result.returncode, 1, result)
        expected = "Reading the configuration file, at line %d\n>>> '%s'\n%s\n" % (line, quoted, why)
        found = re.fullmatch(r"\n\*\*\* FATAL CONFIG FILE ERROR \(Version [\w.]+\) \*\*\*\n(.*)", result.stderr, re.S)
        self.assertTrue(found, result.stderr)
        self.assertEqual(found.group(1), expected)

    def test_command_line(self):
        for arguments, *expected in BAD_ARGUMENTS:
            with self.subTest(arguments):
                self.refused(start(*arguments), *expected)

    def test_files(self):
        for text, *expected in BAD_FILES:
            with self.subTest(text), tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
                config.write(text)
                config.flush()
                self.refused(start(config.name), *expected)

    def test_standard_input(self):
        self.refused(start("-", stdin="port 0\nnosuch 1\n"), 2, "nosuch 1", "Bad directive or wrong number of arguments")

    def ends(self, arguments, *lines):
        result = start(*arguments)
        self.assertEqual(result.returncode, 1, result)
        for line in lines:
            self.assertIn(line, result.stdout + result.stderr)

    def test_what_cannot_be_opened(self):
        self.ends(["/nonexistent.conf"], "Fatal error, can't open config file '/nonexistent.conf': No such file or directory")
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
            config.write("include /nonexistent.conf\n")
            config.flush()
            self.ends([config.name], "Fatal error, can't open config file '/nonexistent.conf': No such file or directory")

    def test_busy_port(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            self.ends(["--port", port, "--bind", "127.0.0.1"],
                      "# Warning: Could not create server TCP listening socket 127.0.0.1:%d: bind: Address already in use" % port,
                      "# Failed listening on port %d (tcp), aborting." % port)

    def test_address_of_another_machine(self):
        self.ends(["--port", server.free_port(), "--bind", "192.0.2.1"], "bind: Cannot assign requested address", "aborting.")

    def test_unix_socket_that_cannot_be(self):
        self.ends(["--port", "0", "--unixsocket", "/nonexistent/s"], "# Failed opening Unix socket: bind: No such file or directory")

    def test_nowhere_to_listen(self):
        self.ends(["--port", "0"], "# Configured to not listen anywhere, exiting.")


class Words(unittest.TestCase):
    def test_version(self):
        for flag in ("-v", "--version"):
            result = start(flag)
            self.assertEqual(result.returncode, 0)
            self.assertRegex(result.stdout, r"^\w+ server v=[\d.]+ sha=[0-9a-f]+:\d malloc=\S+ bits=64 build=\S+.*\n$")

    def test_help(self):
        for flag in ("-h", "--help"):
            result = start(flag)
            self.assertIn("Usage:", result.stdout + result.stderr)
            self.assertEqual(result.returncode, 0)


class Accepted(unittest.TestCase):
    def settings(self, own, *names):
        with own.connect() as client:
            return [client.call("CONFIG", "GET", name)[1].decode() for name in names]

    def test_file_with_everything_in_it(self):
        text = """
# a comment
   # an indented one
MAXMEMORY 100mb
maxmemory-policy "allkeys-lru"
timeout 300
save 900 1 300 10
tcp-keepalive 60
client-output-buffer-limit normal 1mb 512kb 30
notify-keyspace-events 'KEA'
loglevel verbose
"""
        with server.Server(config=text, defaults=False, port=0, wait=False) as probe:
            probe.kill()
            probe.ended = True
        with server.Server("--timeout", 7, config=text) as own:
            self.assertEqual(self.settings(own, "maxmemory", "maxmemory-policy", "timeout", "tcp-keepalive",
                                           "notify-keyspace-events", "loglevel"),
                             ["104857600", "allkeys-lru", "7", "60", "AKE", "verbose"])
            self.assertIn("normal 1048576 524288 30", self.settings(own, "client-output-buffer-limit")[0])

    def test_several_values_and_units(self):
        with server.Server("--MaxMemory", "1GB", "--client-output-buffer-limit", "pubsub 1mb 2mb 3",
                           "--proto-max-bulk-len", "2m", "--appendonly", "no") as own:
            self.assertEqual(self.settings(own, "maxmemory", "proto-max-bulk-len"), ["1073741824", "2000000"])

    def test_includes(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.conf", "timeout 11\n"), ("b.conf", "tcp-keepalive 22\n")):
                with open(os.path.join(folder, name), "w") as out:
                    out.write(text)
            with server.Server(config="include %s/*.conf\nmaxclients 500\n" % folder) as own:
                self.assertEqual(self.settings(own, "timeout", "tcp-keepalive", "maxclients"), ["11", "22", "500"])

    def test_standard_input(self):
        port = server.free_port()
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(server.program() + ["-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, text=True)
            process.stdin.write("port %d\nsave \"\"\ndir %s\ntimeout 33\n" % (port, folder))
            process.stdin.close()
            try:
                deadline = time.monotonic() + 10
                while True:
                    try:
                        client = case.Connection(("127.0.0.1", port))
                        break
                    except OSError:
                        self.assertLess(time.monotonic(), deadline)
                        time.sleep(0.02)
                with client:
                    self.assertEqual(client.call("CONFIG", "GET", "timeout")[1], b"33")
                    client.send(b"SHUTDOWN NOSAVE\r\n")
                self.assertEqual(process.wait(10), 0)
            finally:
                process.kill()
                process.wait()

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with server.Server("--unixsocket", path, "--unixsocketperm", "700") as own:
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)
                with case.Connection(path) as client:
                    self.assertEqual(client.call("SET", "k", "v"), b"OK")
                    self.assertRegex(client.call("CLIENT", "LIST").decode(), r" addr=\[?%s:0" % path)
                with own.connect() as client:
                    self.assertEqual(client.call("GET", "k"), b"v")
            self.assertFalse(os.path.exists(path), "the socket file goes with the server")

    def test_log_file_and_pid_file(self):
        with tempfile.TemporaryDirectory() as folder:
            log, pid = os.path.join(folder, "l"), os.path.join(folder, "p")
            with server.Server("--logfile", log, "--pidfile", pid, wait=False) as own:
                deadline = time.monotonic() + 10
                while not os.path.exists(log) or server.READY not in open(log).read():
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.02)
                self.assertEqual(int(open(pid).read()), own.pid)
                for line in open(log):
                    self.assertRegex(line, r"^\d+:[MCSX] \d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} [-.*#] ")
                own.ended = True
                own.process.terminate()
                self.assertEqual(own.wait_exit(), 0)
            self.assertFalse(os.path.exists(pid), "the pid file goes with the server")

    def test_daemonize(self):
        with tempfile.TemporaryDirectory() as folder:
            pid, port = os.path.join(folder, "p"), server.free_port()
            result = start("--daemonize", "yes", "--port", port, "--dir", folder, "--save", "", "--pidfile", pid,
                           "--logfile", os.path.join(folder, "l"))
            self.assertEqual(result.returncode, 0, result)
            deadline = time.monotonic() + 10
            while True:
                try:
                    client = case.Connection(("127.0.0.1", port))
                    break
                except OSError:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.02)
            with client:
                self.assertEqual(client.call("PING"), b"PONG")
                while not os.path.exists(pid):  # connections are taken a moment before it is written
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.01)
                client.send(b"SHUTDOWN NOSAVE\r\n")
                self.assertTrue(client.closed_within(10))
            while os.path.exists(pid):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)


if __name__ == "__main__":
    case.main()
