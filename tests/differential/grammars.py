"""Words for random commands: options meet each other, conflict, lack their values and have bad ones.

GRAMMARS has, for each command, a function from a random.Random to the words that follow its name; STEPS are
the commands that only mean something beside others. All words are text, one character a byte (latin-1).
"""
import os

KEYS = ["k1", "k2", "k3", "k4", "none", "n1", "n2", "f1", "{x}long" * 3]
VALUES = ["", "a", "abc", "xabcx", "10", "-5", "9223372036854775807", "9223372036854775806", "3.5",
          "1e3", " 7", "007", "-0", "+1", "v" * 70, "\x00\xff\r\n", "0x10", "nan", "inf", "x"]
INTS = ["0", "1", "-1", "2", "5", "10", "100", "-100", "9223372036854775807", "-9223372036854775808",
        "9223372036854775808", "abc", "", " 1", "1 ", "1.5", "01", "+1", "2147483648", "4294967296"]
LATER = ["200000", "1000000", "5000000", "0", "-1", "9223372036854775807", "9223372036854775", "abc",
         "-9223372036854775808", "1.0", ""]
UNIX = ["99999999999", "9999999999999", "1", "0", "-5", "x", "9223372036854775807",
        "9223372036854775", "-9223372036854775808"]
DBS = ["0", "1", "2", "15", "16", "-1", "x", "99999999999", "2147483648"]
FLOATS = ["1", "0.1", "-0.5", "1e2", "abc", "", "nan", "inf", "-inf", "1e400", " 1", "3.0e3", "1e-5", "0x1p3",
          "123456789.123456789", "1e17", "5e-324"]


def key(r):
    return r.choice(KEYS)


def some(r, words, low, high):
    return [r.choice(words) for _ in range(r.randint(low, high))]


def case(r, word):
    return "".join(c.upper() if r.random() < 0.5 else c.lower() for c in word)


def options(r, tokens, most=4):
    """Words from {token: value words or None}, sometimes incomplete or unknown."""
    out = []
    for _ in range(r.choice([0, 1, 1, 1, 2, 2, 3, most])):
        token = r.choice(list(tokens))
        out.append(case(r, token))
        values = tokens[token]
        if values is not None and r.random() < 0.96:
            out.append(r.choice(values))
    if r.random() < 0.04:
        out.append(r.choice(["FOO", "", "EXX", "N"]))
    return out


TIMES = {"EX": LATER, "PX": LATER, "EXAT": UNIX, "PXAT": UNIX}
CONDITIONS = {"NX": None, "XX": None, "GT": None, "LT": None}
GRAMMARS = {
    "SET": lambda r: [key(r), r.choice(VALUES)] + options(
        r, {**TIMES, "NX": None, "XX": None, "IFEQ": VALUES, "GET": None, "KEEPTTL": None, "PERSIST": None}),
    "GETEX": lambda r: [key(r)] + options(r, {**TIMES, "PERSIST": None, "KEEPTTL": None}, 2),
    "GET": lambda r: [key(r)],
    "GETDEL": lambda r: [key(r)],
    "GETSET": lambda r: [key(r), r.choice(VALUES)],
    "GETRANGE": lambda r: [key(r), r.choice(INTS), r.choice(INTS)],
    "SUBSTR": lambda r: [key(r), r.choice(INTS), r.choice(INTS)],
    "SETRANGE": lambda r: [key(r), r.choice(INTS + ["3", "7", "70000", "536870912"]), r.choice(VALUES)],
    "SETNX": lambda r: [key(r), r.choice(VALUES)],
    "SETEX": lambda r: [key(r), r.choice(LATER), r.choice(VALUES)],
    "PSETEX": lambda r: [key(r), r.choice(LATER), r.choice(VALUES)],
    "STRLEN": lambda r: [key(r)],
    "APPEND": lambda r: [key(r), r.choice(VALUES)],
    "INCR": lambda r: [key(r)],
    "DECR": lambda r: [key(r)],
    "INCRBY": lambda r: [key(r), r.choice(INTS)],
    "DECRBY": lambda r: [key(r), r.choice(INTS)],
    "INCRBYFLOAT": lambda r: [r.choice(["f1", "n1", "k1"]), r.choice(FLOATS)],
    "DELIFEQ": lambda r: [key(r), r.choice(VALUES)],
    "MGET": lambda r: some(r, KEYS, 0, 4),
    "MSET": lambda r: [w for _ in range(r.randint(0, 3)) for w in (key(r), r.choice(VALUES))] +
    some(r, KEYS, 0, 1) * (r.random() < 0.1),
    "MSETNX": lambda r: [w for _ in range(r.randint(0, 3)) for w in (key(r), r.choice(VALUES))] +
    some(r, KEYS, 0, 1) * (r.random() < 0.1),
    "MSETEX": lambda r: [r.choice(["1", "2", "1", "2", "3", "0", "-1", "x", "2147483648"])] +
    [w for _ in range(r.choice([1, 2, 2, 3])) for w in (key(r), r.choice(VALUES))] +
    options(r, {"EX": LATER, "PX": LATER, "EXAT": ["99999999999", "0", "x"], "NX": None, "XX": None, "KEEPTTL": None}, 3),
    "LCS": lambda r: [key(r), key(r)] + options(
        r, {"LEN": None, "IDX": None, "MINMATCHLEN": INTS, "WITHMATCHLEN": None}, 3),
    "COPY": lambda r: [key(r), key(r)] + options(r, {"DB": DBS, "REPLACE": None}, 2),
    "MOVE": lambda r: [key(r), r.choice(DBS)],
    "RENAME": lambda r: [key(r), key(r)],
    "RENAMENX": lambda r: [key(r), key(r)],
    "DEL": lambda r: some(r, KEYS, 0, 3),
    "UNLINK": lambda r: some(r, KEYS, 0, 3),
    "EXISTS": lambda r: some(r, KEYS, 0, 4),
    "TOUCH": lambda r: some(r, KEYS, 0, 4),
    "TYPE": lambda r: [key(r)],
    "EXPIRE": lambda r: [key(r), r.choice(LATER)] + options(r, CONDITIONS, 3),
    "PEXPIRE": lambda r: [key(r), r.choice(["100000", "9999999"] + LATER[3:])] + options(r, CONDITIONS, 3),
    "EXPIREAT": lambda r: [key(r), r.choice(UNIX)] + options(r, CONDITIONS, 3),
    "PEXPIREAT": lambda r: [key(r), r.choice(UNIX)] + options(r, CONDITIONS, 3),
    "PERSIST": lambda r: [key(r)],
    "TTL": lambda r: [key(r)],
    "PTTL": lambda r: [key(r)],
    "EXPIRETIME": lambda r: [key(r)],
    "PEXPIRETIME": lambda r: [key(r)],
    "KEYS": lambda r: [r.choice(["*", "k*", "k[12]", "none", "?1", "[^k]*", "k[1-3]", "\\k1", "", "*x*", "k[", "{x}*"])],
    "SCAN": lambda r: [r.choice(["0", "0", "0", "0", "x", "-1", "18446744073709551615", "+0", " 0", "00", "", "0 ",
                                 "18446744073709551616", "-0"])] +
    (["COUNT", "1000"] if r.random() < 0.8 else []) +
    options(r, {"MATCH": ["k*", "*"], "TYPE": ["string", "STRING", "hash", "foo", "stream"],
                "COUNT": ["1000", "100", "0", "-1", "x"]}, 3),
    "OBJECT": lambda r: r.choice([["ENCODING", r.choice([key(r), lists(r), sets(r)])], ["REFCOUNT", key(r)], ["FREQ", key(r)],
                                  ["IDLETIME", key(r)], ["NOSUCH", key(r)], ["ENCODING"], []]),
    "COMMAND": lambda r: r.choice([
        ["GETKEYS"] + inner(r), ["GETKEYSANDFLAGS"] + inner(r), ["LIST", "FILTERBY"], ["GETKEYS"],
        ["LIST", "FILTERBY", "MODULE", "x"], ["LIST", "FILTERBY", "PATTERN", "getex"], ["NOSUCH"],
        ["LIST", "FILTERBY", "ACLCAT", "nosuch"], ["INFO", "nosuch", "get", "mset", "set", "lcs"],
        ["LIST", "FOO", "PATTERN", "x"], ["COUNT", "x"], ["DOCS", "nosuch"]]),
    "NOSUCHCOMMAND": lambda r: some(r, VALUES, 0, 3),
}
LISTS = ["l1", "l2", "l3", "l4", "none", "k1"]
ELEMENTS = ["", "a", "b", "c", "a", "10", "-5", "007", "9223372036854775807", "x" * 70, "v" * 1500, "w" * 4000, "h" * 9000]
INDEXES = ["0", "1", "-1", "2", "-3", "5", "7", "100", "-100", "0", "-1", "3", "9223372036854775807", "-9223372036854775808", "x",
           "", "1.5", "9223372036854775808"]
ENDS = ["LEFT", "RIGHT", "left", "Right", "LEFT", "RIGHT", "UP", ""]


def lists(r):
    return r.choice(LISTS)


def element(r):
    return r.choice(ELEMENTS[:9] if r.random() < 0.8 else ELEMENTS)


def push(r):
    return [lists(r)] + [element(r) for _ in range(r.choice([0, 1, 1, 2, 3, 5, 8, 30]))]


GRAMMARS.update({
    "LPUSH": push,
    "RPUSH": push,
    "LPUSHX": push,
    "RPUSHX": push,
    "LPOP": lambda r: [lists(r)] + some(r, INDEXES, 0, 1),
    "RPOP": lambda r: [lists(r)] + some(r, INDEXES, 0, 1),
    "LLEN": lambda r: [lists(r)],
    "LINDEX": lambda r: [lists(r), r.choice(INDEXES)],
    "LSET": lambda r: [lists(r), r.choice([i for i in INDEXES if len(i) < 19 or i[-1] == "8" and i[0] != "-"]), element(r)],  # the peer takes 32 bits of it
    "LRANGE": lambda r: [lists(r), r.choice(INDEXES), r.choice(INDEXES)],
    "LTRIM": lambda r: [lists(r), r.choice(["0", "0", "1", "-100"] + INDEXES), r.choice(["-1", "-1", "-2"] + INDEXES)],
    "LREM": lambda r: [lists(r), r.choice(INDEXES), element(r)],
    "LINSERT": lambda r: [lists(r), r.choice(["BEFORE", "AFTER", "before", "aFter", "X"]), element(r), element(r)],
    "LPOS": lambda r: [lists(r), element(r)] + options(r, {"RANK": INDEXES, "COUNT": INDEXES, "MAXLEN": INDEXES}, 3),
    "LMOVE": lambda r: [lists(r), lists(r), r.choice(ENDS), r.choice(ENDS)],
    "RPOPLPUSH": lambda r: [lists(r), lists(r)],
    "LMPOP": lambda r: [r.choice(["1", "2", "1", "2", "3", "0", "-1", "x"])] + some(r, LISTS, 1, 3) + some(r, ENDS, 1, 1) +
    options(r, {"COUNT": INDEXES}, 2),
})

# Nobody pushes meanwhile: never 0.
WAITS = ["0.001", "0.001", "0.001", "0.001", "1e-4", "0x1p-10", "-1", "-0.5", "nan", "x", "", " 1", "1e300", "inf", "9223372036854775807"]
GRAMMARS.update({
    "BLPOP": lambda r: some(r, LISTS, 1, 3) + [r.choice(WAITS)],
    "BRPOP": lambda r: some(r, LISTS, 1, 3) + [r.choice(WAITS)],
    "BLMOVE": lambda r: [lists(r), lists(r), r.choice(ENDS), r.choice(ENDS), r.choice(WAITS)],
    "BRPOPLPUSH": lambda r: [lists(r), lists(r), r.choice(WAITS)],
    "BLMPOP": lambda r: [r.choice(WAITS)] + GRAMMARS["LMPOP"](r),
    "BZPOPMIN": lambda r: [zsets(r) for _ in range(r.choice([1, 1, 2, 3]))] + [r.choice(WAITS)],
    "BZPOPMAX": lambda r: [zsets(r) for _ in range(r.choice([1, 1, 2, 3]))] + [r.choice(WAITS)],
    "BZMPOP": lambda r: [r.choice(WAITS)] + GRAMMARS["ZMPOP"](r),
    "WAIT": lambda r: [r.choice(INTS), r.choice(["1", "1", "x", "-1", "9223372036854775807"])],
    "WAITAOF": lambda r: [r.choice(["0", "0", "0", "1", "2", "-1", "x"]), r.choice(INTS), r.choice(["1", "1", "x", "-1"])],
})


# ---- sorted sets ----
ZSETS = ["z1", "z2", "z3", "z4", "none", "k1"]
ZMEMBERS = ["a", "b", "c", "d", "ab", "", "10", "-5", "007", "z" * 70, "\x00\xff", "A", "b1"]
SCORES = ["0", "1", "2", "1", "2", "3", "-1", "1.5", "0.1", "0.2", "-0", "inf", "-inf", "1e17", "3.0", "123456789.125", "1e300"]
BAD_SCORES = ["nan", "abc", "", " 1", "0x10", "1e400", "1e-400", "+5", "1 "]
SCORE_ENDS = ["-inf", "+inf", "0", "1", "(1", "2", "(2", "1.5", "(-1", "3", "inf", "(inf", "nan", "(", "", "abc", "0.1"]
LEX_ENDS = ["-", "+", "[a", "(a", "[b", "(c", "[", "(", "[z", "[10", "[ab", "-", "+", "a", "", "++"]


# Ranges by name: of sets whose scores are all one, of any form; and of small ones with mixed scores, where the peer walks as we do (what
# it finds in a large one with mixed scores is chance).
LEX_EQUAL, LEX_MIXED = ["y1", "y2", "y3"], ["m1", "m2"]


def zsets(r):
    return r.choice(ZSETS if r.random() < 0.9 else KEYS)


def lex_sets(r):
    return r.choice(LEX_EQUAL + LEX_MIXED + ["none2"])


def zadd_lex(r):
    key = r.choice(LEX_EQUAL * 2 + LEX_MIXED)
    mixed = key in LEX_MIXED
    names = [m for m in ZMEMBERS if len(m) < 30] if mixed else ZMEMBERS + ["q" * 80]
    scores = ["0", "1", "2", "-1"] if mixed else ["0"]
    return [key] + [w for _ in range(r.choice([1, 2, 3, 5])) for w in (r.choice(scores), r.choice(names))]


def score(r):
    return r.choice(SCORES if r.random() < 0.95 else BAD_SCORES)


def weights(r, n):
    return [case(r, "WEIGHTS")] + [score(r) for _ in range(n if r.random() < 0.9 else 1)]


def numkeys(r, most=3):
    keys = [zsets(r) for _ in range(r.randint(1, most))]
    n = str(len(keys)) if r.random() < 0.93 else r.choice(["0", "-1", "x", "9", "1"])
    return [n] + keys, len(keys)


def zcombine(r, store=False, diff=False):
    words, n = numkeys(r)
    out = ([zsets(r)] if store else []) + words
    for _ in range(r.choice([0, 0, 1, 1, 2, 3])):
        out += r.choice([weights(r, n), [case(r, "AGGREGATE"), r.choice(["SUM", "min", "MAX", "foo"] if r.random() < 0.1 else ["SUM", "min", "MAX"])],
                         [case(r, "WITHSCORES")]] if not diff or r.random() < 0.1 else [[case(r, "WITHSCORES")]])
    return out


def zrange_ends(r, by):
    if by == "BYSCORE":
        return [r.choice(SCORE_ENDS), r.choice(SCORE_ENDS)]
    if by == "BYLEX":
        return [r.choice(LEX_ENDS), r.choice(LEX_ENDS)]
    return [r.choice(INDEXES), r.choice(INDEXES)]


def zlimit(r):
    return [case(r, "LIMIT"), r.choice(["0", "1", "2", "-1", "5"]), r.choice(["1", "2", "-1", "0", "10"])] if r.random() < 0.4 else []


def zrange(r, store=False):
    by = r.choice([None, None, "BYSCORE", "BYLEX"])
    out = [[case(r, by)] if by else [], zlimit(r) if by or r.random() < 0.1 else [],
           [case(r, "REV")] if r.random() < 0.4 else [], [case(r, "WITHSCORES")] if r.random() < 0.4 else [],
           [r.choice(["FOO", "REV", "LIMIT"])] if r.random() < 0.03 else []]
    r.shuffle(out)
    key = lex_sets(r) if by == "BYLEX" else zsets(r)
    return ([zsets(r)] if store else []) + [key] + zrange_ends(r, by) + [w for words in out for w in words]


def zrange_old(r, by):
    return [lex_sets(r) if by == "BYLEX" else zsets(r)] + zrange_ends(r, by) + zlimit(r) + ([case(r, "WITHSCORES")] if r.random() < 0.3 else [])


GRAMMARS.update({
    "ZADD": lambda r: zadd_lex(r) if r.random() < 0.25 else [zsets(r)] + options(r, {"NX": None, "XX": None, "GT": None, "LT": None, "CH": None, "INCR": None}, 2) * (r.random() < 0.4) +
    [w for _ in range(r.choice([1, 1, 2, 3, 5, 20])) for w in (score(r), r.choice(ZMEMBERS))] + some(r, SCORES, 0, 1) * (r.random() < 0.05),
    "ZINCRBY": lambda r: [zsets(r), score(r), r.choice(ZMEMBERS)],
    "ZREM": lambda r: [zsets(r)] + some(r, ZMEMBERS, 0, 3),
    "ZCARD": lambda r: [zsets(r)],
    "ZSCORE": lambda r: [zsets(r), r.choice(ZMEMBERS)],
    "ZMSCORE": lambda r: [zsets(r)] + some(r, ZMEMBERS, 0, 3),
    "ZRANK": lambda r: [zsets(r), r.choice(ZMEMBERS)] + some(r, ["WITHSCORE", "withscore", "x"], 0, 1),
    "ZREVRANK": lambda r: [zsets(r), r.choice(ZMEMBERS)] + some(r, ["WITHSCORE", "withscore", "x"], 0, 1),
    "ZCOUNT": lambda r: [zsets(r), r.choice(SCORE_ENDS), r.choice(SCORE_ENDS)],
    "ZLEXCOUNT": lambda r: [lex_sets(r), r.choice(LEX_ENDS), r.choice(LEX_ENDS)],
    "ZRANGE": zrange,
    "ZRANGESTORE": lambda r: [w for w in zrange(r, True) if w.upper() != "WITHSCORES" or r.random() < 0.05],
    "ZRANGEBYSCORE": lambda r: zrange_old(r, "BYSCORE"),
    "ZREVRANGEBYSCORE": lambda r: zrange_old(r, "BYSCORE"),
    "ZRANGEBYLEX": lambda r: zrange_old(r, "BYLEX"),
    "ZREVRANGEBYLEX": lambda r: zrange_old(r, "BYLEX"),
    "ZREVRANGE": lambda r: zrange_old(r, None),
    "ZREMRANGEBYRANK": lambda r: [zsets(r)] + zrange_ends(r, None),
    "ZREMRANGEBYSCORE": lambda r: [zsets(r)] + zrange_ends(r, "BYSCORE"),
    "ZREMRANGEBYLEX": lambda r: [lex_sets(r)] + zrange_ends(r, "BYLEX"),
    "ZPOPMIN": lambda r: [zsets(r)] + some(r, INDEXES, 0, 1),
    "ZPOPMAX": lambda r: [zsets(r)] + some(r, INDEXES, 0, 1),
    "ZMPOP": lambda r: numkeys(r)[0] + [case(r, r.choice(["MIN", "MAX", "MIN", "MAX", "FOO"]))] + options(r, {"COUNT": INDEXES}, 2),
    "ZUNION": zcombine,
    "ZINTER": zcombine,
    "ZDIFF": lambda r: zcombine(r, diff=True),
    "ZUNIONSTORE": lambda r: [w for w in zcombine(r, True) if w.upper() != "WITHSCORES" or r.random() < 0.05],
    "ZINTERSTORE": lambda r: [w for w in zcombine(r, True) if w.upper() != "WITHSCORES" or r.random() < 0.05],
    "ZDIFFSTORE": lambda r: [w for w in zcombine(r, True, True) if w.upper() != "WITHSCORES" or r.random() < 0.05],
    "ZINTERCARD": lambda r: numkeys(r)[0] + options(r, {"LIMIT": INDEXES}, 1),
})


# ---- those that wait: what is there they take; else a moment passes ----
WAITS = ["0.001", "0.001", "0.001", "0.002", "1e-3", "-1", "x", "", "1e400", "nan"]


def wait(r):
    return r.choice(WAITS[:5] if r.random() < 0.9 else WAITS)


GRAMMARS.update({
    "BLPOP": lambda r: some(r, LISTS, 1, 3) + [wait(r)],
    "BRPOP": lambda r: some(r, LISTS, 1, 3) + [wait(r)],
    "BLMOVE": lambda r: [lists(r), lists(r), r.choice(ENDS), r.choice(ENDS), wait(r)],
    "BRPOPLPUSH": lambda r: [lists(r), lists(r), wait(r)],
    "BLMPOP": lambda r: [wait(r), r.choice(["1", "2", "1", "2", "3", "0", "-1", "x"])] + some(r, LISTS, 1, 3) + some(r, ENDS, 1, 1) +
    options(r, {"COUNT": INDEXES}, 2),
    "BZPOPMIN": lambda r: some(r, ZSETS, 1, 3) + [wait(r)],
    "BZPOPMAX": lambda r: some(r, ZSETS, 1, 3) + [wait(r)],
    "BZMPOP": lambda r: [wait(r)] + numkeys(r)[0] + [case(r, r.choice(["MIN", "MAX", "MIN", "MAX", "FOO"]))] + options(r, {"COUNT": INDEXES}, 2),
})


# ---- positions ----
GEOS = ["g1", "g2", "g3", "none", "z1"]
PLACES = ["Palermo", "Catania", "Rome", "a", "b", "c", "d", "e", "f", "h", ""]
UNITS = ["m", "km", "ft", "mi", "KM"]
LONGITUDES = ["13.361389", "15.087269", "12.5", "0", "-73.935242", "180", "-180", "179.99", "-179.99", "10", "14", "100", "181", "x"]
LATITUDES = ["38.115556", "37.502669", "41.9", "0", "40.730610", "85.05112878", "-85.05112878", "-33.5", "70", "38", "37", "-10", "86", "x"]
RADII = ["0", "1", "100", "200", "1000", "5000", "20000", "0.5", "166274.15", "500000", "2000000", "-1", "x"]


def place(r):
    bad = r.random() < 0.04
    if r.random() < 0.4:
        return ["%.6f" % r.uniform(10, 20), "%.6f" % r.uniform(35, 45)]
    return [r.choice(LONGITUDES if bad else LONGITUDES[:-2]), r.choice(LATITUDES if bad else LATITUDES[:-2])]


def radius(r):
    return [r.choice(RADII if r.random() < 0.05 else RADII[:-2]), r.choice(UNITS if r.random() < 0.97 else ["foo"])]


def geo_shape(r):
    kind = r.randrange(5)
    if kind == 4:
        n = r.randint(3, 6)
        bad = r.random() < 0.04  # one that spans half the earth the peer searches only in part: CAVEATS.md
        return [case(r, "BYPOLYGON"), str(n)] + [w for _ in range(n) for w in (
            ["%.6f" % r.uniform(10, 20), "181" if bad else "%.6f" % r.uniform(35, 45)])]
    center = [case(r, "FROMMEMBER"), r.choice(PLACES)] if r.random() < 0.5 else [case(r, "FROMLONLAT")] + place(r)
    shape = [case(r, "BYRADIUS")] + radius(r) if kind < 2 else [case(r, "BYBOX"), r.choice(RADII[:-2])] + radius(r)
    return center + shape if r.random() < 0.97 else r.choice([center, shape, shape + shape])


def geo_words(r, store=False):
    out = []
    if r.random() < 0.6:
        out += [case(r, r.choice(["ASC", "DESC"]))]
    if r.random() < 0.4:
        out += [case(r, "COUNT"), r.choice(["1", "2", "3", "100", "0", "-1", "x"] if r.random() < 0.1 else ["100"] if store else ["1", "2", "3", "100"])]
        if r.random() < 0.4:
            out += [case(r, "ANY")]
    for word in ["WITHDIST", "WITHCOORD", "WITHHASH"]:
        if r.random() < (0.02 if store else 0.3):
            out.append(case(r, word))
    return out


def geo_store(r):
    return [case(r, r.choice(["STORE", "STOREDIST"])), r.choice(GEOS)] if r.random() < 0.25 else []


GRAMMARS.update({
    "GEOADD": lambda r: [r.choice(GEOS)] + options(r, {"NX": None, "XX": None, "CH": None}, 2) * (r.random() < 0.2) +
    [w for _ in range(r.choice([1, 1, 2, 5, 12])) for w in place(r) + [r.choice(PLACES)]],
    "GEODIST": lambda r: [r.choice(GEOS), r.choice(PLACES), r.choice(PLACES)] + some(r, UNITS + ["foo"], 0, 1),
    "GEOHASH": lambda r: [r.choice(GEOS)] + some(r, PLACES, 0, 3),
    "GEOPOS": lambda r: [r.choice(GEOS)] + some(r, PLACES, 0, 3),
    "GEOSEARCH": lambda r: [r.choice(GEOS)] + geo_shape(r) + geo_words(r),
    "GEOSEARCHSTORE": lambda r: [r.choice(GEOS), r.choice(GEOS)] + geo_shape(r) + geo_words(r, True) + ["STOREDIST"] * (r.random() < 0.3),
    "GEORADIUS": lambda r: [r.choice(GEOS)] + place(r) + radius(r) + geo_words(r, r.random() < 0.3) + geo_store(r),
    "GEORADIUS_RO": lambda r: [r.choice(GEOS)] + place(r) + radius(r) + geo_words(r),
    "GEORADIUSBYMEMBER": lambda r: [r.choice(GEOS), r.choice(PLACES)] + radius(r) + geo_words(r, r.random() < 0.3) + geo_store(r),
    "GEORADIUSBYMEMBER_RO": lambda r: [r.choice(GEOS), r.choice(PLACES)] + radius(r) + geo_words(r),
})


# ---- HyperLogLogs ----
HLLS = ["h1", "h2", "h3", "p1", "none2"]  # nothing that is written with APPEND: CAVEATS.md
GRAMMARS.update({
    "PFADD": lambda r: [r.choice(HLLS)] + ["e%d" % r.randrange(10 ** r.randrange(1, 7)) for _ in range(r.choice([0, 1, 1, 2, 5, 40, 40, 300]))],
    "PFCOUNT": lambda r: some(r, HLLS, 1, 3),
    "PFMERGE": lambda r: some(r, HLLS, 1, 3),
    "PFDEBUG": lambda r: [case(r, r.choice(["ENCODING", "DECODE", "TODENSE", "FOO"])), r.choice(HLLS)],
    # where a sparse one becomes dense; run.py puts it back before each stream
    "CONFIG": lambda r: ["SET", "hll-sparse-max-bytes", r.choice(["0", "17", "18", "20", "50", "300", "1500", "3000", "16000"])],
})


# ---- bitmaps ----
BITS = ["0", "1", "5", "7", "8", "9", "23", "64", "100", "1000", "-1", "4294967296", "x", "", "9999999999999999999"]
WIDTHS = ["u1", "u2", "u7", "u8", "u16", "u31", "u32", "u63", "i1", "i2", "i8", "i17", "i63", "i64", "u64", "i65", "u0", "i", "x8", "", "U8"]
FIELD_AT = BITS[:10] + ["#0", "#1", "#2", "#7", "#x", "#", "#-1", "-5", "#99999999999999999"]
NEAR = ["0", "-1", "1", "2", "-2", "3", "-3", "8", "15", "-9", "100", "-100"]


def bit_range(r):
    return [[], [], [r.choice(NEAR)], [r.choice(NEAR), r.choice(NEAR)],
            [r.choice(NEAR), r.choice(NEAR), case(r, r.choice(["BYTE", "BIT", "BIT"]))],
            some(r, INTS + ["BIT"], 1, 4)][r.randrange(6)]


def field_steps(r):
    out = []
    for _ in range(r.randint(0, 4)):
        what = r.choice(["GET", "SET", "SET", "INCRBY", "INCRBY"])
        if r.random() < 0.4:
            out += [case(r, "OVERFLOW"), case(r, r.choice(["WRAP", "SAT", "FAIL", "SAT", "FAIL", "FOO"] if r.random() < 0.2 else ["SAT", "FAIL", "WRAP"]))]
        bad = r.random() < 0.1
        out += [case(r, what), r.choice(WIDTHS if bad else WIDTHS[:14]), r.choice(FIELD_AT if bad else FIELD_AT[:10] + FIELD_AT[10:14])]
        if what != "GET":
            out.append(r.choice(INTS if r.random() < 0.2 else NEAR + ["255", "127", "128", "-128", "65535", "-129", "9223372036854775807", "-9223372036854775808"]))
    return out


GRAMMARS.update({
    "SETBIT": lambda r: [key(r), r.choice(BITS), r.choice(["0", "1", "1", "1", "0", "2", "-1", "x"])],
    "GETBIT": lambda r: [key(r), r.choice(BITS)],
    "BITCOUNT": lambda r: [key(r)] + bit_range(r),
    "BITPOS": lambda r: [key(r), r.choice(["0", "1", "0", "1", "2", "x"])] + bit_range(r),
    "BITOP": lambda r: [case(r, r.choice(["AND", "OR", "XOR", "NOT", "DIFF"])), key(r)] + some(r, KEYS, 1, 3),
    "BITFIELD": lambda r: [key(r)] + field_steps(r),
    "BITFIELD_RO": lambda r: [key(r)] + (field_steps(r) if r.random() < 0.2 else
                                         [w for _ in range(r.randint(0, 3)) for w in (case(r, "GET"), r.choice(WIDTHS[:14]), r.choice(FIELD_AT[:14]))]),
})


def inner(r):
    name = r.choice([n for n in GRAMMARS if n not in ("COMMAND",)])
    return [name] + GRAMMARS[name](r)


STEPS = {
    "SELECT": lambda r: [r.choice(["0", "0", "1", "2", "16", "-1", "x"])],
    "SWAPDB": lambda r: [r.choice(["0", "1", "x"]), r.choice(["1", "2", "99"])],
    "FLUSHDB": lambda r: options(r, {"ASYNC": None, "SYNC": None}, 2),
    "DBSIZE": lambda r: [],
    "ECHO": lambda r: [r.choice(VALUES)],
    "PING": lambda r: some(r, VALUES, 0, 2),
    "MULTI": lambda r: [],
    "EXEC": lambda r: [],
    "DISCARD": lambda r: [],
    "WATCH": lambda r: some(r, KEYS, 0, 3),
    "UNWATCH": lambda r: [],
    "DEBUG": lambda r: ["DIGEST-VALUE"] + some(r, KEYS, 1, 3),
    "HELLO": lambda r: [r.choice(["2", "3", "4", "x"])],
}
# How often, where not once: reading and writing keeps the data alive between the rare commands.
WEIGHTS = {"BLPOP": 0.3, "BRPOP": 0.3, "BLMOVE": 0.3, "BRPOPLPUSH": 0.3, "BLMPOP": 0.3, "BZPOPMIN": 0.3, "BZPOPMAX": 0.3, "BZMPOP": 0.3, "SET": 8, "GET": 5, "APPEND": 3, "INCR": 3, "INCRBY": 2, "INCRBYFLOAT": 2, "SETRANGE": 2, "MSET": 2, "MULTI": 1,
           "EXEC": 2, "SWAPDB": 0.3, "FLUSHDB": 0.2, "HELLO": 0.3, "DISCARD": 0.3, "SELECT": 2, "NOSUCHCOMMAND": 0.3}


def command(r, names=None):
    """One command as bytes; a few have a word too many or too few."""
    names = names or list(ALL)
    name = r.choices(names, [WEIGHTS.get(n, 1) for n in names])[0]
    words = [case(r, name)] + ALL[name](r)
    if r.random() < 0.02 and name != "SPOP" and name[:2] not in ("BL", "BR", "BZ"):  # SPOP without its count is chance; those that wait would wait long
        words = words[:-1] or words if r.random() < 0.5 else words + [r.choice(VALUES)]
    return [w.encode("latin-1") for w in words]


# ---- hashes ----
HASHES = ["h1", "h2", "h3", "none", "k1"]
FIELDS = ["a", "b", "c", "d", "e", "f", "7", "007", "", "q" * 65]
NUMBERS = ["1", "-1", "5", "0", "9223372036854775807", "-9223372036854775808", "x", "", "1.5", " 1", "3e2", "inf"]


def hashes(r):
    return r.choice(HASHES[:3] if r.random() < 0.9 else HASHES)


def field(r):
    return r.choice(FIELDS[:9] if r.random() < 0.95 else FIELDS)


def fields_and_values(r):
    out = [w for _ in range(r.choice([1, 1, 2, 3, 8])) for w in (field(r), r.choice(NUMBERS + ["v", "v" * 70]) if r.random() < 0.3 else r.choice(NUMBERS))]
    return out[:-1] if r.random() < 0.05 else out


GRAMMARS.update({
    "HSET": lambda r: [hashes(r)] + fields_and_values(r),
    "HMSET": lambda r: [hashes(r)] + fields_and_values(r),
    "HSETNX": lambda r: [hashes(r), field(r), r.choice(NUMBERS)],
    "HGET": lambda r: [hashes(r), field(r)],
    "HMGET": lambda r: [hashes(r)] + [field(r) for _ in range(r.randint(0, 4))],
    "HDEL": lambda r: [hashes(r)] + [field(r) for _ in range(r.choice([0, 1, 1, 2, 5]))],
    "HLEN": lambda r: [hashes(r)],
    "HSTRLEN": lambda r: [hashes(r), field(r)],
    "HEXISTS": lambda r: [hashes(r), field(r)],
    "HINCRBY": lambda r: [hashes(r), field(r), r.choice(NUMBERS)],
    "HINCRBYFLOAT": lambda r: [hashes(r), field(r), r.choice(NUMBERS)],
    "HGETALL": lambda r: [hashes(r)],
    "HKEYS": lambda r: [hashes(r)],
    "HVALS": lambda r: [hashes(r)],
})

# Deadlines far away or long past, so that both sides decide alike whenever they are asked.
FAR_S = ["4300000000", "4300000001", "4200000000", "4100000000"]
FAR_MS = [n + "000" for n in FAR_S] + ["4200000000499", "4200000000500"]
ODD_TIMES = ["0", "1", "-1", "x", "", "9223372036854775807", "9223372036854775"]


def numbered(r, words, each=1):
    count = len(words) // each
    n = str(count) if r.random() < 0.95 else r.choice(["0", "-1", "x", "", str(count + 1), "9223372036854775807"])
    return [r.choice(["FIELDS"] * 20 + ["fields", "FIELD"]), n] + words


def some_fields(r):
    return numbered(r, [field(r) for _ in range(r.choice([1, 1, 2, 3, 5]))])


def time_of(r, absolute, ms):
    if r.random() < 0.12:
        return r.choice(ODD_TIMES if absolute else [t for t in ODD_TIMES if t != "1"])  # one that is over in a moment
    if absolute:
        return r.choice(FAR_MS if ms else FAR_S)
    return r.choice(["1000000", "2000000", "3000000"]) + ("000" if ms else "")


def hash_expire(absolute, ms):
    def words(r):
        # what is later than what from now on depends on the clock
        known = ["NX", "XX", "GT", "LT", "nx", "Gt"] if absolute else ["NX", "XX", "nx"]
        conditions = [] if r.random() < 0.5 else [r.choice(known) for _ in range(r.choice([1, 1, 1, 2, 3]))]
        return [hashes(r), time_of(r, absolute, ms)] + conditions + ([] if r.random() < 0.98 else ["FOO"]) + some_fields(r)
    return words


def hash_time(r, last):
    word = r.choice(["EX", "PX", "EXAT", "PXAT", last])
    return [word] if word == last else [word, time_of(r, "AT" in word, word[0] == "P")]


def hgetex(r):
    return [hashes(r)] + [w for _ in range(r.choice([0, 1, 1, 1, 2])) for w in hash_time(r, "PERSIST")] + some_fields(r)


def hsetex(r):
    options = [hash_time(r, "KEEPTTL") for _ in range(r.choice([0, 1, 1, 1, 2]))]
    options += [[w] for w in r.sample(["NX", "XX", "FNX", "FXX", "GT"], r.choice([0, 0, 0, 1, 1, 2]))]
    r.shuffle(options)
    pairs = [w for _ in range(r.choice([1, 1, 2, 3])) for w in (field(r), r.choice(NUMBERS))]
    return [hashes(r)] + [w for o in options for w in o] + numbered(r, pairs[:-1] if r.random() < 0.03 else pairs, 2)


def few_fields(r):
    return [hashes(r)] + some_fields(r)


GRAMMARS.update({
    "HEXPIRE": hash_expire(False, False),
    "HPEXPIRE": hash_expire(False, True),
    "HEXPIREAT": hash_expire(True, False),
    "HPEXPIREAT": hash_expire(True, True),
    "HTTL": few_fields,
    "HPTTL": few_fields,
    "HEXPIRETIME": few_fields,
    "HPEXPIRETIME": few_fields,
    "HPERSIST": few_fields,
    "HGETDEL": few_fields,
    "HGETEX": hgetex,
    "HSETEX": hsetex,
})


# ---- streams ----
STREAMS = ["s1", "s2", "s3", "none", "k1"]
IDS = ["1", "2-1", "2-2", "3", "3-0", "4-7", "5-5", "6", "7-1", "8", "9-9", "0", "0-0", "12-1", "20"]
ODD_IDS = ["-", "+", "$", ">", "x", "", "(3", "(5-5", "(-", "1-", "-1", "18446744073709551615", "01", " 1", "5-*", "1-2-3", "18446744073709551616",
           "18446744073709551615-18446744073709551615"]


def streams(r):
    return r.choice(STREAMS[:3] if r.random() < 0.93 else STREAMS)


def entry_id(r):
    return r.choice(IDS if r.random() < 0.92 else ODD_IDS)


def stream_range(r):
    return [r.choice(["-", "-", "(3", entry_id(r)]), r.choice(["+", "+", "(9-9", entry_id(r)])]


def stream_trim(r):
    strategy = r.choice(["MAXLEN", "MINID"])
    out = [case(r, strategy)] + some(r, ["~", "=", "~"], 0, 1)
    out.append(r.choice(["0", "1", "2", "5", "9", "20", "x", "-1"]) if strategy == "MAXLEN" and r.random() < 0.9 else entry_id(r))
    if r.random() < 0.2:
        out += [case(r, "LIMIT"), r.choice(["0", "1", "3", "10", "100", "-1", "x"])]
    return out


def stream_add(r):
    out = [streams(r)] + (["NOMKSTREAM"] if r.random() < 0.1 else []) + (stream_trim(r) if r.random() < 0.2 else [])
    out.append("%d-*" % r.randint(1, 30) if r.random() < 0.7 else entry_id(r))
    names = ["f", "g"] if r.random() < 0.6 else some(r, FIELDS, 1, 3)
    out += [w for f in names for w in (f, r.choice(NUMBERS + ["v" * 70, "w" * 1500]))]
    return out[:-1] if r.random() < 0.02 else out


def read_streams(r, ids):
    names = [streams(r) for _ in range(r.choice([1, 1, 2, 3]))]
    return [case(r, "STREAMS")] + names + [ids(r) for _ in names][:None if r.random() < 0.97 else -1]


GRAMMARS.update({
    "XADD": stream_add,
    "XLEN": lambda r: [streams(r)],
    "XRANGE": lambda r: [streams(r)] + stream_range(r) + options(r, {"COUNT": INTS[:6]}, 1),
    "XREVRANGE": lambda r: [streams(r)] + stream_range(r)[::-1] + options(r, {"COUNT": INTS[:6]}, 1),
    "XDEL": lambda r: [streams(r)] + [entry_id(r) for _ in range(r.choice([1, 1, 2, 4]))],
    "XTRIM": lambda r: [streams(r)] + stream_trim(r) + (stream_trim(r) if r.random() < 0.03 else []),
    "XSETID": lambda r: [streams(r), entry_id(r)] + options(r, {"ENTRIESADDED": INTS[:8], "MAXDELETEDID": IDS}, 2),
    "XREAD": lambda r: options(r, {"COUNT": INTS[:6], "NOACK": None} if r.random() < 0.05 else {"COUNT": INTS[:6], "BLOCK": ["1", "1", "1", "x", "-1"]}, 1) +
    read_streams(r, lambda r: r.choice(["0", "0", "$", "+", entry_id(r)])),
    "XGROUP": lambda r: x_group(r),
    "XREADGROUP": lambda r: ["GROUP", group(r), consumer(r)] + options(r, {"COUNT": INTS[:6], "NOACK": None, "BLOCK": ["1", "1", "1", "x", "-1"]}, 2) +
    read_streams(r, lambda r: r.choice([">", ">", ">", "0", entry_id(r)])),
    "XACK": lambda r: [streams(r), group(r)] + [entry_id(r) for _ in range(r.choice([1, 1, 2, 4]))],
    "XPENDING": lambda r: [streams(r), group(r)] + r.choice([[], [], (["IDLE", r.choice(["0", "-5", "x", "99999999"])] if r.random() < 0.3 else []) +
                                                     stream_range(r) + [r.choice(["1", "2", "10", "100", "0", "-1", "x"])] +
                                                     ([consumer(r)] if r.random() < 0.4 else [])]),
    "XCLAIM": lambda r: [streams(r), group(r), consumer(r), r.choice(["0", "0", "0", "-1", "x", "99999999"])] +
    [entry_id(r) for _ in range(r.choice([1, 2, 3]))] +
    options(r, {"IDLE": ["0", "5", "1000", "x", "-1"], "TIME": ["0", "5", "99999999999999", "-1", "x"], "RETRYCOUNT": ["0", "5", "-1", "x"],
                "FORCE": None, "JUSTID": None, "LASTID": IDS}, 3),
    "XAUTOCLAIM": lambda r: [streams(r), group(r), consumer(r), r.choice(["0", "0", "0", "-1", "x", "99999999"]), r.choice(["0", "-", entry_id(r), "(3"])] +
    options(r, {"COUNT": ["1", "2", "5", "100", "0", "x"], "JUSTID": None}, 2),
    "XINFO": lambda r: r.choice([["GROUPS", streams(r)], ["CONSUMERS", streams(r), group(r)], ["STREAM", streams(r)], ["STREAM", streams(r), "FULL"],
                                 ["STREAM", streams(r), "FULL", "COUNT", r.choice(INTS[:6])]]),
})


def group(r):
    return r.choice(["g1", "g1", "g2", "g2", "nog"] if r.random() < 0.2 else ["g1", "g2"])


def consumer(r):
    return r.choice(["c1", "c2", "c3", "c10", ""])


def x_group(r):
    what = r.choice(["CREATE", "CREATE", "CREATE", "SETID", "DESTROY", "CREATECONSUMER", "DELCONSUMER"])
    out = [case(r, what), streams(r), group(r)]
    if what in ("CREATE", "SETID"):
        out.append(r.choice(["0", "$", entry_id(r)]))
        out += options(r, {"ENTRIESREAD": ["0", "1", "5", "-1", "-2", "x"], "MKSTREAM": None}, 2)
    elif what != "DESTROY":
        out.append(consumer(r))
    return out


WEIGHTS.update({"XADD": 6, "XREADGROUP": 5, "XGROUP": 3, "XCLAIM": 2, "XAUTOCLAIM": 2})
# ---- sets ----
SETS = ["s1", "s2", "s3", "s4", "none", "k1"]
MEMBERS = ["a", "b", "c", "1", "2", "3", "-7", "007", "", "9223372036854775807", "70000", "x" * 65]


def sets(r):
    return r.choice(SETS[:4] if r.random() < 0.9 else SETS)


def members(r, low, high):
    if r.random() < 0.04:
        return [str(i) for i in range(r.choice([3, 127, 129, 511, 513]))]
    few = r.choice([MEMBERS[3:7], MEMBERS, MEMBERS[:11]])
    return some(r, few, low, high)


GRAMMARS.update({
    "SADD": lambda r: [sets(r)] + members(r, 0, 6),
    "SREM": lambda r: [sets(r)] + members(r, 0, 4),
    "SISMEMBER": lambda r: [sets(r), r.choice(MEMBERS)],
    "SMISMEMBER": lambda r: [sets(r)] + members(r, 0, 4),
    "SCARD": lambda r: [sets(r)],
    "SMEMBERS": lambda r: [sets(r)],
    "SMOVE": lambda r: [sets(r), sets(r), r.choice(MEMBERS)],
    "SINTER": lambda r: [sets(r) for _ in range(r.randint(0, 4))],
    "SUNION": lambda r: [sets(r) for _ in range(r.randint(0, 4))],
    "SDIFF": lambda r: [sets(r) for _ in range(r.choice([0, 1, 2, 3, 10]))],
    "SINTERSTORE": lambda r: [sets(r) for _ in range(r.randint(0, 4))],
    "SUNIONSTORE": lambda r: [sets(r) for _ in range(r.randint(0, 4))],
    "SDIFFSTORE": lambda r: [sets(r) for _ in range(r.choice([0, 1, 2, 3, 10]))],
    "SINTERCARD": lambda r: [r.choice(["1", "2", "2", "3", "0", "-1", "x"])] + [sets(r) for _ in range(r.randint(1, 3))] +
    options(r, {"LIMIT": ["0", "1", "2", "100", "-1", "x"]}, 2),
    "SSCAN": lambda r: [sets(r), r.choice(["0", "0", "0", "x", "-1"])] + options(
        r, {"MATCH": ["*", "1*", "[a-c]", ""], "COUNT": ["1000", "1000", "0", "x"], "NOVALUES": None}, 3) +
    (["COUNT", "1000"] if r.random() < 0.5 else []),
})


def whole(r, key, most, *rest):
    """A random choice or a scan that has to take everything there is: in any order, but always the same."""
    return [key, most] + ([r.choice(rest)] if rest and r.random() < 0.4 else [])


GRAMMARS.update({
    "SRANDMEMBER": lambda r: whole(r, sets(r), r.choice(["100000", "100000", "0", "x", ""])),
    "SPOP": lambda r: whole(r, sets(r), r.choice(["100000", "100000", "0", "-1", "x"])),
    "HRANDFIELD": lambda r: whole(r, hashes(r), r.choice(["100000", "100000", "0", "x"]), "WITHVALUES", "withvalues", "FOO"),
    "ZRANDMEMBER": lambda r: whole(r, zsets(r), r.choice(["100000", "100000", "0", "x"]), "WITHSCORES", "withscores", "FOO"),
    "HSCAN": lambda r: [hashes(r), "0"] + options(r, {"MATCH": ["*", "[a-c]", "q*"], "NOVALUES": None}, 2) + ["COUNT", "100000"],
    "ZSCAN": lambda r: [zsets(r), "0"] + options(r, {"MATCH": ["*", "[a-c]", "z*"]}, 1) + ["COUNT", "100000"],
})
WEIGHTS.update({"SPOP": 0.3})


def payloads():
    """The corpus that both sides judge alike: what older, newer and malicious servers send."""
    folder = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "dump_corpus")
    out = []
    for name in sorted(os.listdir(folder)):
        if name.split("_")[0] in ("string", "int", "list", "hash", "zset", "set", "intset", "quicklist", "ziplist", "listpack", "lzf", "no", "empty") and name not in (
                "hash_listpack_digits", "listpack_uncounted", "ziplist_wide", "zset_listpack_unsorted", "zset_listpack_text",
                "zset_listpack_1e1", "zset_spelling"):  # the peers keep numbers as text
            with open(os.path.join(folder, name), "rb") as f:
                out.append(f.read().decode("latin-1"))
    return out


PAYLOADS = [p for p in payloads() if len(p) < 2000]


def any_key(r):
    return r.choice([key, lists, hashes])(r)


def restore(r):
    payload = r.choice(PAYLOADS)
    if r.random() < 0.1:
        at = r.randrange(len(payload))
        payload = payload[:at] + chr(ord(payload[at]) ^ 1 << r.randrange(8)) + payload[at + 1:]
    return [any_key(r), r.choice(["0"] * 6 + LATER), payload] + options(
        r, {"REPLACE": None, "ABSTTL": None, "IDLETIME": INTS, "FREQ": INTS}, 3)


GRAMMARS.update({
    "DUMP": lambda r: [any_key(r)],
    "RESTORE": restore,
})
WEIGHTS["RESTORE"] = 2


# ---- SORT ----
SORTED = LISTS[:4] + SETS[:4] + ["none", "k1"]
PATTERNS = ["k*", "n*", "*", "none", "#", "h*->a", "k*->a", "f*", "*->7", "h*->"]


def sort(r, extra):
    names = {"ASC": None, "DESC": None, "ALPHA": None, "BY": PATTERNS, "GET": PATTERNS, **extra}
    out = [r.choice(SORTED)] + (["ALPHA"] if r.random() < 0.6 else []) + options(r, names, 4)
    if r.random() < 0.3:
        out += ["LIMIT", r.choice(INDEXES[:8]), r.choice(INDEXES[:8])]
    upper = [w.upper() for w in out]
    if {"ALPHA", "BY", "STORE"} <= set(upper):  # equals are in the order in which they came, which is the server's own
        out = ["ASC" if w.upper() == "ALPHA" else w for w in out]
    return out


GRAMMARS.update({
    "SORT": lambda r: sort(r, {"STORE": LISTS[:4]}),
    "SORT_RO": lambda r: sort(r, {}),
})


ALL = {**GRAMMARS, **STEPS}

# The commands of a type, beside those that every run has: STEPS, and what is done to keys of any type.
ANY_TYPE = ["DEL", "UNLINK", "EXISTS", "TYPE", "TOUCH", "COPY", "RENAME", "RENAMENX", "EXPIRE", "PERSIST", "TTL", "OBJECT", "DUMP", "SCAN"]
BEGINNINGS = {"list": ("L", "R", "BL", "BR"), "set": ("S",), "hash": ("H",), "zset": ("Z", "BZ"), "stream": ("X",), "geo": ("GEO",),
              "hyperloglog": ("PF",), "bitmap": ("BIT", "SETBIT", "GETBIT")}
NOT_THERE = ("RENAME", "RENAMENX", "RESTORE", "LCS", "SET", "SETRANGE", "SETNX", "SETEX", "SETBIT", "STRLEN", "SUBSTR", "SCAN", "SELECT", "SWAPDB",
             "SORT", "SORT_RO", "HELLO")
FAMILIES = {family: [n for n in GRAMMARS if n.startswith(begin) and (n not in NOT_THERE or family == "bitmap")] + ANY_TYPE + list(STEPS)
            for family, begin in BEGINNINGS.items()}
FAMILIES["hyperloglog"].append("CONFIG")
FAMILIES["generic"] = [n for n in ANY_TYPE + ["PEXPIRE", "EXPIREAT", "PEXPIREAT", "PTTL", "EXPIRETIME", "PEXPIRETIME", "MOVE", "KEYS", "RESTORE", "SORT", "SORT_RO",
                                              "SET", "RPUSH", "SADD", "HSET", "ZADD", "XADD", "COMMAND"]] + list(STEPS)
_typed = {n for names in FAMILIES.values() for n in names}
FAMILIES["string"] = [n for n in GRAMMARS if n not in _typed] + ["SET", "SETBIT"] + ANY_TYPE + list(STEPS)
