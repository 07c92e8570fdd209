/* crash_report.c - see crash_report.h.
 *
 * Runs on the alternate stack of the thread that faulted, with everything in doubt: only system calls
 * and what glibc's backtrace does once it was called before (it loads its library the first time). A
 * fault inside the report ends the process without more words.
 */
#include "server/crash_report.h"

#include "server/log.h"
#include "server/version.h"

#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/utsname.h>
#include <ucontext.h>
#include <unistd.h>

enum { FRAMES_MAX = 64 };

static _Atomic bool reporting;

static void say(const char *text)
{
    log_raw(text, strlen(text));
}

static void say_hex(unsigned long long value)
{
    char digits[20], *p = digits + sizeof digits;
    *--p = '\0';
    do {
        *--p = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    say("0x");
    say(p);
}

static const char *name_of(int number)
{
    switch (number) {
    case SIGSEGV: return "SIGSEGV (memory fault)";
    case SIGBUS: return "SIGBUS (memory fault)";
    case SIGFPE: return "SIGFPE (arithmetic fault)";
    case SIGILL: return "SIGILL (illegal instruction)";
    default: return "SIGABRT (abort)";
    }
}

static unsigned long long instruction_of(const void *context)
{
#if defined(__x86_64__)
    return (unsigned long long)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return ((const ucontext_t *)context)->uc_mcontext.pc;
#else
    return 0;
#endif
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    void *frames[FRAMES_MAX];
    struct sigaction normal = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &normal, NULL); /* returning lets it happen again, for good */
    if (atomic_exchange(&reporting, true))
        _exit(1);
    say("\n\n=== TUCO BUG REPORT START: Cut & paste starting from here ===\n"
        "tuco " TUCO_VERSION " crashed by signal: ");
    say(name_of(number));
    say("\nfault address: ");
    say_hex((unsigned long long)(uintptr_t)info->si_addr);
    say(", instruction: ");
    say_hex(instruction_of(context));
    struct utsname host;
    if (uname(&host) == 0) {
        say("\nsystem: ");
        say(host.sysname);
        say(" ");
        say(host.release);
        say(" ");
        say(host.machine);
    }
    say("\n\n------ STACK TRACE ------\n");
    int count = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    for (int i = 0; i < count; i++) {
        say_hex((unsigned long long)(uintptr_t)frames[i]);
        say(i + 1 == count ? "\n" : " ");
    }
    say("\n=== TUCO BUG REPORT END. Please report the crash with everything above. ===\n\n");
    if (number == SIGABRT || info->si_code <= 0)
        (void)raise(number);
}

void crash_report_install(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    void *frames[4];
    (void)backtrace(frames, 4); /* so that it is loaded when it is needed */
    struct sigaction action = {.sa_sigaction = on_crash,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)sigaction(numbers[i], &action, NULL);
}
