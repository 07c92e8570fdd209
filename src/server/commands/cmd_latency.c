/* cmd_latency.c - LATENCY: the monitor's series, and the histograms of commands.
 *
 * The graph draws each sample as a column of four lines, each of which has three heights; below stands, letter
 * under letter, how long ago it was.
 */
#include "platform/clock.h"
#include "server/commands/handler.h"
#include "server/latency.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "server/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { GRAPH_COLUMNS = 80, GRAPH_LINES = 4, LINE_STEPS = 3, LABEL_BYTES = 24 };

static int64_t now_s(void)
{
    return clock_wall_us() / 1000000;
}

/* The event of that name; false: there is none, or nothing happened. */
static bool find_series(const struct call *call, struct slice name, enum latency_event *event,
                        struct latency_series *series)
{
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        *event = (enum latency_event)i;
        if (slice_equal(name, slice_of(latency_event_name(*event))))
            return latency_get(call->server->latency, *event, series);
    }
    return false;
}

static void run_latest(struct call *call)
{
    struct reply *r = call->reply;
    struct reply_mark mark = reply_deferred_begin(r);
    size_t events = 0;
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        struct latency_series series;
        enum latency_event event = (enum latency_event)i;
        if (!latency_get(call->server->latency, event, &series))
            continue;
        const struct latency_sample *last = &series.samples[series.count - 1];
        events++;
        reply_array(r, 6);
        reply_bulk_string(r, latency_event_name(event));
        reply_integer(r, last->time_s);
        reply_integer(r, last->worst_ms);
        reply_integer(r, series.max_ms);
        reply_integer(r, series.sum_ms);
        reply_integer(r, (int64_t)series.events);
    }
    reply_deferred_array(r, mark, events);
}

static void run_history(struct call *call)
{
    struct latency_series series;
    enum latency_event event;
    if (!find_series(call, call->argv[2], &event, &series))
        series.count = 0;
    reply_array(call->reply, series.count);
    for (size_t i = 0; i < series.count; i++) {
        reply_array(call->reply, 2);
        reply_integer(call->reply, series.samples[i].time_s);
        reply_integer(call->reply, series.samples[i].worst_ms);
    }
}

static void run_reset(struct call *call)
{
    int64_t count = 0;
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        enum latency_event event = (enum latency_event)i;
        bool named = call->argc == 2;
        for (size_t k = 2; k < call->argc && !named; k++)
            named = slice_equal_nocase(call->argv[k], slice_of(latency_event_name(event)));
        count += named && latency_reset(call->server->latency, event);
    }
    reply_integer(call->reply, count);
}

/* ---- the graph ---- */

static void age_label(int64_t age_s, char label[LABEL_BYTES])
{
    static const struct {
        int64_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (age_s < units[i].seconds && units[i].seconds > 1)
        i++;
    (void)snprintf(label, LABEL_BYTES, "%" PRId64 "%c", age_s / units[i].seconds, units[i].letter);
}

/* How the column of a sample looks in a line (counted from the lowest); `step` is its height less one. */
static char column_at(int line, int step)
{
    int above = step - line * LINE_STEPS;
    return above < 0 ? ' ' : above < LINE_STEPS ? "_o#"[above] : '|';
}

static int step_of(const struct latency_sample *sample, const struct latency_summary *summary)
{
    const int steps = GRAPH_LINES * LINE_STEPS;
    int64_t range = summary->high_ms - summary->low_ms;
    double height = (double)(sample->worst_ms - summary->low_ms) * steps;
    int step = (int)(height / (double)(range > 0 ? range : 1));
    return step < steps ? step : steps - 1;
}

/* The part of the graph that fits in a line's width. */
static void draw(struct text *out, const struct latency_sample *samples, size_t count,
                 const struct latency_summary *summary, int64_t now)
{
    char line[GRAPH_COLUMNS + 1], labels[GRAPH_COLUMNS][LABEL_BYTES];
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        age_label(now - samples[i].time_s, labels[i]);
        longest = strlen(labels[i]) > longest ? strlen(labels[i]) : longest;
    }
    line[count] = '\n';
    for (int k = GRAPH_LINES - 1; k >= 0; k--) {
        for (size_t i = 0; i < count; i++)
            line[i] = column_at(k, step_of(&samples[i], summary));
        text_add(out, (struct slice){line, count + 1});
    }
    memset(line, ' ', count);
    text_add(out, (struct slice){line, count + 1});
    for (size_t k = 0; k < longest; k++) {
        for (size_t i = 0; i < count; i++)
            line[i] = k < strlen(labels[i]) ? labels[i][k] : ' ';
        text_add(out, (struct slice){line, count + 1});
    }
}

static void run_graph(struct call *call)
{
    struct latency_series series;
    struct latency_summary summary;
    enum latency_event event;
    struct slice name = call->argv[2];
    if (!find_series(call, name, &event, &series)) {
        reply_errorf(call->reply, ERR_NO_LATENCY, name.size < 128 ? (int)name.size : 128,
                     name.data);
        return;
    }
    int64_t now = now_s();
    struct text out = {0};
    latency_summarize(&series, now, &summary);
    text_addf(&out, "%s - high %" PRId64 " ms, low %" PRId64 " ms (all time high %" PRId64 " ms)\n",
              latency_event_name(event), summary.high_ms, summary.low_ms, series.max_ms);
    for (int i = 0; i < GRAPH_COLUMNS; i++)
        text_add_string(&out, "-");
    text_add_string(&out, "\n");
    for (size_t i = 0; i < series.count; i += GRAPH_COLUMNS) {
        size_t count = series.count - i < GRAPH_COLUMNS ? series.count - i : GRAPH_COLUMNS;
        if (i > 0)
            text_add_string(&out, "\n");
        draw(&out, series.samples + i, count, &summary, now);
    }
    if (out.failed)
        reply_error(call->reply, ERR_NO_MEMORY);
    else
        reply_verbatim(call->reply, "txt", text_slice(&out));
    text_free(&out);
}

/* ---- the doctor ---- */

static void advise(struct text *t, const bool seen[LATENCY_EVENTS])
{
    text_add_string(t, "\nWhat may help:\n");
    if (seen[LATENCY_COMMAND] || seen[LATENCY_FAST_COMMAND])
        text_add_string(t,
                        "- SLOWLOG GET shows which commands took long, once "
                        "slowlog-log-slower-than is as low as this threshold.\n"
                        "- A command on millions of elements holds only its own key's shard, but "
                        "whoever wants that shard waits: ask for ranges, or use SCAN's family.\n");
    if (seen[LATENCY_FAST_COMMAND])
        text_add_string(t, "- Commands that touch a few bytes were slow as well: see whether the "
                           "machine swaps, and whether others use its cores.\n");
    if (seen[LATENCY_EXPIRE_CYCLE])
        text_add_string(t, "- Many keys expire in the same moment: spread their deadlines a "
                           "little.\n");
}

static void run_doctor(struct call *call)
{
    struct text t = {0};
    bool seen[LATENCY_EVENTS] = {false};
    int number = 0;
    int64_t now = now_s();
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        struct latency_series series;
        struct latency_summary s;
        enum latency_event event = (enum latency_event)i;
        seen[i] = latency_get(call->server->latency, event, &series);
        if (!seen[i])
            continue;
        latency_summarize(&series, now, &s);
        text_addf(&t,
                  "%d. %s, seen %zu times: %" PRId64 " ms in the mean (give or take %" PRId64
                  " ms), one every %.2f seconds. The worst ever took %" PRId64 " ms.\n",
                  ++number, latency_event_name(event), series.count, s.mean_ms, s.deviation_ms,
                  s.period_s, series.max_ms);
    }
    if (number > 0)
        advise(&t, seen);
    else if (handler_config(call)->latency_monitor_threshold == 0)
        text_add_string(&t, "Nobody watches: latency-monitor-threshold is 0. CONFIG SET it to the "
                            "milliseconds that are too many.\n");
    else
        text_add_string(&t, "Nothing took longer than latency-monitor-threshold.\n");
    reply_verbatim(call->reply, "txt", text_slice(&t));
    text_free(&t);
}

/* ---- histograms ---- */

enum { FIRST_POWER = 10, LAST_POWER = 30, LIMITS = LAST_POWER - FIRST_POWER + 1 };

/* Limits are powers of two in nanoseconds, less what one step of the histogram (1/128) rounds away; the
 * last one takes everything above. Shown in whole microseconds. */
static int64_t make_limits(uint64_t limits_ns[LIMITS], int i)
{
    uint64_t power = (uint64_t)1 << (FIRST_POWER + i);
    bool last = i == LIMITS - 1;
    limits_ns[i] = last ? UINT64_MAX : power + power / 128 - 1;
    return (int64_t)((last ? power - 1 : limits_ns[i]) / 1000);
}

/* False, and no reply, if nothing was recorded. */
static bool reply_histogram(const struct call *call, const struct command *command)
{
    uint64_t limits_ns[LIMITS], counts[LIMITS], before = 0;
    int64_t shown_us[LIMITS];
    struct command_stats any;
    struct reply *r = call->reply;
    stats_command_get(call->server->stats, command_id(command), &any);
    if (any.calls == 0)
        return false;
    for (int i = 0; i < LIMITS; i++)
        shown_us[i] = make_limits(limits_ns, i);
    uint64_t total = stats_command_distribution(call->server->stats, command_id(command), limits_ns,
                                                LIMITS, counts);
    if (total == 0)
        return false;
    reply_bulk_string(r, command_full_name(command));
    reply_map(r, 2);
    reply_bulk_string(r, "calls");
    reply_integer(r, (int64_t)total);
    reply_bulk_string(r, "histogram_usec");
    struct reply_mark mark = reply_deferred_begin(r);
    size_t pairs = 0;
    for (int i = 0; i < LIMITS; i++) {
        if (counts[i] == before)
            continue;
        before = counts[i];
        pairs++;
        reply_integer(r, shown_us[i]);
        reply_integer(r, (int64_t)counts[i]);
    }
    reply_deferred_map(r, mark, pairs);
    return true;
}

static void run_histogram(struct call *call)
{
    struct reply_mark mark = reply_deferred_begin(call->reply);
    size_t pairs = 0;
    for (unsigned id = 0; call->argc == 2 && id < command_id_count(); id++)
        pairs += reply_histogram(call, command_by_id(id));
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *command = command_by_name(call->argv[i]);
        if (command == NULL)
            continue;
        pairs += reply_histogram(call, command);
        for (size_t k = 0; k < command->subcommand_count; k++)
            pairs += reply_histogram(call, &command->subcommands[k]);
    }
    reply_deferred_map(call->reply, mark, pairs);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Say in words what the monitor has seen.",
        "GRAPH <event>",
        "    Draw the samples of an event.",
        "HISTORY <event>",
        "    Show the samples of an event: Unix time, milliseconds.",
        "LATEST",
        "    Show the newest sample of each event, the worst, the sum and the number of all.",
        "RESET [<event> ...]",
        "    Forget these events, or all.",
        "HISTOGRAM [<command> ...]",
        "    Show how many calls of these commands, or of all, took at most so many microseconds.",
    };
    handler_help(call, lines, ARG_COUNT(lines));
}

/* ---- rows ---- */

enum { FLAGS = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

#define ROW(word, fn, words, row_flags, version, cost, text, ...)                                 \
    {                                                                                             \
        .name = (word), .run = (fn), .arity = (words), .flags = (row_flags), .scope = SCOPE_NONE, \
        .group = "server", .since = (version), .complexity = (cost), .summary = (text),           \
        ##__VA_ARGS__                                                                             \
    }
#define VARYING_TIPS                                                         \
    .tips = ROW_WORDS("nondeterministic_output", "request_policy:all_nodes", \
                      "response_policy:special")

static const struct command rows[] = {
    {.name = "LATENCY",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "2.8.13",
     .complexity = "Depends on subcommand.",
     .summary = "Commands about what takes long.",
     ROW_SUBCOMMANDS(
         ROW("DOCTOR", run_doctor, 2, FLAGS, "2.8.13", "O(1)",
             "Says in words what the monitor has seen.", VARYING_TIPS),
         ROW("GRAPH", run_graph, 3, FLAGS, "2.8.13", "O(1)", "Draws the samples of an event.",
             VARYING_TIPS, ROW_ARGS(ARG_STRING("event"))),
         ROW("HELP", run_help, 2, CMD_LOADING | CMD_STALE, "2.8.13", "O(1)",
             "Explains the subcommands."),
         ROW("HISTOGRAM", run_histogram, -2, FLAGS, "7.0.0",
             "O(N) where N is the number of commands with latency information being retrieved.",
             "Shows how long the calls of commands took.", VARYING_TIPS,
             ROW_ARGS(ARG_STRING("command", ARG_OPTIONAL, ARG_MULTIPLE))),
         ROW("HISTORY", run_history, 3, FLAGS, "2.8.13", "O(1)", "Shows the samples of an event.",
             VARYING_TIPS, ROW_ARGS(ARG_STRING("event"))),
         ROW("LATEST", run_latest, 2, FLAGS, "2.8.13", "O(1)",
             "Shows the newest sample of each event.", VARYING_TIPS),
         ROW("RESET", run_reset, -2, FLAGS, "2.8.13", "O(1)", "Forgets the samples of events.",
             .tips = ROW_WORDS("request_policy:all_nodes", "response_policy:agg_sum"),
             ROW_ARGS(ARG_STRING("event", ARG_OPTIONAL, ARG_MULTIPLE))))},
};

const struct command_family latency_family = COMMAND_FAMILY(rows);
