/* log.c - see log.h.
 *
 * The text is made on the caller's stack and goes out by one write, so lines of different threads do
 * not mix and a goroutine never waits for another here. The settings are copied out under a lock of a
 * few instructions; opening and writing happen outside it. As in Redis, a log file is opened for each
 * line: logrotate needs no signal.
 */
#include "server/log.h"

#include "server/config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, PREFIX_MAX_BYTES = 160 };

static struct {
    struct tu__lock lock; /* path, ident */
    char path[PATH_MAX];  /* "": stdout */
    char ident[64];
    _Atomic int level, format, time_format;
    _Atomic bool to_syslog;
    _Atomic char role;
} log_state = {.level = LOG_LEVEL_NOTICE, .role = 'M'};

static int open_target(void)
{
    char path[PATH_MAX];
    tu__lock(&log_state.lock);
    memcpy(path, log_state.path, strlen(log_state.path) + 1);
    tu__unlock(&log_state.lock);
    return path[0] == '\0' ? STDOUT_FILENO
                           : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n <= 0)
            return; /* nowhere to complain */
        data += n;
        size -= (size_t)n;
    }
}

void log_raw(const char *text, size_t size)
{
    int fd = open_target();
    if (fd < 0)
        return;
    write_all(fd, text, size);
    if (fd != STDOUT_FILENO)
        (void)close(fd);
}

static size_t print_time(char *out, size_t size, int format)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    int ms = (int)(now.tv_nsec / 1000000);
    if (format == LOG_TIME_MILLISECONDS)
        return (size_t)snprintf(out, size, "%lld", (long long)now.tv_sec * 1000 + ms);
    localtime_r(&now.tv_sec, &tm);
    if (format == LOG_TIME_ISO8601) {
        size_t used = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
        long minutes = tm.tm_gmtoff / 60;
        char sign = minutes < 0 ? '-' : '+';
        minutes = minutes < 0 ? -minutes : minutes;
        return used + (size_t)snprintf(out + used, size - used, ".%03d%c%02ld:%02ld", ms, sign,
                                       minutes / 60, minutes % 60);
    }
    size_t used = strftime(out, size, "%d %b %Y %H:%M:%S", &tm);
    return used + (size_t)snprintf(out + used, size - used, ".%03d", ms);
}

static const char *role_name(char role)
{
    switch (role) {
    case 'S': return "replica";
    case 'C': return "RDB/AOF";
    case 'X': return "sentinel";
    default: return "primary";
    }
}

/* Appends `c` escaped for a quoted string of logfmt or JSON. */
static size_t escape(char *out, char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"':
    case '\\': out[0] = '\\', out[1] = c; return 2;
    case '\n': out[0] = '\\', out[1] = 'n'; return 2;
    case '\r': out[0] = '\\', out[1] = 'r'; return 2;
    case '\t': out[0] = '\\', out[1] = 't'; return 2;
    default: break;
    }
    if ((unsigned char)c >= ' ') {
        out[0] = c;
        return 1;
    }
    memcpy(out, "\\u00", 4);
    out[4] = hex[(unsigned char)c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static void write_structured(int fd, bool json, enum log_level level, const char *when,
                             const char *message)
{
    static const char *const names[] = {"debug", "verbose", "notice", "warning"};
    char line[PREFIX_MAX_BYTES + LINE_MAX_BYTES * 6];
    const char *format =
        json ? "{\"pid\":%d,\"role\":\"%s\",\"timestamp\":\"%s\",\"level\":\"%s\",\"message\":\""
             : "pid=%d role=%s timestamp=\"%s\" level=%s message=\"";
    size_t size = (size_t)snprintf(line, PREFIX_MAX_BYTES, format, (int)getpid(),
                                   role_name(log_state.role), when, names[level]);
    for (; *message != '\0' && size < sizeof line - 16; message++)
        size += escape(line + size, *message);
    size += (size_t)snprintf(line + size, sizeof line - size, json ? "\"}\n" : "\"\n");
    write_all(fd, line, size);
}

static void write_line(int fd, enum log_level level, const char *message)
{
    char when[64];
    int format = log_state.format;
    print_time(when, sizeof when, log_state.time_format);
    if (format != LOG_FORMAT_LEGACY) {
        write_structured(fd, format == LOG_FORMAT_JSON, level, when, message);
        return;
    }
    char line[PREFIX_MAX_BYTES + LINE_MAX_BYTES];
    int size = snprintf(line, sizeof line, "%d:%c %s %c %s\n", (int)getpid(), log_state.role, when,
                        ".-*#"[level], message);
    write_all(fd, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

void log_write(enum log_level level, const char *format, ...)
{
    static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
    char message[LINE_MAX_BYTES];
    va_list args;
    if ((int)level < log_state.level || level >= LOG_LEVEL_NOTHING)
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    int fd = open_target();
    if (fd >= 0) {
        write_line(fd, level, message);
        if (fd != STDOUT_FILENO)
            (void)close(fd);
    }
    if (log_state.to_syslog)
        syslog(priorities[level], "%s", message);
}

void log_configure(const struct config *config)
{
    tu__lock(&log_state.lock);
    (void)snprintf(log_state.path, sizeof log_state.path, "%s", config->logfile);
    if (config->logfile[0] == '\0')
        log_state.path[0] = '\0';
    bool open_syslog = config->syslog_enabled && !log_state.to_syslog;
    if (open_syslog) {
        (void)snprintf(log_state.ident, sizeof log_state.ident, "%s", config->syslog_ident);
        openlog(log_state.ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, config->syslog_facility);
    }
    tu__unlock(&log_state.lock);
    log_state.level = config->loglevel;
    log_state.format = config->log_format;
    log_state.time_format = config->log_timestamp_format;
    log_state.to_syslog = config->syslog_enabled;
}

void log_set_role(char role)
{
    log_state.role = role;
}
