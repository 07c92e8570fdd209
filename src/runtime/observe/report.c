/* report.c - see report.h. */
#include "runtime/observe/report.h"

#include "platform/file.h"

#include <tuco/base.h>

static void put(struct report *r, char c)
{
    if (r->used == sizeof r->bytes)
        report_flush(r);
    r->bytes[r->used++] = c;
}

void report_flush(struct report *r)
{
    size_t used = r->used;
    r->used = 0;
    if (file_write_all(r->fd, r->bytes, used) < 0)
        return;
}

void report_text(struct report *r, const char *text)
{
    while (*text)
        put(r, *text++);
}

void report_name(struct report *r, const char *text, size_t size)
{
    for (size_t i = 0; i < size && text[i]; i++)
        put(r, text[i] >= ' ' && text[i] < 127 ? text[i] : '?');
}

static void put_digits(struct report *r, uint64_t value, unsigned base)
{
    char digits[24];
    size_t n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n > 0)
        put(r, digits[--n]);
}

void report_number(struct report *r, uint64_t value)
{
    put_digits(r, value, 10);
}

void report_hex(struct report *r, uint64_t value)
{
    report_text(r, "0x");
    put_digits(r, value, 16);
}

void report_duration(struct report *r, int64_t duration_ns)
{
    uint64_t ms = duration_ns > 0 ? (uint64_t)(duration_ns / TU_MS) : 0, s = ms / 1000;
    if (ms < 1000) {
        report_number(r, ms);
        report_text(r, " ms");
    } else if (s < 100) {
        report_number(r, s);
        report_text(r, ".");
        report_number(r, ms % 1000 / 100);
        report_text(r, " s");
    } else if (s < 3600) {
        report_number(r, s / 60);
        report_text(r, " min ");
        report_number(r, s % 60);
        report_text(r, " s");
    } else {
        report_number(r, s / 3600);
        report_text(r, " h ");
        report_number(r, s / 60 % 60);
        report_text(r, " min");
    }
}
