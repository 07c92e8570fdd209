/* parked_program.c - goroutines in known frames, for gdb_test.py: two wait, deep inside; main stops in `look_here`. */
#include <tuco.h>

static tu_chan(int) c;
static volatile int sink;

__attribute__((noinline)) static void wait_at_depth(int depth)
{
    int v = 0;
    if (depth > 0)
        wait_at_depth(depth - 1);
    else
        (void)!tu_recv(c, &v);
    sink = v;
}

static void waiter(int depth)
{
    wait_at_depth(depth);
    sink = depth;
}

__attribute__((noinline)) static void look_here(void)
{
    sink = 1;
}

static void program(void *unused)
{
    c = tu_make_chan(int, 0);
    if (tu_go_named("deep", waiter, 3) < 0 || tu_go(waiter, 0) < 0)
        return;
    (void)!tu_sleep(50 * TU_MS);
    look_here();
}

int main(void)
{
    return tu_main(NULL, program, NULL);
}
