/* supervise.c - see supervise.h. The protocol is a datagram of NAME=value lines to the socket named by
 * NOTIFY_SOCKET, whose leading '@' stands for the abstract namespace. */
#include "server/supervise.h"

#include "server/config.h"
#include "server/log.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int supervise_detect(int setting)
{
    bool upstart = getenv("UPSTART_JOB") != NULL, systemd = getenv("NOTIFY_SOCKET") != NULL;
    if (setting == SUPERVISED_AUTO)
        setting = upstart ? SUPERVISED_UPSTART : systemd ? SUPERVISED_SYSTEMD : SUPERVISED_NO;
    if (setting == SUPERVISED_UPSTART) {
        if (!upstart) {
            log_warning("upstart supervision requested, but UPSTART_JOB not found!");
            return SUPERVISED_NO;
        }
        log_notice("supervised by upstart, will stop to signal readiness.");
        (void)raise(SIGSTOP);
        (void)unsetenv("UPSTART_JOB");
    }
    if (setting == SUPERVISED_SYSTEMD && !systemd) {
        log_warning("systemd supervision requested or auto-detected, but the environment has no "
                    "NOTIFY_SOCKET");
        return SUPERVISED_NO;
    }
    return setting;
}

bool supervise_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof address.sun_path)
        return false;
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    (void)close(fd);
    return sent == (ssize_t)strlen(state);
}
