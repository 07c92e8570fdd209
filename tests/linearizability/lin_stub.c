/* lin_stub.c - a thread a connection, one lock around the model. A fault lets others in where they must not be. */
#include "linearizability/lin_stub.h"

#include "base/check.h"
#include "linearizability/lin_drive.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 16, OUTPUT_MAX = 1 << 20, CONNECTIONS_MAX = 512 };

struct database {
    struct lin_state now, before; /* before: as it was a moment ago */
    unsigned changes;
};

struct lin_stub {
    enum lin_fault fault;
    int listener;
    pthread_t acceptor;
    pthread_mutex_t lock; /* of all that follows */
    struct lin_pool *pool;
    struct database database[LIN_GROUPS_MAX];
    unsigned clients[LIN_GROUPS_MAX];
    pthread_t thread[CONNECTIONS_MAX];
    unsigned threads;
};

struct session {
    struct lin_stub *stub;
    int socket;
    struct database *database;
    unsigned client; /* its number in the database: the model's */
    bool in_multi;
    struct lin_command queue[LIN_COMMANDS];
    char queue_text[LIN_COMMANDS][512];
    unsigned queued;
    struct lin_scratch *scratch;
    struct random_state rng;
    struct lin_reply reply;
    size_t input_size, output_size;
    char input[INPUT_MAX], output[OUTPUT_MAX];
};

const char *lin_fault_name(enum lin_fault fault)
{
    static const char *const names[LIN_FAULTS] = {
        "faultless",  "lost-update", "torn-write", "torn-read",   "torn-exec",
        "stale-read", "early-reply", "deaf-watch", "jumpy-watch", "late-watch"};
    return names[fault];
}

static void say(struct session *s, const char *bytes, size_t size)
{
    tu_check(s->output_size + size <= OUTPUT_MAX, "the replies are too long");
    memcpy(s->output + s->output_size, bytes, size);
    s->output_size += size;
}

static void flush(struct session *s)
{
    for (size_t sent = 0; sent < s->output_size;) {
        ssize_t n = send(s->socket, s->output + sent, s->output_size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    s->output_size = 0;
}

/* The fault happens, and others are let in. */
static bool let_others_in(struct session *s, enum lin_fault fault)
{
    if (s->stub->fault != fault || random_below(&s->rng, 3) != 0)
        return false;
    (void)pthread_mutex_unlock(&s->stub->lock);
    (void)usleep(20);
    (void)pthread_mutex_lock(&s->stub->lock);
    return true;
}

/* ---- faults of one command ---- */

/* The keys of the command are taken into *state one by one. */
static void read_torn(struct session *s, const struct lin_command *command, struct lin_state *state)
{
    *state = s->database->now;
    for (unsigned k = 0; k < LIN_KEYS; k++)
        if ((command->keys >> k & 1) != 0) {
            state->key[k] = s->database->now.key[k];
            (void)let_others_in(s, LIN_TORN_READ);
        }
}

/* What the command changed goes into the database, key by key. */
static void write_back(struct session *s, const struct lin_state *from, const struct lin_state *to)
{
    struct lin_state *now = &s->database->now;
    for (unsigned k = 0; k < LIN_KEYS; k++) {
        if (from->key[k] == to->key[k])
            continue;
        now->key[k] = to->key[k];
        (void)let_others_in(s, LIN_TORN_WRITE);
    }
    now->dirty |= to->dirty & ~from->dirty;
}

static void remember(struct database *d)
{
    if (++d->changes % 16 == 0)
        d->before = d->now;
}

static void run_command(struct session *s, const struct lin_command *command)
{
    struct lin_state read, changed;
    enum lin_fault fault = s->stub->fault;
    if (fault == LIN_STALE_READ && random_below(&s->rng, 20) == 0) {
        changed = s->database->before;
        lin_apply(s->scratch, s->stub->pool, &changed, command, NULL, &s->reply);
        if (memcmp(changed.key, s->database->before.key, sizeof changed.key) == 0) {
            say(s, s->reply.bytes, s->reply.size);
            return;
        }
    }
    if (fault == LIN_TORN_READ)
        read_torn(s, command, &read);
    else
        read = s->database->now;
    (void)let_others_in(s, LIN_LOST_UPDATE);
    changed = read;
    lin_apply(s->scratch, s->stub->pool, &changed, command, NULL, &s->reply);
    say(s, s->reply.bytes, s->reply.size);
    if (fault == LIN_EARLY_REPLY && random_below(&s->rng, 10) == 0 && !s->in_multi) {
        flush(s);
        (void)pthread_mutex_unlock(&s->stub->lock);
        (void)usleep(200);
        (void)pthread_mutex_lock(&s->stub->lock);
    }
    write_back(s, &read, &changed);
    remember(s->database);
}

/* ---- requests ---- */

static int key_number(struct slice name)
{
    return name.data[name.size - 1] - '0';
}

static void run_exec(struct session *s)
{
    struct lin_state *now = &s->database->now;
    uint64_t bit = UINT64_C(1) << s->client;
    bool refused = (now->dirty & bit) != 0;
    refused = refused && s->stub->fault != LIN_DEAF_WATCH;
    refused = refused || (s->stub->fault == LIN_JUMPY_WATCH && now->watched[s->client] != 0 &&
                          random_below(&s->rng, 10) == 0);
    now->watched[s->client] = 0;
    now->dirty &= ~bit;
    if (refused) {
        say(s, "*-1\r\n", 5);
    } else {
        char head[16];
        say(s, head, (size_t)snprintf(head, sizeof head, "*%u\r\n", s->queued));
        for (unsigned i = 0; i < s->queued; i++) {
            run_command(s, &s->queue[i]);
            (void)let_others_in(s, LIN_TORN_EXEC);
        }
    }
    s->in_multi = false;
    s->queued = 0;
}

static void run_select(struct session *s, struct slice number)
{
    unsigned n = (unsigned)strtoul(number.data, NULL, 10);
    s->database = &s->stub->database[n % LIN_GROUPS_MAX];
    s->client = s->stub->clients[n % LIN_GROUPS_MAX]++;
    say(s, "+OK\r\n", 5);
}

static void run_watch(struct session *s, const struct slice *words, unsigned count)
{
    struct lin_state *now = &s->database->now;
    say(s, "+OK\r\n", 5);
    if (s->stub->fault == LIN_LATE_WATCH) {
        flush(s);
        (void)let_others_in(s, LIN_LATE_WATCH);
    }
    for (unsigned i = 1; i < count; i++)
        now->watched[s->client] |= (uint8_t)(1u << key_number(words[i]));
}

/* Keeps a command beyond the input buffer. */
static void enqueue(struct session *s, const struct lin_command *command)
{
    char *text = s->queue_text[s->queued];
    struct lin_command *copy = &s->queue[s->queued++];
    *copy = *command;
    for (unsigned i = 0; i < copy->count; i++) {
        memcpy(text, copy->word[i].data, copy->word[i].size);
        copy->word[i].data = text;
        text += copy->word[i].size;
    }
    say(s, "+QUEUED\r\n", 9);
}

static void run_request(struct session *s, const struct slice *words, unsigned count)
{
    struct lin_command command;
    if (slice_equal(words[0], SLICE("SELECT"))) {
        run_select(s, words[1]);
    } else if (slice_equal(words[0], SLICE("MULTI"))) {
        s->in_multi = true;
        say(s, "+OK\r\n", 5);
    } else if (slice_equal(words[0], SLICE("EXEC"))) {
        run_exec(s);
    } else if (slice_equal(words[0], SLICE("WATCH"))) {
        run_watch(s, words, count);
    } else if (slice_equal(words[0], SLICE("UNWATCH")) || slice_equal(words[0], SLICE("DISCARD"))) {
        s->in_multi = false;
        s->queued = 0;
        s->database->now.watched[s->client] = 0;
        s->database->now.dirty &= ~(UINT64_C(1) << s->client);
        say(s, "+OK\r\n", 5);
    } else if (!lin_command_parse(&command, words, count, key_number)) {
        say(s, "-ERR unknown command\r\n", 22);
    } else if (s->in_multi) {
        enqueue(s, &command);
    } else {
        run_command(s, &command);
    }
}

/* Takes the first request of the input apart: its size, 0 if it is not complete. */
static size_t parse(const struct session *s, struct slice *words, unsigned *count)
{
    size_t size = lin_reply_size(s->input, s->input_size); /* a request looks like a reply */
    if (size == 0)
        return 0;
    char *at;
    *count = (unsigned)strtoul(s->input + 1, &at, 10);
    tu_check(*count > 0 && *count <= LIN_WORDS, "a request with too many words");
    at += 2;
    for (unsigned i = 0; i < *count; i++) {
        size_t length = strtoul(at + 1, &at, 10);
        words[i] = (struct slice){at + 2, length};
        at += 2 + length + 2;
    }
    return size;
}

static void *session_main(void *argument)
{
    struct session *s = argument;
    for (;;) {
        struct slice words[LIN_WORDS];
        unsigned count;
        size_t size = parse(s, words, &count);
        if (size == 0) {
            flush(s);
            ssize_t n = recv(s->socket, s->input + s->input_size, INPUT_MAX - s->input_size, 0);
            if (n <= 0)
                break;
            s->input_size += (size_t)n;
            continue;
        }
        (void)pthread_mutex_lock(&s->stub->lock);
        run_request(s, words, count);
        (void)pthread_mutex_unlock(&s->stub->lock);
        s->input_size -= size;
        memmove(s->input, s->input + size, s->input_size);
    }
    (void)close(s->socket);
    lin_scratch_free(s->scratch);
    free(s);
    return NULL;
}

/* ---- start and end ---- */

static void *acceptor_main(void *argument)
{
    struct lin_stub *stub = argument;
    int socket, one = 1;
    while ((socket = accept(stub->listener, NULL, NULL)) >= 0) {
        struct session *s = calloc(1, sizeof *s);
        tu_check(s != NULL && stub->threads < CONNECTIONS_MAX, "too many sessions");
        s->stub = stub;
        s->socket = socket;
        s->scratch = lin_scratch_new();
        random_init(&s->rng, stub->threads + 1);
        (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        tu_check(pthread_create(&stub->thread[stub->threads++], NULL, session_main, s) == 0,
                 "a thread cannot be started");
    }
    return NULL;
}

struct lin_stub *lin_stub_start(enum lin_fault fault, struct sockaddr_in *address)
{
    struct lin_stub *stub = calloc(1, sizeof *stub);
    socklen_t size = sizeof *address;
    tu_check(stub != NULL, "no memory for a server");
    stub->fault = fault;
    stub->pool = lin_pool_new();
    (void)pthread_mutex_init(&stub->lock, NULL);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    stub->listener = socket(AF_INET, SOCK_STREAM, 0);
    tu_check(bind(stub->listener, (struct sockaddr *)address, size) == 0 &&
                 listen(stub->listener, 256) == 0 &&
                 getsockname(stub->listener, (struct sockaddr *)address, &size) == 0,
             "cannot listen");
    tu_check(pthread_create(&stub->acceptor, NULL, acceptor_main, stub) == 0,
             "a thread cannot be started");
    return stub;
}

void lin_stub_stop(struct lin_stub *stub)
{
    (void)shutdown(stub->listener, SHUT_RDWR);
    (void)pthread_join(stub->acceptor, NULL);
    for (unsigned i = 0; i < stub->threads; i++)
        (void)pthread_join(stub->thread[i], NULL);
    (void)close(stub->listener);
    lin_pool_free(stub->pool);
    free(stub);
}
