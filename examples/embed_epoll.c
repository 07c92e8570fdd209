/* embed_epoll.c - goroutines inside a program that has its own event loop.
 *
 * main() is the host: an epoll loop with a timer of its own. Goroutines compute and wait; what belongs to the host
 * (here: the score board) is only touched on the host's thread, by functions that they post to it, or call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <tuco.h>

enum { PLAYERS = 20, ROUNDS = 10 };

/* The host's own state: no lock, since one thread uses it. */
static struct {
    tu_loop *loop;
    long points;
    int finished, ticks;
    bool over;
} host;

/* ---- these run on the host's thread ---- */

static void add_points(void *points)
{
    host.points += (long)(intptr_t)points;
}

static void player_is_done(void *unused)
{
    (void)unused;
    host.finished++;
}

static void read_points(void *out)
{
    *(long *)out = host.points;
}

static void end_of_game(void *unused)
{
    (void)unused;
    host.over = true;
}

/* ---- these are goroutines ---- */

static int play(int player)
{
    for (int round = 1; round <= ROUNDS; round++) {
        int rc = tu_sleep((player * 7 + round * 3) % 5 * TU_MS);
        if (rc == 0)
            rc = tu_loop_post(host.loop, add_points, (void *)(intptr_t)round);
        if (rc < 0)
            return rc;
    }
    return tu_loop_post(host.loop, player_is_done, NULL);
}

/* Asks the host, and waits for its answer, 5 seconds at most. */
static int referee(void)
{
    long points = 0, target = (long)PLAYERS * ROUNDS * (ROUNDS + 1) / 2;
    int rc = 0;
    tu_context *ctx = tu_with_timeout(NULL, 5 * TU_S);
    tu_defer(tu_cancel, ctx);
    tu_in_context(ctx) {
        while (rc == 0 && points < target) {
            rc = tu_loop_call(host.loop, read_points, &points);
            if (rc == 0)
                rc = tu_sleep(TU_MS);
        }
    }
    return rc;
}

static void game(void)
{
    int rc;
    tu_scope(s) {
        for (int i = 0; i < PLAYERS; i++)
            tu_scope_go(&s, play, i);
        tu_scope_go(&s, referee);
        rc = tu_scope_wait(&s);
        if (rc < 0)
            fprintf(stderr, "%s failed: %d\n", tu_scope_failed(&s)->name, rc);
    }
    if (tu_loop_post(host.loop, end_of_game, NULL) < 0)
        exit(1);
}

/* ---- the host ---- */

static int watch(int epoll, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

int main(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec every_2ms = {{0, 2000000}, {0, 2000000}};
    host.loop = tu_loop_make();
    if (tu_start(NULL) < 0 || !host.loop || timerfd_settime(timer, 0, &every_2ms, NULL) < 0 ||
        watch(epoll, timer) < 0 || watch(epoll, tu_loop_fd(host.loop)) < 0 || tu_go(game) < 0)
        return 1;
    while (!host.over) {
        struct epoll_event e;
        if (epoll_wait(epoll, &e, 1, -1) != 1)
            continue;
        uint64_t expired;
        if (e.data.fd == tu_loop_fd(host.loop))
            (void)tu_loop_run(host.loop);
        else if (read(timer, &expired, sizeof expired) == sizeof expired)
            host.ticks++;
    }
    tu_loop_free(host.loop);
    printf("%d players, %ld points, and the host's timer %s\n", host.finished, host.points,
           host.ticks > 0 ? "ticked" : "starved");
    return 0;
}
