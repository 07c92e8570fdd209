/* dwarf_line.c - see dwarf_line.h.
 *
 * .debug_line holds a unit for each compiled file: a header with tables of directories and files, and a
 * program for a small machine whose registers are an address, a file and a line. Some of its
 * opcodes emit a row; a row counts from its address to that of the next one of the same sequence. We run the
 * programs one after the other until a row covers the address. (.debug_aranges would name the unit at
 * once, but then .debug_info and its abbreviations have to be read to get from it to the program.)
 */
#include "base/dwarf_line.h"

#include <string.h>

enum { OPCODES_MAX = 256, FORMATS_MAX = 16 };

struct cursor {
    const uint8_t *at, *end;
    bool bad; /* something was read that is not there: everything after it is 0 */
};

static uint64_t take(struct cursor *c, unsigned size)
{
    uint64_t value = 0;
    if (size > 8 || (size_t)(c->end - c->at) < size) {
        c->bad = true;
        c->at = c->end;
        return 0;
    }
    for (unsigned i = 0; i < size; i++) /* little endian, as the machines we run on */
        value |= (uint64_t)c->at[i] << (8 * i);
    c->at += size;
    return value;
}

static void skip(struct cursor *c, uint64_t size)
{
    if ((uint64_t)(c->end - c->at) < size) {
        c->bad = true;
        size = (uint64_t)(c->end - c->at);
    }
    c->at += size;
}

static uint64_t take_uleb(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint64_t byte = take(c, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
}

static int64_t take_sleb(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint64_t byte = take(c, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (shift + 7 < 64 && (byte & 0x40))
            value |= ~UINT64_C(0) << (shift + 7);
        return (int64_t)value;
    }
}

static const char *take_string(struct cursor *c)
{
    const char *text = (const char *)c->at;
    const uint8_t *end = memchr(c->at, 0, (size_t)(c->end - c->at));
    if (!end) {
        c->bad = true;
        c->at = c->end;
        return "";
    }
    c->at = end + 1;
    return text;
}

static const char *string_at(struct slice section, uint64_t offset)
{
    if (offset >= section.size || !memchr(section.data + offset, 0, section.size - offset))
        return "";
    return section.data + offset;
}

struct unit {
    const struct dwarf_sections *sections;
    struct cursor tables; /* from the tables of directories and files on */
    struct cursor program;
    unsigned version, offset_size;
    unsigned instruction_size, line_range, opcode_base;
    int line_base;
    uint8_t operands[OPCODES_MAX]; /* of standard opcodes */
};

/* DW_FORM_*: how a field of the tables of version 5 is stored. */
enum {
    FORM_DATA2 = 0x05,
    FORM_DATA4 = 0x06,
    FORM_DATA8 = 0x07,
    FORM_STRING = 0x08,
    FORM_BLOCK = 0x09,
    FORM_DATA1 = 0x0b,
    FORM_STRP = 0x0e,
    FORM_UDATA = 0x0f,
    FORM_DATA16 = 0x1e,
    FORM_LINE_STRP = 0x1f,
};
enum { CONTENT_PATH = 1, CONTENT_DIRECTORY = 2 }; /* DW_LNCT_* */

struct field {
    const char *text;
    uint64_t number;
};

static struct field take_field(const struct unit *u, struct cursor *c, uint64_t form)
{
    struct field f = {"", 0};
    switch (form) {
    case FORM_STRING: f.text = take_string(c); break;
    case FORM_LINE_STRP: f.text = string_at(u->sections->line_str, take(c, u->offset_size)); break;
    case FORM_STRP: f.text = string_at(u->sections->str, take(c, u->offset_size)); break;
    case FORM_DATA1: f.number = take(c, 1); break;
    case FORM_DATA2: f.number = take(c, 2); break;
    case FORM_DATA4: f.number = take(c, 4); break;
    case FORM_DATA8: f.number = take(c, 8); break;
    case FORM_DATA16: skip(c, 16); break;
    case FORM_UDATA: f.number = take_uleb(c); break;
    case FORM_BLOCK: skip(c, take_uleb(c)); break;
    default: c->bad = true; /* no telling how long it is */
    }
    return f;
}

/* Reads one table of version 5; entry `wanted` goes to *path and *directory. */
static void read_table(const struct unit *u, struct cursor *c, uint64_t wanted, const char **path,
                       uint64_t *directory)
{
    uint64_t content[FORMATS_MAX] = {0}, form[FORMATS_MAX] = {0};
    unsigned formats = (unsigned)take(c, 1);
    if (formats > FORMATS_MAX)
        c->bad = true;
    for (unsigned i = 0; i < formats && !c->bad; i++) {
        content[i] = take_uleb(c);
        form[i] = take_uleb(c);
    }
    uint64_t count = take_uleb(c);
    for (uint64_t entry = 0; entry < count && formats > 0 && !c->bad; entry++)
        for (unsigned i = 0; i < formats; i++) {
            struct field f = take_field(u, c, form[i]);
            if (entry == wanted && content[i] == CONTENT_PATH)
                *path = f.text;
            if (entry == wanted && content[i] == CONTENT_DIRECTORY)
                *directory = f.number;
        }
}

/* Name and directory of file number `file`. Before version 5 files count from 1 and directories from 1;
 * 0 is the directory of the compilation, whose name is elsewhere. */
static void name_file(const struct unit *u, uint64_t file, struct dwarf_place *out)
{
    struct cursor c = u->tables;
    uint64_t directory = 0, ignored;
    out->file = out->directory = "";
    if (u->version >= 5) {
        const char *none;
        struct cursor directories = c;
        read_table(u, &c, UINT64_MAX, &none, &ignored);
        read_table(u, &c, file, &out->file, &directory);
        read_table(u, &directories, directory, &out->directory, &ignored);
        return;
    }
    struct cursor directories = c;
    while (*take_string(&c) && !c.bad) {
    }
    for (uint64_t i = 1; !c.bad; i++) {
        const char *name = take_string(&c);
        if (!*name)
            break;
        directory = take_uleb(&c);
        (void)take_uleb(&c);
        (void)take_uleb(&c);
        if (i != file)
            continue;
        out->file = name;
        for (uint64_t k = 1; k <= directory && !directories.bad; k++)
            out->directory = take_string(&directories);
        return;
    }
}

/* Takes the next unit off the section. False: it is not one that we can read (*section is behind it). */
static bool read_header(const struct dwarf_sections *sections, struct cursor *section,
                        struct unit *u)
{
    u->sections = sections;
    u->offset_size = 4;
    uint64_t size = take(section, 4);
    if (size == 0xffffffff) {
        u->offset_size = 8;
        size = take(section, 8);
    }
    struct cursor c = {section->at, section->end, false};
    skip(section, size);
    if (section->bad)
        return false;
    c.end = section->at;
    u->version = (unsigned)take(&c, 2);
    if (u->version < 2 || u->version > 5)
        return false;
    if (u->version == 5 && take(&c, 2) != sizeof(uint64_t)) /* size of an address; no segments */
        return false;
    uint64_t header_size = take(&c, u->offset_size);
    u->program = c;
    skip(&u->program, header_size);
    u->instruction_size = (unsigned)take(&c, 1);
    if (u->version >= 4)
        (void)take(&c, 1); /* operations in an instruction: 1 on our machines */
    (void)take(&c, 1);     /* is_stmt at the beginning: of no interest */
    u->line_base = (int8_t)take(&c, 1);
    u->line_range = (unsigned)take(&c, 1);
    u->opcode_base = (unsigned)take(&c, 1);
    for (unsigned i = 1; i < u->opcode_base; i++)
        u->operands[i] = (uint8_t)take(&c, 1);
    u->tables = c;
    u->tables.end = u->program.at;
    return !c.bad && !u->program.bad && c.at <= u->program.at && u->line_range > 0;
}

struct row {
    uint64_t address, file;
    unsigned line;
    bool there; /* a row has been emitted in this sequence */
};

/* A row begins at `now`; true if the one before it covers `address`. */
static bool covers(const struct row *last, const struct row *now, uint64_t address)
{
    return last->there && last->address <= address && address < now->address;
}

enum {
    OP_EXTENDED,
    OP_COPY,
    OP_ADVANCE_PC,
    OP_ADVANCE_LINE,
    OP_SET_FILE,
    OP_CONST_ADD_PC = 8,
    OP_FIXED_ADVANCE_PC = 9,
    EXTENDED_END_SEQUENCE = 1,
    EXTENDED_SET_ADDRESS = 2,
};

/* Opcodes that change registers and emit nothing, but for the end of a sequence: then *ended. */
static void standard(const struct unit *u, struct cursor *c, unsigned opcode, struct row *now,
                     bool *ended)
{
    switch (opcode) {
    case OP_EXTENDED: {
        uint64_t size = take_uleb(c);
        struct cursor inner = *c;
        skip(c, size);
        inner.end = c->at;
        unsigned extended = (unsigned)take(&inner, 1);
        if (extended == EXTENDED_END_SEQUENCE)
            *ended = true;
        else if (extended == EXTENDED_SET_ADDRESS)
            now->address = take(&inner, (unsigned)(inner.end - inner.at));
        break;
    }
    case OP_ADVANCE_PC: now->address += take_uleb(c) * u->instruction_size; break;
    case OP_ADVANCE_LINE: now->line += (unsigned)take_sleb(c); break;
    case OP_SET_FILE: now->file = take_uleb(c); break;
    case OP_CONST_ADD_PC:
        now->address += (255 - u->opcode_base) / u->line_range * u->instruction_size;
        break;
    case OP_FIXED_ADVANCE_PC: now->address += take(c, 2); break;
    default:
        for (unsigned i = 0; i < u->operands[opcode]; i++)
            (void)take_uleb(c);
    }
}

static bool run(const struct unit *u, uint64_t address, struct dwarf_place *out)
{
    struct cursor c = u->program;
    const struct row start = {.file = 1, .line = 1};
    struct row now = start, last = {0};
    while (c.at < c.end && !c.bad) {
        unsigned opcode = (unsigned)take(&c, 1);
        bool ended = false, emits = opcode == OP_COPY || opcode >= u->opcode_base;
        if (opcode >= u->opcode_base) {
            unsigned adjusted = opcode - u->opcode_base;
            now.address += adjusted / u->line_range * u->instruction_size;
            now.line += (unsigned)(u->line_base + (int)(adjusted % u->line_range));
        } else if (opcode != OP_COPY) {
            standard(u, &c, opcode, &now, &ended);
        }
        if (!emits && !ended)
            continue;
        if (covers(&last, &now, address)) {
            name_file(u, last.file, out);
            out->line = last.line;
            return *out->file != 0;
        }
        last = now;
        last.there = true;
        if (ended) {
            now = start;
            last.there = false;
        }
    }
    return false;
}

bool dwarf_line_find(const struct dwarf_sections *sections, uint64_t address,
                     struct dwarf_place *out)
{
    struct unit u;
    if (!sections->line.data)
        return false;
    const uint8_t *data = (const uint8_t *)sections->line.data;
    struct cursor section = {data, data + sections->line.size, false};
    while (section.at < section.end)
        if (read_header(sections, &section, &u) && run(&u, address, out))
            return true;
    return false;
}
