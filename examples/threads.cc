// threads.cc - libtuco beside an existing C++ program: plain std::threads and goroutines share
// channels, a mutex and a wait group.
#include <cstdio>
#include <thread>
#include <tuco.h>
#include <vector>

namespace {

struct tally {
    struct tu_mutex mutex;
    long sum;
    int messages;
};

// On a goroutine: whatever comes goes into the tally, until the channel is closed.
void collect(tu_channel *in, tally *t, struct tu_wait_group *group)
{
    long n;
    while (tu_channel_recv(in, &n) == 0) {
        tu_mutex_lock(&t->mutex);
        t->sum += n;
        t->messages++;
        tu_mutex_unlock(&t->mutex);
    }
    tu_wait_group_done(group);
}

} // namespace

int main()
{
    const int threads = 3, goroutines = 4, each = 2000;
    if (tu_start(nullptr) != 0)
        return 1;
    tu_chan(long) c = tu_make_chan(long, 16);
    tally t = {};
    struct tu_wait_group group = {};
    for (int i = 0; i < goroutines; i++) {
        tu_wait_group_add(&group, 1);
        if (tu_go(collect, tu_chan_untyped(c), &t, &group) != 0)
            return 1;
    }
    std::vector<std::thread> senders;
    for (int i = 0; i < threads; i++)
        senders.emplace_back([c] {
            for (long n = 1; n <= each; n++)
                if (tu_send(c, n) != 0)
                    return;
        });
    for (std::thread &s : senders)
        s.join();
    tu_close_chan(c);
    if (tu_wait_group_wait(&group) != 0)
        return 1;
    tu_free_chan(c);
    std::printf("%d messages from %d threads to %d goroutines, sum %ld\n", t.messages, threads,
                goroutines, t.sum);
    return t.messages == threads * each && t.sum == threads * (each * (each + 1L) / 2) ? 0 : 1;
}
