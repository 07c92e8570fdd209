/* config_test.c - directives, files, command lines, rewriting, pins. */
#include "server/config.h"
#include "server/config_file.h"
#include "server/config_rewrite.h"
#include "server/config_table.h"

#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file of tests/data, found from this source's own path. */
static FILE *open_data(const char *name)
{
    char path[1024];
    const char *end = strstr(__FILE__, "src/server/");
    REQUIRE(end != NULL);
    snprintf(path, sizeof path, "%.*stests/data/%s", (int)(end - __FILE__), __FILE__, name);
    FILE *f = fopen(path, "r");
    REQUIRE(f != NULL);
    return f;
}

static const char *value_of(const struct config *config, const char *name)
{
    static struct text t;
    const struct config_row *row = config_row_find(slice_of(name));
    text_free(&t);
    if (row == NULL)
        return NULL;
    config_row_print(row, config, &t);
    return t.data == NULL ? "" : t.data;
}

/* Directives whose default is meant to be another than Valkey 9.1's: the recording had its own port,
 * address and debug setting. */
static bool is_meant_to_differ(const char *name)
{
    static const char *const names[] = {
        "port", "bind", "save", "enable-debug-command", "enable-module-command", "syslog-ident"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

TEST(config, names_and_defaults_are_those_of_valkey)
{
    FILE *f = open_data("config_defaults.tsv");
    struct config *config = config_default();
    char line[1024];
    int count = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, '\t');
        REQUIRE(value != NULL);
        *value++ = '\0';
        const char *ours = value_of(config, line);
        if (ours == NULL)
            test_fail(__FILE__, __LINE__, "directive %s is missing", line);
        else if (!is_meant_to_differ(line) && strcmp(ours, value) != 0)
            test_fail(__FILE__, __LINE__, "%s is '%s', expected '%s'", line, ours, value);
        count++;
    }
    CHECK(count > 230);
    fclose(f);
    config_free(config);
}

/* What `line` does to fresh defaults: NULL, or the reason why it is refused. */
static const char *try_line(struct config *config, const char *line)
{
    static struct config_file_error error;
    return config_read_text(config, slice_of(line), &error) == 0 ? NULL : error.reason;
}

static void check_refused(const char *line, const char *reason)
{
    struct config *config = config_default();
    const char *got = try_line(config, line);
    if (got == NULL || strcmp(got, reason) != 0)
        test_fail(__FILE__, __LINE__, "'%s' gives '%s', expected '%s'", line,
                  got ? got : "no error", reason);
    config_free(config);
}

static void check_value(const char *text, const char *name, const char *value)
{
    struct config *config = config_default();
    const char *reason = try_line(config, text);
    if (reason != NULL)
        test_fail(__FILE__, __LINE__, "'%s' is refused: %s", text, reason);
    else if (strcmp(value_of(config, name), value) != 0)
        test_fail(__FILE__, __LINE__, "after '%s' %s is '%s', expected '%s'", text, name,
                  value_of(config, name), value);
    config_free(config);
}

TEST(config, values)
{
    check_value("PORT 7000", "port", "7000");
    check_value("port 1\nport 2", "port", "2");
    check_value("maxmemory 100mb", "maxmemory", "104857600");
    check_value("maxmemory 1kB", "maxmemory", "1024");
    check_value("maxmemory 3k", "maxmemory", "3000");
    check_value("maxmemory 2g", "maxmemory", "2000000000");
    check_value("maxmemory 7b", "maxmemory", "7");
    check_value("maxmemory-clients 5%", "maxmemory-clients", "5%");
    check_value("slot-migration-max-failover-repl-bytes -1",
                "slot-migration-max-failover-repl-bytes", "-1");
    check_value("appendfsync ALWAYS", "appendfsync", "always");
    check_value("slave-read-only no", "replica-read-only", "no");
    check_value("save \"\"", "save", "");
    check_value("save 900 1\nsave 300 10", "save", "900 1 300 10");
    check_value("save \"900 1 300 10\"", "save", "900 1 300 10");
    check_value("save 900 1\nsave \"\"\nsave 5 6", "save", "5 6");
    check_value("bind 127.0.0.1 -::1", "bind", "127.0.0.1 -::1");
    check_value("bind \"\"", "bind", "");
    check_value("client-output-buffer-limit replica 1mb 2 3\n"
                "client-output-buffer-limit \"pubsub 4 5 6 normal 7 8 9\"",
                "client-output-buffer-limit", "normal 7 8 9 slave 1048576 2 3 pubsub 4 5 6");
    check_value("notify-keyspace-events KEA", "notify-keyspace-events", "AKE");
    check_value("notify-keyspace-events Kmn", "notify-keyspace-events", "nKm");
    check_value("notify-keyspace-events \"\"", "notify-keyspace-events", "");
    check_value("latency-tracking-info-percentiles 50 99.99 0.01",
                "latency-tracking-info-percentiles", "50 99.99 0.01");
    check_value("shutdown-on-sigterm nosave now", "shutdown-on-sigterm", "nosave now");
    check_value("unixsocketperm 700", "unixsocketperm", "700");
    check_value("hz 0", "hz", "1");
    check_value("hz 100000", "hz", "500");
    check_value("requirepass \"a \\x41\\n\"", "requirepass", "a A\n");
    check_value("lua-replicate-commands yes\nio-threads-do-reads no\n# comment\n\n  \t", "port",
                "6379");
}

TEST(config, refusals)
{
    check_refused("bogus 1", "Bad directive or wrong number of arguments");
    check_refused("port", "wrong number of arguments");
    check_refused("port 1 2", "wrong number of arguments");
    check_refused("port 70000", "argument must be between 0 and 65535 inclusive");
    check_refused("port -1", "argument must be between 0 and 65535 inclusive");
    check_refused("port 07", "argument couldn't be parsed into an integer");
    check_refused("port 99999999999999999999", "argument couldn't be parsed into an integer");
    check_refused("appendonly maybe", "argument must be 'yes' or 'no'");
    check_refused("maxmemory 1.5gb", "argument must be a memory value");
    check_refused("maxmemory 1 gb", "wrong number of arguments");
    check_refused("maxmemory 99999999999999999999gb", "argument must be a memory value");
    check_refused("proto-max-bulk-len 1kb",
                  "argument must be between 1048576 and 9223372036854775807 inclusive");
    check_refused("maxmemory-clients 101%", "percentage argument must be less or equal to 100");
    check_refused("appendfsync often",
                  "argument(s) must be one of the following: everysec, always, no");
    check_refused(
        "loglevel loud",
        "argument(s) must be one of the following: debug, verbose, notice, warning, nothing");
    check_refused("save 1", "Invalid save parameters");
    check_refused("save 0 1", "Invalid save parameters");
    check_refused("unixsocketperm 999", "argument couldn't be parsed as an octal number");
    check_refused("client-output-buffer-limit foo 1 1 1",
                  "Invalid client class specified in buffer limit configuration.");
    check_refused("client-output-buffer-limit normal 1 1",
                  "Wrong number of arguments in buffer limit configuration.");
    check_refused("client-output-buffer-limit normal -1 1 1",
                  "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    check_refused("oom-score-adj-values 1 2", "wrong number of arguments");
    check_refused("notify-keyspace-events Q",
                  "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    check_refused("latency-tracking-info-percentiles 101",
                  "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    check_refused("latency-tracking-info-percentiles nan",
                  "Invalid latency-tracking-info-percentiles parameters");
    check_refused("shutdown-on-sigint save nosave",
                  "shutdown options SAVE and NOSAVE can't be used simultaneously");
    check_refused("requirepass \"open", "Unbalanced quotes in configuration line");
    check_refused("proc-title-template {nobody}",
                  "template format is invalid or contains unknown variables");
    check_refused("dbfilename a/b", "dbfilename can't be a path, just a filename");
    check_refused("dir /nonexistent/directory", "No such file or directory");
    check_refused("user alice on", "ACL users are not available in this version");
    check_refused("tuco-shards 3", "argument must be a power of two");
    check_refused("rename-command nosuchcommand x", "No such command in rename-command");
    check_refused("bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
                  "Too many bind addresses specified.");
}

TEST(config, refused_value_changes_nothing)
{
    struct config *config = config_default(), *same = config_default();
    static const char *const lines[] = {"save 1",
                                        "client-output-buffer-limit normal 1 2 x",
                                        "notify-keyspace-events KQ",
                                        "oom-score-adj-values 1 2 9999",
                                        "latency-tracking-info-percentiles 1 2 3000",
                                        "bind a b c d e f g h i j k l m n o p q"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        CHECK(try_line(config, lines[i]) != NULL);
    for (size_t i = 0; i < config_row_count(); i++)
        CHECK(config_row_equal(config_row_at(i), config, same));
    CHECK_EQ(config->percentile_count, same->percentile_count);
    CHECK(memcmp(config->output_limits, same->output_limits, sizeof same->output_limits) == 0);
    config_free(config);
    config_free(same);
}

/* Any bytes at all: no crash, and what was accepted prints and reads back to itself. */
TEST(config, random_lines)
{
    static const char alphabet[] = "abc09 -%\"'\\x\t.:*{}";
    struct config_error error;
    struct config *config = config_default();
    srandom(11);
    for (int round = 0; round < 30000; round++) {
        char value[24];
        size_t size = (size_t)random() % sizeof value;
        for (size_t i = 0; i < size; i++)
            value[i] = alphabet[(size_t)random() % (sizeof alphabet - 1)];
        const struct config_row *row = config_row_at((size_t)random() % config_row_count());
        struct slice word = {value, size};
        if (strcmp(row->name, "dir") == 0 ||
            config_row_set(row, config, &word, 1, CONFIG_FROM_COMMAND, &error) != 0)
            continue;
        struct text t = {0};
        config_row_print(row, config, &t);
        struct config *copy = config_copy(config);
        struct slice again = text_slice(&t);
        if (config_row_set(row, copy, &again, 1, CONFIG_FROM_COMMAND, &error) != 0)
            test_fail(__FILE__, __LINE__, "%s: '%s' is shown and refused: %s", row->name, t.data,
                      error.reason);
        CHECK(config_row_equal(row, config, copy));
        text_free(&t);
        config_free(copy);
    }
    config_free(config);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    REQUIRE(f != NULL);
    fputs(text, f);
    fclose(f);
}

TEST(config, command_line)
{
    char path[64];
    struct config_file_error error;
    struct config *config = config_default();
    snprintf(path, sizeof path, "/tmp/tuco-config-test-%d", (int)getpid());
    write_file(path, "port 1\nhz 20\nmaxclients 77");
    char *arguments[] = {"server",        path,        "--port",     "2",       "--save",
                         "--HZ",          "30",        "--bind",     "1.1.1.1", "-2.2.2.2",
                         "--requirepass", "--strange", "--timeout 9"};
    int rc = config_read_arguments(config, sizeof arguments / sizeof *arguments, arguments, &error);
    CHECK_EQ(rc, 0);
    CHECK_EQ(config->port, 2);
    CHECK_EQ(config->hz, 30);
    CHECK_EQ(config->maxclients, 77);
    CHECK_EQ(config->timeout, 9);
    CHECK(strcmp(config->save, "") == 0);
    CHECK(strcmp(config->bind, "1.1.1.1 -2.2.2.2") == 0);
    CHECK(strcmp(config->requirepass, "--strange") == 0);
    CHECK(strcmp(config->file, path) == 0);
    config_free(config);

    config = config_default();
    char *wrong[] = {"server", path, "--port", "3", "--nosuch", "1"};
    rc = config_read_arguments(config, 6, wrong, &error);
    CHECK_EQ(rc, -EINVAL);
    CHECK_EQ(error.line, 5); /* three lines of the file, of which the last has no end */
    CHECK(strcmp(error.shown, "nosuch \"1\"") == 0);
    CHECK(strcmp(error.reason, "Bad directive or wrong number of arguments") == 0);
    config_free(config);
    unlink(path);
    config = config_default();
    CHECK_EQ(config_read_arguments(config, 2, wrong, &error), -ENOENT);
    config_free(config);
}

TEST(config, include)
{
    char text[300], path[64];
    snprintf(path, sizeof path, "/tmp/tuco-include-test-%d", (int)getpid());
    write_file(path, "hz 33\n");
    snprintf(text, sizeof text, "hz 22\ninclude %s*\ninclude /tmp/tuco-no-such-*\ntimeout 4", path);
    check_value(text, "hz", "33");
    check_value(text, "timeout", "4");
    snprintf(text, sizeof text, "include %s\n", path);
    write_file(path, text); /* itself */
    check_refused(text, "include is nested too deeply");
    write_file(path, "\n\nbad line\n");
    struct config_file_error error;
    struct config *config = config_default();
    CHECK_EQ(config_read_text(config, slice_of(text), &error), -EINVAL);
    CHECK_EQ(error.line, 3);
    config_free(config);
    unlink(path);
}

static void check_rewrite(const char *old, const char *changes, const char *expected)
{
    struct text out = {0};
    struct config *config = config_default();
    const char *reason = try_line(config, old);
    REQUIRE(reason == NULL);
    struct words w;
    REQUIRE(words_split(slice_of(changes), &w) == 0);
    for (size_t i = 0; i + 1 < w.count; i += 2) {
        struct config_error error;
        REQUIRE(config_row_set(config_row_find(w.items[i]), config, &w.items[i + 1], 1,
                               CONFIG_FROM_COMMAND, &error) == 0);
    }
    words_free(&w);
    CHECK_EQ(config_rewrite_text(config, slice_of(old), &out), 0);
    if (out.data == NULL || strcmp(out.data, expected) != 0)
        test_fail(__FILE__, __LINE__, "rewritten:\n%s\nexpected:\n%s", out.data, expected);
    text_free(&out);
    config_free(config);
}

/* The second is what Valkey 9.1 makes of it, but for the order of what is appended. */
TEST(config, rewrite)
{
    check_rewrite("# a comment\nport 6379\n", "", "# a comment\nport 6379\n");
    check_rewrite(
        "# a comment\nport 7305\nmaxmemory 100mb\nsave 900 1\n\nhz 20\nbind 127.0.0.1\n"
        "appendonly no\nclient-output-buffer-limit normal 1 2 3\n\nhz 30\nunixsocketperm 700\n"
        "loglevel notice\nslowlog-max-len 10\n",
        "maxmemory 1gb save \"100 1 200 2\" bind \"127.0.0.1 -::1\" slowlog-max-len 128 "
        "requirepass \"a b\\\"\" hash-max-listpack-value 2048 tcp-keepalive 60 "
        "shutdown-on-sigterm \"nosave now\" notify-keyspace-events AKE",
        "# a comment\nport 7305\nmaxmemory 1gb\nsave 100 1 200 2\n\nhz 30\n"
        "bind 127.0.0.1 -::1\nappendonly no\nclient-output-buffer-limit normal 1 2 3\n"
        "\nunixsocketperm 700\n"
        "loglevel notice\ncommandlog-slow-execution-max-len 128\n\n"
        "# Generated by CONFIG REWRITE\ntcp-keepalive 60\nhash-max-listpack-value 2kb\n"
        "shutdown-on-sigterm nosave now\nrequirepass \"a b\\\"\"\n"
        "notify-keyspace-events \"AKE\"\n");
    check_rewrite("", "save \"\"", "# Generated by CONFIG REWRITE\nsave \"\"\n");
}

/* What was rewritten gives the same configuration when it is read, and rewriting it again changes
 * nothing. */
TEST(config, rewrite_reads_back)
{
    struct config *config = config_default(), *again = config_default();
    struct text first = {0}, second = {0};
    struct config_file_error error;
    CHECK(try_line(config,
                   "save 1 2 3 4\nbind a b\nrequirepass \"x y\\x00\\xff\"\nmaxmemory 123456789\n"
                   "timeout 7\nclient-output-buffer-limit pubsub 1 2 3\nunixsocketperm 644\n"
                   "maxmemory-clients 7%\nshutdown-on-sigint now force\nport 1234\n") != NULL);
    CHECK(try_line(config,
                   "save 1 2 3 4\nbind a b\nrequirepass \"x y\\xff\"\nmaxmemory 123456789\n"
                   "timeout 7\nclient-output-buffer-limit pubsub 1 2 3\nunixsocketperm 644\n"
                   "maxmemory-clients 7%\nshutdown-on-sigint now force\nport 1234\n") == NULL);
    CHECK_EQ(config_rewrite_text(config, SLICE("# top\nport 1\n"), &first), 0);
    int rc = config_read_text(again, text_slice(&first), &error);
    if (rc != 0)
        test_fail(__FILE__, __LINE__, "line %zu '%s': %s", error.line, error.shown, error.reason);
    for (size_t i = 0; i < config_row_count(); i++) {
        if (!config_row_equal(config_row_at(i), config, again))
            test_fail(__FILE__, __LINE__, "%s differs", config_row_at(i)->name);
    }
    CHECK_EQ(config_rewrite_text(again, text_slice(&first), &second), 0);
    CHECK(strcmp(first.data, second.data) == 0);
    text_free(&first);
    text_free(&second);
    config_free(config);
    config_free(again);
}

/* Files put together and damaged at random: whatever is accepted survives being rewritten and read. */
TEST(config, rewrite_of_random_files)
{
    static const char *const pieces[] = {"port 1234\n",
                                         "save 900 1\n",
                                         "save \"\"\n",
                                         "bind 127.0.0.1 -::1\n",
                                         "# comment\n",
                                         "\n",
                                         "\n\n",
                                         "client-output-buffer-limit pubsub 32mb 8mb 60\n",
                                         "requirepass \"a\\x00\\\" b\"\n",
                                         "maxmemory 10mb\n",
                                         "MAXMEMORY 1gb\n",
                                         "hz 50",
                                         "\r\n",
                                         "slave-priority 7\n",
                                         "unixsocketperm 770\n",
                                         "shutdown-on-sigterm nosave force\n",
                                         "notify-keyspace-events KEA\n",
                                         "logfile ''\n",
                                         "oom-score-adj-values 1 2 3\n",
                                         "maxmemory-clients 3%\n",
                                         "# Generated by CONFIG REWRITE\n",
                                         "latency-tracking-info-percentiles 1 50.5 99\n",
                                         "syslog-ident 'it\\'s'\n",
                                         "timeout 3 \t\n"};
    enum { PIECES = sizeof pieces / sizeof *pieces };
    int accepted = 0;
    srandom(5);
    for (int round = 0; round < 3000; round++) {
        struct text t = {0}, first = {0};
        struct config_file_error error;
        int parts = 1 + (int)(random() % 12);
        for (int i = 0; i < parts; i++)
            text_add_string(&t, pieces[random() % PIECES]);
        if (random() % 2 == 0)
            t.data[random() % (long)t.size] = (char)random();
        struct config *config = config_default(), *again = config_default();
        if (memmem(t.data, t.size, "log", 3) == NULL &&
            config_read_text(config, text_slice(&t), &error) == 0) {
            accepted++;
            REQUIRE(config_rewrite_text(config, text_slice(&t), &first) == 0);
            if (config_read_text(again, text_slice(&first), &error) != 0)
                test_fail(__FILE__, __LINE__, "rewritten line %zu '%s': %s", error.line,
                          error.shown, error.reason);
            for (size_t i = 0; i < config_row_count(); i++) {
                if (!config_row_equal(config_row_at(i), config, again))
                    test_fail(__FILE__, __LINE__, "%s differs after:\n%s\n-> \n%s",
                              config_row_at(i)->name, t.data, first.data);
            }
        }
        config_free(config);
        config_free(again);
        text_free(&t);
        text_free(&first);
    }
    CHECK(accepted > 500);
}

TEST(config, rewrite_file_is_replaced)
{
    char path[64], text[200];
    snprintf(path, sizeof path, "/tmp/tuco-rewrite-test-%d", (int)getpid());
    write_file(path, "# mine\ntimeout 1\n");
    struct config *config = config_default();
    CHECK(try_line(config, "timeout 99") == NULL);
    REQUIRE(config_assign(&config->file, slice_of(path)));
    CHECK_EQ(config_rewrite_file(config), 0);
    FILE *f = fopen(path, "r");
    REQUIRE(f != NULL);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    CHECK(strcmp(text, "# mine\ntimeout 99\n") == 0);
    unlink(path);
    REQUIRE(config_assign(&config->file, SLICE("/nonexistent/directory/file")));
    CHECK_EQ(config_rewrite_file(config), -ENOENT);
    config_free(config);
}

/* ---- pins ---- */

static struct config_store store;
static _Atomic bool stop;

static void *read_pinned(void *arg)
{
    struct config_pin pin = {0};
    uint64_t reads = 0;
    while (!stop) {
        const struct config *c = config_pin_refresh(&store, &pin);
        /* Both were written before it was published, and neither may be freed while we look. */
        char expected[32];
        snprintf(expected, sizeof expected, "%lld", (long long)c->timeout);
        if (strcmp(c->requirepass, expected) != 0)
            test_fail(__FILE__, __LINE__, "torn: %s and %s", c->requirepass, expected);
        if (++reads % 100 == 0)
            config_pin_release(&store, &pin);
    }
    config_pin_release(&store, &pin);
    return NULL;
}

TEST(config, pins_hold_snapshots)
{
    pthread_t threads[3];
    struct config *config = config_default();
    REQUIRE(config_assign(&config->requirepass, SLICE("0")));
    config_publish(&store, config);
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&threads[i], NULL, read_pinned, NULL) == 0);
    for (int i = 1; i < 1500; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d", i);
        config = config_copy(atomic_load(&store.current));
        config->timeout = i;
        REQUIRE(config_assign(&config->requirepass, slice_of(text)));
        config_publish(&store, config);
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&store.current)->pins, 1);
    config_store_free(&store);
}
