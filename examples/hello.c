/* hello.c - goroutines, a channel, and the wait for both.
 *
 *     hello [NAME...]
 *
 * Each name is greeted by a goroutine of its own. They hand their greetings to one channel, in the
 * order in which they get there, and only the main goroutine prints.
 */
#include <stdio.h>
#include <tuco.h>

struct greeting {
    char text[80];
};

static void greet(tu_chan(struct greeting) out, const char *name)
{
    struct greeting g;
    snprintf(g.text, sizeof g.text, "hello, %s", name);
    if (tu_send(out, g) != 0) /* only if somebody closed it: nobody does */
        fprintf(stderr, "hello: nobody wants to hear of %s\n", name);
}

struct arguments {
    const char *const *names;
    int count, status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    int started = 0, heard = 0;
    tu_chan(struct greeting) greetings = tu_make_chan(struct greeting, 0);
    if (!greetings)
        return;
    for (int i = 0; i < arguments->count; i++)
        if (tu_go(greet, greetings, arguments->names[i]) == 0)
            started++;
    for (struct greeting g; heard < started && tu_recv(greetings, &g) == 0; heard++)
        printf("%s\n", g.text);
    tu_free_chan(greetings); /* everyone has sent: nobody uses it any more */
    arguments->status = heard == arguments->count ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const char *const everybody[] = {"world", "gopher", "tuco-tuco"};
    struct arguments arguments = {everybody, 3, 1};
    if (argc > 1)
        arguments = (struct arguments){(const char *const *)(argv + 1), argc - 1, 1};
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
