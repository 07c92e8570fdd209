#!/usr/bin/env python3
"""DUMP payloads between two servers: equal bytes, each RESTOREs the other's, and both judge strange payloads alike.

  payloads.py - HOST:PORT               starts build/tuco-server and compares it with the one given
  payloads.py - HOST:PORT --corpus DIR  writes the payloads of theirs to DIR as well, one file each

Both servers are FLUSHED. Where a large collection has no order of its own, payloads are compared by what they restore to.
"""
import argparse
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import server  # noqa: E402
from lib.connection import Connection  # noqa: E402

LONG = [("%04d" % (i * 7919 % 10000) + "text of some length ") * (1 + i % 3) for i in range(300)]

# Name: the commands that make the key k. A name that ends in "?" stands for a value whose order is the server's own.
VALUES = {
    "string": [["SET", "k", "abc"]], "string_empty": [["SET", "k", ""]], "string_bytes": [["SET", "k", bytes(range(256))]],
    "string_long": [["SET", "k", "a" * 100]], "string_21": [["SET", "k", "a" * 21]], "string_20": [["SET", "k", "a" * 20]],
    "string_raw": [["SETRANGE", "k", "70", "a"]], "string_words": [["SET", "k", " ".join(LONG)]],
    "string_16k": [["SET", "k", bytes(i * i * 31 % 251 for i in range(16500))]],
    "string_runs": [["SET", "k", b"".join(bytes([i % 256]) * (i % 300) for i in range(400))]],
    "string_70000": [["SETRANGE", "k", "70000", "end"]],
    **{"int_%s" % n: [["SET", "k", n]] for n in (
        "0", "12", "-1", "127", "128", "-128", "-129", "32767", "32768", "-32768", "-32769", "2147483647", "2147483648",
        "-2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808", "007", "-0", "+1")},
    "int_raw": [["SETRANGE", "k", "0", "12"]], "int_bitmap": [["SETBIT", "k", "100", "1"]],
    "list": [["RPUSH", "k", "a", "b", "1", "-5000", "x" * 70, ""]], "list_one": [["RPUSH", "k", "a"]],
    "list_quicklist": [["RPUSH", "k"] + LONG], "list_plain": [["RPUSH", "k", "y" * 20000]],
    "list_mixed": [["RPUSH", "k", "ab", "y" * 20000, "12", "cd"]],
    "list_integers": [["RPUSH", "k"] + [str(i * i * i * 977 - 10 ** 9) for i in range(500)]],
    "hash": [["HSET", "k", "a", "1", "b", "two", "", ""]], "hash_512": [["HSET", "k"] + [w for i in range(200) for w in ("f%d" % i, str(i))]],
    "hash_table?": [["HSET", "k"] + [w for i in range(700) for w in ("f%d" % i, str(i))]],
    "hash_long": [["HSET", "k", "a", "x" * 65]],
    "hash_fields": [["HSET", "k", "a", "1"], ["HPEXPIREAT", "k", "99999999999999", "FIELDS", "1", "a"]],
    "hash_fields_some?": [["HSET", "k", "a", "1", "b", "2", "c", "3"], ["HPEXPIREAT", "k", "99999999999999", "FIELDS", "2", "a", "c"]],
    "intset_2": [["SADD", "k", "1", "2", "3", "-5"]], "intset_4": [["SADD", "k", "1", "70000"]],
    "intset_8": [["SADD", "k", "1", "-7000000000"]], "intset_500": [["SADD", "k"] + [str(i * 7) for i in range(500)]],
    "set": [["SADD", "k", "a", "b", "12"]], "set_table?": [["SADD", "k"] + LONG[:200]], "set_long": [["SADD", "k", "x" * 65]],
    "zset": [["ZADD", "k", "1", "a", "2.5", "b", "inf", "c", "-inf", "d", "1e20", "e", "-0", "f"]],
    "zset_tree?": [["ZADD", "k"] + [w for i in range(200) for w in (str(i / 7), "m%d" % i)]],
    "zset_long": [["ZADD", "k", "1.5", "x" * 65]],
    "stream": [["XADD", "k", "1-1", "a", "b", "c", "d"], ["XADD", "k", "1-2", "a", "b", "c", "e"], ["XADD", "k", "5-0", "z", "1"]],
    "stream_deleted": [["XADD", "k", "1-1", "a", "b"], ["XADD", "k", "2-1", "a", "b"], ["XDEL", "k", "1-1"]],
    "stream_empty": [["XADD", "k", "1-1", "a", "b"], ["XDEL", "k", "1-1"]],
    "stream_many": [["XADD", "k", "%d-0" % i, "field", "value %d" % i] for i in range(1, 350)],
    "stream_groups": [["XADD", "k", "1-1", "a", "b"], ["XADD", "k", "2-1", "a", "b"], ["XGROUP", "CREATE", "k", "g", "0"],
                      ["XGROUP", "CREATE", "k", "h", "$"], ["XGROUP", "CREATECONSUMER", "k", "h", "idle"]],
    "stream_pending": [["XADD", "k", "1-1", "a", "b"], ["XADD", "k", "2-1", "a", "b"], ["XADD", "k", "3-1", "a", "b"], ["XGROUP", "CREATE", "k", "g", "0"],
                       ["XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "k", ">"], ["XREADGROUP", "GROUP", "g", "d", "STREAMS", "k", ">"],
                       ["XDEL", "k", "2-1"]],
}


def crc64(data):
    if not crc64.table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0x95ac9329ac4bc9b5 if i & 1 else 0)
            crc64.table.append(i)
    crc = 0
    for byte in data:
        crc = crc64.table[(crc ^ byte) & 255] ^ crc >> 8
    return crc


crc64.table = []


def seal(body, version=80):
    """A payload: the body, a version and the CRC."""
    data = body + version.to_bytes(2, "little")
    return data + crc64(data).to_bytes(8, "little")


def text(data):
    """A string of an RDB: its length, then itself."""
    size = len(data)
    head = bytes([size]) if size < 64 else bytes([0x40 | size >> 8, size & 255]) if size < 16384 else b"\x80" + struct.pack(">I", size)
    return head + data


def listpack(*elements):
    """Of elements that are integers 0..127 or short strings (as strings, whatever they look like)."""
    body = b"".join(bytes([e, 1]) if isinstance(e, int) else bytes([0x80 | len(e)]) + e + bytes([len(e) + 1]) for e in elements)
    return struct.pack("<IH", len(body) + 7, len(elements)) + body + b"\xff"


def ziplist(*entries):
    body, before = b"", 0
    for e in entries:
        entry = bytes([before]) + e
        body, before = body + entry, len(entry)
    tail = 10 + len(body) - before
    return struct.pack("<IIH", len(body) + 11, tail, len(entries)) + body + b"\xff"


def intset(width, *values):
    return struct.pack("<II", width, len(values)) + b"".join(v.to_bytes(width, "little", signed=True) for v in values)


def double(value):
    return struct.pack("<d", value)


def deadline(at_ms):
    return struct.pack("<q", at_ms)


MANY = [b"f%d" % i for i in range(1200)]
# Bodies that no DUMP of today writes: older forms, unusual ones, broken ones.
STRANGE = {
    "string_longer": b"\x00\x03abcd", "string_14": b"\x00\x40\x03abc", "string_32": b"\x00\x80\0\0\0\x03abc",
    "string_64": b"\x00\x81" + b"\0" * 7 + b"\x03abc", "string_82": b"\x00\x82\0\0\0\x03abc", "string_huge": b"\x00\x81" + b"\xff" * 8,
    "string_int8": b"\x00\xc0\x85", "string_int32": b"\x00\xc2\x01\x00\x00\x80", "string_encoding": b"\x00\xc4\x05", "no_body": b"\x00", "empty": b"",
    "lzf_short": b"\x00\xc3\x05\x06\x00a\x20\x00", "lzf_good": b"\x00\xc3\x04\x04\x00a\x20\x00", "lzf_far": b"\x00\xc3\x04\x04\x00a\x20\x05",
    "lzf_bomb": b"\x00\xc3\x04\x80\x7f\xff\xff\xff\x00a\x20\x00",
    "list_empty": b"\x01\x00", "list_old": b"\x01\x03\x01a\x01b\xc0\x05", "list_count": b"\x01\x81" + b"\x7f" * 8 + b"\x01a",
    "list_ziplist": b"\x0a" + text(ziplist(b"\x01a", b"\xfe\x64", b"\xc0\x10\x27", b"\xf3", b"\xfe\x85", b"\xf0\x00\x00\x80")),
    "list_ziplist_empty": b"\x0a" + text(ziplist()), "quicklist_1": b"\x0e\x01" + text(ziplist(b"\x01a", b"\x40\x02bc")),
    "ziplist_wide": b"\x0a" + text(ziplist(b"\xd0\x00\x00\x00\x80", b"\xe0" + b"\xff" * 8, b"\xfd", b"\xf1", b"\x80\0\0\0\x01q")),
    "ziplist_head": b"\x0a" + text(ziplist(b"\xff")), "ziplist_before": b"\x0a" + text(ziplist(b"\x01a", b"\x01b")[:13] + b"\x07\x01b\xff"),
    "quicklist_1_empty": b"\x0e\x01" + text(ziplist()), "quicklist_1_some_empty": b"\x0e\x02" + text(ziplist()) + text(ziplist(b"\xf4")),
    "quicklist_2": b"\x12\x01\x02" + text(listpack(b"a", 1)), "quicklist_2_plain": b"\x12\x01\x01" + text(b"plain"),
    "quicklist_2_container": b"\x12\x01\x03" + text(b"plain"), "quicklist_2_nodes": b"\x12\x02\x02" + text(listpack(b"a", 1)) + b"\x02" + text(listpack(b"b")),
    "quicklist_2_some_empty": b"\x12\x02\x02" + text(listpack()) + b"\x02" + text(listpack(b"a")), "quicklist_2_empty": b"\x12\x01\x02" + text(listpack()),
    "quicklist_2_none": b"\x12\x00", "quicklist_2_plain_empty": b"\x12\x01\x01\x00", "quicklist_2_plain_12": b"\x12\x01\x01" + text(b"12"),
    "hash_old": b"\x04\x01\x01a\x01b", "hash_old_long": b"\x04\x02\x01a\x01b\x01c" + text(b"x" * 100), "hash_twice": b"\x04\x02\x01a\x01b\x01a\x01c",
    "hash_none": b"\x04\x00", "hash_2_none": b"\x16\x00", "hash_2_without": b"\x16\x01\x01a\x01b" + deadline(-1), "hash_2_negative": b"\x16\x01\x01a\x01b" + deadline(-2),
    "hash_2": b"\x16\x02\x01a\x01b" + deadline(99999999999999) + b"\x01c\x01d" + deadline(-1), "hash_2_twice": b"\x16\x02" + (b"\x01a\x01b" + deadline(-1)) * 2,
    "hash_2_cut": b"\x16\x01\x01a\x01b\0\0", "hash_2_latest": b"\x16\x01\x01a\x01b" + deadline(2 ** 63 - 1),
    "hash_listpack": b"\x10" + text(listpack(b"a", b"b")), "hash_listpack_twice": b"\x10" + text(listpack(b"a", b"b", b"a", b"c")),
    "hash_listpack_odd": b"\x10" + text(listpack(b"a")), "hash_listpack_empty": b"\x10" + text(listpack()),
    "hash_listpack_forms": b"\x10" + text(listpack(b"5", b"b", 5, b"c")), "hash_listpack_digits": b"\x10" + text(listpack(b"5", b"6")),
    "hash_listpack_many": b"\x10" + text(listpack(*MANY)), "hash_listpack_many_twice": b"\x10" + text(listpack(*(MANY + MANY[:2]))),
    "hash_listpack_100_twice": b"\x10" + text(listpack(*(MANY[:200] + MANY[:2]))),
    "hash_listpack_long": b"\x10" + text(struct.pack("<IH", 93, 2) + b"\x81a\x02\xe0\x50" + b"x" * 80 + b"\x52\xff"),
    "listpack_size": b"\x10" + text(b"\x20" + listpack(b"a", b"b")[1:]), "listpack_end": b"\x10" + text(listpack(b"a", b"b")[:-1] + b"\xfe"),
    "listpack_count": b"\x10" + text(listpack(b"a", b"b")[:4] + b"\x04" + listpack(b"a", b"b")[5:]),
    "listpack_uncounted": b"\x10" + text(listpack(b"a", b"b")[:4] + b"\xff\xff" + listpack(b"a", b"b")[6:]),
    "listpack_tail": b"\x10" + text(listpack(b"a", b"b").replace(b"b\x02", b"b\x03")), "listpack_short": b"\x10" + text(b"\x06\0\0\0\0\xff"),
    "listpack_over": b"\x10" + text(listpack(b"a", b"b").replace(b"\x81b", b"\x89b")),
    "hash_ziplist": b"\x0d" + text(ziplist(b"\x01a", b"\x01b")), "hash_ziplist_twice": b"\x0d" + text(ziplist(b"\x01a", b"\x01b", b"\x01a", b"\x01b")),
    "hash_ziplist_long": b"\x0d" + text(ziplist(b"\x01a", b"\x40\x50" + b"x" * 80)), "hash_ziplist_odd": b"\x0d" + text(ziplist(b"\x01a")),
    "hash_zipmap": b"\x09" + text(b"\x02\x01a\x01\x00b\x01c\x01\x02d..\xff"), "hash_zipmap_empty": b"\x09" + text(b"\x00\xff"),
    "hash_zipmap_long": b"\x09" + text(b"\x01\x01a\x50\x00" + b"x" * 80 + b"\xff"),
    "hash_zipmap_cut": b"\x09" + text(b"\x01\x01a\x09\x00b\xff"), "hash_zipmap_twice": b"\x09" + text(b"\x02\x01a\x01\x00b\x01a\x01\x00b\xff"),
    "set_old": b"\x02\x02\x01a\x01b", "set_twice": b"\x02\x02\x01a\x01a", "set_none": b"\x02\x00", "set_integers": b"\x02\x02\xc0\x01\xc0\x02",
    "set_listpack": b"\x14" + text(listpack(b"a", b"b")), "set_listpack_twice": b"\x14" + text(listpack(b"a", b"a")), "set_listpack_empty": b"\x14" + text(listpack()),
    "set_listpack_integers": b"\x14" + text(listpack(1, 2)), "set_mixed": b"\x02\x03\xc0\x01\x01a\xc1\xe8\x03", "set_long_old": b"\x02\x02\x01a" + text(b"x" * 80),
    "intset_wide": b"\x0b" + text(intset(4, 1, 2, 3)), "intset_unsorted": b"\x0b" + text(intset(2, 2, 1)), "intset_twice": b"\x0b" + text(intset(2, 1, 1)),
    "intset_empty": b"\x0b" + text(intset(2)), "intset_width": b"\x0b" + text(intset(3, 1)), "intset_cut": b"\x0b" + text(intset(2, 1, 2)[:-1]),
    "intset_1000": b"\x0b" + text(intset(2, *range(1000))), "set_listpack_1000": b"\x14" + text(listpack(*MANY)),
    "zset_old": b"\x03\x02\x01a\x011\x01b\xfe", "zset_old_nan": b"\x03\x01\x01a\xfd", "zset_old_text": b"\x03\x01\x01a\x03abc", "zset_old_minus": b"\x03\x01\x01a\xff",
    "zset_nan": b"\x05\x01\x01a" + double(float("nan")), "zset_twice": b"\x05\x02\x01a" + double(1) + b"\x01a" + double(2), "zset_none": b"\x05\x00",
    "zset_unsorted": b"\x05\x02\x01b" + double(1) + b"\x01a" + double(-0.0), "zset_inf": b"\x05\x02\x01b" + double(float("-inf")) + b"\x01a" + double(float("inf")),
    "zset_listpack": b"\x11" + text(listpack(b"a", 1, b"b", 2)), "zset_listpack_unsorted": b"\x11" + text(listpack(b"a", 3, b"b", 2)),
    "zset_listpack_nan": b"\x11" + text(listpack(b"a", b"nan")), "zset_listpack_1e1": b"\x11" + text(listpack(b"a", b"1e1")),
    "zset_listpack_text": b"\x11" + text(listpack(b"a", b"x")), "zset_listpack_long": b"\x11" + text(struct.pack("<IH", 91, 2) + b"\xe0\x50" + b"x" * 80 + b"\x52\x01\x01\xff"),
    "zset_long_old": b"\x05\x02\x01b" + double(1) + text(b"x" * 80) + double(2), "zset_many_old": b"\x05\x40\x90" + b"".join(text(m) + double(i / 3) for i, m in enumerate(MANY[:144])),
    "zset_spelling": b"\x03\x05\x01a\x031e3\x01b\x04.500\x01c\x040x1p\x01d\x03inf\x01e\x02-0", "zset_old_empty": b"\x03\x01\x01a\x00",
    "zset_listpack_twice": b"\x11" + text(listpack(b"a", 1, b"a", 2)), "zset_listpack_odd": b"\x11" + text(listpack(b"a", 1, b"b")),
    "zset_listpack_many": b"\x11" + text(listpack(*[x for i, m in enumerate(MANY[:100]) for x in (m, i)] + [x for i, m in enumerate(MANY[100:160]) for x in (m, i + 60)])),
    "zset_ziplist": b"\x0c" + text(ziplist(b"\x01a", b"\xf3", b"\x01b", b"\x033.5")),
    "stream_none": b"\x15\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00", "stream_oldest": b"\x0f\x00\x00\x05\x00\x00",
    "stream_key": b"\x0f\x01\x03abc" + text(listpack(1, 0, 1, b"a", 0, 2, 0, 0, b"b", 4)) + b"\x01\x01\x01\x00",
    "stream_old": b"\x0f\x01\x10" + b"\0" * 7 + b"\1" + b"\0" * 7 + b"\1" + text(listpack(1, 0, 1, b"a", 0, 2, 0, 0, b"b", 4)) + b"\x01\x01\x01\x00",
    "stream_count": b"\x0f\x01\x10" + b"\0" * 7 + b"\1" + b"\0" * 7 + b"\1" + text(listpack(2, 0, 1, b"a", 0, 2, 0, 0, b"b", 4)) + b"\x01\x01\x01\x00",
    "stream_back": b"\x0f\x01\x10" + b"\0" * 7 + b"\1" + b"\0" * 7 + b"\1" + text(listpack(1, 0, 1, b"a", 0, 2, 0, 0, b"b", 5)) + b"\x01\x01\x01\x00",
    "stream_group_twice": b"\x0f\x00\x00\x05\x00\x02" + b"\x01g\x00\x00\x00\x00" * 2,
    "stream_unowned": b"\x0f\x00\x00\x05\x00\x01" + b"\x01g\x00\x00\x01" + b"\0" * 24 + b"\x01\x00",
    "stream_foreign": b"\x0f\x00\x00\x05\x00\x01" + b"\x01g\x00\x00\x00\x01\x01c" + b"\0" * 8 + b"\x01" + b"\0" * 16,
    **{"type_%d" % t: bytes([t]) + b"\x00" for t in (6, 7, 8, 15, 17, 19, 21, 23, 24, 26, 99, 255)},
}
# Accepted by the peer although something is wrong with it, refused by us; and the other way round.
INTENDED = {"string_cut": "the end of a string may lie in the checksum", "zset_listpack_text": "a score must be a number"}


class Comparison:
    def __init__(self, ours, theirs):
        self.sides = {"ours": Connection(ours), "theirs": Connection(theirs)}
        self.failures = self.checks = 0

    def say(self, name, what):
        self.failures += 1
        print("%-26s %s" % (name, what), flush=True)

    def known(self, name):
        """True if our server has the commands that make this value."""
        return all(self.sides["ours"].command("COMMAND", "INFO", words[0])[1][0][1] for words in VALUES[name])

    def make(self, side, name):
        c = self.sides[side]
        c.command("DEL", "k")
        for words in VALUES[name]:
            reply = c.command(*words)
            assert reply[0] != "-", (name, side, reply)
        return c.call("DUMP", "k"), c.call("DEBUG", "DIGEST-VALUE", "k"), c.call("OBJECT", "ENCODING", "k")

    def restored(self, side, payload):
        """Reply, digest, form of the key that a payload makes."""
        c = self.sides[side]
        c.command("DEL", "k")
        reply = c.command("RESTORE", "k", "0", payload)
        return (reply,) + ((c.call("DEBUG", "DIGEST-VALUE", "k"), c.call("OBJECT", "ENCODING", "k")) if reply[0] == "+" else ())

    def value(self, name):
        ours, theirs = self.make("ours", name), self.make("theirs", name)
        self.checks += 1
        if ours[0] != theirs[0] and not name.endswith("?"):
            self.say(name, "payloads differ:\n  ours   %s\n  theirs %s" % (ours[0].hex()[:400], theirs[0].hex()[:400]))
        for side, (payload, digest, form) in (("ours", theirs), ("theirs", ours)):
            self.checks += 1
            reply = self.restored(side, payload)
            if reply[0] != ("+", b"OK") or reply[1] != digest or form not in (reply[2], b"raw"):
                self.say(name, "%s does not take the other's: %s, wanted %s %s" % (side, reply, digest, form))
        return theirs[0]

    def there_and_back(self, name):
        """A value that only the other side can make."""
        payload = self.make("theirs", name)[0]
        self.checks += 1
        reply = self.restored("ours", payload)
        back = self.sides["ours"].call("DUMP", "k")
        if back != payload and not name.endswith("?"):
            self.say(name, "%s, and back:\n  ours   %s\n  theirs %s" % (reply, back and back.hex(), payload.hex()))
        return payload

    def strange(self, name):
        payload = seal(STRANGE[name])
        self.checks += 1
        ours, theirs = self.restored("ours", payload), self.restored("theirs", payload)
        if ours != theirs and name not in INTENDED:
            self.say(name, "judged differently\n  ours   %s\n  theirs %s" % (ours, theirs))
        return payload

    def versions(self):
        for version in list(range(0, 14)) + [70, 79, 80, 81, 82, 255, 256, 65535]:
            self.checks += 1
            payload = seal(b"\x00\x03abc", version)
            if self.restored("ours", payload) != self.restored("theirs", payload):
                self.say("version", str(version))


def address(words):
    host, port = words.rsplit(":", 1)
    return host, int(port)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("ours", help="HOST:PORT, or - to start a server")
    options.add_argument("theirs", help="HOST:PORT")
    options.add_argument("--corpus", help="a folder for the payloads of theirs")
    options.add_argument("--only", default="", help="names that begin with this")
    chosen = options.parse_args()
    own = server.Server() if chosen.ours == "-" else None
    c = Comparison(own.address if own else address(chosen.ours), address(chosen.theirs))
    for side in c.sides.values():
        side.call("FLUSHALL")
    payloads, skipped = {}, []
    for name in VALUES:
        if not name.startswith(chosen.only):
            continue
        if c.known(name):
            payloads[name] = c.value(name) if name != "stream_pending" else c.there_and_back(name)
        else:
            skipped.append(name)
            payloads[name] = c.there_and_back(name)
    for name in STRANGE:
        if name.startswith(chosen.only):
            payloads[name] = c.strange(name)
    c.versions()
    if chosen.corpus:
        os.makedirs(chosen.corpus, exist_ok=True)
        for name, payload in payloads.items():
            with open(os.path.join(chosen.corpus, name.rstrip("?")), "wb") as f:
                f.write(payload)
    if skipped:
        print("not made by ours: " + " ".join(skipped))
    print("%d checks, %d failed" % (c.checks, c.failures))
    if own:
        own.stop()
    return 1 if c.failures else 0


if __name__ == "__main__":
    sys.exit(main())
