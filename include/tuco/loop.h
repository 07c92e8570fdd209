/* loop.h - goroutines beside an event loop that is there already: libuv, glib, an epoll of one's own.
 *
 * The host is the thread that runs such a loop. It starts the runtime once (tu_start) and goroutines whenever it
 * likes (tu_go, tu_try_send, ...: all that never parks is free for it). What shall happen on the host's thread,
 * because the host's objects belong there, is posted to a tu_loop, whose descriptor is readable while something is.
 *
 *     host                                              goroutine
 *     tu_loop *l = tu_loop_make();                      row = fetch(query);         parks; the host does not
 *     watch tu_loop_fd(l) for reading;                  tu_loop_post(l, show, row);
 *     when it is readable: tu_loop_run(l);
 *
 * With glib: g_unix_fd_add(tu_loop_fd(l), G_IO_IN, on_readable, l); with libuv: uv_poll_init and
 * uv_poll_start(&poll, UV_READABLE, on_readable), and on_readable calls tu_loop_run. Level- and edge-triggered hosts
 * both work. See examples/embed_epoll.c.
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

typedef struct tu_loop tu_loop; /* a queue of functions for one host */

/* NULL: out of memory or descriptors. Needs no runtime. */
TU_API tu_loop *tu_loop_make(void);

/* An eventfd (close-on-exec) that is readable while something waits to be run. Only to be watched; it lives as
 * long as the loop. */
TU_API int tu_loop_fd(const tu_loop *loop);

/* Has fn(arg) called by the host, after what was posted before. From any goroutine or thread, the host
 * included. 0; -ENOMEM; -EPIPE: the loop is closed; then fn is not called. Never parks. */
TU_API TU_MUST_CHECK int tu_loop_post(tu_loop *loop, void (*fn)(void *arg), void *arg);

/* The same, and waits until fn has returned: 0, and what fn wrote is seen. -EPIPE, or the context's error if that
 * ended before the host had begun with it: then fn was not called and will not be. Once it has begun it is
 * waited for, because `arg` is the caller's. From any goroutine, or thread but the host's (aborts). May park. */
TU_API TU_MUST_CHECK int tu_loop_call(tu_loop *loop, void (*fn)(void *arg), void *arg);

#define TU_LOOP_BATCH 64 /* functions that one tu_loop_run calls at most */

/* The host's: calls what was posted, in order, at most TU_LOOP_BATCH functions, so that the host's own events get
 * their turn; what is left makes the descriptor readable again. Returns how many it called. A function
 * may post, and may do what the host's thread may. From a plain thread, one at a time; not from inside itself. */
TU_API size_t tu_loop_run(tu_loop *loop);

/* The host's: from here on a post or call gets -EPIPE. What was posted before is called now, all of it. Posts and
 * calls may race with this; none is lost without its -EPIPE. Not from inside tu_loop_run. */
TU_API void tu_loop_close(tu_loop *loop);

/* Frees a closed loop; closes it first if need be (the host's then). Nobody may be inside a call on the loop, or make
 * another. NULL is allowed. */
TU_API void tu_loop_free(tu_loop *loop);

TU_END_DECLS
