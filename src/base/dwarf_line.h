/* dwarf_line.h - from an address to file and line: a reader of DWARF's .debug_line, versions 2 to 5.
 *
 * Pure: it reads the bytes it is given and nothing else, allocates nothing, and may run in a signal
 * handler. The bytes may be anything: what does not make sense ends the search of that unit.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* The sections of one linked file; .debug_line_str and .debug_str may be empty. */
struct dwarf_sections {
    struct slice line, line_str, str;
};

struct dwarf_place {
    const char
        *directory; /* as the compiler was called, or ""; strings end with a 0, in the sections */
    const char *file;
    unsigned line;
};

/* The line whose code holds `address` (as linked, without the load address). False: none is known.
 * Reads the whole section: about 1 ms for a megabyte. */
bool dwarf_line_find(const struct dwarf_sections *sections, uint64_t address,
                     struct dwarf_place *out);
