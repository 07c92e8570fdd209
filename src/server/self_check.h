/* self_check.h - --check-system and --test-memory: looks at the machine, prints, serves nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Prints one line for each thing that is known to hurt; false if one of them does. */
bool self_check_system(void);
/* Writes and reads back patterns over so many megabytes; false if a byte did not come back. */
bool self_check_memory(size_t megabytes);
