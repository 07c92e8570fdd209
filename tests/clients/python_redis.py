#!/usr/bin/python3
"""python3-redis (redis-py 4.3 in Debian 12) against the server on the port given. RESP2 only, as that version is."""
import os
import sys
import threading
import time
import unittest

import redis

PORT = int(os.environ["TUCO_PORT"])
BINARY = bytes(range(256)) + b"\r\n\0"


class PythonRedis(unittest.TestCase):
    def setUp(self):
        self.r = redis.Redis(host="127.0.0.1", port=PORT, db=0)
        self.r.flushall()

    def tearDown(self):
        self.r.close()

    def test_handshake_with_name_and_database(self):
        r = redis.Redis(host="127.0.0.1", port=PORT, db=4, client_name="worker", decode_responses=True, health_check_interval=1)
        self.assertTrue(r.ping())
        self.assertEqual(r.client_getname(), "worker")
        self.assertEqual(r.client_info()["db"], 4)
        self.assertIn("worker", [c["name"] for c in r.client_list()])
        self.assertRegex(r.info()["redis_version"], r"^\d+\.\d+\.\d+$")
        r.close()

    def test_strings(self):
        r = self.r
        self.assertTrue(r.set("k", "v", ex=100))
        self.assertEqual(r.get("k"), b"v")
        self.assertEqual(r.ttl("k"), 100)
        self.assertIsNone(r.set("k", "w", nx=True))
        self.assertEqual(r.set("k", "w", get=True, keepttl=True), b"v")
        self.assertEqual(r.incr("n", 5), 5)
        self.assertEqual(r.decr("n", 7), -2)
        self.assertEqual(r.incrbyfloat("f", 1.5), 1.5)
        self.assertEqual(r.mget("k", "none", "n"), [b"w", None, b"-2"])
        self.assertTrue(r.mset({"a": 1, "b": 2}))
        self.assertFalse(r.msetnx({"a": 1, "c": 2}))
        self.assertEqual(r.getset("a", 9), b"1")
        self.assertEqual(r.getdel("a"), b"9")
        self.assertEqual(r.getex("b", px=20), b"2")
        time.sleep(0.04)
        self.assertIsNone(r.get("b"))
        self.assertEqual(r.setrange("s", 3, "x"), 4)
        self.assertEqual(r.getrange("s", 0, -1), b"\0\0\0x")
        self.assertEqual(r.append("s", "y"), 5)
        self.assertEqual(r.strlen("s"), 5)
        self.assertEqual(r["k"], b"w")
        del r["k"]
        with self.assertRaises(KeyError):
            r["k"]
        self.assertNotIn("k", r)

    def test_keys(self):
        r = self.r
        r.mset({"k%d" % i: i for i in range(2000)})
        self.assertEqual(len(set(r.scan_iter("k*", count=77))), 2000)
        self.assertEqual(len(r.keys("k19*")), 111)
        self.assertEqual(r.exists("k1", "k2", "none"), 2)
        self.assertTrue(r.rename("k1", "j1"))
        self.assertTrue(r.copy("j1", "j2"))
        self.assertTrue(r.move("j2", 5))
        self.assertEqual(r.type("j1"), b"string")
        self.assertEqual(r.object("encoding", "j1"), b"int")
        self.assertTrue(r.expireat("j1", int(time.time()) + 100))
        self.assertEqual(r.touch("j1", "none"), 1)
        self.assertEqual(r.unlink("j1", "k2"), 2)
        self.assertEqual(r.dbsize(), 1998)
        self.assertTrue(r.randomkey().startswith(b"k"))
        self.assertTrue(r.swapdb(0, 5))
        self.assertEqual(r.keys(), [b"j2"])

    def test_binary(self):
        self.r.set(BINARY, BINARY * 9000)
        self.assertEqual(self.r.get(BINARY), BINARY * 9000)
        self.assertEqual(self.r.keys(), [BINARY])

    def test_pipeline_of_hundreds(self):
        with self.r.pipeline(transaction=False) as pipe:
            for i in range(1000):
                pipe.set("k%d" % i, i).incr("n")
            replies = pipe.execute()
        self.assertEqual(replies, [value for i in range(1000) for value in (True, i + 1)])

    def test_transactions_and_watch(self):
        with self.r.pipeline() as pipe:
            self.assertEqual(pipe.set("a", 1).incr("a").get("a").execute(), [True, 2, b"2"])
            pipe.watch("a")
            self.r.set("a", 10)
            pipe.multi()
            pipe.incr("a")
            with self.assertRaises(redis.WatchError):
                pipe.execute()
        def add(pipe):
            value = int(pipe.get("a"))
            pipe.multi()
            pipe.set("a", value + 1)
        threads = [threading.Thread(target=lambda: [self.r.transaction(add, "a") for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("a"), b"90")
        with self.assertRaisesRegex(redis.ResponseError, "value is not an integer or out of range"):
            self.r.pipeline().set("s", "x").incr("s").execute()
        with self.assertRaises(redis.ResponseError):
            self.r.pipeline().execute_command("NOPE").execute()

    def test_errors_have_their_class(self):
        self.r.set("s", "x")
        with self.assertRaisesRegex(redis.ResponseError, "^value is not an integer or out of range$"):
            self.r.incr("s")
        with self.assertRaisesRegex(redis.ResponseError, "unknown command 'NOPE', with args beginning with: 'a' "):
            self.r.execute_command("NOPE", "a")
        with self.assertRaisesRegex(redis.ResponseError, "DB index is out of range"):
            redis.Redis(host="127.0.0.1", port=PORT, db=99).ping()

    def test_password(self):
        self.r.config_set("requirepass", "sesame")
        try:
            with self.assertRaises(redis.AuthenticationError):
                redis.Redis(host="127.0.0.1", port=PORT).ping()
            with self.assertRaisesRegex(redis.ResponseError, "^WRONGPASS invalid username-password pair"):
                redis.Redis(host="127.0.0.1", port=PORT, password="wrong").ping()
            self.assertTrue(redis.Redis(host="127.0.0.1", port=PORT, password="sesame").ping())
            self.assertTrue(redis.Redis(host="127.0.0.1", port=PORT, username="default", password="sesame").ping())
        finally:
            self.r.config_set("requirepass", "")

    def test_comes_back_after_client_kill(self):
        other = redis.Redis(host="127.0.0.1", port=PORT, single_connection_client=False)
        me = other.client_id()
        self.assertEqual(self.r.client_kill_filter(_id=me), 1)
        self.assertTrue(other.ping())
        self.assertNotEqual(other.client_id(), me)
        other.close()

    def test_introspection(self):
        self.assertEqual(self.r.config_get("maxclients"), {"maxclients": "10000"})
        self.assertGreater(len(self.r.command()), 60)
        self.assertGreater(self.r.command_count(), 60)
        self.assertEqual(self.r.command_getkeys("MSET", "a", 1, "b", 2), ["a", "b"])
        self.assertEqual(len(self.r.time()), 2)
        self.assertEqual(self.r.echo("x"), b"x")
        info = self.r.info("all")
        for field in ("tcp_port", "connected_clients", "used_memory", "maxmemory_policy", "total_commands_processed",
                      "keyspace_hits", "role", "used_cpu_sys", "uptime_in_seconds", "loading"):
            self.assertIn(field, info)

    def test_locks(self):
        """A lock with SET NX PX that only its owner takes away: by WATCH, without scripts."""
        self.assertTrue(self.r.set("lock", "me", nx=True, px=30))
        self.assertIsNone(self.r.set("lock", "you", nx=True, px=30))
        time.sleep(0.05)
        self.assertTrue(self.r.set("lock", "you", nx=True, px=30000))
        self.assertEqual(self.r.execute_command("DELIFEQ", "lock", "me"), 0)
        self.assertEqual(self.r.execute_command("DELIFEQ", "lock", "you"), 1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], warnings="ignore")
