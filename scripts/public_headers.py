"""Reads libtuco's public headers (include/tuco/*.h): their comments and declarations, as C sees them.

The headers are in one format, which clang-format and this reader hold: `read(path)` refuses what it does not know.

  head comment     "name.h - title", then paragraphs; what is indented by four more columns is an example
  /* ---- x ---- */  a heading
  a comment        describes what follows it without an empty line; alone, it is a paragraph of the page
  a comment behind a declaration or on a macro's line describes that one

Names that begin with tu__ are for the macros: they are exported where TU_API says so, and not described.
"""
import os
import re
from dataclasses import dataclass, field

PUBLIC = re.compile(r"(tu|TU)_(?!_)\w+$")


@dataclass
class Item:
    kind: str  # function, macro, struct, enum, union, typedef
    name: str
    text: str  # what to show: the declaration, or the macro's name and parameters
    exported: bool = False
    tail: str = ""  # the comment on its own line
    names: list = field(default_factory=list)  # further names to find it by: enumerators


@dataclass
class Group:
    """Items that stand together, and the comment above them."""
    doc: str = ""
    items: list = field(default_factory=list)
    private: bool = False  # the comment is (also) about something that is not public


@dataclass
class Heading:
    text: str


@dataclass
class Header:
    name: str  # chan
    title: str
    head: str  # the head comment's text below the title
    parts: list  # Group and Heading, in order
    exported: list  # names of all functions with TU_API, described or not

    def items(self):
        return [item for part in self.parts if isinstance(part, Group) for item in part.items]


class FormatError(Exception):
    pass


def comment_text(comment):
    """The text of /* ... */ without its frame; what is indented below the frame stays indented."""
    lines = comment[2:-2].split("\n")
    lines = [lines[0].strip()] + [re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines[1:]]
    return "\n".join(lines).strip("\n")


def split_title(head):
    """(title, the rest) of a head comment without its file name. The title is the first sentence, or what
    stands before its colon where it is too long for a list of titles."""
    first, gap, rest = head.partition("\n\n")
    first = " ".join(first.split())
    title, _, more = (first + " ").partition(". ")
    if len(title) > 80 and ": " in title:
        title, _, tail = title.partition(": ")
        more = tail[0].upper() + tail[1:] + ". " + more
    return title.strip().rstrip("."), (more.strip() + gap + rest).strip("\n")


class Reader:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        self.at = 0
        self.parts = []
        self.group = None  # the one that still takes items
        self.last = None  # the item or comment before, for comments behind it
        self.conditions = []  # of the enclosing #ifs: True where C reads on
        self.exported = []  # names with TU_API, described or not
        self.head = None

    def fail(self, what):
        line = self.text.count("\n", 0, self.at) + 1
        raise FormatError(f"{self.path}:{line}: {what}")

    def skip_space(self):
        """Moves over white space; returns the number of line ends in it."""
        space = re.compile(r"\s*").match(self.text, self.at)
        self.at = space.end()
        return space.group().count("\n")

    def read(self):
        while True:
            lines = self.skip_space()
            if self.at >= len(self.text):
                break
            if lines > 1:
                self.group = None
            if self.text.startswith("/*", self.at):
                self.read_comment(behind=lines == 0)
            elif self.text.startswith("#", self.at):
                self.read_directive()
            elif self.text.startswith("//", self.at):
                self.fail("comments are /* */ here")
            elif re.compile(r"TU_(BEGIN|END)_DECLS\b").match(self.text, self.at):
                self.at += len(re.compile(r"\w+").match(self.text, self.at).group())
                self.group = None
            else:
                self.read_code()
        if self.conditions:
            self.fail("an #if is not closed")
        if self.head is None:
            self.fail("does not begin with a comment `name.h - title`")
        name = os.path.basename(self.path)[:-2]
        if not self.head.startswith(name + ".h - "):
            self.fail(f"the head comment does not begin with `{name}.h - `")
        title, body = split_title(self.head[len(name) + 5:])
        return Header(name, title, body, self.described(), self.exported)

    def described(self):
        """The parts without comments on what is not public, and headings of nothing."""
        kept = [p for p in self.parts if isinstance(p, Heading) or p.items or not p.private]
        return [p for i, p in enumerate(kept)
                if isinstance(p, Group) or (i + 1 < len(kept) and isinstance(kept[i + 1], Group))]

    def c_reads(self):
        return all(self.conditions)

    def read_comment(self, behind):
        end = self.text.find("*/", self.at)
        if end < 0:
            self.fail("a comment is not closed")
        text = comment_text(self.text[self.at:end + 2])
        self.at = end + 2
        if self.head is None and not self.parts:
            self.head = text
            return
        if not self.c_reads():
            return
        if behind:
            if self.last is not None:
                self.last.tail = text
            return
        heading = re.fullmatch(r"-+ (.*) -+", text)
        if heading:
            self.parts.append(Heading(heading.group(1)))
            self.group = None
        else:
            self.group = Group(text)
            self.parts.append(self.group)
        self.last = None

    def read_directive(self):
        end = re.compile(r"(?:\\\n|[^\n])*").match(self.text, self.at).end()
        line = self.text[self.at:end]
        self.at = end
        m = re.match(r"#\s*(\w+)\s*(.*)", line, re.S)
        word, rest = m.group(1), m.group(2).strip()
        if word in ("ifdef", "ifndef", "if"):
            if word != "if" and rest == "__cplusplus":
                self.conditions.append(word == "ifndef")
            else:
                self.conditions.append(not re.search(r"\bdefined\s*\(?\s*__cplusplus", rest))
        elif word in ("else", "elif"):
            # Of other conditions the first branch is shown.
            self.conditions[-1] = not self.conditions[-1]
        elif word == "endif":
            self.conditions.pop()
        elif word == "define":
            if self.c_reads():
                self.add_macro(rest)
        elif self.group:
            self.group.private = True  # the comment is on a #pragma or #include
            self.group = None

    def add_macro(self, definition):
        m = re.match(r"(\w+)(\([^)]*\))?", definition)
        name = m.group(1)
        body = definition[m.end():].strip()
        tail = ""
        comment = re.search(r"/\*(.*?)\*/\s*$", body, re.S)
        if comment:
            body, tail = body[:comment.start()].strip(), comment_text(comment.group())
        shown = name + (m.group(2) or "")
        if not m.group(2) and "\n" not in body and len(body) < 60:
            shown = f"#define {name} {body}".rstrip()  # a constant: its value is of interest
        self.add(Item("macro", name, shown, tail=tail))

    def read_code(self):
        start, depth, body_from = self.at, 0, None
        while True:
            if self.at >= len(self.text):
                self.at = start
                self.fail("a declaration is not closed")
            passed = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S).match(self.text, self.at)
            if passed:
                self.at = passed.end()
                continue
            c = self.text[self.at]
            self.at += 1
            if c in "({[":
                if c == "{" and depth == 0:
                    body_from = body_from or self.at - 1
                depth += 1
            elif c in ")}]":
                depth -= 1
                if c == "}" and depth == 0 and self.is_function(self.text[start:body_from]):
                    break
            elif c == ";" and depth == 0:
                break
        if self.c_reads():
            self.declaration(self.text[start:self.at], self.text[start:body_from] if body_from else None)

    @staticmethod
    def is_function(before_brace):
        return before_brace.rstrip().endswith(")") and "=" not in before_brace

    def declaration(self, text, before_brace):
        exported = bool(re.search(r"\bTU_API\b", text))
        # Attributes are for the compiler; that a result must be looked at is of interest.
        plain = re.sub(r"/\*.*?\*/", "", before_brace or text, flags=re.S)
        plain = re.sub(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\)|\bTU_API\b|\bTU_MUST_CHECK\b|\binline\b|\bextern\b",
                       " ", plain)
        plain = re.sub(r"\s+", " ", plain).strip()
        if exported:
            # The whole declaration, comments inside it included, is not needed: a prototype is one line.
            m = re.search(r"\b(tu_\w+)\s*(?=\()", plain) or re.search(r"\b(tu_\w+)\s*;$", plain)
            if not m:
                self.fail("TU_API without a name that begins with tu_")
            shown = plain.rstrip(" ;") + ";"
            self.exported.append(m.group(1))
            self.add(Item("function", m.group(1), shown, exported=True))
        elif before_brace is not None and self.is_function(before_brace):
            m = re.search(r"\b(\w+)\s*(?=\()", plain)
            self.add(Item("function", m.group(1), plain.replace("static ", "") + ";"))
        elif plain.startswith("typedef"):
            m = re.search(r"\(\*(\w+)\)|(\w+)\s*;$", plain)
            self.add(Item("typedef", m.group(1) or m.group(2), text.strip()))
        elif re.match(r"_Static_assert\b|static_assert\b|static |TU_TYPE\(", plain):
            self.last = None  # a check, or data of the macros
        else:
            m = re.match(r"(struct|enum|union) (\w+)", plain)
            if not m:
                self.fail(f"not understood: {plain[:60]}")
            if before_brace is None:
                self.last = None
                return  # named only
            item = Item(m.group(1), m.group(2), text.strip())
            if item.kind == "enum":
                bare = re.sub(r"/\*.*?\*/", "", text[text.index("{"):], flags=re.S)
                item.names = re.findall(r"\b(TU_\w+)\b", bare)
            self.add(item)

    def add(self, item):
        self.last = item
        if not PUBLIC.match(item.name):
            self.last = None
            if self.group:
                self.group.private = True
            return
        if self.group is None:
            self.group = Group()
            self.parts.append(self.group)
        self.group.items.append(item)


def read(path):
    reader = Reader(path)
    header = reader.read()
    # Nothing may slip through: each TU_API in code is one function that was read.
    code = re.sub(r"/\*.*?\*/", "", reader.text, flags=re.S)
    code = re.sub(r"^\s*#\s*define(?:\\\n|[^\n])*", "", code, flags=re.M)
    count = len(re.findall(r"\bTU_API\b", code))
    if count != len(reader.exported):
        raise FormatError(f"{path}: {count} uses of TU_API, {len(reader.exported)} functions read")
    return header


def read_all(include):
    """All headers, in the order of the umbrella tuco.h, which must have each of them."""
    umbrella = os.path.join(include, "tuco.h")
    with open(umbrella, encoding="utf-8") as f:
        text = f.read()
    order = re.findall(r"^#include <tuco/(\w+)\.h>$", text, re.M)
    present = sorted(f[:-2] for f in os.listdir(os.path.join(include, "tuco")) if f.endswith(".h"))
    if sorted(order) != present:
        raise FormatError(f"{umbrella} does not include exactly what is in tuco/: {sorted(set(order) ^ set(present))}")
    return [read(os.path.join(include, "tuco", name + ".h")) for name in order]
