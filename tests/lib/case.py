"""What the server tests share: a server per class, and main() with a line about what was skipped."""
import os
import random
import sys
import time
import unittest

from . import server
from .connection import Closed, Connection, Error, plain  # noqa: F401 (for the tests)

LONG = bool(os.environ.get("TUCO_LONG"))
SEED = int(os.environ.get("TUCO_SEED", random.SystemRandom().randrange(1 << 30)))


class ServerCase(unittest.TestCase):
    """One server for all tests of the class; after each test it must answer and hold no client but ours."""

    arguments = ()
    config = None
    files = None
    quiet = True  # after each test only its own control connection may be left

    @classmethod
    def setUpClass(cls):
        cls.server = server.Server(*cls.arguments, config=cls.config, files=cls.files)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.opened = []

    def connect(self, protocol=2, **options):
        connection = self.server.connect(protocol, **options)
        self.opened.append(connection)
        return connection

    def tearDown(self):
        for connection in self.opened:
            connection.close()
        if self.server.process.poll() is not None:
            self.fail("the server is gone:\n" + self.server.log()[-4000:])
        with self.control() as control:
            if self.quiet:
                self.wait_for(lambda: self.info(control, "clients")["connected_clients"] == "1",
                              "clients that are gone must be gone: %s" % control.call("CLIENT", "LIST")[:1500])

    def control(self):
        """A connection, when those just closed have left their place where places are few."""
        deadline = time.monotonic() + 5
        while True:
            connection = self.server.connect()
            try:
                self.assertEqual(connection.call("PING"), b"PONG")
                return connection
            except (Closed, Error, OSError):
                connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def wait_for(self, condition, why, timeout=5.0):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                self.fail(why)
            time.sleep(0.01)

    @staticmethod
    def info(connection, section):
        text = connection.call("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def main():
    if not server.available():
        print("no server to test: %s" % " ".join(server.program()))
        sys.exit(1)
    print("seed %d" % SEED, flush=True)
    program = unittest.main(exit=False, warnings="ignore", verbosity=2 if "-v" in sys.argv else 1)
    for test, why in program.result.skipped:
        print("SKIPPED %s: %s" % (test, why))
    print("%d run, %d skipped" % (program.result.testsRun, len(program.result.skipped)))
    sys.exit(not program.result.wasSuccessful())
