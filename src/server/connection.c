/* connection.c - one run of a client's handler: read once, execute all that is complete, write
 * once.
 *
 * Everything that is needed only while the handler runs (input, words, the batch, replies) lies on
 * its pooled stack. What must survive until the next event is rare and goes to the client: the
 * beginning of an incomplete command, and output that the socket did not take.
 *
 * Input. Normally bytes are read to the stack and parsed there. An incomplete command is kept in a
 * block of its size; next time, while it is small, it is copied back to the stack in front of what
 * is read then, so that a block exists only between two events. Once it is large it stays in its
 * block, which grows by doubling, up to what the command is known to need, and is read into
 * directly: memory follows what was received, never what was announced, and a big value is copied
 * once, by the kernel, until the store takes it.
 *
 * Output. Replies of a whole read are gathered and sent by one write; if they grow large, in
 * between. What the socket does not take is queued, and the limits of client-output-buffer-limit
 * apply to that and to what one command adds. As in Redis, input goes on being executed meanwhile.
 *
 * Blocked clients. What a blocking command's client has sent behind it waits as input; it is parsed again when the client
 * goes on. Meanwhile the connection is read as before, up to the limit of the query buffer: there is no other way to
 * learn that the peer has gone. The command of a client that is paused waits as input, too.
 *
 * Closing. The handler takes the client out of the registry, then returns TU_SERVE_CLOSE; the conn
 * is closed, and `closed` frees the client. Whoever kills a client sets a flag and wakes the conn,
 * both under the registry's lock, so the conn is still there.
 */
#include "server/connection.h"

#include "platform/clock.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/client_registry.h"
#include "server/dispatch.h"
#include "server/log.h"
#include "server/multi.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "server/text.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>
#include <tuco/defer.h>
#include <tuco/go.h>
#include <tuco/mem.h>

enum {
    INPUT_BYTES = 16 * 1024,       /* one read */
    REPLY_BYTES = 8 * 1024,        /* replies on the stack, before blocks */
    WORDS = 512,                   /* words of a batch */
    BATCH = 64,                    /* commands looked ahead */
    SEND_EARLY_BYTES = 256 * 1024, /* replies that are not held back for one write */
    SEND_TURN_BYTES = 128 * 1024,  /* then others have their turn: some 50 us */
    FILL_BYTES = 64 * 1024,        /* made at once of a reply that is made as it is sent */
    VECTORS = 16,
};

/* One run of the handler. */
struct run {
    struct client *client;
    const struct config *config;
    struct dispatch dispatch;
    struct reply reply;
    struct resp_parser parser;
    char *data; /* input from the start of the command in progress */
    size_t size;
    char *block; /* the heap block that data lies in, or NULL: the stack */
    size_t block_size;
    bool drained; /* the socket had no more to read */
    bool begun;   /* dispatch_begin was called */
    bool starved; /* no memory for more input */
    bool broken;  /* the socket cannot be written any more */
    bool unsent;  /* output is left though the socket may take more */
    struct dispatch_item items[BATCH];
    char *begins[BATCH]; /* where each item's command begins */
    struct slice words[WORDS];
    char output[REPLY_BYTES];
    char input[INPUT_BYTES];
};

static int64_t wall_ms(void)
{
    return clock_wall_us() / 1000;
}

/* ---- writing ---- */

static ssize_t send_parts(struct client *c, const struct iovec *vec, int count)
{
    ssize_t sent = count == 1 ? tu_try_write(c->conn, vec[0].iov_base, vec[0].iov_len)
                              : tu_try_writev(c->conn, vec, count);
    if (sent > 0) {
        client_store(c->net_output, client_load(c->net_output) + (uint64_t)sent);
        stats_add(c->server->stats, STAT_NET_OUTPUT, (uint64_t)sent);
        stats_add(c->server->stats, STAT_WRITES, 1);
    }
    return sent;
}

/* Sends what is queued, as far as the socket takes it and others are not kept waiting. */
static void send_queued(struct run *run)
{
    struct client *c = run->client;
    size_t turn = 0;
    run->unsent = false;
    while (output_pending(&c->output)) {
        struct iovec vec[VECTORS];
        if (!output_fill(&c->output, FILL_BYTES)) {
            run->broken = true;
            return;
        }
        int count = output_parts(&c->output, vec, VECTORS);
        if (count == 0)
            continue; /* a source that has ended */
        size_t wanted = 0;
        for (int i = 0; i < count; i++)
            wanted += vec[i].iov_len;
        ssize_t sent = send_parts(c, vec, count);
        if (sent < 0) {
            run->broken = sent != -EAGAIN;
            return;
        }
        output_sent(&c->output, (size_t)sent);
        turn += (size_t)sent;
        if ((size_t)sent < wanted)
            return;
        if (turn > SEND_TURN_BYTES) {
            run->unsent = output_pending(&c->output);
            return;
        }
    }
}

/* Sends what was replied so far; the rest is queued. */
static void send_replies(struct run *run)
{
    struct client *c = run->client;
    struct reply *r = &run->reply;
    size_t sent = 0;
    if (r->overflow || run->broken)
        return;
    if (!output_pending(&c->output)) {
        struct iovec vec[VECTORS];
        int count = reply_parts(r, vec, VECTORS);
        size_t wanted = 0;
        for (int i = 0; i < count; i++)
            wanted += vec[i].iov_len;
        if (count == 0 && !r->has_source)
            return;
        ssize_t result = count > 0 ? send_parts(c, vec, count) : 0;
        if (result < 0 && result != -EAGAIN) {
            run->broken = true;
            return;
        }
        sent = result > 0 ? (size_t)result : 0;
        if (sent == wanted && count < VECTORS && !r->has_source) {
            reply_clear(r);
            return;
        }
    }
    if (!output_append(&c->output, r, sent))
        run->broken = true;
    else
        send_queued(run);
}

/* True if the client holds more output than client-output-buffer-limit allows, by now or for so
 * long. */
static bool over_limit(struct client *c, const struct config *config, int64_t now_ms)
{
    const struct output_limit *limit = &config->output_limits[CLIENT_CLASS_NORMAL];
    int64_t bytes = (int64_t)c->output.bytes;
    if (bytes >= config->output_bound)
        return true;
    if (limit->soft_bytes == 0 || bytes < limit->soft_bytes) {
        c->soft_limit_since_ms = 0;
        return false;
    }
    if (c->soft_limit_since_ms == 0)
        c->soft_limit_since_ms = now_ms;
    return (now_ms - c->soft_limit_since_ms) / 1000 > limit->soft_s;
}

/* Tells the writer how much more it may keep in memory. */
static void set_reply_limit(struct run *run)
{
    size_t bound = (size_t)run->config->output_bound, held = run->client->output.bytes;
    run->reply.limit_bytes = held < bound ? bound - held : 0;
}

/* ---- reading ---- */

static struct slice first_bytes(const struct run *run, char text[64])
{
    size_t used = 0;
    for (size_t i = 0; i < run->size && i < 64 && used < 63; i++) {
        char c = run->data[i];
        text[used++] = c >= ' ' && c <= '~' ? c : '.';
    }
    return (struct slice){text, used};
}

static void log_client(struct run *run, enum log_level level, const char *what, struct slice detail)
{
    struct text line = {0};
    client_describe(run->client, wall_ms(), run->config->hide_user_data_from_log, &line);
    if (!line.failed && detail.size > 0)
        log_write(level, "%s: %s (qbuf initial bytes: \"%.*s\")", what, line.data, (int)detail.size,
                  detail.data);
    else if (!line.failed)
        log_write(level, "%s: %s", what, line.data);
    text_free(&line);
}

/* Takes the kept input back: to the stack while it is small, else it stays in its block. */
static void resume_input(struct run *run)
{
    struct client_input *kept = run->client->input;
    run->client->input = NULL;
    run->parser = kept->parser;
    run->size = kept->size;
    if (resp_parser_wanted(&run->parser, kept->size) <= INPUT_BYTES &&
        kept->size <= INPUT_BYTES / 2) {
        memcpy(run->input, kept->bytes, kept->size);
        resp_parser_move(&run->parser, kept->bytes, run->input);
        tu_free(kept->bytes);
        run->data = run->input;
    } else {
        run->data = run->block = kept->bytes;
        run->block_size = kept->capacity;
    }
    tu_free(kept);
}

/* Makes the block larger: to what the command needs if half of that is there, else to twice. */
static bool grow_block(struct run *run)
{
    size_t wanted = resp_parser_wanted(&run->parser, run->size);
    size_t size = run->size * 2 > INPUT_BYTES * 2 ? run->size * 2 : INPUT_BYTES * 2;
    if (wanted > run->size + 1 && wanted < size)
        size = wanted;
    if (size <= run->block_size)
        return true;
    char *block = tu_realloc(run->block, size);
    if (!block)
        return false;
    resp_parser_move(&run->parser, run->data, block);
    run->block = run->data = block;
    run->block_size = size;
    return true;
}

/* Reads once behind what is there. False: the peer is gone, or memory is used up (run->starved). */
static bool read_input(struct run *run)
{
    struct client *c = run->client;
    if (c->input)
        resume_input(run);
    if (run->block && run->block_size - run->size < INPUT_BYTES / 2 && !grow_block(run)) {
        run->starved = true;
        return false;
    }
    size_t room = run->block ? run->block_size - run->size : INPUT_BYTES - run->size;
    ssize_t got = tu_try_read(c->conn, run->data + run->size, room);
    if (got == -EAGAIN) {
        run->drained = true;
        return true;
    }
    if (got <= 0)
        return false;
    run->drained = (size_t)got < room;
    run->size += (size_t)got;
    client_store(c->net_input, client_load(c->net_input) + (uint64_t)got);
    stats_add(c->server->stats, STAT_NET_INPUT, (uint64_t)got);
    stats_add(c->server->stats, STAT_READS, 1);
    return true;
}

/* Keeps what is left for the next event. False: out of memory. */
static bool keep_input(struct run *run)
{
    if (run->size == 0)
        return true;
    struct client_input *kept = tu_alloc(sizeof *kept);
    if (!kept || !resp_parser_detach(&run->parser)) {
        tu_free(kept);
        return false;
    }
    char *bytes = run->block;
    size_t capacity = run->block_size;
    if (run->data != run->block || !run->block) {
        capacity = run->size;
        bytes = tu_alloc(capacity);
        if (!bytes) {
            tu_free(kept);
            return false;
        }
        memcpy(bytes, run->data, run->size);
        resp_parser_move(&run->parser, run->data, bytes);
    } else {
        run->block = NULL;
    }
    *kept = (struct client_input){
        .parser = run->parser, .bytes = bytes, .size = run->size, .capacity = capacity};
    run->parser = (struct resp_parser){0};
    run->client->input = kept;
    return true;
}

/* ---- executing ---- */

static void protocol_error(struct run *run)
{
    char text[64];
    log_client(run, LOG_LEVEL_VERBOSE, "Protocol error from client", first_bytes(run, text));
    reply_error(&run->reply, run->parser.error);
    if (client_flags(run->client) & CLIENT_REPLY_OFF)
        reply_clear(&run->reply);
    client_set_flags(run->client, CLIENT_CLOSE_AFTER_REPLY, 0);
}

/* An inline command counts as its words with a blank between them and a line end. */
static size_t inline_bytes(const struct resp_parser *p)
{
    size_t bytes = p->argc + 1;
    for (size_t i = 0; i < p->argc; i++)
        bytes += p->argv[i].size;
    return bytes;
}

/* Parses the next commands, at most one batch; sets *failed after a protocol error. */
static size_t parse_batch(struct run *run, enum resp_result *last)
{
    size_t count = 0, words = 0, limit = BATCH;
    bool authenticated = !client_needs_auth(run->client, run->config);
    struct resp_limits limits = {run->config->proto_max_bulk_len, authenticated};
    if (!authenticated)
        limit = 1;
    *last = RESP_MORE;
    while (count < limit && run->size > 0) {
        /* Inline words may be changed in place, so what may have to be put back is none: it has a batch of its own. */
        if (count > 0 && run->data[0] != '*')
            break;
        *last = resp_parse(&run->parser, run->data, run->size, &limits);
        if (*last != RESP_COMMAND)
            break;
        struct resp_parser *p = &run->parser;
        size_t bytes = *run->data == '*' ? p->position : inline_bytes(p);
        run->begins[count] = run->data;
        run->data += p->position;
        run->size -= p->position;
        bool full = p->heap != NULL;
        if (p->argc > 0) {
            run->items[count++] =
                (struct dispatch_item){.argv = p->argv, .argc = p->argc, .request_bytes = bytes};
            if (!full)
                words += p->argc;
        }
        if (full)
            break; /* its words lie in the parser until it goes on */
        if (WORDS - words < 16)
            break;
        resp_parser_next(p, run->words + words, WORDS - words);
    }
    return count;
}

/* Makes everything behind the command that blocked input again. `next` is the first item that was not run. */
static void put_back(struct run *run, size_t next, size_t count)
{
    if (next < count) {
        run->size += (size_t)(run->data - run->begins[next]);
        run->data = run->begins[next];
    }
    resp_parser_release(&run->parser);
    resp_parser_init(&run->parser, run->words, WORDS);
}

enum { HEAD_BYTES = 32 }; /* room for a length line */

static char *put_words(char *to, const struct dispatch_item *item)
{
    to += snprintf(to, HEAD_BYTES, "*%zu\r\n", item->argc);
    for (size_t i = 0; i < item->argc; i++) {
        to += snprintf(to, HEAD_BYTES, "$%zu\r\n", item->argv[i].size);
        memcpy(to, item->argv[i].data, item->argv[i].size);
        to += item->argv[i].size;
        *to++ = '\r';
        *to++ = '\n';
    }
    return to;
}

/* A paused client's command, and all behind it, is input again. False: no memory for it. An inline command has a batch of
 * its own, and its words may lie elsewhere than they came: it becomes a multibulk. */
static bool put_back_paused(struct run *run, size_t item, size_t count)
{
    if (*run->begins[item] == '*') {
        put_back(run, item, count);
        return true;
    }
    size_t room = HEAD_BYTES + run->size;
    for (size_t i = 0; i < run->items[item].argc; i++)
        room += HEAD_BYTES + run->items[item].argv[i].size + 2;
    char *block = tu_alloc(room > INPUT_BYTES ? room : INPUT_BYTES);
    if (!block)
        return false;
    char *end = put_words(block, &run->items[item]);
    memcpy(end, run->data, run->size);
    run->size += (size_t)(end - block);
    tu_free(run->block);
    run->data = run->block = block;
    run->block_size = room > INPUT_BYTES ? room : INPUT_BYTES;
    put_back(run, count, count);
    return true;
}

/* Executes all complete commands of the input. */
static void execute_input(struct run *run)
{
    struct client *c = run->client;
    while (run->size > 0 && !run->broken) {
        enum resp_result last;
        size_t count = parse_batch(run, &last);
        if (count > 0) {
            if (!run->begun) {
                dispatch_begin(&run->dispatch, c, run->config, &run->reply);
                run->begun = true;
            }
            dispatch_look_ahead(&run->dispatch, run->items, count);
        }
        size_t i = 0;
        for (; i < count && dispatch_going_on(&run->dispatch); i++) {
            dispatch_run(&run->dispatch, &run->items[i], i + 1 < count ? &run->items[i + 1] : NULL);
            run->config = run->dispatch.config; /* the command may have been a CONFIG SET */
            if (run->reply.block_bytes > SEND_EARLY_BYTES) {
                send_replies(run);
                set_reply_limit(run);
            }
        }
        if (run->begun && !dispatch_going_on(&run->dispatch)) {
            uint32_t flags = client_flags(c);
            if (flags & CLIENT_BLOCKED)
                put_back(run, i, count);
            else if ((flags & CLIENT_PAUSED) && !put_back_paused(run, i - 1, count))
                run->starved = true;
            return;
        }
        if (last == RESP_ERROR) {
            protocol_error(run);
            return;
        }
        if (last == RESP_MORE)
            return;
        run->config = config_pin_refresh(&c->server->config, &c->pin);
        run->dispatch.config = run->config;
        resp_parser_next(&run->parser, run->words, WORDS);
    }
}

/* True if the client has sent more than it may without a command being complete. */
static bool input_too_big(struct run *run)
{
    size_t bytes = run->size + resp_parser_memory(&run->parser) + multi_memory(run->client->multi);
    if ((int64_t)bytes <= run->config->client_query_buffer_limit)
        return false;
    char text[64];
    log_client(run, LOG_LEVEL_WARNING, "Closing client that reached max query buffer length",
               first_bytes(run, text));
    stats_add(run->client->server->stats, STAT_QUERY_LIMIT, 1);
    return true;
}

/* There is no memory for the rest of a command: it is told so, and what follows cannot be
 * understood. */
static bool refuse_input(struct run *run)
{
    log_client(run, LOG_LEVEL_WARNING, "Closing client: no memory for its query",
               (struct slice){0});
    reply_error(&run->reply, ERR_NO_MEMORY);
    client_set_flags(run->client, CLIENT_CLOSE_AFTER_REPLY, 0);
    send_replies(run);
    return true;
}

/* Reads, or goes on with what was read while the client was blocked, and executes. False: close at once. */
static bool serve_input(struct run *run, bool reads)
{
    if (reads && !read_input(run))
        return run->starved && refuse_input(run);
    if (!reads && run->client->input)
        resume_input(run);
    if (!(client_flags(run->client) & (CLIENT_BLOCKED | CLIENT_PAUSED)))
        execute_input(run);
    if (run->starved)
        return refuse_input(run);
    uint32_t flags = client_flags(run->client);
    if (flags & CLIENT_CLOSE_NOW)
        return false;
    send_replies(run);
    if (run->reply.overflow || run->broken || (flags & CLIENT_CLOSE_AFTER_REPLY))
        return true;
    return !input_too_big(run) && (keep_input(run) || refuse_input(run));
}

/* ---- the handler ---- */

static void begin(struct run *run, struct client *c)
{
    run->client = c;
    run->config = config_pin_refresh(&c->server->config, &c->pin);
    run->data = run->input;
    run->size = 0;
    run->block = NULL;
    run->block_size = 0;
    run->drained = run->begun = run->broken = run->unsent = run->starved = false;
    reply_open(&run->reply, run->output, REPLY_BYTES, (int)client_load(c->protocol));
    resp_parser_init(&run->parser, run->words, WORDS);
    set_reply_limit(run);
}

static enum tu_serve_next next_event(struct run *run, bool alive, int64_t now_ms)
{
    struct client *c = run->client;
    uint32_t flags = client_flags(c);
    if (!alive || run->broken || (flags & CLIENT_CLOSE_NOW) || client_load(c->killed))
        return TU_SERVE_CLOSE;
    if (run->reply.overflow || over_limit(c, run->config, now_ms)) {
        struct text line = {0};
        client_publish(c, now_ms);
        client_describe(c, now_ms, run->config->hide_user_data_from_log, &line);
        log_warning("Client %s scheduled to be closed ASAP for overcoming of output buffer limits.",
                    line.data ? line.data : "");
        text_free(&line);
        stats_add(c->server->stats, STAT_OUTPUT_LIMIT, 1);
        return TU_SERVE_CLOSE;
    }
    if (flags & CLIENT_CLOSE_AFTER_REPLY)
        return output_pending(&c->output) ? run->unsent ? TU_SERVE_AGAIN : TU_SERVE_WAIT
                                          : TU_SERVE_CLOSE;
    return run->drained && !run->unsent ? TU_SERVE_WAIT : TU_SERVE_AGAIN;
}

static enum tu_serve_next handle(tu_conn *conn, unsigned events, void *state)
{
    struct client *c = state;
    struct run run;
    bool alive = true;
    begin(&run, c);
    if (output_pending(&c->output))
        send_queued(&run);
    bool reads = (events & TU_SERVE_READABLE) || !(events & (TU_SERVE_WRITABLE | TU_SERVE_WOKEN));
    bool closing = client_flags(c) & CLIENT_CLOSE_AFTER_REPLY;
    bool resumes = (client_flags(c) & CLIENT_BLOCKED) && !client_load(c->killed) &&
                   blocked_settle(c, &run.reply);
    if ((client_flags(c) & CLIENT_PAUSED) && (events & TU_SERVE_WOKEN)) {
        client_set_flags(c, 0, CLIENT_PAUSED); /* it is looked again whether there is a pause */
        resumes = true;
    }
    run.drained = !reads || closing;
    if (client_load(c->killed) || run.broken)
        alive = false;
    else if ((reads || resumes) && !closing)
        alive = serve_input(&run, reads);
    int64_t now_ms =
        run.begun ? (run.dispatch.clock_ns + run.dispatch.wall_offset_ns) / 1000000 : wall_ms();
    if (run.begun)
        dispatch_end(&run.dispatch);
    enum tu_serve_next next = next_event(&run, alive, now_ms);
    client_publish(c, reads ? now_ms : client_load(c->last_ms));
    resp_parser_release(&run.parser);
    tu_free(run.block);
    reply_close(&run.reply);
    if (next == TU_SERVE_CLOSE) {
        blocked_abandon(c);
        client_registry_remove(c->server->clients, c);
    }
    return next;
}

static void closed(void *state)
{
    client_free(state);
}

/* ---- accepting ---- */

/* Says why not, if the socket takes it at once, and closes. */
static void turn_away(struct server *server, tu_conn *conn, const char *error)
{
    struct iovec vec[] = {{(char *)"-", 1}, {(char *)error, strlen(error)}, {(char *)"\r\n", 2}};
    stats_add(server->stats, STAT_REJECTED, 1);
    if (tu_try_writev(conn, vec, 3) < 0)
        log_debug("A client that was turned away was gone already");
    tu_close(conn);
}

static bool is_stranger(const struct client *c, const struct config *config)
{
    return config->protected_mode && config->requirepass[0] == '\0' &&
           !endpoint_is_loopback(&c->local) && !endpoint_is_loopback(&c->peer);
}

bool connection_accept(struct server *server, tu_conn *conn)
{
    struct client *c = client_new(server, conn, wall_ms());
    if (!c) {
        turn_away(server, conn, ERR_NO_MEMORY);
        return false;
    }
    const struct config *config = c->pin.config;
    const char *reason = NULL;
    stats_add(server->stats, STAT_CONNECTIONS, 1);
    if (is_stranger(c, config))
        reason = ERR_PROTECTED_MODE;
    else if (!client_registry_add(server->clients, c, (uint32_t)config->maxclients))
        reason = ERR_MAX_CLIENTS;
    if (!reason) {
        if (c->peer.family != ENDPOINT_UNIX)
            endpoint_tune(tu_conn_fd(conn), (int)config->tcp_keepalive);
        struct tu_serve_options options = {.handler = handle, .closed = closed, .state = c};
        if (tu_serve(conn, &options) == 0)
            return true;
        client_registry_remove(server->clients, c);
        reason = ERR_NO_MEMORY;
    }
    client_free(c);
    turn_away(server, conn, reason);
    return false;
}

void connection_accept_loop(struct server *server, tu_listener *listener)
{
    int64_t told_ns = 0;
    tu_defer(tu_listener_release, listener);
    for (;;) {
        tu_conn *conn;
        int result = tu_accept(listener, &conn);
        if (result == 0) {
            connection_accept(server, conn);
            continue;
        }
        if (result == -EBADF || result == -ECANCELED)
            return;
        if (result == -ECONNABORTED || result == -EINTR || result == -EPROTO)
            continue;
        /* Descriptors or memory: the others go on being served, and some will leave. */
        int64_t now_ns = tu_now();
        if (told_ns == 0 || now_ns - told_ns > TU_S) {
            log_warning("Accepting client connection: accept: %s", strerror(-result));
            told_ns = now_ns;
        }
        if (tu_sleep(10 * TU_MS) != 0)
            return;
    }
}
