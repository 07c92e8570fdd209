/* poll_ring.c - readiness by io_uring's multishot poll.
 *
 * One IORING_OP_POLL_ADD with IORING_POLL_ADD_MULTI a descriptor, for both directions, for its life. Is
 * that edge-triggered as epoll's EPOLLET is? Both hang an entry into the descriptor's wait queue, once,
 * and both report when the queue is woken, not while the state lasts:
 *   - a state that holds when it is registered is reported at once, by both;
 *   - each later wake gives a report. epoll merges those that nobody has fetched; here each is a
 *     completion of its own, so there are more, never fewer. A wake names what has changed, or nothing (a
 *     state change, such as the peer's end), and when it names nothing or several wakes have met, the
 *     kernel asks the descriptor itself: no edge is lost, and the end of a stream always has its flag;
 *   - the kernel may end a multishot request at any report (completions were backed up; the thread that
 *     submitted it has exited; the descriptor is itself an io_uring): the completion then lacks F_MORE.
 *     We register it again, which reports at once what holds by then, so nothing falls into the gap.
 * Levels (IORING_POLL_ADD_LEVEL) are not used; net/conn.h keeps those in user space.
 *
 * What differs: a request holds a reference to the open file, so closing the descriptor alone would not
 * close the connection. poll_ring_remove cancels the request first. The file goes when the request's end
 * is processed, on the thread that had submitted it: before our close returns if that is the caller,
 * else within the time that an interrupt needs to reach it.
 *
 * A completion finds its registration by descriptor and generation (the tag holds both): those of a
 * registration that has ended are thrown away, even if the number was given out again.
 *
 * One mutex guards the ring's two ends and the table. It is not held while anybody sleeps.
 */
#include "platform/poll_ring.h"

#include "platform/uring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { RING_ENTRIES = 256, CHUNK = 1024, CHUNKS = 1024 };

struct slot {
    void *data;
    uint32_t generation; /* odd: registered */
};

struct poll_ring {
    struct uring uring;
    pthread_mutex_t mutex;
    int wake_fd;
    bool wake_armed;
    struct slot *chunks[CHUNKS]; /* by descriptor */
};

/* Tags: 0 for what needs no answer, 1 for the wake descriptor, else generation and descriptor. An odd
 * generation in the upper half makes the last kind larger than the others. */
enum { TAG_NONE, TAG_WAKE };
enum { EVENTS = POLLIN | POLLOUT | POLLRDHUP };

static void *tag_of(int fd, uint32_t generation)
{
    return (void *)(uintptr_t)((uint64_t)generation << 32 | (uint32_t)fd);
}

/* NULL: no such descriptor, or no memory. */
static struct slot *slot_of(struct poll_ring *ring, int fd, bool make)
{
    if (fd < 0 || fd >= CHUNK * CHUNKS)
        return NULL;
    struct slot **chunk = &ring->chunks[fd / CHUNK];
    if (!*chunk && make)
        *chunk = calloc(CHUNK, sizeof **chunk);
    return *chunk ? &(*chunk)[fd % CHUNK] : NULL;
}

static bool arm(struct poll_ring *ring, int fd, void *tag)
{
    struct uring_request request = {.code = URING_POLL, .fd = fd, .flags = EVENTS, .tag = tag};
    return uring_submit(&ring->uring, &request, 1) == 1;
}

int poll_ring_make(struct poll_ring **out, int wake_fd)
{
    struct poll_ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    int rc = uring_init(&ring->uring, RING_ENTRIES);
    if (rc < 0) {
        free(ring);
        return rc;
    }
    pthread_mutex_init(&ring->mutex, NULL);
    ring->wake_fd =
        wake_fd; /* armed by the first that waits: its reports are made on that thread */
    *out = ring;
    return 0;
}

void poll_ring_destroy(struct poll_ring *ring)
{
    uring_destroy(&ring->uring);
    for (int i = 0; i < CHUNKS; i++)
        free(ring->chunks[i]);
    pthread_mutex_destroy(&ring->mutex);
    free(ring);
}

/* As epoll: what is always ready has no events. */
static int pollable(int fd)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return -errno;
    return S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) ? -EPERM : 0;
}

int poll_ring_add(struct poll_ring *ring, int fd, void *data)
{
    int rc = pollable(fd);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&ring->mutex);
    struct slot *slot = slot_of(ring, fd, true);
    if (!slot || (slot->generation & 1)) {
        rc = slot ? -EEXIST : -ENOMEM;
    } else {
        slot->data = data;
        slot->generation++;
        if (!arm(ring, fd, tag_of(fd, slot->generation))) {
            slot->generation++;
            rc = -ENOMEM;
        }
    }
    pthread_mutex_unlock(&ring->mutex);
    return rc;
}

void poll_ring_remove(struct poll_ring *ring, int fd)
{
    pthread_mutex_lock(&ring->mutex);
    struct slot *slot = slot_of(ring, fd, false);
    if (slot && (slot->generation & 1)) {
        struct uring_request request = {
            .code = URING_CANCEL, .fd = -1, .address = tag_of(fd, slot->generation)};
        slot->generation++;
        slot->data = NULL;
        (void)uring_submit(&ring->uring, &request, 1);
    }
    pthread_mutex_unlock(&ring->mutex);
}

/* One completion to at most one event. */
static bool translate(struct poll_ring *ring, const struct uring_completion *c,
                      struct poll_event *event, bool *woken)
{
    uint64_t tag = (uintptr_t)c->tag;
    if (tag == TAG_NONE)
        return false;
    if (tag == TAG_WAKE) {
        if (!c->more)
            ring->wake_armed = arm(ring, ring->wake_fd, c->tag);
        if (woken)
            *woken = true;
        return false;
    }
    int fd = (int)(uint32_t)tag;
    struct slot *slot = slot_of(ring, fd, false);
    if (!slot || slot->generation != (uint32_t)(tag >> 32))
        return false; /* it was removed */
    bool again = !c->more && (c->result >= 0 || c->result == -ECANCELED);
    unsigned events = c->result >= 0 ? poll_events_of((uint32_t)c->result) : 0;
    if ((again && !arm(ring, fd, c->tag)) || (c->result < 0 && !again))
        events = POLL_IN | POLL_OUT | POLL_HUP; /* no more reports: let it look for itself */
    *event = (struct poll_event){slot->data, events};
    return events != 0;
}

static int collect(struct poll_ring *ring, struct poll_event *events, int capacity, bool *woken)
{
    struct uring_completion done[POLL_EVENTS_MAX];
    int kept = 0;
    pthread_mutex_lock(&ring->mutex);
    if (!ring->wake_armed)
        ring->wake_armed = arm(ring, ring->wake_fd, (void *)(uintptr_t)TAG_WAKE);
    uint32_t n = uring_reap(&ring->uring, done, (uint32_t)capacity);
    for (uint32_t i = 0; i < n; i++)
        kept += translate(ring, &done[i], &events[kept], woken);
    pthread_mutex_unlock(&ring->mutex);
    return n > 0 && kept == 0 ? -1 : kept;
}

int poll_ring_wait(struct poll_ring *ring, struct poll_event *events, int capacity,
                   int64_t timeout_ns, bool *woken)
{
    /* The kernel's side runs by itself, so what is there can be taken without a system call. */
    int kept = collect(ring, events, capacity, woken);
    if (kept == 0 && timeout_ns != 0) {
        uring_wait(&ring->uring, timeout_ns);
        kept = collect(ring, events, capacity, woken);
    }
    return kept < 0 ? 0 : kept;
}
