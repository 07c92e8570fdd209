#!/usr/bin/env python3
"""What COMMAND says of all commands, beside what valkey-server 9.1.2 says: INFO, DOCS, LIST, GETKEYS, GETKEYSANDFLAGS.

tests/data/command_replies.txt has the calls ("> ...") and the peer's replies ("< ...", in the notation of
tests/commands/README.md), less all prose. Differences that are meant stand below; there must be no other.

  command_test.py                     compares
  command_test.py --record HOST:PORT  writes the replies of this server into the file: INFO and DOCS of each command that
                                      it has, and the other calls that are in the file already
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import case, resp  # noqa: E402
from lib.connection import Connection  # noqa: E402

FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "command_replies.txt")

# Commands of the peer that are not there, by what they wait for. One that is there is compared.
NOT_THERE = {
    "access control lists": "acl",
    "client-side caching": "client|caching client|tracking",
    "cluster": "cluster clusterscan",
    "modules": "module",
    "monitor": "monitor",
    "persistence": "bgrewriteaof bgsave save",
    "publish and subscribe": "psubscribe publish pubsub punsubscribe spublish ssubscribe subscribe sunsubscribe unsubscribe",
    "replication": "failover psync replconf replicaof slaveof sync",
    "scripts and functions": "eval eval_ro evalsha evalsha_ro fcall fcall_ro function script",
}
# Commands that the peer does not have.
MORE = {
    "cl.throttle": "the module redis-cell",
    "delex": "Redis 8.4", "digest": "Redis 8.4",
    "increx": "Redis 8.8",
    "xackdel": "Redis 8.2", "xdelex": "Redis 8.2",
}
# Arguments of commands that the peer has, which are of Redis 8.2 and 8.4, and which the peer's docs do not have.
MORE_ARGUMENTS = {
    "set": {"ifne-value", "ifdeq-digest", "ifdne-digest"},
    "xadd": {"condition", "keepref", "delref", "acked"},
    "xtrim": {"condition", "keepref", "delref", "acked"},
}
# Fields of INFO and DOCS that are prose, and each server's own.
PROSE = {b"summary", b"complexity", b"notes"}


# ---- replies without prose and without what is meant to differ ----

def name_of(reply):
    return reply[1].decode("latin-1") if reply[0] in "$+" and reply[1] is not None else ""


def missing(name):
    names = set(" ".join(NOT_THERE.values()).split())
    return name in names or name.split("|")[0] in names


def clean(reply, command="", known=None):
    """Without prose; with sets in order; `known`: without subcommands and arguments that only one of the two has."""
    kind, value = reply
    if kind == "%":
        pairs = []
        for key, item in value:
            if key[1] in PROSE:
                continue
            if key[1] == b"history":  # versions only
                item = ("*", [("*", entry[1][:1]) for entry in item[1]])
            if key[1] == b"subcommands" and known is not None:
                item = (item[0], [pair for pair in item[1] if name_of(pair[0]) in known])
            pairs.append((key, clean(item, name_of(key) if "|" in name_of(key) else command, known)))
        return (kind, sorted(pairs, key=repr) if any("|" in name_of(k) for k, _ in pairs) else pairs)
    if kind == "~":
        return (kind, sorted((clean(v, command, known) for v in value), key=repr))
    if kind == "*" and value:
        items = [clean(v, command, known) for v in value]
        if known is not None:
            items = [v for v in items if not is_more(v, command)]
        if all(v[0] == "*" and v[1] and "|" in name_of(v[1][0]) for v in items):  # INFO's subcommands
            items = sorted((v for v in items if known is None or name_of(v[1][0]) in known), key=repr)
        return (kind, items)
    return reply


def is_more(item, command):
    """An argument of DOCS that only this server has."""
    extra = MORE_ARGUMENTS.get(command, ())
    return item[0] == "%" and any(key[1] == b"name" and name_of(value) in extra for key, value in item[1])


def words_of(call):
    return resp.split_words(call)


def read_file():
    """(call, reply) in the file's order; a call that was not recorded has None."""
    out = []
    for line in open(FILE, encoding="latin-1"):
        line = line.rstrip("\n")
        if line.startswith("> "):
            out.append([line[2:], None])
        elif line.startswith("< "):
            out[-1][1] = resp.parse_notation(line[2:])
    return out


def record(address):
    host, port = address.rsplit(":", 1)
    calls = [call for call, _ in read_file() if words_of(call)[1].upper() not in (b"INFO", b"DOCS")]
    with Connection((host, int(port)), protocol=3) as c:
        names = sorted(v[1].decode() for v in c.command("COMMAND", "LIST")[1] if b"|" not in v[1])
        calls += ["COMMAND %s %s" % (what, name) for name in names for what in ("INFO", "DOCS")]
        lines = [line for line in open(FILE, encoding="latin-1") if line.startswith("#")]
        for call in calls:
            lines.append("> %s\n< %s\n" % (call, resp.show(clean(c.command(*words_of(call))))))
    with open(FILE, "w", encoding="latin-1") as f:
        f.writelines(lines)


class Command(case.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recorded = read_file()

    def setUp(self):
        super().setUp()
        self.connection = self.connect(protocol=3)
        self.known = {name_of(v) for v in self.connection.command("COMMAND", "LIST")[1]}

    def of(self, *subcommands):
        for call, reply in self.recorded:
            words = words_of(call)
            if len(words) > 1 and words[1].upper().decode() in subcommands:
                yield call, words, reply

    def peer_names(self):
        return {name_of(v) for call, words, reply in self.of("LIST") if len(words) == 2 for v in reply[1]}

    def test_names(self):
        """Every command of the peer is there, or is known not to be; every other one is known to be more."""
        peer = self.peer_names()
        self.assertGreater(len(peer), 350)
        lost = sorted(name for name in peer - self.known if not missing(name))
        self.assertEqual(lost, [], "commands that are not there and are not said to be")
        more = sorted(name for name in self.known - peer if name.split("|")[0] not in MORE)
        self.assertEqual(more, [], "commands that the peer does not have and are not said to be more")
        stale = sorted(name for name in " ".join(NOT_THERE.values()).split() if name in self.known)
        if stale:
            print("there after all, and compared: %s" % " ".join(stale))

    def compare(self, *subcommands):
        """INFO and DOCS of each command that both have: their number, and what differs."""
        count = 0
        for call, words, expected in self.of(*subcommands):
            command = words[2].decode()
            if command not in self.known:
                continue
            count += 1
            got = clean(self.connection.command(*words), command, self.known)
            self.assertEqual(resp.show(got), resp.show(clean(expected, command, self.known)), call)
        return count

    def test_info(self):
        self.assertGreater(self.compare("INFO"), 200)

    def test_docs(self):
        self.assertGreater(self.compare("DOCS"), 200)

    def test_keys(self):
        count, differences = 0, []
        for call, words, expected in self.of("GETKEYS", "GETKEYSANDFLAGS"):
            name = words[2].lower().decode("latin-1") if len(words) > 2 else ""
            full = name + "|" + words[3].lower().decode("latin-1") if len(words) > 3 else name
            got = clean(self.connection.command(*words))
            if (missing(name) or missing(full)) and name not in self.known:
                self.assertEqual(got, ("-", b"ERR Invalid command specified"), call)
                continue
            count += 1
            if resp.show(got) != resp.show(expected):
                differences.append("%s: %s, not %s" % (call, resp.show(got), resp.show(expected)))
        self.assertEqual(differences, [])
        self.assertGreater(count, 500)

    def test_list(self):
        """FILTERBY: the same names, of those that both have; errors to the word."""
        peer, count = self.peer_names(), 0
        for call, words, expected in self.of("LIST"):
            got = self.connection.command(*words)
            count += 1
            if expected[0] == "-":
                self.assertEqual(resp.show(got), resp.show(expected), call)
                continue
            ours = {name_of(v) for v in got[1]}
            self.assertEqual(len(ours), len(got[1]), call)
            self.assertEqual(sorted(ours & peer), sorted({name_of(v) for v in expected[1]} & self.known), call)
        self.assertGreater(count, 40)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(sys.argv[2])
    else:
        case.main()
