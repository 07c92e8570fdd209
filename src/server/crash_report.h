/* crash_report.h - what is left behind when the server dies of its own fault.
 */
#pragma once

/* Installs handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT that write a report to the log and
 * let the signal take its course. Before the runtime starts: the runtime's own handler explains stack
 * overflows and passes everything else on to these. */
void crash_report_install(void);
