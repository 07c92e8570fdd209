/* dwarf_line_fuzz.c - debug information of any kind: the reader stays inside it, and comes to an end.
 * The first byte says which part of the input is .debug_line; the rest is the string sections. */
#include "base/dwarf_line.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t line = (size - 1) * data[0] / 255;
    const char *text = (const char *)data + 1;
    struct slice strings = {text + line, size - 1 - line};
    struct dwarf_sections sections = {{text, line}, strings, strings};
    struct dwarf_place place;
    for (uint64_t address = 0; address < 4; address++)
        if (dwarf_line_find(&sections, address * 0x1001, &place) &&
            strlen(place.file) + strlen(place.directory) > 2 * size)
            __builtin_trap();
    return 0;
}
