/* observe.h - looking into a running program, and what a failing one says.
 *
 * A dump lists every goroutine: number, name, what it does and for how long, on which object, where it
 * was started, and its frames. It looks like this:
 *
 *     goroutine 18 "reader" [chan receive, 5.2 s, channel 0x7f3a10c0]: started at main.c:33 (read_all)
 *         tu_channel_recv+0x5c  src/runtime/chan/channel.c:127
 *         read_all+0x2a  main.c:20
 *
 * What comes before the time is what it waits for: chan send, chan receive, select, mutex, rwmutex (read),
 * rwmutex (write), wait group, condition, scope, sleep, read, write, address lookup, nothing (it will never
 * be woken), ...; or "runnable"; or "running on thread 4711", the number that ps -L shows; and "pinned to thread 4711" after tu_pin. When there are
 * more than a hundred goroutines, those that do the same in the same frames are printed once, with
 * their count. Times come from a clock that ticks once a millisecond.
 *
 * Function names come from the program's symbol table, file and line from its debug information, if
 * they were not stripped; frames are followed by frame pointers, so compile with
 * -fno-omit-frame-pointer: a caller compiled without is left out. docs/decisions/0019 has the reasons.
 *
 * Who prints one:
 *
 * - tu_dump, when it is called.
 * - SIGQUIT (ctrl-\, kill -QUIT), on standard error; then the process ends with status 2, or goes on
 *   (tu_options.sigquit, or TUCO_SIGQUIT=continue). A program that handles or ignores SIGQUIT before it
 *   starts the runtime keeps that, unless one of these asks.
 * - A misuse (unlock of an unlocked mutex, close of a closed channel, ...), after a report of what was done
 *   wrong, in which goroutine and in which frames; then abort().
 * - A deadlock in a tu_main program, when every goroutine waits for another one and nobody is left to wake
 *   any: "all goroutines are asleep - deadlock!"; then the process ends with status 2.
 *
 * A stack that overflows is reported with the frames of its goroutine; then abort(). Threads that run a
 * goroutine during a dump are asked for their frames with SIGURG, unless the program handles that itself; a
 * system call that the kernel does not restart (nanosleep, poll) then ends with EINTR. In gdb,
 * scripts/tuco-gdb.py lists and walks goroutines, of a core file too.
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

/* Writes a dump to a descriptor. The goroutines go on meanwhile, so it is a view of each at its own moment.
 * From any goroutine or thread; not from a signal handler. Never parks, but the writes may block the thread.
 * Calls at the same time wait for each other. */
TU_API void tu_dump(int fd);

TU_END_DECLS
