/* event.h - a descriptor that says "something happened": readable from a signal until a clear (eventfd). */
#pragma once

/* Non-blocking, close-on-exec; or -errno. */
int event_open(void) __attribute__((warn_unused_result));
/* Makes it readable; also an edge for those who watch for edges. Async-signal-safe. */
void event_signal(int fd);
void event_clear(int fd);
void event_close(int fd);
