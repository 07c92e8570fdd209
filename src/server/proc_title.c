/* proc_title.c - see proc_title.h.
 *
 * The kernel shows the bytes where argv lay when the program started. The environment follows them
 * there; it is copied away so that its room can be used as well.
 */
#include "server/proc_title.h"

#include "server/config.h"
#include "server/text.h"

#include <stdlib.h>
#include <unistd.h>

static struct {
    char *start;
    size_t size; /* 0: not available */
    const char *program;
} room;

void proc_title_init(int argc, char **argv)
{
    char *end = argv[0];
    for (int i = 0; i < argc; i++) {
        if (argv[i] == end)
            end = argv[i] + strlen(argv[i]) + 1;
    }
    for (int i = 0; environ[i] != NULL; i++) {
        if (environ[i] == end)
            end = environ[i] + strlen(environ[i]) + 1;
    }
    room.program = text_copy(slice_of(argv[0]));
    for (int i = 1; i < argc; i++) {
        argv[i] = text_copy(slice_of(argv[i]));
        if (argv[i] == NULL)
            abort();
    }
    for (int i = 0; environ[i] != NULL; i++) {
        environ[i] = text_copy(slice_of(environ[i]));
        if (environ[i] == NULL)
            abort();
    }
    room.start = argv[0];
    room.size = (size_t)(end - argv[0]);
}

/* The value of one {variable}. */
static void add_variable(struct text *t, const struct config *c, struct slice name)
{
    if (slice_equal(name, SLICE("title"))) {
        text_add_string(t, room.program);
    } else if (slice_equal(name, SLICE("listen-addr"))) {
        struct words words;
        if (c->port == 0 && c->unixsocket[0] != '\0') {
            text_add_string(t, c->unixsocket);
        } else if (words_split(slice_of(c->bind), &words) == 0) {
            text_addf(t, "%s:%d", words.count > 0 ? words.items[0].data : "*", (int)c->port);
            words_free(&words);
        }
    } else if (slice_equal(name, SLICE("port"))) {
        text_addf(t, "%d", (int)c->port);
    } else if (slice_equal(name, SLICE("tls-port"))) {
        text_addf(t, "%d", (int)c->tls_port);
    } else if (slice_equal(name, SLICE("unixsocket"))) {
        text_add_string(t, c->unixsocket);
    } else if (slice_equal(name, SLICE("config-file"))) {
        text_add_string(t, c->file);
    } /* {server-mode} is empty for a server on its own */
}

void proc_title_set(const struct config *config)
{
    struct text t = {0};
    if (!config->set_proc_title || room.size < 2)
        return;
    for (const char *p = config->proc_title_template; *p != '\0';) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (end != NULL) {
            add_variable(&t, config, (struct slice){p + 1, (size_t)(end - p - 1)});
            p = end + 1;
        } else {
            text_add(&t, (struct slice){p++, 1});
        }
    }
    while (t.size > 0 && t.data[t.size - 1] == ' ')
        t.size--;
    size_t size = t.size < room.size - 1 ? t.size : room.size - 1;
    if (!t.failed && size > 0) {
        memcpy(room.start, t.data, size);
        memset(room.start + size, 0, room.size - size);
    }
    text_free(&t);
}
