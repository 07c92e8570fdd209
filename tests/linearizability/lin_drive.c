/* lin_drive.c - clients, rounds, and what is said of a wrong history.
 *
 * A client is a thread with a blocking socket. It sends single commands, pipelines of a few, transactions in one piece or word
 * by word, and WATCH with what follows it. What it sent and got, and when, is its part of the round's history.
 */
#include "linearizability/lin_drive.h"

#include "base/check.h"

#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    OPS_MAX = 400,
    TEXT_MAX = 1 << 16,    /* words that a client makes up in a round */
    REPLIES_MAX = 1 << 22, /* replies it gets */
    INPUT_MAX = 1 << 18,
    PIPELINE_MAX = 4,
    CONFIGURATIONS_MAX = 400000,
    SHOWN_MAX = 400,
};

/* What a round is like. */
struct shape {
    struct lin_choice choice;
    char name[LIN_KEYS][24];
    unsigned ops, pipeline;
    unsigned exec_percent, watch_percent;
};

struct group;
struct client {
    struct group *group;
    unsigned number;
    int socket;
    bool failed;
    struct random_state rng;
    unsigned count;
    struct lin_op op[OPS_MAX];
    size_t text_used, replies_used, input_size;
    uint8_t watched;
    char text[TEXT_MAX], replies[REPLIES_MAX], input[INPUT_MAX];
};

struct group {
    const struct lin_options *options;
    unsigned number;
    struct client *client[LIN_CLIENTS];
    struct shape shape;
    pthread_barrier_t barrier;
    struct lin_checker *checker;
    struct lin_result result;
    bool over;
};

static atomic_bool everyone_stop;

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- bytes ---- */

static void send_all(struct client *c, const char *data, size_t size)
{
    while (size > 0 && !c->failed) {
        ssize_t n = send(c->socket, data, size, MSG_NOSIGNAL);
        c->failed = n <= 0;
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

/* The next reply, in the client's room; *at: when it was there. */
static struct slice receive(struct client *c, int64_t *at)
{
    size_t size;
    while ((size = lin_reply_size(c->input, c->input_size)) == 0) {
        ssize_t n = c->input_size < INPUT_MAX
                        ? recv(c->socket, c->input + c->input_size, INPUT_MAX - c->input_size, 0)
                        : 0;
        if (n <= 0) {
            c->failed = true;
            *at = now_ns();
            return SLICE("");
        }
        c->input_size += (size_t)n;
    }
    *at = now_ns();
    tu_check(c->replies_used + size <= REPLIES_MAX, "the replies of a round are too long");
    char *copy = c->replies + c->replies_used;
    memcpy(copy, c->input, size);
    c->replies_used += size;
    c->input_size -= size;
    memmove(c->input, c->input + size, c->input_size);
    return (struct slice){copy, size};
}

struct request {
    size_t size;
    char bytes[8192];
};

static void add_words(struct request *r, const struct slice *words, unsigned count)
{
    r->size += (size_t)snprintf(r->bytes + r->size, 32, "*%u\r\n", count);
    for (unsigned i = 0; i < count; i++) {
        tu_check(r->size + words[i].size + 32 < sizeof r->bytes, "a request is too long");
        r->size += (size_t)snprintf(r->bytes + r->size, 32, "$%zu\r\n", words[i].size);
        memcpy(r->bytes + r->size, words[i].data, words[i].size);
        memcpy(r->bytes + r->size + words[i].size, "\r\n", 2);
        r->size += words[i].size + 2;
    }
}

static void add_word(struct request *r, const char *word)
{
    struct slice one = slice_of(word);
    add_words(r, &one, 1);
}

static void expect(struct client *c, struct slice reply, const char *wanted)
{
    if (!c->failed && !slice_equal(reply, slice_of(wanted))) {
        fprintf(stderr, "a reply %.*s where %s must come\n", (int)reply.size, reply.data, wanted);
        c->failed = true;
    }
}

/* ---- operations ---- */

static struct lin_op *new_op(struct client *c, enum lin_kind kind)
{
    struct lin_op *op = &c->op[c->count++];
    *op = (struct lin_op){.kind = kind, .client = (uint8_t)c->number};
    return op;
}

static void draw_into(struct client *c, struct lin_op *op)
{
    struct lin_command *command = &op->command[op->count++];
    tu_check(c->text_used + 128 <= TEXT_MAX, "the words of a round are too long");
    c->text_used +=
        lin_command_draw(command, &c->group->shape.choice, &c->rng, c->text + c->text_used);
    op->keys |= command->keys;
}

static void pipeline(struct client *c, unsigned count)
{
    struct request r = {0};
    struct lin_op *first = &c->op[c->count];
    for (unsigned i = 0; i < count; i++) {
        struct lin_op *op = new_op(c, LIN_COMMAND);
        draw_into(c, op);
        add_words(&r, op->command[0].word, op->command[0].count);
    }
    int64_t sent = now_ns();
    send_all(c, r.bytes, r.size);
    for (struct lin_op *op = first; op < first + count; op++) {
        op->call_ns = sent;
        op->reply[0] = receive(c, &op->return_ns);
    }
}

/* Takes EXEC's reply apart. */
static void take_exec(struct client *c, struct lin_op *op, struct slice reply)
{
    op->refused = slice_equal(reply, SLICE("*-1\r\n"));
    if (op->refused || c->failed)
        return;
    const char *end = reply.data + reply.size, *at = memchr(reply.data, '\n', reply.size);
    if (reply.data[0] != '*' || strtoul(reply.data + 1, NULL, 10) != op->count) {
        expect(c, reply, "an array of the transaction's replies");
        return;
    }
    at++;
    for (unsigned i = 0; i < op->count; i++) {
        size_t size = lin_reply_size(at, (size_t)(end - at));
        op->reply[i] = (struct slice){at, size};
        at += size;
    }
}

/* Sends MULTI, the commands and EXEC, in one piece or one after the other. */
static void transaction(struct client *c)
{
    int64_t when;
    struct request r = {0};
    struct lin_op *op = new_op(c, LIN_EXEC);
    unsigned count = 1 + (unsigned)random_below(&c->rng, LIN_COMMANDS);
    bool one_by_one = random_below(&c->rng, 3) == 0;
    add_word(&r, "MULTI");
    for (unsigned i = 0; i < count; i++) {
        if (one_by_one) {
            send_all(c, r.bytes, r.size);
            expect(c, receive(c, &when), i == 0 ? "+OK\r\n" : "+QUEUED\r\n");
            r.size = 0;
        }
        draw_into(c, op);
        add_words(&r, op->command[i].word, op->command[i].count);
    }
    op->keys |= c->watched;
    c->watched = 0;
    add_word(&r, "EXEC");
    op->call_ns = now_ns();
    send_all(c, r.bytes, r.size);
    for (unsigned i = one_by_one ? count : 0; i <= count; i++)
        expect(c, receive(c, &when), i == 0 ? "+OK\r\n" : "+QUEUED\r\n");
    take_exec(c, op, receive(c, &op->return_ns));
}

static void watch(struct client *c)
{
    struct request r = {0};
    struct lin_op *op = new_op(c, LIN_WATCH);
    struct slice words[4] = {SLICE("WATCH")};
    unsigned count = 1 + (unsigned)random_below(&c->rng, 2);
    for (unsigned i = 1; i <= count; i++) {
        unsigned key = (unsigned)random_below(&c->rng, c->group->shape.choice.keys);
        words[i] = slice_of(c->group->shape.name[key]);
        op->keys |= (uint8_t)(1u << key);
    }
    add_words(&r, words, 1 + count);
    op->call_ns = now_ns();
    send_all(c, r.bytes, r.size);
    expect(c, receive(c, &op->return_ns), "+OK\r\n");
    c->watched |= op->keys;
}

static void unwatch(struct client *c)
{
    struct request r = {0};
    struct lin_op *op = new_op(c, LIN_UNWATCH);
    bool discard = random_below(&c->rng, 2) == 0;
    int64_t when;
    op->keys = c->watched;
    c->watched = 0;
    if (discard)
        add_word(&r, "MULTI");
    add_word(&r, discard ? "DISCARD" : "UNWATCH");
    op->call_ns = now_ns();
    send_all(c, r.bytes, r.size);
    if (discard)
        expect(c, receive(c, &when), "+OK\r\n");
    expect(c, receive(c, &op->return_ns), "+OK\r\n");
}

static void watched_transaction(struct client *c)
{
    watch(c);
    for (uint64_t n = random_below(&c->rng, 3); n > 0; n--)
        pipeline(c, 1);
    if (random_below(&c->rng, 10) == 0)
        unwatch(c);
    else
        transaction(c);
}

static void play(struct client *c)
{
    const struct shape *shape = &c->group->shape;
    c->count = 0;
    c->text_used = c->replies_used = 0;
    while (c->count + PIPELINE_MAX + 4 < shape->ops && !c->failed) {
        unsigned dice = (unsigned)random_below(&c->rng, 100);
        if (dice < shape->watch_percent)
            watched_transaction(c);
        else if (dice < shape->watch_percent + shape->exec_percent)
            transaction(c);
        else
            pipeline(c, 1 + (unsigned)random_below(&c->rng, shape->pipeline));
        if (random_below(&c->rng, 16) == 0)
            (void)sched_yield();
    }
}

/* ---- rounds ---- */

/* What the leader says before a round, on its own connection: nothing of the last round is left. */
static void begin_round(struct group *g, struct client *leader)
{
    struct shape *s = &g->shape;
    struct random_state *rng = &leader->rng;
    struct request r = {0};
    int64_t when;
    *s = (struct shape){.ops = g->options->ops};
    bool single = random_below(rng, 4) == 0;
    unsigned types = 1 + (unsigned)random_below(rng, single ? 4 : 2);
    for (unsigned i = 0; i < types; i++)
        s->choice.types |= (uint8_t)(1u << (LIN_STRING + random_below(rng, 6)));
    unsigned least = (unsigned)__builtin_popcount(s->choice.types);
    s->choice.keys = least + (unsigned)random_below(rng, (single ? LIN_KEYS : 5) - least + 1);
    s->choice.single = single;
    s->choice.whole = !single && random_below(rng, 4) == 0;
    s->pipeline = 1 + (unsigned)random_below(rng, PIPELINE_MAX);
    s->exec_percent = (unsigned)random_below(rng, 2) * (single ? 0 : 25);
    s->watch_percent = (unsigned)random_below(rng, 2) * (single ? 0 : 20);
    for (unsigned k = 0; k < s->choice.keys; k++) {
        (void)snprintf(s->name[k], sizeof s->name[k], "%" PRIx64 ".%u", random_next(rng) >> 40, k);
        s->choice.key[k] = s->name[k];
    }
    add_word(&r, "FLUSHDB");
    send_all(leader, r.bytes, r.size);
    expect(leader, receive(leader, &when), "+OK\r\n");
}

/* All operations of the round, those of a client in order. */
static unsigned collect(const struct group *g, const struct lin_op **ops)
{
    unsigned count = 0;
    for (unsigned i = 0; i < g->options->clients; i++) {
        struct client *c = g->client[i];
        for (unsigned j = 0; j < c->count; j++) {
            struct lin_op *op = &c->op[j];
            for (unsigned k = 0; k < op->count; k++)
                lin_reply_canonical(&op->command[k], (char *)op->reply[k].data, op->reply[k].size);
            ops[count++] = op;
        }
    }
    return count;
}

static void show_reply(struct slice reply)
{
    for (size_t k = 0; k < reply.size && k < 200; k++)
        if (reply.data[k] != '\r')
            (void)fputc(reply.data[k] == '\n' ? ' ' : reply.data[k], stderr);
}

static void show_op(const struct lin_op *op, int64_t begin_ns, char mark)
{
    static const char *const kinds[] = {"", "MULTI ", "WATCH", "UNWATCH"};
    fprintf(stderr, "  %c client %u %8.1f .. %8.1f us  %s", mark, op->client,
            (double)(op->call_ns - begin_ns) / 1e3, (double)(op->return_ns - begin_ns) / 1e3,
            kinds[op->kind]);
    for (unsigned i = 0; i < op->count; i++) {
        fprintf(stderr, "%s", i > 0 ? "; " : "");
        for (unsigned j = 0; j < op->command[i].count; j++)
            fprintf(stderr, " %.*s", (int)op->command[i].word[j].size, op->command[i].word[j].data);
        fprintf(stderr, " -> ");
        show_reply(op->reply[i]);
    }
    if (op->kind == LIN_WATCH || op->kind == LIN_UNWATCH)
        fprintf(stderr, " keys %#x", op->keys);
    fprintf(stderr, "%s\n", op->refused ? " -> refused" : "");
}

/* What the model answers to the operation in that state. */
static void show_wanted(struct lin_scratch *scratch, struct lin_pool *pool,
                        const struct lin_state *state, const struct lin_op *op)
{
    static struct lin_reply reply;
    struct lin_state after = *state;
    if ((state->dirty >> op->client & 1) != 0)
        fprintf(stderr, "      a key that it watches has changed\n");
    for (unsigned i = 0; i < op->count; i++) {
        lin_apply(scratch, pool, &after, &op->command[i], NULL, &reply);
        fprintf(stderr, "      must be ");
        show_reply((struct slice){reply.bytes, reply.size});
        fprintf(stderr, "\n");
    }
}

/* The longest sequence that was found; then, with '?', what has no place, and what each client's next would have to
 * answer. */
static void show_wrong(const struct lin_op *const *ops, unsigned count,
                       const struct lin_report *report)
{
    static bool placed[LIN_CLIENTS * OPS_MAX];
    bool shown[LIN_CLIENTS] = {false};
    struct lin_scratch *scratch = lin_scratch_new();
    struct lin_pool *pool = lin_pool_new();
    struct lin_state state, after;
    int64_t begin_ns = INT64_MAX;
    memset(placed, 0, sizeof placed);
    memset(&state, 0, sizeof state);
    for (unsigned i = 0; i < count; i++)
        begin_ns = ops[i]->call_ns < begin_ns ? ops[i]->call_ns : begin_ns;
    fprintf(stderr, "NOT LINEARIZABLE: of %u operations %u can be put in order\n", count,
            report->placed);
    for (unsigned i = 0; i < report->placed; i++) {
        const struct lin_op *op = ops[report->order[i]];
        placed[report->order[i]] = true;
        if (report->placed - i <= SHOWN_MAX)
            show_op(op, begin_ns, ' ');
        (void)lin_step(scratch, pool, &state, op, &after);
        state = after;
    }
    for (unsigned i = 0; i < count; i++) {
        if (placed[i] || shown[ops[i]->client])
            continue;
        shown[ops[i]->client] = true;
        show_op(ops[i], begin_ns, '?');
        show_wanted(scratch, pool, &state, ops[i]);
    }
    lin_pool_free(pool);
    lin_scratch_free(scratch);
}

static uint64_t count_overlaps(const struct lin_op *const *ops, unsigned count)
{
    uint64_t overlaps = 0;
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < count; j++)
            if (ops[j]->client != ops[i]->client && ops[j]->call_ns <= ops[i]->call_ns &&
                ops[j]->return_ns >= ops[i]->call_ns) {
                overlaps++;
                break;
            }
    return overlaps;
}

static void check_component(struct group *g, const struct lin_op *const *ops, unsigned count)
{
    static _Thread_local uint16_t order[LIN_CLIENTS * OPS_MAX];
    struct lin_report report = {.order = order};
    enum lin_verdict verdict = lin_check(g->checker, ops, count, CONFIGURATIONS_MAX, &report);
    g->result.components++;
    g->result.steps += report.steps;
    g->result.overlapping += count_overlaps(ops, count);
    g->result.undecided += verdict == LIN_UNDECIDED;
    g->result.wrong += verdict == LIN_WRONG;
    if (verdict == LIN_WRONG && !atomic_exchange(&everyone_stop, true) && !g->options->quiet)
        show_wrong(ops, count, &report);
}

static void check_round(struct group *g)
{
    static _Thread_local const struct lin_op *ops[LIN_CLIENTS * OPS_MAX],
        *some[LIN_CLIENTS * OPS_MAX];
    static _Thread_local int component[LIN_CLIENTS * OPS_MAX];
    unsigned count = collect(g, ops);
    unsigned components = lin_components(ops, count, component);
    for (unsigned i = 0; i < components; i++) {
        unsigned n = 0;
        for (unsigned j = 0; j < count; j++)
            if (component[j] == (int)i)
                some[n++] = ops[j];
        check_component(g, some, n);
    }
    g->result.rounds++;
    g->result.operations += count;
    for (unsigned i = 0; i < count; i++) {
        g->result.transactions += ops[i]->kind == LIN_EXEC;
        g->result.refused += ops[i]->refused;
    }
}

static bool any_failed(const struct group *g)
{
    for (unsigned i = 0; i < g->options->clients; i++)
        if (g->client[i]->failed)
            return true;
    return false;
}

static void *client_main(void *argument)
{
    struct client *c = argument;
    struct group *g = c->group;
    int64_t end_ns = now_ns() + g->options->seconds * INT64_C(1000000000);
    for (;;) {
        if (c->number == 0)
            begin_round(g, c);
        (void)pthread_barrier_wait(&g->barrier);
        play(c);
        (void)pthread_barrier_wait(&g->barrier);
        if (c->number == 0) {
            g->result.failed = any_failed(g);
            if (!g->result.failed)
                check_round(g);
            g->over = g->result.failed || atomic_load(&everyone_stop) || now_ns() > end_ns;
        }
        (void)pthread_barrier_wait(&g->barrier);
        if (g->over)
            return NULL;
    }
}

/* ---- all ---- */

static struct client *new_client(struct group *g, unsigned number)
{
    struct client *c = calloc(1, sizeof *c);
    struct request r = {0};
    char text[8];
    int one = 1;
    int64_t when;
    tu_check(c != NULL, "no memory for a client");
    c->group = g;
    c->number = number;
    random_init(&c->rng, g->options->seed * 1000003 + g->number * 64 + number);
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    c->failed = c->socket < 0 || connect(c->socket, (const struct sockaddr *)&g->options->server,
                                         sizeof g->options->server) != 0;
    (void)setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval patience = {30, 0};
    (void)setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)snprintf(text, sizeof text, "%u", g->number);
    add_words(&r, (struct slice[]){SLICE("SELECT"), slice_of(text)}, 2);
    send_all(c, r.bytes, r.size);
    expect(c, receive(c, &when), "+OK\r\n");
    return c;
}

static void add_result(struct lin_result *sum, const struct lin_result *one)
{
    sum->rounds += one->rounds;
    sum->operations += one->operations;
    sum->transactions += one->transactions;
    sum->refused += one->refused;
    sum->components += one->components;
    sum->wrong += one->wrong;
    sum->undecided += one->undecided;
    sum->overlapping += one->overlapping;
    sum->steps += one->steps;
    sum->failed = sum->failed || one->failed;
}

struct lin_result lin_drive(const struct lin_options *options)
{
    static struct group groups[LIN_GROUPS_MAX];
    pthread_t threads[LIN_GROUPS_MAX * LIN_CLIENTS];
    struct lin_result result = {0};
    unsigned started = 0;
    tu_check(options->groups <= LIN_GROUPS_MAX && options->clients <= LIN_CLIENTS &&
                 options->ops <= OPS_MAX,
             "more than there is room for");
    atomic_store(&everyone_stop, false);
    for (unsigned j = 0; j < options->clients; j++)
        for (unsigned i = 0; i < options->groups; i++) {
            if (j == 0) {
                groups[i] = (struct group){.options = options, .number = i};
                groups[i].checker = lin_checker_new();
                (void)pthread_barrier_init(&groups[i].barrier, NULL, options->clients);
            }
            groups[i].client[j] = new_client(&groups[i], j);
        }
    for (unsigned i = 0; i < options->groups; i++)
        for (unsigned j = 0; j < options->clients; j++)
            tu_check(pthread_create(&threads[started++], NULL, client_main, groups[i].client[j]) ==
                         0,
                     "a thread cannot be started");
    while (started > 0)
        (void)pthread_join(threads[--started], NULL);
    for (unsigned i = 0; i < options->groups; i++) {
        add_result(&result, &groups[i].result);
        for (unsigned j = 0; j < options->clients; j++) {
            (void)close(groups[i].client[j]->socket);
            free(groups[i].client[j]);
        }
        lin_checker_free(groups[i].checker);
        (void)pthread_barrier_destroy(&groups[i].barrier);
    }
    return result;
}
