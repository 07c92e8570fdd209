/* dwarf_line_test.c - line programs written by hand, versions 4 and 5, and damaged ones. What compilers write is read in
 * platform/symbol_test.c. */
#include "base/dwarf_line.h"
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

struct bytes {
    unsigned char at[512];
    size_t size;
};

static void put(struct bytes *b, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        b->at[b->size++] = (unsigned char)(value >> (8 * i));
}

static void put_text(struct bytes *b, const char *text)
{
    memcpy(b->at + b->size, text, strlen(text) + 1);
    b->size += strlen(text) + 1;
}

static void patch(struct bytes *b, size_t at, size_t value)
{
    for (unsigned i = 0; i < 4; i++)
        b->at[at + i] = (unsigned char)(value >> (8 * i));
}

/* One file of one sequence: [0x1000, 0x1004) is line 10, [0x1004, 0x1010) line 11, [0x1010, 0x1018) line 7 of file 2. */
static void put_program(struct bytes *b, unsigned first_file, unsigned second_file)
{
    put(b, 0x0900, 2); /* extended, 9 bytes: */
    put(b, 0x02, 1);   /* set address */
    put(b, 0x1000, 8);
    put(b, 0x04 | first_file << 8, 2);  /* set file */
    put(b, 0x0903, 2);                  /* advance line by 9 */
    put(b, 0x01, 1);                    /* a row */
    put(b, 13 + (1 + 3) + 12 * 4, 1);   /* special: address + 4, line + 1; a row */
    put(b, 0x0c02, 2);                  /* advance address by 12 */
    put(b, 0x04 | second_file << 8, 2); /* set file */
    put(b, 0x7c03, 2);                  /* advance line by -4 */
    put(b, 0x01, 1);
    put(b, 0x0802, 2);   /* advance address by 8 */
    put(b, 0x010100, 3); /* end of the sequence */
}

static void put_opcodes(struct bytes *b)
{
    static const unsigned char operands[] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
    put(b, 1, 1);    /* bytes of an instruction */
    put(b, 1, 1);    /* operations */
    put(b, 1, 1);    /* is_stmt */
    put(b, 0xfd, 1); /* line_base -3 */
    put(b, 12, 1);   /* line_range */
    put(b, 13, 1);   /* opcode_base */
    memcpy(b->at + b->size, operands, sizeof operands);
    b->size += sizeof operands;
}

static void put_version_4(struct bytes *b)
{
    size_t unit = b->size;
    put(b, 0, 4);
    put(b, 4, 2);
    size_t header = b->size;
    put(b, 0, 4);
    put_opcodes(b);
    put_text(b, "/src");
    put(b, 0, 1);
    put_text(b, "one.c");
    put(b, 0, 3); /* in the directory of the compilation */
    put_text(b, "two.h");
    put(b, 1, 3); /* in /src */
    put(b, 0, 1);
    patch(b, header, b->size - header - 4);
    put_program(b, 1, 2);
    patch(b, unit, b->size - unit - 4);
}

static const char line_strings[] = "/home\0/src\0one.c\0two.h";

static void put_version_5(struct bytes *b)
{
    size_t unit = b->size;
    put(b, 0, 4);
    put(b, 5, 2);
    put(b, 8, 1);
    put(b, 0, 1);
    size_t header = b->size;
    put(b, 0, 4);
    put_opcodes(b);
    put(b, 1, 1); /* directories: a path, in .debug_line_str */
    put(b, 0x1f01, 2);
    put(b, 2, 1);
    put(b, 0, 4);
    put(b, 6, 4);
    put(b, 3, 1); /* files: path, directory, MD5 */
    put(b, 0x1f01, 2);
    put(b, 0x0b02, 2);
    put(b, 0x1e05, 2);
    put(b, 2, 1);
    for (unsigned i = 0; i < 2; i++) {
        put(b, i == 0 ? 11 : 17, 4);
        put(b, i, 1);
        b->size += 16;
    }
    patch(b, header, b->size - header - 4);
    put_program(b, 0, 1);
    patch(b, unit, b->size - unit - 4);
}

static bool find(const struct bytes *b, uint64_t address, struct dwarf_place *place)
{
    struct dwarf_sections sections = {
        {(const char *)b->at, b->size}, {line_strings, sizeof line_strings}, {NULL, 0}};
    return dwarf_line_find(&sections, address, place);
}

static void check(const struct bytes *b, uint64_t address, const char *directory, const char *file,
                  unsigned line)
{
    struct dwarf_place place = {0};
    if (!find(b, address, &place) || strcmp(place.directory, directory) != 0 ||
        strcmp(place.file, file) != 0 || place.line != line)
        test_fail(__FILE__, __LINE__, "%#llx: %s/%s:%u", (unsigned long long)address,
                  place.directory, place.file, place.line);
}

TEST(dwarf_line, version_4)
{
    struct bytes b = {.size = 0};
    struct dwarf_place place;
    put_version_4(&b);
    check(&b, 0x1000, "", "one.c", 10);
    check(&b, 0x1003, "", "one.c", 10);
    check(&b, 0x1004, "", "one.c", 11);
    check(&b, 0x100f, "", "one.c", 11);
    check(&b, 0x1010, "/src", "two.h", 7);
    check(&b, 0x1017, "/src", "two.h", 7);
    CHECK(!find(&b, 0xfff, &place) && !find(&b, 0x1018, &place) && !find(&b, 0, &place));
}

TEST(dwarf_line, version_5)
{
    struct bytes b = {.size = 0};
    struct dwarf_place place;
    put_version_5(&b);
    check(&b, 0x1000, "/home", "one.c", 10);
    check(&b, 0x1017, "/src", "two.h", 7);
    CHECK(!find(&b, 0x1018, &place));
}

/* A unit that is not understood is stepped over. */
TEST(dwarf_line, units_in_a_row)
{
    struct bytes b = {.size = 0};
    put(&b, 10, 4);
    put(&b, 99, 2); /* a version to come */
    put(&b, 0, 8);
    put_version_5(&b);
    check(&b, 0x1005, "/home", "one.c", 11);
}

/* Cut anywhere, and with any byte changed: some answer, from inside the bytes. (The sanitizers watch.) */
TEST(dwarf_line, damaged)
{
    for (int version = 4; version <= 5; version++) {
        struct bytes whole = {.size = 0};
        struct dwarf_place place;
        if (version == 4)
            put_version_4(&whole);
        else
            put_version_5(&whole);
        for (size_t size = 0; size < whole.size; size++) {
            struct bytes *cut = malloc(sizeof *cut);
            *cut = whole;
            cut->size = size;
            CHECK(!find(cut, 0x1017, &place));
            free(cut);
        }
        for (size_t i = 0; i < whole.size; i++)
            for (unsigned value = 0; value < 256; value += 5) {
                struct bytes changed = whole;
                changed.at[i] = (unsigned char)value;
                if (find(&changed, 0x1005, &place))
                    CHECK(strlen(place.file) < sizeof changed.at && place.file[0] != 0);
            }
    }
}
