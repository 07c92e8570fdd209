#!/usr/bin/env python3
"""The transcript runner itself: its notation, and that a wrong reply makes it fail in every mode."""
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from lib import resp  # noqa: E402

RUN = os.path.join(os.path.dirname(HERE), "commands", "run")


def parse(data):
    parser = resp.Parser()
    parser.feed(data)
    return parser.next()


class Notation(unittest.TestCase):
    WIRE = [b"+OK\r\n", b"-ERR no\r\n", b":-12\r\n", b"$0\r\n\r\n", b"$3\r\n\x00\r\n\r\n", b"*0\r\n",
            b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", b"%1\r\n$1\r\nk\r\n,1.5\r\n", b"~1\r\n#t\r\n", b">1\r\n(12\r\n",
            b"=5\r\ntxt:a\r\n", b"*1\r\n-ERR a, b]\r\n", b"*1\r\n+a b\r\n", b"%0\r\n"]

    def test_what_is_shown_reads_back(self):
        for wire in self.WIRE:
            reply = parse(wire)
            again = resp.parse_notation(" ".join(line.strip() for line in resp.show_lines(reply, width=20)))
            self.assertTrue(resp.match(again, reply, 3, {}), "%r became %r" % (reply, again))

    def test_every_prefix_is_incomplete(self):
        for wire in self.WIRE:
            parser = resp.Parser()
            for i in range(len(wire) - 1):
                parser.feed(wire[i:i + 1])
                self.assertIsNone(parser.next(), wire[:i + 1])
            parser.feed(wire[-1:])
            self.assertIsNotNone(parser.next())

    def test_no_reply_matches_another(self):
        replies = [parse(wire) for wire in self.WIRE] + [("_", None)]
        for a in replies:
            for b in replies:
                self.assertEqual(resp.match(a if a != ("_", None) else ("nil", None), b, 3, {}), a == b, (a, b))

    def test_resp2_forms(self):
        pairs = [("{\"k\": :1}", b"*2\r\n$1\r\nk\r\n:1\r\n"), ("nil", b"$-1\r\n"), ("nil*", b"*-1\r\n"),
                 ("#t", b":1\r\n"), (",1.5", b"$3\r\n1.5\r\n"), ("~[+a]", b"*1\r\n+a\r\n"),
                 ('=txt:"a"', b"$1\r\na\r\n"), ('unordered{"a": :1, "b": :2}', b"*4\r\n$1\r\nb\r\n:2\r\n$1\r\na\r\n:1\r\n")]
        for text, wire in pairs:
            self.assertTrue(resp.match(resp.parse_notation(text), parse(wire), 2, {}), text)
            self.assertFalse(resp.match(resp.parse_notation(text), parse(b"+no\r\n"), 2, {}), text)

    def test_matchers(self):
        for text, good, bad in [(":5..7", b":6\r\n", b":8\r\n"), ("/a+/", b"$2\r\naa\r\n", b"$2\r\nab\r\n"),
                                ("-/ERR .*/", b"-ERR x\r\n", b"+ERR x\r\n"), (":*", b":1\r\n", b"$1\r\n1\r\n"),
                                ("unordered[:1, :2]", b"*2\r\n:2\r\n:1\r\n", b"*2\r\n:2\r\n:2\r\n")]:
            self.assertTrue(resp.match(resp.parse_notation(text), parse(good), 3, {}), text)
            self.assertFalse(resp.match(resp.parse_notation(text), parse(bad), 3, {}), text)

    def test_words(self):
        self.assertEqual(resp.split_words(r'SET "a\x00\"b" "x"*3 ${v}', {"v": b"9"}), [b"SET", b'a\0"b', b"xxx", b"9"])
        self.assertEqual(resp.encode_inline([b"GET", b"", b"a b", b"'"]), b'GET "" "a b" "\'"\r\n')


class Liar(threading.Thread):
    """A server that gets every GET wrong by one byte."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        with self.listener:
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    @staticmethod
    def serve(peer):
        parser, queued = resp.Parser(), None
        while True:
            data = peer.recv(65536)
            if not data:
                peer.close()
                return
            if not data.startswith(b"*") and not parser.pending():
                data = b"".join(resp.encode(line.split()) for line in data.split(b"\r\n") if line)
            parser.feed(data)
            command = parser.next()
            while command:
                name = command[1][0][1]
                reply = {b"GET": b"$1\r\nw\r\n", b"CONFIG": b"*0\r\n", b"HELLO": b"%0\r\n"}.get(name, b"+OK\r\n")
                if name == b"MULTI":
                    queued = []
                elif name == b"EXEC":
                    reply, queued = b"*%d\r\n%s" % (len(queued), b"".join(queued)), None
                elif queued is not None:
                    queued.append(reply)
                    reply = b"+QUEUED\r\n"
                peer.sendall(reply)
                command = parser.next()


class Runner(unittest.TestCase):
    def play(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as transcript:
            transcript.write(text)
            transcript.flush()
            liar = Liar()
            liar.start()
            return subprocess.run([sys.executable, RUN, "--against", "127.0.0.1:%d" % liar.port, transcript.name],
                                  capture_output=True, text=True, timeout=60)

    def test_a_wrong_reply_fails_in_every_mode(self):
        result = self.play("> SET k v\n< +OK\n> GET k\n< \"v\"\n")
        self.assertEqual(result.returncode, 1)
        for mode in ("resp2", "resp3", "pipelined", "bytewise", "inline", "multi"):
            self.assertIn("[%s] > GET k" % mode, result.stdout)

    def test_a_right_reply_passes(self):
        result = self.play("> SET k v\n< +OK\n> GET k\n< \"w\"\n")
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_comparing_nothing_fails(self):
        self.assertEqual(self.play("# empty\n").returncode, 1)

    def test_a_line_that_is_not_understood_fails(self):
        self.assertNotEqual(self.play("GET k\n").returncode, 0)


if __name__ == "__main__":
    unittest.main()
