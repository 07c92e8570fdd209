/* hello.c - a goroutine, a channel, and the wait for both. */
#include <stdio.h>
#include <tuco.h>

static void greet(tu_channel *done, const char *name)
{
    printf("hello, %s, from goroutine %d of %zu\n", name, (int)tu_goroutine_id(), tu_goroutines());
    int one = 1;
    (void)!tu_channel_send(done, &one);
}

static void run(void *arg)
{
    (void)arg;
    tu_chan(int) done = tu_make_chan(int, 0);
    const char *names[] = {"world", "gopher", "tuco-tuco"};
    int value, started = 0;
    for (int i = 0; i < 3; i++)
        started += tu_go(greet, tu_chan_untyped(done), names[i]) == 0;
    for (int i = 0; i < started; i++)
        if (tu_recv(done, &value) != 0)
            return;
    tu_free_chan(done);
}

int main(void)
{
    return tu_main(NULL, run, NULL) ? 1 : 0;
}
