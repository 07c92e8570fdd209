/* symbol.c - see symbol.h; docs/decisions/0019 says why it is done by hand.
 *
 * dl_iterate_phdr tells which file covers an address and where it was loaded. The file is mapped from disk
 * (sections with names and lines are not loaded with the program), its section table gives .symtab,
 * .strtab and .debug_line. Every offset in it is checked against the file's size: a file that was
 * replaced since, or is damaged, gives no name, or a wrong one, and no fault. (One that is truncated while
 * it is mapped does fault; a linker writes a new file, so this takes an effort.)
 */
#include "platform/symbol.h"

#include "base/dwarf_line.h"
#include "platform/file.h"
#include "platform/thread.h"

#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { MODULES_MAX = 64, LOCK_TRIES = 10000, CACHED = 256 };

struct module {
    uintptr_t low, high; /* where its code and data are loaded */
    uintptr_t bias;      /* loaded address - linked address */
    const char *name;
    const ElfW(Sym) * symbols;
    size_t symbol_count;
    struct slice names;
    struct dwarf_sections dwarf;
};

static struct module modules[MODULES_MAX];
static _Atomic unsigned module_count; /* those below it are complete and never change */
static atomic_flag adding = ATOMIC_FLAG_INIT;

struct search {
    uintptr_t address;
    struct module found;
};

static int covers(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *search = arg;
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t to = from + info->dlpi_phdr[i].p_memsz;
        low = from < low ? from : low;
        high = to > high ? to : high;
    }
    if (search->address < low || search->address >= high)
        return 0;
    search->found =
        (struct module){.low = low, .high = high, .bias = info->dlpi_addr, .name = info->dlpi_name};
    return 1;
}

static struct slice map_file(const char *path)
{
    struct slice file = {NULL, 0};
    struct stat info;
    int fd = file_open(path, O_RDONLY, 0);
    if (fd < 0)
        return file;
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED)
            file = (struct slice){data, (size_t)info.st_size};
    }
    file_close(fd);
    return file;
}

static struct slice part(struct slice file, uint64_t offset, uint64_t size)
{
    if (offset > file.size || size > file.size - offset)
        return (struct slice){NULL, 0};
    return (struct slice){file.data + offset, (size_t)size};
}

/* The text at `offset` of a string table, or "" if it does not end inside. */
static const char *text_at(struct slice table, uint64_t offset)
{
    if (!table.data || offset >= table.size || !memchr(table.data + offset, 0, table.size - offset))
        return "";
    return table.data + offset;
}

static void use_symbols(struct module *m, struct slice file, const ElfW(Shdr) * sections,
                        unsigned count, const ElfW(Shdr) * table)
{
    if (table->sh_link >= count)
        return;
    struct slice symbols = part(file, table->sh_offset, table->sh_size);
    struct slice names =
        part(file, sections[table->sh_link].sh_offset, sections[table->sh_link].sh_size);
    if (!symbols.data || !names.data || table->sh_offset % sizeof(uint64_t))
        return;
    m->symbols = (const ElfW(Sym) *)symbols.data;
    m->symbol_count = symbols.size / sizeof(ElfW(Sym));
    m->names = names;
}

static void read_module(struct module *m)
{
    struct slice file = map_file(*m->name ? m->name : "/proc/self/exe");
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)file.data;
    if (file.size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_shentsize != sizeof(ElfW(Shdr)) || header->e_shoff % sizeof(uint64_t))
        return;
    unsigned count = header->e_shnum;
    struct slice table = part(file, header->e_shoff, count * sizeof(ElfW(Shdr)));
    if (!table.data || header->e_shstrndx >= count)
        return;
    const ElfW(Shdr) *sections = (const ElfW(Shdr) *)table.data;
    struct slice section_names =
        part(file, sections[header->e_shstrndx].sh_offset, sections[header->e_shstrndx].sh_size);
    for (unsigned i = 0; i < count; i++) {
        const ElfW(Shdr) *s = &sections[i];
        const char *name = text_at(section_names, s->sh_name);
        if (s->sh_type == SHT_SYMTAB || (s->sh_type == SHT_DYNSYM && !m->symbols))
            use_symbols(m, file, sections, count, s);
        if (s->sh_type != SHT_PROGBITS || (s->sh_flags & SHF_COMPRESSED))
            continue;
        struct slice bytes = part(file, s->sh_offset, s->sh_size);
        if (strcmp(name, ".debug_line") == 0)
            m->dwarf.line = bytes;
        else if (strcmp(name, ".debug_line_str") == 0)
            m->dwarf.line_str = bytes;
        else if (strcmp(name, ".debug_str") == 0)
            m->dwarf.str = bytes;
    }
}

static const struct module *known_module(uintptr_t address)
{
    /* acquire: pairs with the release in module_of */
    unsigned count = atomic_load_explicit(&module_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (address >= modules[i].low && address < modules[i].high)
            return &modules[i];
    return NULL;
}

static const struct module *module_of(uintptr_t address)
{
    const struct module *known = known_module(address);
    struct search search = {.address = address};
    if (known || dl_iterate_phdr(covers, &search) == 0)
        return known;
    /* Bounded: whoever faulted may have been here. */
    for (int tries = 0; atomic_flag_test_and_set(&adding); tries++) {
        if (tries == LOCK_TRIES)
            return NULL;
        thread_yield();
    }
    known = known_module(address);
    unsigned count = atomic_load_explicit(&module_count, memory_order_relaxed);
    if (!known && count < MODULES_MAX) {
        modules[count] = search.found;
        read_module(&modules[count]);
        atomic_store_explicit(&module_count, count + 1, memory_order_release);
        known = &modules[count];
    }
    atomic_flag_clear(&adding);
    return known;
}

/* The function that covers `address`, else the nearest one before it that has no size (assembly). */
static const ElfW(Sym) * function_at(const struct module *m, uintptr_t address)
{
    const ElfW(Sym) *nearest = NULL;
    for (size_t i = 0; i < m->symbol_count; i++) {
        const ElfW(Sym) *s = &m->symbols[i];
        unsigned type = ELF64_ST_TYPE(s->st_info);
        if (s->st_value == 0 || s->st_value > address ||
            (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC))
            continue;
        if (address - s->st_value < s->st_size)
            return s;
        if (s->st_size == 0 && type == STT_FUNC && (!nearest || s->st_value > nearest->st_value))
            nearest = s;
    }
    return nearest;
}

static bool find(uintptr_t address, struct symbol *out)
{
    *out = (struct symbol){"", 0, "", "", "", 0};
    const struct module *m = module_of(address);
    if (!m)
        return false;
    uintptr_t linked = address - m->bias;
    out->module = m->name;
    const ElfW(Sym) *function = function_at(m, linked);
    if (function) {
        out->function = text_at(m->names, function->st_name);
        out->start = function->st_value + m->bias;
    }
    struct dwarf_place place;
    if (dwarf_line_find(&m->dwarf, linked, &place)) {
        out->file = place.file;
        out->directory = place.file[0] == '/' ? "" : place.directory;
        out->line = place.line;
    }
    return true;
}

/* What was found last: the goroutines of a program share most of their frames, and finding a line reads
 * all of .debug_line (0.4 ms for 80 KB). Who finds it in use goes without. */
static struct {
    uintptr_t address; /* 0: empty */
    struct symbol symbol;
} cache[CACHED];
static atomic_flag cache_in_use = ATOMIC_FLAG_INIT;

bool symbol_find(uintptr_t address, struct symbol *out)
{
    size_t i = address * UINT64_C(0x9e3779b97f4a7c15) >> 56;
    bool mine = !atomic_flag_test_and_set(&cache_in_use);
    bool found = mine && address != 0 && cache[i].address == address;
    if (found) {
        *out = cache[i].symbol;
    } else {
        found = find(address, out);
        if (found && mine) {
            cache[i].address = address;
            cache[i].symbol = *out;
        }
    }
    if (mine)
        atomic_flag_clear(&cache_in_use);
    return found;
}
