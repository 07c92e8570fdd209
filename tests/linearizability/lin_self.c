/* lin_self.c - the test of the test.
 *
 * 1. Histories whose verdict a person knows. 2. Small random histories, right ones and ones with a reply exchanged, on which the
 * search must agree with the trial of all sequences. 3. Long ones: right, and wrong by one reply that nobody can give.
 * 4. The model as a server (lin_stub.h): the right one passes, each broken one is found by the driver itself.
 */
#include "linearizability/lin_self.h"

#include "base/check.h"
#include "linearizability/lin_drive.h"
#include "linearizability/lin_run.h"
#include "linearizability/lin_stub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPS_MAX = 300, ROOM = 1 << 20 };

struct history {
    unsigned count;
    struct lin_op op[OPS_MAX];
    const struct lin_op *pointer[OPS_MAX];
    size_t used;
    char room[ROOM]; /* of words and replies */
};

static char *keep(struct history *h, const char *data, size_t size)
{
    tu_check(h->used + size <= ROOM, "a history is too long");
    char *copy = h->room + h->used;
    memcpy(copy, data, size);
    h->used += size;
    return copy;
}

/* ---- 1. by hand ---- */

struct line {
    unsigned client, call, end;
    const char *what;  /* commands, "; " between those of an EXEC; WATCH and UNWATCH */
    const char *reply; /* RESP, with ~ for the line ends; "refused"; "|" between those of an EXEC */
};

struct hand_case {
    const char *name;
    enum lin_verdict verdict;
    struct line line[6];
};

static const struct hand_case hand_cases[] = {
    {"a write that is read",
     LIN_RIGHT,
     {{0, 1, 2, "SET 0 1", "+OK~"}, {1, 3, 4, "GET 0", "$1~1~"}}},
    {"a stale read", LIN_WRONG, {{0, 1, 2, "SET 0 1", "+OK~"}, {1, 3, 4, "GET 0", "$-1~"}}},
    {"a read beside a write",
     LIN_RIGHT,
     {{0, 1, 5, "SET 0 1", "+OK~"}, {1, 2, 3, "GET 0", "$-1~"}}},
    {"new, then old again",
     LIN_WRONG,
     {{0, 1, 9, "SET 0 1", "+OK~"}, {1, 2, 3, "GET 0", "$1~1~"}, {1, 4, 5, "GET 0", "$-1~"}}},
    {"a lost increment", LIN_WRONG, {{0, 1, 4, "INCR 0", ":1~"}, {1, 2, 3, "INCR 0", ":1~"}}},
    {"a torn MSET",
     LIN_WRONG,
     {{0, 1, 4, "MSET 0 5 1 5 2 5", "+OK~"}, {1, 2, 3, "MGET 0 1 2", "*3~$1~5~$-1~$1~5~"}}},
    {"an order of two clients that each sees otherwise",
     LIN_WRONG,
     {{0, 1, 9, "SET 0 1", "+OK~"},
      {1, 1, 9, "SET 1 1", "+OK~"},
      {2, 2, 8, "MGET 0 1 0", "*3~$1~1~$-1~$1~1~"},
      {3, 2, 8, "MGET 0 1 0", "*3~$-1~$1~1~$-1~"}}},
    {"replies of a pipeline out of order",
     LIN_WRONG,
     {{0, 1, 9, "INCR 0", ":2~"}, {0, 1, 9, "INCR 0", ":1~"}}},
    {"a pipeline", LIN_RIGHT, {{0, 1, 9, "INCR 0", ":1~"}, {0, 1, 9, "INCR 0", ":2~"}}},
    {"EXEC with something in between",
     LIN_WRONG,
     {{0, 1, 9, "EXEC INCR 0; INCR 0", ":1~|:3~"}, {1, 2, 3, "INCR 0", ":2~"}}},
    {"EXEC in one",
     LIN_RIGHT,
     {{0, 1, 9, "EXEC INCR 0; INCR 0", ":1~|:2~"}, {1, 2, 3, "INCR 0", ":3~"}}},
    {"EXEC that must refuse",
     LIN_WRONG,
     {{0, 1, 2, "WATCH 0", ""}, {1, 3, 4, "SET 0 1", "+OK~"}, {0, 5, 6, "EXEC GET 0", "$1~1~"}}},
    {"EXEC that refuses",
     LIN_RIGHT,
     {{0, 1, 2, "WATCH 0", ""}, {1, 3, 4, "SET 0 1", "+OK~"}, {0, 5, 6, "EXEC GET 0", "refused"}}},
    {"EXEC that refuses without a reason",
     LIN_WRONG,
     {{0, 1, 2, "WATCH 0", ""}, {1, 3, 4, "GET 0", "$-1~"}, {0, 5, 6, "EXEC GET 0", "refused"}}},
    {"UNWATCH",
     LIN_WRONG,
     {{0, 1, 2, "WATCH 0", ""},
      {1, 3, 4, "SET 0 1", "+OK~"},
      {0, 5, 6, "UNWATCH", ""},
      {0, 7, 8, "EXEC GET 0", "refused"}}},
    {"RENAME with both there",
     LIN_WRONG,
     {{0, 1, 2, "SET 0 1", "+OK~"},
      {0, 3, 9, "RENAME 0 1", "+OK~"},
      {1, 4, 5, "EXISTS 0 1 1", ":3~"}}},
    {"one element popped twice",
     LIN_WRONG,
     {{0, 1, 2, "LPUSH 0 7", ":1~"}, {0, 3, 6, "LPOP 0", "$1~7~"}, {1, 4, 5, "RPOP 0", "$1~7~"}}},
    {"SPOP of what is not there",
     LIN_WRONG,
     {{0, 1, 2, "SADD 0 3", ":1~"}, {0, 3, 4, "SPOP 0", "$1~4~"}}},
};

static int key_digit(struct slice name)
{
    return name.data[name.size - 1] - '0';
}

/* Reads "WORD WORD" up to "; " or the end; what follows. */
static const char *read_command(struct history *h, struct lin_op *op, const char *at)
{
    struct slice words[LIN_WORDS];
    unsigned count = 0;
    while (*at != '\0' && *at != ';') {
        size_t size = strcspn(at, " ;");
        words[count++] = (struct slice){keep(h, at, size), size};
        at += size;
        at += *at == ' ';
    }
    struct lin_command *command = &op->command[op->count++];
    tu_check(lin_command_parse(command, words, count, key_digit), "a command of no row");
    op->keys |= command->keys;
    return *at == ';' ? at + 2 : at;
}

static void read_replies(struct history *h, struct lin_op *op, const char *at)
{
    for (unsigned i = 0; i < op->count; i++) {
        size_t size = strcspn(at, "|");
        char *text = h->room + h->used;
        for (size_t j = 0; j < size; j++)
            (void)(at[j] == '~' ? keep(h, "\r\n", 2) : keep(h, at + j, 1));
        op->reply[i] = (struct slice){text, (size_t)(h->room + h->used - text)};
        at += size + (at[size] == '|');
    }
}

static void read_line(struct history *h, const struct line *line)
{
    struct lin_op *op = &h->op[h->count];
    *op = (struct lin_op){
        .client = (uint8_t)line->client, .call_ns = line->call, .return_ns = line->end};
    h->pointer[h->count++] = op;
    const char *at = line->what;
    if (strncmp(at, "WATCH ", 6) == 0) {
        op->kind = LIN_WATCH;
        op->keys = (uint8_t)(1u << (at[6] - '0'));
    } else if (strcmp(at, "UNWATCH") == 0) {
        op->kind = LIN_UNWATCH;
        op->keys = 255;
    } else {
        op->kind = strncmp(at, "EXEC ", 5) == 0 ? LIN_EXEC : LIN_COMMAND;
        for (at += op->kind == LIN_EXEC ? 5 : 0; *at != '\0';)
            at = read_command(h, op, at);
        op->refused = strcmp(line->reply, "refused") == 0;
        if (!op->refused)
            read_replies(h, op, line->reply);
    }
}

static bool test_by_hand(struct lin_checker *checker, struct history *h)
{
    bool good = true;
    unsigned cases = sizeof hand_cases / sizeof *hand_cases;
    for (unsigned i = 0; i < cases; i++) {
        const struct hand_case *c = &hand_cases[i];
        struct lin_report report = {0};
        h->count = 0;
        h->used = 0;
        for (unsigned j = 0; j < 6 && c->line[j].what != NULL; j++)
            read_line(h, &c->line[j]);
        enum lin_verdict verdict = lin_check(checker, h->pointer, h->count, 10000, &report);
        if (verdict != c->verdict || lin_check_by_force(checker, h->pointer, h->count) != verdict) {
            printf("by hand: %s: wrong verdict\n", c->name);
            good = false;
        }
    }
    printf("by hand: %u histories\n", cases);
    return good;
}

/* ---- 2. and 3. at random ---- */

struct maker {
    struct random_state rng;
    struct lin_choice choice;
    struct lin_state state;
    struct lin_pool *pool;
    struct lin_scratch *scratch;
    struct lin_reply reply;
    unsigned clients, spread;     /* spread: how far an operation reaches beyond its moment */
    int64_t free_ns[LIN_CLIENTS]; /* when the client's last operation has ended */
    uint8_t watched[LIN_CLIENTS];
};

static unsigned below(struct maker *m, unsigned bound)
{
    return (unsigned)random_below(&m->rng, bound);
}

static void make_choice(struct maker *m)
{
    static const char *const names[LIN_KEYS] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    m->choice = (struct lin_choice){.single = false, .whole = below(m, 4) == 0};
    m->choice.types =
        (uint8_t)(1u << (LIN_STRING + below(m, 6)) | 1u << (LIN_STRING + below(m, 6)));
    m->choice.keys = 2 + below(m, 3);
    memcpy(m->choice.key, names, sizeof names);
}

/* Commands and their replies, as the state at this moment gives them. */
static void make_commands(struct maker *m, struct history *h, struct lin_op *op, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct lin_command *command = &op->command[op->count];
        char text[256];
        size_t used = lin_command_draw(command, &m->choice, &m->rng, text);
        char *copy = keep(h, text, used);
        for (unsigned w = 0; w < command->count; w++)
            if (command->word[w].data >= text && command->word[w].data < text + sizeof text)
                command->word[w].data = copy + (command->word[w].data - text);
        op->keys |= command->keys;
        lin_apply(m->scratch, m->pool, &m->state, command, NULL, &m->reply);
        op->reply[op->count++] =
            (struct slice){keep(h, m->reply.bytes, m->reply.size), m->reply.size};
    }
}

static void make_op(struct maker *m, struct history *h, int64_t moment)
{
    unsigned client = below(m, m->clients), dice = below(m, 10);
    struct lin_op *op = &h->op[h->count];
    uint64_t bit = UINT64_C(1) << client;
    *op = (struct lin_op){.client = (uint8_t)client};
    h->pointer[h->count++] = op;
    if (dice == 0) {
        op->kind = LIN_WATCH;
        op->keys = (uint8_t)(1u << below(m, m->choice.keys));
        m->state.watched[client] |= op->keys;
        m->watched[client] |= op->keys;
    } else if (dice == 1 || (dice < 5 && m->watched[client] != 0)) {
        op->kind = LIN_EXEC;
        op->keys = m->watched[client];
        m->watched[client] = 0;
        op->refused = (m->state.dirty & bit) != 0;
        m->state.dirty &= ~bit;
        m->state.watched[client] = 0;
        if (!op->refused)
            make_commands(m, h, op, 1 + below(m, LIN_COMMANDS));
    } else {
        op->kind = LIN_COMMAND;
        make_commands(m, h, op, 1);
    }
    op->call_ns = moment - below(m, m->spread);
    op->call_ns = op->call_ns > m->free_ns[client] ? op->call_ns : m->free_ns[client];
    op->return_ns = moment + below(m, m->spread);
    m->free_ns[client] = op->return_ns + 1;
}

/* A history that is right by its making: each operation happens at one moment within its time. A client whose last
 * operation has not ended at the moment waits for another one. */
static void make_history(struct maker *m, struct history *h, unsigned count)
{
    h->count = 0;
    h->used = 0;
    memset(&m->state, 0, sizeof m->state);
    memset(m->free_ns, 0, sizeof m->free_ns);
    memset(m->watched, 0, sizeof m->watched);
    lin_pool_clear(m->pool);
    make_choice(m);
    for (unsigned i = 0; i < count; i++) {
        int64_t moment = 1000 + 10 * (int64_t)i;
        for (unsigned c = 0; c < m->clients; c++)
            if (m->free_ns[c] > moment) /* its reply came at once */
                m->free_ns[c] = moment;
        for (unsigned j = 0; j < h->count; j++)
            if (h->op[j].return_ns >= moment && m->free_ns[h->op[j].client] == moment)
                h->op[j].return_ns = moment - 1;
        make_op(m, h, moment);
    }
}

/* Exchanges the replies of two operations, or gives one that of another. */
static void mutate(struct maker *m, struct history *h)
{
    struct lin_op *a = &h->op[below(m, h->count)], *b = &h->op[below(m, h->count)];
    if (below(m, 6) == 0 && a->kind == LIN_EXEC && a->count > 0) {
        a->refused = !a->refused;
        return;
    }
    if (a->count == 0 || b->count == 0)
        return;
    struct slice *x = &a->reply[below(m, a->count)], *y = &b->reply[below(m, b->count)], z = *x;
    *x = *y;
    if (below(m, 2) == 0)
        *y = z;
}

static bool test_small(struct lin_checker *checker, struct history *h, struct maker *m)
{
    unsigned right = 0, wrong = 0;
    m->clients = 3;
    for (unsigned i = 0; i < 20000; i++) {
        struct lin_report report = {0};
        m->spread = 1 + below(m, 60);
        make_history(m, h, 2 + below(m, 6));
        bool changed = below(m, 4) != 0;
        if (changed)
            mutate(m, h);
        enum lin_verdict verdict = lin_check(checker, h->pointer, h->count, 100000, &report);
        if (verdict != lin_check_by_force(checker, h->pointer, h->count) ||
            (!changed && verdict != LIN_RIGHT)) {
            printf("small histories: number %u: the search says %d\n", i, verdict);
            return false;
        }
        right += verdict == LIN_RIGHT;
        wrong += verdict == LIN_WRONG;
    }
    printf("small histories: %u right, %u wrong, as all sequences say\n", right, wrong);
    return right > 4000 && wrong > 4000;
}

static bool test_long(struct lin_checker *checker, struct history *h, struct maker *m)
{
    m->clients = 6;
    for (unsigned i = 0; i < 300; i++) {
        struct lin_report report = {0};
        m->spread = 1 + below(m, 60);
        make_history(m, h, OPS_MAX);
        if (lin_check(checker, h->pointer, h->count, 1000000, &report) != LIN_RIGHT) {
            printf("long histories: number %u is right and was not found so\n", i);
            return false;
        }
        struct lin_op *op;
        do
            op = &h->op[below(m, h->count)];
        while (op->count == 0);
        op->reply[below(m, op->count)] = SLICE(":77777777\r\n");
        if (lin_check(checker, h->pointer, h->count, 1000000, &report) != LIN_WRONG) {
            printf("long histories: number %u is wrong and was not found so\n", i);
            return false;
        }
    }
    printf("long histories: 300 of %u operations, right and then wrong by one reply\n", OPS_MAX);
    return true;
}

/* ---- 4. broken servers ---- */

static bool test_server(enum lin_fault fault, uint64_t seed, unsigned seconds)
{
    struct lin_options options = {
        .groups = 4, .clients = 5, .ops = 60, .seconds = seconds, .seed = seed, .quiet = true};
    struct lin_stub *stub = lin_stub_start(fault, &options.server);
    struct lin_result result = lin_drive(&options);
    lin_stub_stop(stub);
    printf("server %s: %" PRIu64 " operations, %" PRIu64 " of %" PRIu64 " histories wrong\n",
           lin_fault_name(fault), result.operations, result.wrong, result.components);
    (void)fflush(stdout);
    return !result.failed && result.undecided == 0 &&
           (result.wrong > 0) == (fault != LIN_FAULTLESS);
}

bool lin_self_test(uint64_t seed, unsigned seconds)
{
    struct lin_checker *checker = lin_checker_new();
    struct history *h = calloc(1, sizeof *h);
    struct maker *m = calloc(1, sizeof *m);
    tu_check(h != NULL && m != NULL, "no memory for a history");
    m->pool = lin_pool_new();
    m->scratch = lin_scratch_new();
    random_init(&m->rng, seed);
    bool good = test_by_hand(checker, h);
    good = test_small(checker, h, m) && good;
    good = test_long(checker, h, m) && good;
    lin_pool_free(m->pool);
    lin_scratch_free(m->scratch);
    free(m);
    free(h);
    lin_checker_free(checker);
    (void)fflush(stdout);
    for (unsigned fault = LIN_FAULTLESS; fault < LIN_FAULTS; fault++)
        good =
            test_server((enum lin_fault)fault, seed, fault == LIN_FAULTLESS ? 2 : seconds) && good;
    return good;
}
