#!/usr/bin/env python3
"""redis-cli and redis-benchmark (Debian's redis-tools) against the server on the port given."""
import csv
import os
import subprocess
import sys
import unittest

PORT = os.environ["TUCO_PORT"]
BINARY = bytes(range(256)) + b"\r\n\0"


def cli(*words, stdin=b"", flags=(), port=PORT):
    return subprocess.run(["redis-cli", "-p", port, *flags, *words], input=stdin, capture_output=True, timeout=60)


class RedisCli(unittest.TestCase):
    def setUp(self):
        self.assertEqual(cli("FLUSHALL").stdout, b"OK\n")

    def lines(self, *words, **options):
        result = cli(*words, **options)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout.decode().splitlines()

    def test_commands_as_arguments(self):
        self.assertEqual(self.lines("set", "k", "v"), ["OK"])
        self.assertEqual(self.lines("get", "k"), ["v"])
        self.assertEqual(self.lines("get", "none"), [""])
        self.assertEqual(self.lines("incr", "n", flags=["--no-raw"]), ["(integer) 1"])
        self.assertEqual(self.lines("mget", "k", "none", flags=["--no-raw"]), ['1) "v"', "2) (nil)"])
        self.assertEqual(self.lines("mset", "a", "1", "b", "2"), ["OK"])
        self.assertEqual(self.lines("mget", "a", "b", flags=["--csv"]), ['"1","2"'])
        self.assertEqual(self.lines("incr", "n", flags=["-r", "5"]), ["2", "3", "4", "5", "6"])
        self.assertEqual(self.lines("dbsize", flags=["-n", "3"]), ["0"])
        self.assertEqual(self.lines("get", "k", flags=["-u", "redis://127.0.0.1:%s/0" % PORT]), ["v"])

    def test_resp3(self):
        self.assertEqual(self.lines("get", "none", flags=["-3", "--no-raw"]), ["(nil)"])
        self.assertEqual(self.lines("config", "get", "maxclients", flags=["-3", "--no-raw"]),
                         ['1# "maxclients" => "10000"'])
        self.assertEqual(self.lines("hello", "3", flags=["-3", "--no-raw"])[2].split(" ", 1)[1], '"proto" => (integer) 3')

    def test_errors_and_exit_status(self):
        self.assertIn("ERR unknown command 'nope'", "\n".join(self.lines("nope")))
        self.assertEqual(cli("nope", flags=["-e"]).returncode, 1)
        self.assertEqual(cli("get", "k", "x", flags=["-e"]).returncode, 1)
        self.assertNotEqual(cli("ping", port="1").returncode, 0)

    def test_standard_input(self):
        script = b"SET a 1\nINCR a\nMULTI\nINCR a\nGET a\nEXEC\nECHO \"x y\\x41\"\nGET none\n"
        self.assertEqual(self.lines(stdin=script), ["OK", "2", "OK", "QUEUED", "QUEUED", "3", "3", "x yA", ""])
        self.assertEqual(self.lines("set", "bin", flags=["-x"], stdin=BINARY), ["OK"])
        self.assertEqual(cli("get", "bin").stdout, BINARY + b"\n")

    def test_mass_insertion(self):
        count = 50000
        stream = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\nk%d\r\n$1\r\nv\r\n" % (len(str(i)) + 1, i) for i in range(count))
        self.assertIn("errors: 0, replies: %d" % count, "\n".join(self.lines(flags=["--pipe"], stdin=stream)))
        bad = cli(flags=["--pipe"], stdin=stream + b"NOPE\r\n")
        self.assertEqual(bad.returncode, 1)
        self.assertIn(b"errors: 1, replies: %d" % (count + 1), bad.stdout)
        self.assertEqual(self.lines("dbsize"), [str(count)])
        found = self.lines(flags=["--scan", "--pattern", "k1*"])
        self.assertEqual(len(set(found)), 11111)

    def test_key_statistics(self):
        self.lines("set", "big", "x" * 5000)
        self.lines("mset", "a", "1", "b", "22")
        out = "\n".join(self.lines(flags=["--bigkeys"]))
        self.assertIn('Biggest string found \'"big"\' has 5000 bytes', out)
        self.assertIn("3 strings with 5003 bytes", out)

    def test_password(self):
        self.assertEqual(self.lines("config", "set", "requirepass", "sesame"), ["OK"])
        try:
            self.assertEqual(self.lines("ping"), ["NOAUTH Authentication required.", ""])
            self.assertEqual(self.lines("ping", flags=["-a", "sesame", "--no-auth-warning"]), ["PONG"])
            self.assertEqual(self.lines("ping", flags=["--user", "default", "--pass", "sesame", "--no-auth-warning"]), ["PONG"])
            self.assertIn(b"WRONGPASS", cli("ping", flags=["-a", "wrong", "--no-auth-warning"]).stderr)
        finally:
            cli("config", "set", "requirepass", "", flags=["-a", "sesame", "--no-auth-warning"])

    def test_introspection(self):
        info = dict(line.split(":", 1) for line in self.lines("info") if ":" in line)
        self.assertEqual(info["tcp_port"], PORT)
        self.assertEqual(len(self.lines("client", "list")), 1)
        self.assertEqual(self.lines("command", "getkeys", "mset", "a", "1", "b", "2"), ["a", "b"])
        self.assertGreater(int(self.lines("command", "count")[0]), 60)
        self.assertGreater(len(self.lines("command", "docs")), 1000)


class RedisBenchmark(unittest.TestCase):
    def bench(self, *flags):
        result = subprocess.run(["redis-benchmark", "-p", PORT, "-n", "20000", "--csv", *flags], capture_output=True,
                                text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result)
        self.assertNotIn("rror", result.stdout + result.stderr)
        rows = list(csv.DictReader(result.stdout.splitlines()))
        for row in rows:
            self.assertGreater(float(row["rps"]), 1000, row)
        return [row["test"] for row in rows]

    def test_plain(self):
        self.assertEqual(self.bench("-t", "ping,set,get,incr,mset"),
                         ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"])

    def test_pipelined(self):
        self.assertEqual(self.bench("-t", "ping,set,get,incr,mset", "-P", "32"),
                         ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"])

    def test_many_clients_random_keys_resp3(self):
        self.assertEqual(self.bench("-t", "set,get", "-c", "300", "-r", "10000", "-d", "1000", "-P", "4", "-3"), ["SET", "GET"])
        self.assertEqual(len(self.bench("-r", "1000", "GETRANGE", "key:__rand_int__", "0", "10")), 1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], warnings="ignore")
