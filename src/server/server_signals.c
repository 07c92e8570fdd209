/* server_signals.c - see server_signals.h.
 *
 * The handler may run on any thread and on any stack, so it only writes: its line to the log, put
 * together by hand, and a byte to the pipe.
 */
#include "server/server_signals.h"

#include "platform/file.h"
#include "server/server.h"

#include <tuco/go.h>
#include <tuco/net.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int wake_fd = -1;               /* the pipe's writing end */
static volatile sig_atomic_t stopping; /* a signal asked for the end already */

static char *put_number(char *end, long long value)
{
    *--end = '\0';
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

static char *put(char *out, const char *text)
{
    while (*text != '\0')
        *out++ = *text++;
    return out;
}

/* Redis's form of a log line from inside a handler. */
static void log_from_handler(const char *message)
{
    char line[200], digits[24], *p = line;
    p = put(p, put_number(digits + sizeof digits, getpid()));
    p = put(p, ":signal-handler (");
    p = put(p, put_number(digits + sizeof digits, (long long)time(NULL)));
    p = put(p, ") ");
    p = put(p, message);
    *p++ = '\n';
    log_raw(line, (size_t)(p - line));
}

static void on_stop(int number)
{
    int saved = errno;
    if (stopping && number == SIGINT) {
        log_from_handler("You insist... exiting now.");
        _exit(1);
    }
    log_from_handler(number == SIGINT ? "Received SIGINT scheduling shutdown..."
                                      : "Received SIGTERM scheduling shutdown...");
    stopping = 1;
    char byte = (char)number;
    (void)!write(wake_fd, &byte, 1);
    errno = saved;
}

static void watch(struct server *server, tu_conn *pipe)
{
    char byte;
    while (tu_read(pipe, &byte, 1) == 1) {
        const struct config *c;
        struct config_pin pin = {0};
        c = config_pin_refresh(&server->config, &pin);
        int flags = byte == SIGINT ? c->shutdown_on_sigint : c->shutdown_on_sigterm;
        config_pin_release(&server->config, &pin);
        server_shutdown(server, flags);
    }
    tu_close(pipe);
}

int server_signals_start(struct server *server)
{
    int ends[2];
    tu_conn *pipe;
    int rc = file_pipe(ends);
    if (rc != 0)
        return rc;
    rc = tu_conn_from_fd(&pipe, ends[0]);
    if (rc != 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return rc;
    }
    wake_fd = ends[1];
    rc = tu_go(watch, server, pipe);
    if (rc != 0)
        return rc;
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&stop.sa_mask);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGHUP, &ignore, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGUSR1, &ignore, NULL);
    return 0;
}
