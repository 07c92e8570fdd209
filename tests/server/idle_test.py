#!/usr/bin/env python3
"""15,000 idle connections: none dropped, memory of each, and a busy one among them is not slowed.

The descriptors of both sides are needed: the test raises its own soft limit and holds the clients in
processes of their own where one process may not have that many.
"""
import os
import resource
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, server  # noqa: E402

COUNT = int(os.environ.get("TUCO_IDLE", 15000))
HOLDER = """
import socket, sys
sockets = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
print("held", flush=True)
for line in sys.stdin:
    for s in sockets:
        s.sendall(b"PING\\r\\n")
    print(sum(s.recv(100) == b"+PONG\\r\\n" for s in sockets), flush=True)
"""


def percentile(values, part):
    return sorted(values)[int(len(values) * part)]


class Idle(unittest.TestCase):
    @staticmethod
    def latencies(client, seconds):
        taken, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.perf_counter()
            client.call("PING")
            taken.append(time.perf_counter() - begun)
        return taken

    def test_many_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < COUNT + 100:
            self.skipTest("the hard limit of open files is %d, %d are needed" % (hard, COUNT + 100))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with server.Server("--maxclients", COUNT + 50) as own:
            with own.connect() as busy:
                room = int(busy.call("CONFIG", "GET", "maxclients")[1])
                self.assertGreaterEqual(room, COUNT, "maxclients lowered although the hard limit allows it")
                self.measure(own, busy)

    def measure(self, own, busy):
        self.latencies(busy, 0.2)
        alone = self.latencies(busy, 0.7)
        before = own.memory()
        holders = [subprocess.Popen([sys.executable, "-c", HOLDER, str(own.port), str(COUNT // 3)],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        try:
            for holder in holders:
                self.assertEqual(holder.stdout.readline(), "held\n")
            deadline = time.monotonic() + 20
            while self.connected(busy) < COUNT + 1:
                self.assertLess(time.monotonic(), deadline, "connected: %d" % self.connected(busy))
                time.sleep(0.05)
            each = (own.memory() - before) / COUNT
            among = self.latencies(busy, 0.7)
            idle_cpu = own.cpu_seconds()
            time.sleep(0.5)
            idle_cpu = own.cpu_seconds() - idle_cpu
            for holder in holders:
                holder.stdin.write("ping\n")
                holder.stdin.flush()
            answered = sum(int(holder.stdout.readline()) for holder in holders)
            after = (own.memory() - before) / COUNT
            print("%d idle: %.0f bytes each, %.0f once each has spoken; PING median %.0f us (alone %.0f), "
                  "p99 %.0f us (alone %.0f); CPU while idle %.0f %%" % (
                      COUNT, each, after, 1e6 * percentile(among, .5), 1e6 * percentile(alone, .5),
                      1e6 * percentile(among, .99), 1e6 * percentile(alone, .99), 200 * idle_cpu))
            self.assertEqual(answered, COUNT, "every idle connection must still be there")
            if server.is_tuco() and not server.sanitized():
                self.assertLess(each, 1024, "bytes of user memory for an idle connection")
                self.assertLess(after, 1024, "bytes for an idle connection that has spoken once")
            self.assertLess(percentile(among, .5), 1.5 * percentile(alone, .5) + 50e-6)
            self.assertLess(idle_cpu, 0.2, "idle connections must cost no CPU")
        finally:
            for holder in holders:
                holder.kill()
                holder.wait()
                holder.stdin.close()
                holder.stdout.close()
        deadline = time.monotonic() + 20
        while self.connected(busy) > 1:
            self.assertLess(time.monotonic(), deadline, "connections that are gone must be gone")
            time.sleep(0.05)

    @staticmethod
    def connected(client):
        text = client.call("INFO", "clients").decode()
        return int(text.split("connected_clients:")[1].split("\r")[0])


if __name__ == "__main__":
    case.main()
