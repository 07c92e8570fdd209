/* config_file.c - see config_file.h.
 *
 * All sources are put together as one text (file, then standard input, then options one per line) and
 * read in one pass, so that line numbers in errors are those that administrators know from Redis.
 */
#include "server/config_file.h"

#include "platform/file.h"
#include "server/command.h"
#include "server/config_table.h"
#include "server/log.h"
#include "server/version.h"

#include <tuco/mem.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { INCLUDE_DEPTH_MAX = 16, FILE_MAX_BYTES = 64 << 20 };

static int read_lines(struct config *draft, struct slice text, int depth,
                      struct config_file_error *error);

static int read_descriptor(int fd, struct text *out)
{
    char chunk[4096];
    for (;;) {
        ssize_t n = file_read(fd, chunk, sizeof chunk);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return out->failed ? -ENOMEM : 0;
        text_add(out, (struct slice){chunk, (size_t)n});
        if (out->size > FILE_MAX_BYTES)
            return -EFBIG;
    }
}

/* Appends a file's text. An error is logged as Redis logs it. */
static int read_file(const char *path, struct text *out)
{
    int fd = file_open(path, O_RDONLY, 0);
    int rc = fd < 0 ? fd : read_descriptor(fd, out);
    if (fd >= 0)
        file_close(fd);
    if (rc != 0)
        log_warning("Fatal error, can't open config file '%s': %s", path, strerrordesc_np(-rc));
    return rc;
}

static int include_one(struct config *draft, const char *path, int depth,
                       struct config_file_error *error)
{
    struct text t = {0};
    int rc = read_file(path, &t);
    if (rc == 0)
        rc = read_lines(draft, text_slice(&t), depth, error);
    text_free(&t);
    return rc;
}

static int include(struct config *draft, const char *pattern, int depth,
                   struct config_file_error *error)
{
    if (strpbrk(pattern, "*?[") == NULL)
        return include_one(draft, pattern, depth, error);
    glob_t found = {0};
    int rc = 0;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && rc == 0; i++)
            rc = include_one(draft, found.gl_pathv[i], depth, error);
    }
    globfree(&found);
    return rc;
}

static struct slice trim(struct slice s)
{
    while (s.size > 0 && strchr(" \t\r\n", s.data[0]) != NULL)
        s.data++, s.size--;
    while (s.size > 0 && strchr(" \t\r\n", s.data[s.size - 1]) != NULL)
        s.size--;
    return s;
}

static int refuse(struct config_file_error *error, size_t number, struct slice line,
                  const char *reason)
{
    error->line = number;
    int size = line.size < sizeof error->shown ? (int)line.size : (int)sizeof error->shown - 1;
    (void)snprintf(error->shown, sizeof error->shown, "%.*s", size, line.data);
    (void)snprintf(error->reason, sizeof error->reason, "%s", reason);
    return -EINVAL;
}

/* Directives that once existed and mean nothing: accepted. */
static bool is_obsolete(struct slice name)
{
    static const char *const names[] = {"list-max-ziplist-entries", "list-max-ziplist-value",
                                        "lua-replicate-commands", "io-threads-do-reads",
                                        "events-per-io-thread"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_equal_nocase(name, slice_of(names[i])))
            return true;
    }
    return false;
}

/* Directives that are not rows and that we cannot honour: NULL, or the reason to refuse. Passing over
 * one of these in silence would open a door that the administrator has locked. */
static const char *refused(struct slice name)
{
    if (slice_equal_nocase(name, SLICE("user")))
        return "ACL users are not available in this version";
    if (slice_equal_nocase(name, SLICE("loadmodule")))
        return "modules are not available in this version";
    if (slice_equal_nocase(name, SLICE("sentinel")))
        return "sentinel directive while not in sentinel mode";
    return NULL;
}

/* Takes effect at once, in the table of commands: the runtime does not run yet. */
static const char *rename_command(const struct words *w)
{
    if (w->count != 3)
        return "wrong number of arguments";
    switch (command_rename(w->items[1], w->items[2])) {
    case 0: return NULL;
    case -ENOENT: return "No such command in rename-command";
    case -EEXIST: return "Target command name already exists";
    default: return "out of memory";
    }
}

static int apply_line(struct config *draft, struct slice line, size_t number, int depth,
                      struct config_file_error *error)
{
    struct words w;
    struct config_error why;
    int rc = words_split(line, &w);
    if (rc != 0)
        return refuse(error, number, line,
                      rc == -EINVAL ? "Unbalanced quotes in configuration line" : "out of memory");
    if (w.count == 0) {
        words_free(&w);
        return 0;
    }
    const char *reason = refused(w.items[0]);
    if (reason != NULL || is_obsolete(w.items[0])) {
        rc = 0;
    } else if (slice_equal_nocase(w.items[0], SLICE("include")) && w.count == 2) {
        if (depth < INCLUDE_DEPTH_MAX)
            rc = include(draft, w.items[1].data, depth + 1, error);
        else
            reason = "include is nested too deeply";
    } else if (slice_equal_nocase(w.items[0], SLICE("rename-command"))) {
        reason = rename_command(&w);
    } else if (config_set(draft, w.items, w.count, &why) != 0) {
        reason = why.reason;
    }
    if (reason != NULL)
        rc = refuse(error, number, line, reason);
    words_free(&w);
    return rc;
}

static int read_lines(struct config *draft, struct slice text, int depth,
                      struct config_file_error *error)
{
    size_t number = 0;
    while (text.size > 0) {
        const char *newline = memchr(text.data, '\n', text.size);
        size_t size = newline == NULL ? text.size : (size_t)(newline - text.data);
        struct slice line = trim((struct slice){text.data, size});
        size_t skip = newline == NULL ? size : size + 1;
        text.data += skip, text.size -= skip;
        number++;
        if (line.size == 0 || line.data[0] == '#')
            continue;
        int rc = apply_line(draft, line, number, depth, error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int config_read_text(struct config *draft, struct slice text, struct config_file_error *error)
{
    *error = (struct config_file_error){0};
    return read_lines(draft, text, 0, error);
}

/* ---- the command line ---- */

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] == '-';
}

/* Writes one line per option. "--name" begins a line; what follows are its values, also when they
 * look like options, as long as it has none yet. "--name value" in one argument is complete. A bare
 * --save means --save "". */
static void add_options(struct text *out, int count, char *const *arguments)
{
    bool complete = true;
    for (int i = 0; i < count; i++) {
        const char *argument = arguments[i];
        if (strcmp(argument, "-") == 0 && i == count - 1)
            break; /* standard input, dealt with */
        if (!is_option(argument) || !complete) {
            text_add_quoted(out, slice_of(argument));
            text_add(out, SLICE(" "));
            complete = true;
            continue;
        }
        struct words w;
        bool single = words_split(slice_of(argument), &w) != 0 || w.count == 1;
        words_free(&w);
        text_addf(out, "\n%s ", argument + 2);
        complete = !single;
        bool last = i == count - 1;
        if (single && strcasecmp(argument, "--save") == 0 &&
            (last || is_option(arguments[i + 1]))) {
            text_add(out, SLICE("\"\""));
            complete = true;
        }
    }
}

/* The log must be writable before anything is logged to it; said without a line number, as Redis does. */
static int check_log_file(const struct config *config, struct config_file_error *error)
{
    if (config->logfile[0] == '\0')
        return 0;
    int fd = file_open(config->logfile, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (fd >= 0) {
        file_close(fd);
        return 0;
    }
    (void)snprintf(error->reason, sizeof error->reason, "Can't open the log file: %s",
                   strerrordesc_np(-fd));
    return -EINVAL;
}

int config_read_arguments(struct config *draft, int argc, char *const *argv,
                          struct config_file_error *error)
{
    struct text t = {0};
    int next = 1, rc = 0;
    *error = (struct config_file_error){0};
    if (argc > 1 && !is_option(argv[1]) && strcmp(argv[1], "-") != 0) {
        char path[PATH_MAX];
        char where[PATH_MAX];
        const char *file = argv[1];
        if (file[0] != '/' && getcwd(where, sizeof where) != NULL &&
            snprintf(path, sizeof path, "%s/%s", where, file) < (int)sizeof path)
            file = path;
        if (!config_assign(&draft->file, slice_of(file)))
            return -ENOMEM;
        rc = read_file(file, &t);
        next = 2;
    }
    if (rc == 0 && argc > next && strcmp(argv[argc - 1], "-") == 0) {
        log_notice("Reading config from stdin");
        rc = read_descriptor(STDIN_FILENO, &t);
    }
    if (rc == 0 && argc > next) {
        add_options(&t, argc - next, argv + next);
    }
    if (rc == 0 && t.failed)
        rc = -ENOMEM;
    if (rc == 0)
        rc = read_lines(draft, text_slice(&t), 0, error);
    if (rc == 0)
        rc = check_log_file(draft, error);
    text_free(&t);
    return rc;
}

void config_file_complain(const struct config_file_error *error, FILE *out)
{
    (void)fprintf(out, "\n*** FATAL CONFIG FILE ERROR (Version %s) ***\n", TUCO_VERSION);
    if (error->line != 0)
        (void)fprintf(out, "Reading the configuration file, at line %zu\n>>> '%s'\n", error->line,
                      error->shown);
    (void)fprintf(out, "%s\n", error->reason);
}
