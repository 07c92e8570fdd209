/* report_test.c - numbers, names and times as text, and more text than the buffer holds. */
#include "runtime/observe/report.h"
#include "support/testing.h"

#include <string.h>
#include <sys/mman.h>
#include <tuco/base.h>
#include <unistd.h>

static struct report report;
static char text[1 << 16];

static void begin(void)
{
    report_init(&report, memfd_create("report", 0));
    REQUIRE(report.fd >= 0);
}

static bool says(const char *expected)
{
    report_flush(&report);
    ssize_t n = pread(report.fd, text, sizeof text - 1, 0);
    REQUIRE(n >= 0);
    text[n] = 0;
    close(report.fd);
    return strcmp(text, expected) == 0;
}

TEST(report, durations)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {{-1, "0 ms"},
                {999999, "0 ms"},
                {850 * TU_MS, "850 ms"},
                {5290 * TU_MS, "5.2 s"},
                {100 * TU_S, "1 min 40 s"},
                {3599 * TU_S, "59 min 59 s"},
                {15000 * TU_S, "4 h 10 min"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin();
        report_duration(&report, rows[i].ns);
        if (!says(rows[i].text))
            test_fail(__FILE__, __LINE__, "%s instead of %s", text, rows[i].text);
    }
}

TEST(report, numbers_and_names)
{
    begin();
    report_number(&report, UINT64_MAX);
    report_text(&report, " ");
    report_hex(&report, 0xdeadbeef);
    report_text(&report, " ");
    report_name(&report, "a\n\x80z", 16);
    report_name(&report, "cut here", 3);
    CHECK(says("18446744073709551615 0xdeadbeef a??zcut"));
}

TEST(report, more_than_the_buffer)
{
    static char expected[50001];
    begin();
    for (int i = 0; i < 5000; i++) {
        memcpy(expected + (size_t)i * 10, "0123456789", 10);
        report_text(&report, "0123456789");
    }
    CHECK(says(expected));
}

TEST(report, nobody_reads)
{
    report_init(&report, -1);
    report_text(&report, "lost");
    report_flush(&report);
    CHECK_EQ(report.used, 0);
}
