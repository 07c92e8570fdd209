/* crawler_guests.c - see crawler_guests.h. Page n links to the pages 2n, 2n+1 and n/2: a tree in which
 * every page is met more than once. Each connection is a goroutine that answers one request. */
#include "crawler_guests.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>

enum { PAGES = 200, REQUEST = 1024 };

static int make_page(char *out, size_t size, int n)
{
    return snprintf(out, size,
                    "HTTP/1.0 200 OK\r\n\r\n<a href=\"/%d\">up</a> <a href=\"/%d#top\">left</a> "
                    "<a href=\"/%d\">right</a> <a href=\"%s\">else</a>",
                    n > 1 ? n / 2 : 1, 2 * n <= PAGES ? 2 * n : 1, 2 * n < PAGES ? 2 * n + 1 : 1,
                    n == 17    ? "/nothing"
                    : n == 40  ? "/999"
                    : n == 100 ? "/never"
                               : "/1");
}

static int read_request(tu_conn *conn, char *request)
{
    size_t have = 0;
    while (have < REQUEST - 1) {
        ssize_t n = tu_read(conn, request + have, REQUEST - 1 - have);
        if (n <= 0)
            return n ? (int)n : -EPIPE;
        have += (size_t)n;
        request[have] = 0;
        if (strstr(request, "\r\n\r\n"))
            return 0;
    }
    return -EMSGSIZE;
}

static void answer(tu_conn *conn)
{
    char request[REQUEST], page[512] = "HTTP/1.0 404 Not Found\r\n\r\n";
    if (read_request(conn, request) == 0) {
        int n = atoi(request + strlen("GET /"));
        if (strncmp(request, "GET /never ", 11) == 0)
            (void)!tu_read(conn, request, 1); /* until the other side has enough of it */
        else if (n >= 1 && n <= PAGES)
            make_page(page, sizeof page, n);
        (void)!tu_write(conn, page, strlen(page)); /* who hung up does not want it */
    }
    tu_close(conn);
}

static int serve(tu_listener *listener)
{
    int rc = 0;
    tu_scope(connections) {
        tu_conn *conn;
        while ((rc = tu_accept(listener, &conn)) == 0)
            if (tu_scope_go(&connections, answer, conn) != 0)
                tu_close(conn);
    }
    return rc;
}

int with_little_web(int (*visit)(const char *address, const char *path))
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    char address[32];
    tu_listener *listener;
    int rc = tu_listen(&listener, "127.0.0.1:0", NULL);
    if (rc != 0)
        return rc;
    if (getsockname(tu_listener_fd(listener), (struct sockaddr *)&a, &size) == 0) {
        snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(a.sin_port));
        rc = -ENOMEM;
        tu_scope(s) {
            if (tu_scope_go(&s, serve, listener) == 0)
                rc = visit(address, "/1");
            tu_scope_cancel(&s);
        }
    } else {
        rc = -ENOTSOCK;
    }
    tu_listener_close(listener);
    return rc;
}
