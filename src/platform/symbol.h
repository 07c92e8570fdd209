/* symbol.h - names for code addresses of this process: function, file and line.
 *
 * From the ELF files themselves: .symtab where it was not stripped, else .dynsym, and .debug_line. The
 * files are mapped the first time an address in them is asked for and stay mapped, so that what is returned
 * stays valid. No allocation, no locale, no stdio: may be called in a fault handler (where another
 * thread holds the loader's lock for good, it does not come back). Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct symbol {
    const char *function;  /* "" when the file names none there */
    uintptr_t start;       /* the function's address; 0 without */
    const char *module;    /* path of a shared library; "" for the program itself */
    const char *directory; /* of `file` when that is relative; "" */
    const char *file;      /* "" without debug information */
    unsigned line;
};

/* False: `address` is not in any loaded file (then *out is empty). For a return address ask for the
 * byte before it. */
bool symbol_find(uintptr_t address, struct symbol *out);
