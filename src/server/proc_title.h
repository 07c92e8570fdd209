/* proc_title.h - what ps shows: set-proc-title and proc-title-template.
 */
#pragma once

struct config;

/* Remembers where the arguments and the environment lie; moves the environment away. At the start of
 * main, before any thread. */
void proc_title_init(int argc, char **argv);
/* Shows the template, if set-proc-title says so. */
void proc_title_set(const struct config *config);
