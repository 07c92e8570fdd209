/* failure.h - reports of what ends the process. */
#pragma once

/* From here on a failed tu_check and a stack overflow are explained on standard error. At the start. */
void failure_init(void);
