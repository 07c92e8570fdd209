/* log_test.c - the format of lines, levels, files. */
#include "server/config.h"
#include "server/config_table.h"
#include "server/log.h"

#include "support/testing.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];

static struct config *log_to_file(const char *format, const char *time)
{
    struct config_error error;
    struct config *config = config_default();
    snprintf(path, sizeof path, "/tmp/tuco-log-test-%d", (int)getpid());
    (void)unlink(path);
    struct slice file[] = {SLICE("logfile"), slice_of(path)};
    struct slice shape[] = {SLICE("log-format"), slice_of(format)};
    struct slice clock[] = {SLICE("log-timestamp-format"), slice_of(time)};
    REQUIRE(config_set(config, file, 2, &error) == 0);
    REQUIRE(config_set(config, shape, 2, &error) == 0);
    REQUIRE(config_set(config, clock, 2, &error) == 0);
    log_configure(config);
    return config;
}

static void read_log(char *out, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n = f == NULL ? 0 : fread(out, 1, size - 1, f);
    out[n] = '\0';
    if (f != NULL)
        fclose(f);
    (void)unlink(path);
}

static bool matches(const char *text, const char *pattern)
{
    regex_t r;
    REQUIRE(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    bool found = regexec(&r, text, 0, NULL, 0) == 0;
    regfree(&r);
    return found;
}

TEST(log, classic_line)
{
    char text[4096];
    struct config *config = log_to_file("legacy", "legacy");
    log_notice("Ready to accept connections %s", "tcp");
    log_verbose("not shown at this level");
    log_warning("trouble");
    read_log(text, sizeof text);
    CHECK(matches(text,
                  "^[0-9]+:M [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} "
                  "\\* Ready to accept connections tcp\n"
                  "[0-9]+:M [^\n]* # trouble\n$"));
    config_free(config);
}

TEST(log, other_shapes)
{
    char text[8192];
    struct config *config = log_to_file("json", "milliseconds");
    log_notice("a \"quoted\"\nline");
    read_log(text, sizeof text);
    CHECK(matches(text,
                  "^\\{\"pid\":[0-9]+,\"role\":\"primary\",\"timestamp\":\"[0-9]{13}\","
                  "\"level\":\"notice\",\"message\":\"a \\\\\"quoted\\\\\"\\\\nline\"\\}\n$"));
    config_free(config);
    config = log_to_file("logfmt", "iso8601");
    log_set_role('S');
    log_warning("x");
    read_log(text, sizeof text);
    CHECK(matches(text,
                  "^pid=[0-9]+ role=replica timestamp=\"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\."
                  "[0-9]{3}[+-][0-9]{2}:[0-9]{2}\" level=warning message=\"x\"\n$"));
    config_free(config);
}

TEST(log, long_messages_are_cut)
{
    char text[8192], huge[5000];
    struct config *config = log_to_file("legacy", "legacy");
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    log_notice("%s", huge);
    log_raw("raw\n", 4);
    read_log(text, sizeof text);
    size_t size = strlen(text);
    CHECK(size > 1000 && size < 1300);
    CHECK(strcmp(text + size - 5, "\nraw\n") == 0);
    config_free(config);
}
