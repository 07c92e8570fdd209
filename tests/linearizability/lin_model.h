/* lin_model.h - what the store should be: the state of a few keys, and the commands as functions on it.
 *
 * An operation is what a client sees as one step: a command; the commands of a transaction that EXEC ran; WATCH; what ends
 * watching. lin_step says whether an operation that got these replies could have happened in a state, and what comes after
 * it. The model is sequential and knows nothing of time: that is the checker's (lin_check.h).
 */
#pragma once

#include "linearizability/lin_value.h"

#include "base/random.h"

enum { LIN_KEYS = 8, LIN_CLIENTS = 8, LIN_WORDS = 10, LIN_COMMANDS = 4, LIN_REPLY_MAX = 1 << 16 };

struct lin_state {
    const struct lin_value *key[LIN_KEYS]; /* NULL: missing */
    uint8_t watched[LIN_CLIENTS];          /* bit k: the client watches key k */
    uint64_t dirty;                        /* bit c: a key that client c watches has changed */
};

struct lin_row;
struct lin_command {
    const struct lin_row *row;
    unsigned count;
    uint8_t keys;             /* bit k: it names key k */
    int8_t key_at[LIN_WORDS]; /* the number of the key that this word names, or -1 */
    struct slice word[LIN_WORDS];
};

enum lin_kind {
    LIN_COMMAND, /* one command */
    LIN_EXEC,    /* a transaction */
    LIN_WATCH,   /* of `keys` */
    LIN_UNWATCH, /* or DISCARD */
};

struct lin_op {
    enum lin_kind kind;
    uint8_t client;
    uint8_t keys; /* all that it names, and those that its EXEC asks about */
    bool refused; /* EXEC: a watched key had changed */
    unsigned count;
    struct lin_command command[LIN_COMMANDS];
    struct slice
        reply[LIN_COMMANDS]; /* RESP2; those without an order sorted (lin_reply_canonical) */
    int64_t call_ns,
        return_ns; /* the monotonic clock before it was sent, and after its reply was read */
};

/* The reply that a run writes. */
struct lin_reply {
    size_t size;
    char bytes[LIN_REPLY_MAX];
};

/* Room for lin_step and lin_apply; one a thread. */
struct lin_scratch;
struct lin_scratch *lin_scratch_new(void);
void lin_scratch_free(struct lin_scratch *scratch);

/* Runs a command on the state, in place, and writes its reply. `observed`, where not NULL, is a reply that must be met by
 * commands that are free to choose (SPOP). Keys that have changed mark their watchers. */
void lin_apply(struct lin_scratch *scratch, struct lin_pool *pool, struct lin_state *state,
               const struct lin_command *command, const struct slice *observed,
               struct lin_reply *reply);
/* False: in that state the operation cannot have had these replies; *after is undefined. */
bool lin_step(struct lin_scratch *scratch, struct lin_pool *pool, const struct lin_state *before,
              const struct lin_op *op, struct lin_state *after);

/* Which commands a round is made of. */
struct lin_choice {
    unsigned keys; /* as many keys are used */
    uint8_t types; /* bit t: of enum lin_type, the types the keys are of */
    bool single;   /* only commands with one key */
    bool whole;    /* FLUSHDB, too */
    const char *key[LIN_KEYS];
};
/* The type that the key has in a round; RENAME and COPY may give it another. */
enum lin_type lin_choice_type(const struct lin_choice *choice, unsigned key);
/* A random command; numbers are written into `text`, which must live as long as the command. The number of bytes used. */
size_t lin_command_draw(struct lin_command *command, const struct lin_choice *choice,
                        struct random_state *rng, char *text);
/* Makes a command of words, or false: no row fits. `key_of` gives a key's number. */
bool lin_command_parse(struct lin_command *command, const struct slice *words, unsigned count,
                       int (*key_of)(struct slice name));
/* Brings a reply that may come in any order into the model's. Changes bytes in place. */
void lin_reply_canonical(const struct lin_command *command, char *reply, size_t size);
/* The size of the reply at the beginning of the bytes; 0: it is not complete. */
size_t lin_reply_size(const char *bytes, size_t size);
