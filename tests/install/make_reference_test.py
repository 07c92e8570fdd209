"""scripts/make-reference and its reader of headers, on headers made for the purpose."""
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT + "/scripts")
import public_headers  # noqa: E402

BASE = """/* base.h - units. Time is nanoseconds. */
#pragma once
"""
SAMPLE = r"""/* sample.h - things to read.
 *
 * A paragraph with `a - b`, tu_take() and -EPIPE.
 * .dots and 'quotes' begin no request.
 *
 *     tu_each(x) { tu_take(x); }      every x
 *
 * - one
 *   goes on
 * - two
 */
#pragma once

/* Why the header is special: not for readers. */
#pragma GCC system_header

#include <tuco/base.h>

TU_BEGIN_DECLS

typedef struct tu_thing tu_thing; /* opaque */
typedef int (*tu_visit)(tu_thing *thing, void *arg); /* called for each */

struct tu_pair {
    int a; /* first; { not a brace */
    void (*b)(void);
};

/* Takes it. */
TU_API __attribute__((alloc_size(1), malloc)) TU_MUST_CHECK int
tu_take(const struct tu_pair *pair, int (*how)(int, int));
TU_API int tu_give(void); /* its own words */

/* Private. */
TU_API void tu__hidden(void);

TU_API int tu_bare(void);

/* Inline. */
TU_API inline bool tu_is(char c)
{
    return c == '}' || "{("[0] == c;
}

/* ---- macros ---- */

TU_END_DECLS

#define TU_LIMIT 16 /* of something */
#define tu_each(x) \
    for (;;)       \
        x
#ifdef __cplusplus
template <class T> struct tu_cc { T x; };
#define tu_both(a, b) cc
#else
/* For C and C++. */
#define tu_both(a, b) c
#endif
"""


class Reference(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.mkdir(self.folder + "/tuco")
        self.write("tuco.h", "#include <tuco/base.h>\n#include <tuco/sample.h>\n")
        self.write("tuco/base.h", BASE)
        self.write("tuco/sample.h", SAMPLE)

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
            f.write(text)

    def tool(self, *arguments):
        return subprocess.run([sys.executable, "-B", ROOT + "/scripts/make-reference", *arguments, self.folder],
                              capture_output=True, text=True)

    def sample(self):
        return public_headers.read_all(self.folder)[1]

    def test_items(self):
        header = self.sample()
        self.assertEqual(header.title, "things to read")
        self.assertEqual(header.exported, ["tu_take", "tu_give", "tu__hidden", "tu_bare", "tu_is"])
        self.assertEqual([(i.kind, i.name) for i in header.items()], [
            ("typedef", "tu_thing"), ("typedef", "tu_visit"), ("struct", "tu_pair"), ("function", "tu_take"),
            ("function", "tu_give"), ("function", "tu_bare"), ("function", "tu_is"), ("macro", "TU_LIMIT"),
            ("macro", "tu_each"), ("macro", "tu_both")])
        shown = {i.name: i.text for i in header.items()}
        self.assertEqual(shown["tu_take"], "int tu_take(const struct tu_pair *pair, int (*how)(int, int));")
        self.assertEqual(shown["tu_is"], "bool tu_is(char c);")
        self.assertEqual(shown["tu_each"], "tu_each(x)")
        self.assertEqual(shown["TU_LIMIT"], "#define TU_LIMIT 16")
        self.assertIn("/* first; { not a brace */", shown["tu_pair"])
        docs = [p.doc for p in header.parts if isinstance(p, public_headers.Group) and p.doc]
        self.assertEqual(docs, ["Takes it.", "Inline.", "For C and C++."])

    def test_pages(self):
        out = self.folder + "/out"
        self.assertEqual(self.tool("--version", "9.9", "--output", out).returncode, 0)
        with open(out + "/man3/tuco-sample.3", encoding="utf-8") as f:
            page = f.read()
        for wanted in ("\\fBa \\- b\\fR", "\\fBtu_take()\\fR and \\fB\\-EPIPE\\fR", ".IP \\(bu 2\none goes on\n",
                       "tu_each(x) { tu_take(x); }      every x", ".SS Macros", "its own words"):
            self.assertIn(wanted, page)
        self.assertNotIn("hidden", page)
        self.assertNotIn("special", page)
        self.assertFalse([line for line in page.split("\n") if line.startswith((".dots", "'"))])
        with open(out + "/man3/tu_take.3", encoding="utf-8") as f:
            self.assertEqual(f.read(), ".so man3/tuco-sample.3\n")
        with open(out + "/reference.md", encoding="utf-8") as f:
            self.assertIn("int tu_give(void);  /* its own words */", f.read())

    def test_what_has_no_description_is_named(self):
        done = self.tool("--check")
        self.assertEqual(done.returncode, 1)
        self.assertIn("sample.h: tu_bare has no description\n", done.stdout)
        self.assertIn(" 1 problems", done.stdout)

    def refuses(self, words, **files):
        for name, text in files.items():
            self.write(f"tuco/{name}.h", text)
        with self.assertRaisesRegex(public_headers.FormatError, words):
            public_headers.read_all(self.folder)

    def test_a_header_outside_the_umbrella(self):
        self.refuses("does not include exactly.*other", other="/* other.h - x. */\n")

    def test_a_head_comment_of_another_file(self):
        self.refuses("`sample.h - `", sample="/* simple.h - x. */\n")

    def test_an_unknown_declaration(self):
        self.refuses("sample.h:3.*not understood", sample="/* sample.h - x. */\n\nint tu_x = 3;\n")

    def test_a_lost_function(self):
        self.refuses("2 uses of TU_API, 1 functions",
                     sample="/* sample.h - x. */\n#pragma once\n/* Two. */\nTU_API int tu_a(void), TU_API tu_b(void);\n")

    def test_an_unclosed_declaration(self):
        self.refuses("sample.h:2.*not closed", sample="/* sample.h - x. */\nstruct tu_x { int a;\n")


if __name__ == "__main__":
    unittest.main()
