/* use.c - what a C program would use of an installed libtuco, and names of its own that libtuco has inside: they
 * must not meet. Prints 42. */
#include <stdio.h>
#include <tuco.h>

/* Each is a global of libtuco's own objects. */
int poll_init(void);
int thread_start(void);
int number_parse_int64(void);
int check_failed(void);
int socket_connect(void);
int poll_init(void)
{
    return 1;
}
int thread_start(void)
{
    return 2;
}
int number_parse_int64(void)
{
    return 3;
}
int check_failed(void)
{
    return 4;
}
int socket_connect(void)
{
    return 5;
}

static struct tu_mutex mutex;
static int sum = 0, closed = 0;

static void note(int *flag)
{
    *flag += 1;
}

static int add(int n)
{
    tu_lock_guard(&mutex);
    sum += n;
    return 0;
}

static void twice(tu_channel *out, int n)
{
    n *= 2;
    if (tu_channel_send(out, &n) != 0)
        sum = -1000;
}

static void run(void *arg)
{
    tu_defer(note, &closed);
    tu_chan(int) c = tu_make_chan(int, 0);
    if (tu_go(twice, tu_chan_untyped(c), 3) != 0)
        return;
    tu_select() {
        tu_on_recv(c, v) {
            add(v); /* 6 */
        }
        tu_on_after(10 * TU_S) {
            sum = -1000;
        }
    }
    tu_scope(s) {
        for (int i = 1; i <= 5; i++)
            (void)tu_scope_go(&s, add, i); /* 15 */
        if (tu_scope_wait(&s) != 0)
            sum = -1000;
    }
    tu_context *ctx = tu_with_timeout(NULL, TU_MS);
    tu_in_context(ctx) {
        int v;
        if (tu_recv(c, &v) == -ETIMEDOUT)
            add(6);
    }
    tu_cancel(ctx);
    tu_free_chan(c);
    tu_free(tu_alloc(100));
    *(int *)arg = 1;
}

int main(void)
{
    int ran = 0;
    if (tu_main(NULL, run, &ran) != 0 || !ran || closed != 1)
        return 1;
    printf("%d\n", sum + poll_init() + thread_start() + number_parse_int64() + check_failed() +
                       socket_connect());
    return 0;
}
