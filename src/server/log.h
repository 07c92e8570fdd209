/* log.h - the server's log: one line per message, in Redis's format.
 *
 *     4711:M 22 Nov 2026 22:55:01.123 * Ready to accept connections tcp
 *
 * A line goes out by one write(2) to stdout or to the log file, which is opened for each line so that
 * it may be moved away at any time. The one log belongs to the process, as stdout does. Any thread,
 * any goroutine; never parks (a write may block the thread for a moment).
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>

/* As `loglevel`: lines below the configured level are not written. */
enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_VERBOSE,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTHING
};

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_write(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)

/* Text as it is, without prefix or newline added, whatever the level (crash reports, the logo). Only
 * async-signal-safe calls. */
void log_raw(const char *text, size_t size);

struct config;
/* Takes level, file and formats from the configuration; before this, notices go to stdout. The
 * strings are copied. Callable at any time. */
void log_configure(const struct config *config);
/* The role letter: 'M' primary, 'S' replica, 'C' a child. */
void log_set_role(char role);
