#!/usr/bin/env python3
"""What redis-cli finds out about a keyspace: --bigkeys, --memkeys, --hotkeys and, where it has it, --keystats.

They scan all keys and ask for the type, size, memory or frequency of each, so their sums are known. The program is
TUCO_REDIS_CLI (a command line), else redis-cli or valkey-cli of the machine; without any, all is skipped.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case  # noqa: E402

STRINGS = 3000


def program():
    """The command line of a cli, or None."""
    given = os.environ.get("TUCO_REDIS_CLI")
    if given:
        return shlex.split(given)
    return next(([name] for name in ("redis-cli", "valkey-cli") if shutil.which(name)), None)


@unittest.skipUnless(program(), "no redis-cli: name one in TUCO_REDIS_CLI")
class CliKeys(case.ServerCase):
    def cli(self, *flags, status=0):
        done = subprocess.run(program() + ["-p", str(self.server.port), *flags], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, status, done)
        return done.stdout + done.stderr

    def fill(self):
        client = self.connect()
        client.call("FLUSHALL")
        for number in range(STRINGS):
            client.call("SET", "string:%04d" % number, "x" * (number % 10))
        client.call("SET", "the biggest", "x" * 5000)
        client.call("RPUSH", "list", *range(500))
        client.call("RPUSH", "short", "one")
        client.call("SADD", "set", *range(40))
        client.call("ZADD", "zset", *(word for n in range(30) for word in (n, "m%d" % n)))
        client.call("HSET", "hash", *range(20))
        client.call("XADD", "stream", "*", "field", "value")
        return client

    @staticmethod
    def summary(out):
        """{type: (the biggest one's name, its size)}, {type: (keys, sum of sizes)}."""
        biggest = re.findall(r"""Biggest +(\w+) found '?"?([^"'\n]+)"?'? has (\d+) \w+""", out)
        sums = re.findall(r"(\d+) (\w+)s with (\d+) \w+ \(", out)
        return ({kind: (name, int(size)) for kind, name, size in biggest},
                {kind: (int(keys), int(size)) for keys, kind, size in sums})

    def test_bigkeys(self):
        self.fill()
        out = self.cli("--bigkeys")
        self.assertIn("Sampled %d keys" % (STRINGS + 7), out)
        biggest, sums = self.summary(out)
        self.assertEqual(biggest, {"string": ("the biggest", 5000), "list": ("list", 500), "set": ("set", 40),
                                   "zset": ("zset", 30), "hash": ("hash", 10), "stream": ("stream", 1)})
        self.assertEqual(sums, {"string": (STRINGS + 1, STRINGS * 9 // 2 + 5000), "list": (2, 501), "set": (1, 40),
                                "zset": (1, 30), "hash": (1, 10), "stream": (1, 1)})

    def test_bigkeys_of_nothing(self):
        self.connect().call("FLUSHALL")
        self.assertIn("Sampled 0 keys", self.cli("--bigkeys"))
        self.assertIn("Sampled 0 keys", self.cli("--memkeys"))

    def test_memkeys(self):
        client = self.fill()
        for flags in (["--memkeys"], ["--memkeys-samples", "3"], ["--memkeys-samples", "0"]):
            out = self.cli(*flags)
            self.assertIn("Sampled %d keys" % (STRINGS + 7), out)
            biggest, sums = self.summary(out)
            self.assertEqual(set(biggest), {"string", "list", "set", "zset", "hash", "stream"})
            for kind in ("list", "set", "zset", "hash", "stream"):
                self.assertEqual(biggest[kind], (kind, int(client.call("MEMORY", "USAGE", kind))))
            self.assertEqual(biggest["string"][0], "the biggest")
            self.assertGreaterEqual(biggest["string"][1], 5000)
            self.assertEqual(sums["string"][0], STRINGS + 1)
            self.assertEqual(sums["hash"], (1, biggest["hash"][1]))
            self.assertGreater(sums["string"][1], 5000 + STRINGS * 16)

    def test_hotkeys(self):
        client = self.fill()
        self.assertIn("An LFU maxmemory policy is not selected", self.cli("--hotkeys", status=1))
        client.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", "0")
        try:
            for _ in range(100):
                client.call("GET", "the biggest")
                client.call("LLEN", "list")
            for _ in range(20):
                client.call("HLEN", "hash")
            out = self.cli("--hotkeys")
            found = re.findall(r'^hot key found with counter: (\d+)\s+keyname: "?([^"\n]+)"?$', out, re.M)
            self.assertEqual({name for _, name in found[:2]}, {"the biggest", "list"}, out)
            self.assertEqual(found[2][1], "hash")
            self.assertGreaterEqual(int(found[0][0]), 100)
            counters = [int(counter) for counter, _ in found]
            self.assertEqual(counters, sorted(counters, reverse=True))
        finally:
            client.call("CONFIG", "SET", "maxmemory-policy", "noeviction", "lfu-log-factor", "10")

    def test_keystats(self):
        help_text = subprocess.run(program() + ["--help"], capture_output=True, text=True, timeout=60, check=False)
        if "--keystats" not in help_text.stdout + help_text.stderr:
            self.skipTest("this cli has no --keystats")
        self.fill()
        out = self.cli("--keystats")
        self.assertRegex(out, r"Keys sampled: %d" % (STRINGS + 7))
        self.assertRegex(out, r"list +list has 500 items")
        self.assertRegex(out, r"hash +hash has 10 fields")
        self.assertRegex(out, r'1 +[\d.]+\w+ string +"the biggest"')


if __name__ == "__main__":
    case.main()
