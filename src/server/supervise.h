/* supervise.h - telling a service manager how we are: systemd's notification socket, upstart's stop.
 *
 * Plain system calls, from any thread; a message that cannot be sent is lost silently, as it should.
 */
#pragma once

#include <stdbool.h>

/* Which manager `supervised` (a SUPERVISED_... value) means here: auto looks at the environment.
 * SUPERVISED_NO when there is none; a wrong combination is logged. */
int supervise_detect(int setting);
/* "READY=1" ...; nothing happens without systemd. False: not sent. */
bool supervise_notify(const char *state);
