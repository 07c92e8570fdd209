"""RESP on the tester's side: encode commands, parse replies, and a notation that people read.

A reply is a tuple (kind, value). Kinds are the first byte of RESP2 and RESP3: '+' '-' ':' '$' '*'
'%' '~' '>' '_' ',' '#' '(' '=' '|'. A RESP2 null is ('$', None) or ('*', None), RESP3's is ('_', None).
Simple strings, errors, bulk strings, doubles and big numbers hold bytes as they came; integers an
int; aggregates a list (maps: a list of pairs); verbatim strings (format, text).

The notation (tests/commands/README.md has the table) also has matchers, whose kind is a word:
'any', 'range', 'int', 'regex', 'capture', 'unordered', 'nil', 'nil*'. `match` compares a reply with it.
"""
import re

AGGREGATES = b"*~>"


class ProtocolError(Exception):
    """The bytes are not RESP."""


class _More(Exception):
    pass


def encode(words):
    """One command as a RESP array of bulk strings."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


def encode_inline(words):
    """The same as an inline command, each word quoted where it has to be."""
    return b" ".join(quote(w) if not re.fullmatch(rb"[!-~]+", w) or set(w) & set(b"\"'\\") else w
                     for w in words) + b"\r\n"


class Parser:
    """Incremental: feed() bytes, next() gives a reply or None while it is not complete."""

    def __init__(self):
        self.buffer = bytearray()
        self.position = 0
        self.wanted = 0

    def feed(self, data):
        self.buffer += data

    def pending(self):
        return bytes(self.buffer[self.position:])

    def next(self):
        if len(self.buffer) - self.position < self.wanted:
            return None
        self.wanted = 0
        try:
            reply, end = self._parse(self.position)
        except _More:
            return None
        self.position = end
        if self.position > 1 << 16:
            del self.buffer[:self.position]
            self.position = 0
        return reply

    def _line(self, at):
        end = self.buffer.find(b"\r\n", at)
        if end < 0:
            raise _More()
        return bytes(self.buffer[at:end]), end + 2

    def _parse(self, at):
        line, at = self._line(at)
        if not line:
            raise ProtocolError("empty line where a reply should begin")
        kind, rest = chr(line[0]), line[1:]
        if kind in "+-,(":
            return (kind, rest), at
        if kind == "_":
            return (kind, None), at
        if kind == "#":
            if rest not in (b"t", b"f"):
                raise ProtocolError("boolean %r" % rest)
            return (kind, rest == b"t"), at
        if kind not in ":$=*~>%|":
            raise ProtocolError("reply type %r in %r" % (kind, line[:60]))
        if not re.fullmatch(rb"-?\d+", rest):
            raise ProtocolError("number %r" % line[:60])
        number = int(rest)
        if kind == ":":
            return (kind, number), at
        if number == -1 and kind in "$*":
            return (kind, None), at
        if number < 0:
            raise ProtocolError("length %r" % line[:60])
        if kind in "$=":
            if len(self.buffer) < at + number + 2:
                self.wanted = at + number + 2 - self.position
                raise _More()
            text = bytes(self.buffer[at:at + number])
            if self.buffer[at + number:at + number + 2] != b"\r\n":
                raise ProtocolError("bulk of %d bytes does not end in CRLF" % number)
            at += number + 2
            if kind == "=":
                return (kind, (text[:3], text[4:])), at
            return (kind, text), at
        items = []
        for _ in range(number):
            item, at = self._parse(at)
            if kind in "%|":
                value, at = self._parse(at)
                item = (item, value)
            items.append(item)
        if kind == "|":  # an attribute goes before the reply that it describes
            reply, at = self._parse(at)
            return ("|", (items, reply)), at
        return (kind, items), at


# ---- words and quoting -----------------------------------------------------------------------------

_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("a"): 7, ord("b"): 8}
_NAMES = {10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b", 34: '\\"', 92: "\\\\"}


def quote_text(data):
    return '"' + "".join(_NAMES.get(c) or (chr(c) if 32 <= c < 127 else "\\x%02x" % c) for c in data) + '"'


def quote(data):
    return quote_text(data).encode()


def _unquote(text, at):
    """text[at] is the opening quote: the bytes inside and the position after the closing one."""
    out = bytearray()
    at += 1
    while True:
        if at >= len(text):
            raise ValueError("unbalanced quotes: %s" % text)
        c = text[at]
        if c == '"':
            return bytes(out), at + 1
        if c == "\\":
            at += 1
            c = text[at]
            if c == "x":
                out.append(int(text[at + 1:at + 3], 16))
                at += 3
                continue
            out.append(_ESCAPES.get(ord(c), ord(c)))
            at += 1
            continue
        out += c.encode()
        at += 1


def split_words(text, variables=None):
    """The words of a command line: plain, "quoted with \\xNN", or "piece"*count for long ones."""
    words, at = [], 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        if text[at] == '"':
            word, at = _unquote(text, at)
            repeat = re.compile(r"\*(\d+)").match(text, at)
            if repeat:
                word, at = word * int(repeat.group(1)), repeat.end()
            if at < len(text) and text[at] != " ":
                raise ValueError("closing quote must be followed by a space: %s" % text)
        else:
            end = text.find(" ", at)
            end = len(text) if end < 0 else end
            word, at = text[at:end].encode(), end
            if variables is not None:
                word = re.sub(rb"\$\{(\w+)\}", lambda m: variables[m.group(1).decode()], word)
        words.append(word)
    return words


# ---- notation ---------------------------------------------------------------------------------------

def show(reply, nested=False):
    """A reply, or a pattern, in the notation, on one line."""
    kind, value = reply
    if kind in ("nil", "nil*"):
        return kind
    if kind == "any":
        return "*"
    if kind == "int":
        return ":*"
    if kind == "range":
        return ":%d..%d" % value
    if kind == "regex":
        return "%s/%s/" % (value[0] if value[0] != "$" else "", value[1])
    if kind == "capture":
        return "%s=%s" % value
    if kind == "_" or (kind == "$" and value is None):
        return "nil"
    if kind == "*" and value is None:
        return "nil*"
    if kind in "+-":
        text = value.decode("latin-1")
        plain = re.fullmatch(r"[ -~]*[!-~]", text) and text[0] not in '"/='
        if plain and (not nested or re.fullmatch(r"[\w.-]+", text)):
            return kind + text
        return kind + quote_text(value)
    if kind == ":":
        return ":%d" % value
    if kind in ",(":
        return kind + value.decode("latin-1")
    if kind == "#":
        return "#t" if value else "#f"
    if kind == "$":
        if len(value) > 200 and value == value[:1] * len(value):
            return "%s*%d" % (quote_text(value[:1]), len(value))
        return quote_text(value)
    if kind == "=":
        return "=%s:%s" % (value[0].decode("latin-1"), quote_text(value[1]))
    if kind == "unordered":
        return (value[0].strip("*%") + "unordered" + show(("*" if value[0] != "%" else "%", value[1])))
    if kind == "%":
        return "{" + ", ".join("%s: %s" % (show(k, True), show(v, True)) for k, v in value) + "}"
    if kind == "|":
        return "|" + show(("%", value[0]), True) + " " + show(value[1], nested)
    return kind.replace("*", "") + "[" + ", ".join(show(v, True) for v in value) + "]"


def show_lines(reply, width=100):
    """The notation broken into lines: continuation lines begin with two spaces."""
    line = show(reply)
    kind, value = reply
    if len(line) <= width or kind not in ("*", "~", ">", "%", "unordered") or not value:
        return [line]
    head = {"*": "[", "~": "~[", ">": ">[", "%": "{", "unordered": "unordered["}[kind]
    if kind == "unordered" and value[0] == "%":
        return [line]
    if kind == "unordered":
        head, items = value[0].replace("*", "") + head, [show(v, True) for v in value[1]]
    elif kind == "%":
        items = ["%s: %s" % (show(k, True), show(v, True)) for k, v in value]
    else:
        items = [show(v, True) for v in value]
    lines = [head]
    current = "  "
    for i, item in enumerate(items):
        item += "," if i + 1 < len(items) else ""
        if len(current) > 2 and len(current) + 1 + len(item) > width:
            lines.append(current)
            current = "  "
        current += (" " if len(current) > 2 else "") + item
    return lines + [current, "  }" if kind == "%" else "  ]"]


class _Notation:
    def __init__(self, text):
        self.text, self.at = text, 0

    def fail(self, why):
        raise ValueError("%s at column %d of: %s" % (why, self.at, self.text))

    def spaces(self):
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1

    def take(self, literal):
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def regex(self, expression):
        found = re.compile(expression).match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def string(self):
        value, self.at = _unquote(self.text, self.at)
        repeat = self.regex(r"\*(\d+)")
        return value * int(repeat.group(1)) if repeat else value

    def slashed(self):
        found = self.regex(r"/((?:[^/\\]|\\.)*)/") or self.fail("a regular expression")
        return found.group(1)

    def items(self, close):
        out = []
        self.spaces()
        while not self.take(close):
            item = self.value()
            if close == "}":
                self.spaces()
                self.take(":") or self.fail("':' of a map")
                item = (item, self.value())
            out.append(item)
            self.spaces()
            if not self.take(","):
                self.spaces()
                self.take(close) or self.fail("',' or %r" % close)
                break
            self.spaces()
        return out

    def value(self, top=False):
        self.spaces()
        head = self.text[self.at:self.at + 1]
        if self.take("nil*"):
            return ("nil*", None)
        if self.take("nil"):
            return ("nil", None)
        for kind in ("", "~", ">"):
            if kind == "" and self.take("unordered{"):
                return ("unordered", ("%", self.items("}")))
            if self.take(kind + "unordered["):
                return ("unordered", (kind or "*", self.items("]")))
            if self.take(kind + "["):
                return (kind or "*", self.items("]"))
        if self.take("{"):
            return ("%", self.items("}"))
        if self.take("*"):
            return ("any", None)
        if head == '"':
            return ("$", self.string())
        if head == "/":
            return ("regex", ("$", self.slashed()))
        if head == "" or head not in "$+-:,#(=|":
            self.fail("a reply")
        self.at += 1
        if head == "=" and self.regex(r"(\w{3}):"):
            form = self.text[self.at - 4:self.at - 1].encode()
            return ("=", (form, self.string()))
        if head == "|":
            self.take("{") or self.fail("'{' of an attribute")
            return ("|", (self.items("}"), self.value(top)))
        return self.scalar(head, top)

    def scalar(self, head, top):
        named = self.regex(r"=(\w+)")
        if named:
            return ("capture", (head, named.group(1)))
        following = self.text[self.at:self.at + 1]
        if head in "$+-" and following == "/":
            return ("regex", (head, self.slashed()))
        if head in "$+-" and following == '"':
            return (head, self.string())
        if head in "+-":
            found = self.regex(r".*" if top else r"[\w.-]*")
            return (head, found.group(0).rstrip().encode())
        if head == ":":
            if self.take("*"):
                return ("int", None)
            span = self.regex(r"(-?\d+)\.\.(-?\d+)")
            if span:
                return ("range", (int(span.group(1)), int(span.group(2))))
            found = self.regex(r"-?\d+") or self.fail("an integer")
            return (head, int(found.group(0)))
        if head == "#":
            found = self.regex(r"[tf]") or self.fail("#t or #f")
            return (head, found.group(0) == "t")
        found = self.regex(r"[-+\w.]+") or self.fail("a number")
        return (head, found.group(0).encode())


def parse_notation(text):
    notation = _Notation(text)
    value = notation.value(top=True)
    notation.spaces()
    if notation.at != len(notation.text):
        notation.fail("nothing more")
    return value


# ---- comparing --------------------------------------------------------------------------------------

def lower(reply):
    """What RESP2 sends where RESP3 sends this."""
    kind, value = reply
    if kind == "~":
        return ("unordered", ("*", [lower(v) for v in value]))
    if kind in "~>*" and kind and value is not None:
        return ("*", [lower(v) for v in value])
    if kind == "%":
        return ("*", [lower(v) for pair in value for v in pair])
    if kind == "unordered" and value[0] == "%":
        return ("unordered", ("pairs", [(lower(k), lower(v)) for k, v in value[1]]))
    if kind == "unordered":
        return ("unordered", ("*", [lower(v) for v in value[1]]))
    if kind in (",", "("):
        return ("$", value)
    if kind == "#":
        return (":", int(value))
    if kind == "=":
        return ("$", value[1])
    if kind == "|":
        return lower(value[1])
    return reply


def match(pattern, reply, protocol, variables):
    """True if the reply is what the pattern says under the protocol (2 or 3)."""
    if protocol == 2:
        pattern = lower(pattern)
    return _match(pattern, reply, protocol, variables)


def _match(pattern, reply, protocol, variables):
    kind, value = pattern
    if kind == "any":
        return True
    if kind == "nil":
        return reply == (("$", None) if protocol == 2 else ("_", None))
    if kind == "nil*":
        return reply == (("*", None) if protocol == 2 else ("_", None))
    if kind == "int":
        return reply[0] == ":"
    if kind == "range":
        return reply[0] == ":" and value[0] <= reply[1] <= value[1]
    if kind == "regex":
        text = reply[1][1] if reply[0] == "=" and value[0] == "$" else reply[1]
        return (reply[0] in (value[0], "=" if value[0] == "$" else value[0]) and isinstance(text, bytes)
                and re.fullmatch(value[1], text.decode("latin-1"), re.S) is not None)
    if kind == "capture":
        if reply[0] != value[0]:
            return False
        variables[value[1]] = reply[1] if isinstance(reply[1], bytes) else b"%d" % reply[1]
        return True
    if kind == "~":  # a set has no order
        kind, value = "unordered", ("~", value)
    if kind == "unordered":
        if reply[0] != value[0].replace("pairs", "*") or reply[1] is None:
            return False
        left = list(reply[1])
        if value[0] == "pairs":  # a map in no order, as RESP2 has it
            left = list(zip(left[::2], left[1::2]))
        if value[0] in ("pairs", "%"):
            return _match(("unordered", ("*", [("*", list(pair)) for pair in value[1]])),
                          ("*", [("*", list(pair)) for pair in left]), protocol, variables)
        if len(left) != len(value[1]):
            return False
        for wanted in value[1]:
            hit = next((i for i, got in enumerate(left) if _match(wanted, got, protocol, variables)), None)
            if hit is None:
                return False
            del left[hit]
        return True
    if kind != reply[0]:
        return False
    if kind in "*~>" and value is not None and reply[1] is not None:
        return len(value) == len(reply[1]) and all(
            _match(a, b, protocol, variables) for a, b in zip(value, reply[1]))
    if kind == "%":
        return len(value) == len(reply[1]) and all(
            _match(a[0], b[0], protocol, variables) and _match(a[1], b[1], protocol, variables)
            for a, b in zip(value, reply[1]))
    return value == reply[1]


def merge(two, three):
    """One pattern for a RESP2 and a RESP3 reply to the same command, or None if there is none."""
    if two == three:
        return two
    if three == ("_", None):
        return {("$", None): ("nil", None), ("*", None): ("nil*", None)}.get(two)
    kind, value = three
    if kind in "*~>" and value is not None and two[0] == "*" and two[1] is not None:
        if len(value) != len(two[1]):
            return None
        items = [merge(a, b) for a, b in zip(two[1], value)]
        return None if None in items else (kind, items)
    if kind == "%" and two[0] == "*" and two[1] is not None and len(two[1]) == 2 * len(value):
        flat = [v for pair in value for v in pair]
        items = [merge(a, b) for a, b in zip(two[1], flat)]
        return None if None in items else ("%", list(zip(items[::2], items[1::2])))
    return three if match(three, two, 2, {}) else None
