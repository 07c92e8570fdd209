/* config_special.c - directives with a syntax of their own, and checks that belong to one directive.
 *
 * A special directive keeps its text as CONFIG GET shows it in its own field, and what code needs in
 * parsed form beside it. Each setter first computes both and then assigns, so that a refused value
 * leaves the draft as it was.
 */
#include "server/config_table.h"

#include "base/check.h"
#include "base/number.h"
#include "platform/file.h"
#include "store/effects.h"

#include <tuco/mem.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef const char *(*special_fn)(struct config *draft, const struct slice *words, size_t count,
                                  enum config_source source, struct config_error *error);

static const char *out_of_memory = "out of memory";

/* Joins words with spaces into *field. */
static const char *assign_joined(const char **field, const struct slice *words, size_t count)
{
    struct text t = {0};
    text_add(&t, SLICE(""));
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            text_add(&t, SLICE(" "));
        text_add(&t, words[i]);
    }
    bool fine = !t.failed && config_assign(field, text_slice(&t));
    text_free(&t);
    return fine ? NULL : out_of_memory;
}

static const char *set_bind(struct config *draft, const struct slice *words, size_t count,
                            enum config_source source, struct config_error *error)
{
    if (count > CONFIG_BIND_MAX)
        return "Too many bind addresses specified.";
    if (count == 1 && words[0].size == 0)
        count = 0;
    return assign_joined(&draft->bind, words, count);
}

static const char *set_save(struct config *draft, const struct slice *words, size_t count,
                            enum config_source source, struct config_error *error)
{
    if (count == 1 && words[0].size == 0)
        count = 0;
    if (count % 2 != 0)
        return "Invalid save parameters";
    for (size_t i = 0; i < count; i++) {
        int64_t value;
        if (!number_parse_int64(words[i], &value) || value > INT_MAX ||
            value < (i % 2 == 0 ? 1 : 0))
            return "Invalid save parameters";
    }
    if (source == CONFIG_FROM_COMMAND || !draft->save_given || count == 0) {
        draft->save_given = source == CONFIG_FROM_FILE;
        return assign_joined(&draft->save, words, count);
    }
    struct text t = {0};
    text_add_string(&t, draft->save);
    for (size_t i = 0; i < count; i++)
        text_addf(&t, "%s%.*s", t.size == 0 ? "" : " ", (int)words[i].size, words[i].data);
    bool fine = !t.failed && config_assign(&draft->save, text_slice(&t));
    text_free(&t);
    return fine ? NULL : out_of_memory;
}

static int class_of(struct slice word)
{
    if (slice_equal_nocase(word, SLICE("normal")))
        return CLIENT_CLASS_NORMAL;
    if (slice_equal_nocase(word, SLICE("slave")) || slice_equal_nocase(word, SLICE("replica")))
        return CLIENT_CLASS_REPLICA;
    return slice_equal_nocase(word, SLICE("pubsub")) ? CLIENT_CLASS_PUBSUB : -1;
}

static const char *set_output_limits(struct config *draft, const struct slice *words, size_t count,
                                     enum config_source source, struct config_error *error)
{
    static const char *const names[] = {"normal", "slave", "pubsub"};
    struct output_limit limits[CLIENT_CLASSES];
    memcpy(limits, draft->output_limits, sizeof limits);
    if (count == 0 || count % 4 != 0)
        return "Wrong number of arguments in buffer limit configuration.";
    for (size_t i = 0; i < count; i += 4) {
        int class = class_of(words[i]);
        uint64_t hard, soft;
        int64_t seconds;
        if (class < 0)
            return "Invalid client class specified in buffer limit configuration.";
        if (!config_parse_memory(words[i + 1], &hard) ||
            !config_parse_memory(words[i + 2], &soft) || hard > INT64_MAX || soft > INT64_MAX ||
            !number_parse_int64(words[i + 3], &seconds) || seconds < 0)
            return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        limits[class] = (struct output_limit){(int64_t)hard, (int64_t)soft, seconds};
    }
    struct text t = {0};
    for (int i = 0; i < CLIENT_CLASSES; i++)
        text_addf(&t, "%s%s %" PRId64 " %" PRId64 " %" PRId64, i == 0 ? "" : " ", names[i],
                  limits[i].hard_bytes, limits[i].soft_bytes, limits[i].soft_s);
    bool fine = !t.failed && config_assign(&draft->client_output_buffer_limit, text_slice(&t));
    text_free(&t);
    if (!fine)
        return out_of_memory;
    memcpy(draft->output_limits, limits, sizeof limits);
    return NULL;
}

static const char *set_oom_scores(struct config *draft, const struct slice *words, size_t count,
                                  enum config_source source, struct config_error *error)
{
    int64_t values[3];
    if (count != 3)
        return "wrong number of arguments";
    for (size_t i = 0; i < 3; i++) {
        if (!number_parse_int64(words[i], &values[i]) || values[i] < -2000 || values[i] > 2000)
            return "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    }
    for (size_t i = 0; i < 3; i++)
        draft->oom_scores[i] = (int)values[i];
    return assign_joined(&draft->oom_score_adj_values, words, count);
}

static const char *set_percentiles(struct config *draft, const struct slice *words, size_t count,
                                   enum config_source source, struct config_error *error)
{
    double values[CONFIG_PERCENTILES_MAX];
    if (count == 1 && words[0].size == 0)
        count = 0;
    if (count > CONFIG_PERCENTILES_MAX)
        return "Too many latency-tracking-info-percentiles parameters";
    for (size_t i = 0; i < count; i++) {
        if (!number_parse_double(words[i], &values[i]))
            return "Invalid latency-tracking-info-percentiles parameters";
        if (!(values[i] >= 0 && values[i] <= 100))
            return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
    }
    memcpy(draft->percentiles, values, count * sizeof *values);
    draft->percentile_count = count;
    char buffer[CONFIG_PERCENTILES_MAX * (NUMBER_DOUBLE_MAX_SIZE + 1)];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buffer[size++] = ' ';
        size += number_format_double(buffer + size, values[i]);
    }
    return config_assign(&draft->latency_tracking_info_percentiles, (struct slice){buffer, size})
               ? NULL
               : out_of_memory;
}

static const struct {
    char letter;
    uint32_t bits;
} event_letters[] = {
    /* in the order in which they are shown */
    {'A', EVENT_ALL},      {'g', EVENT_GENERIC},  {'$', EVENT_STRING},   {'l', EVENT_LIST},
    {'s', EVENT_SET},      {'h', EVENT_HASH},     {'z', EVENT_ZSET},     {'x', EVENT_EXPIRED},
    {'e', EVENT_EVICTED},  {'t', EVENT_STREAM},   {'d', EVENT_MODULE},   {'n', EVENT_NEW},
    {'K', EVENT_KEYSPACE}, {'E', EVENT_KEYEVENT}, {'m', EVENT_KEY_MISS},
};

static const char *set_events(struct config *draft, const struct slice *words, size_t count,
                              enum config_source source, struct config_error *error)
{
    enum { LETTERS = sizeof event_letters / sizeof *event_letters };
    uint32_t mask = 0;
    if (count != 1)
        return "wrong number of arguments";
    for (size_t i = 0; i < words[0].size; i++) {
        size_t k = 0;
        while (k < LETTERS && event_letters[k].letter != words[0].data[i])
            k++;
        if (k == LETTERS)
            return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
        mask |= event_letters[k].bits;
    }
    char shown[LETTERS];
    size_t size = 0;
    bool all = (mask & EVENT_ALL) == EVENT_ALL;
    for (size_t k = 0; k < LETTERS; k++) {
        uint32_t bits = event_letters[k].bits;
        /* A stands for its classes; n is not shown beside it, as in Valkey. */
        if (k == 0 ? all : (mask & bits) == bits && !(all && k < 12))
            shown[size++] = event_letters[k].letter;
    }
    if (!config_assign(&draft->notify_keyspace_events, (struct slice){shown, size}))
        return out_of_memory;
    draft->event_mask = mask;
    return NULL;
}

static const char *set_unix_mode(struct config *draft, const struct slice *words, size_t count,
                                 enum config_source source, struct config_error *error)
{
    unsigned mode = 0;
    if (count != 1)
        return "wrong number of arguments";
    bool fine = words[0].size > 0 && words[0].size < 8;
    for (size_t i = 0; fine && i < words[0].size; i++) {
        fine = words[0].data[i] >= '0' && words[0].data[i] <= '7';
        mode = mode * 8 + (unsigned)(words[0].data[i] - '0');
    }
    if (!fine)
        return "argument couldn't be parsed as an octal number";
    if (mode > 0777)
        return "argument must be between 0 and 777 inclusive";
    char shown[16];
    int size = snprintf(shown, sizeof shown, "%o", mode);
    draft->unix_mode = mode;
    return config_assign(&draft->unixsocketperm, (struct slice){shown, (size_t)size})
               ? NULL
               : out_of_memory;
}

static const char *set_replicaof(struct config *draft, const struct slice *words, size_t count,
                                 enum config_source source, struct config_error *error)
{
    int64_t port;
    if (count == 0 && source == CONFIG_FROM_COMMAND) /* the default */
        return assign_joined(&draft->replicaof, words, 0);
    if (count != 2)
        return "wrong number of arguments";
    if (slice_equal_nocase(words[0], SLICE("no")) && slice_equal_nocase(words[1], SLICE("one")))
        return assign_joined(&draft->replicaof, words, 0);
    if (!number_parse_int64(words[1], &port) || port < 0 || port > 65535)
        return "Invalid primary port";
    return assign_joined(&draft->replicaof, words, 2);
}

/* In a file `dir` changes directory at once, so that later relative paths are meant from there. */
static const char *set_dir(struct config *draft, const struct slice *words, size_t count,
                           enum config_source source, struct config_error *error)
{
    if (count != 1)
        return "wrong number of arguments";
    if (words[0].size == 0) /* the default: where we are */
        return config_assign(&draft->dir, words[0]) ? NULL : out_of_memory;
    const char *previous = draft->dir;
    draft->dir = NULL;
    bool copied = config_assign(&draft->dir, words[0]);
    int rc = copied ? file_change_directory(draft->dir) : -ENOMEM;
    if (rc == 0) {
        char path[PATH_MAX];
        tu_free((void *)(uintptr_t)previous);
        if (getcwd(path, sizeof path) != NULL && !config_assign(&draft->dir, slice_of(path)))
            return out_of_memory;
        return NULL;
    }
    const char *why = copied ? strerrordesc_np(-rc) : out_of_memory;
    tu_free((void *)(uintptr_t)draft->dir);
    draft->dir = previous;
    return why;
}

int config_special_set(const struct config_row *row, struct config *draft,
                       const struct slice *words, size_t count, enum config_source source,
                       struct config_error *error)
{
    static const struct {
        const char *name;
        special_fn set;
    } setters[] = {
        {"bind", set_bind},
        {"save", set_save},
        {"client-output-buffer-limit", set_output_limits},
        {"oom-score-adj-values", set_oom_scores},
        {"latency-tracking-info-percentiles", set_percentiles},
        {"notify-keyspace-events", set_events},
        {"unixsocketperm", set_unix_mode},
        {"replicaof", set_replicaof},
        {"dir", set_dir},
    };
    for (size_t i = 0; i < sizeof setters / sizeof *setters; i++) {
        if (strcmp(setters[i].name, row->name) == 0) {
            error->reason = setters[i].set(draft, words, count, source, error);
            return error->reason == NULL ? 0 : -EINVAL;
        }
    }
    check_failed(__FILE__, __LINE__, "no setter for %s", row->name);
}

/* ---- checks of string directives ---- */

static bool all_bytes(struct slice value, const char *extra)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
              (c != '\0' && strchr(extra, c) != NULL)))
            return false;
    }
    return true;
}

/* {name} variables only, each closed and known; {{ and }} are not special. */
static bool title_template_ok(struct slice value)
{
    static const char *const known[] = {"{title}",    "{listen-addr}", "{server-mode}", "{port}",
                                        "{tls-port}", "{unixsocket}",  "{config-file}"};
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '}')
            return false;
        if (value.data[i] != '{')
            continue;
        size_t k = 0;
        for (; k < sizeof known / sizeof *known; k++) {
            size_t length = strlen(known[k]);
            if (length <= value.size - i && memcmp(known[k], value.data + i, length) == 0) {
                i += length - 1;
                break;
            }
        }
        if (k == sizeof known / sizeof *known)
            return false;
    }
    return true;
}

static bool address_ok(int family, struct slice value)
{
    char text[INET6_ADDRSTRLEN], binary[16];
    if (value.size == 0)
        return true;
    if (value.size >= sizeof text)
        return false;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    return inet_pton(family, text, binary) == 1;
}

static const char *check_locale(struct slice value)
{
    char name[64];
    if (value.size >= sizeof name)
        return "Invalid locale name";
    memcpy(name, value.data, value.size);
    name[value.size] = '\0';
    locale_t locale = newlocale(LC_COLLATE_MASK, name, (locale_t)0);
    if (locale == (locale_t)0)
        return "Invalid locale name";
    freelocale(locale);
    return NULL;
}

const char *config_string_check(const struct config_row *row, struct slice value,
                                struct config_error *error)
{
    const char *name = row->name;
    if (memchr(value.data, '\0', value.size) != NULL)
        return "argument must not contain a null byte";
    if (strcmp(name, "locale-collate") == 0)
        return check_locale(value);
    if (strcmp(name, "dbfilename") == 0 || strcmp(name, "appendfilename") == 0 ||
        strcmp(name, "appenddirname") == 0) {
        bool directory = strcmp(name, "appenddirname") == 0;
        if (value.size == 0 && name[0] == 'a')
            (void)snprintf(error->text, sizeof error->text, "%s can't be empty", name);
        else if (memchr(value.data, '/', value.size) == NULL)
            return NULL;
        else
            (void)snprintf(error->text, sizeof error->text, "%s can't be a path, just a %s", name,
                           directory ? "dirname" : "filename");
        return error->text;
    }
    if (strcmp(name, "cluster-announce-hostname") == 0)
        return all_bytes(value, "-.") && value.size < 256
                   ? NULL
                   : "Hostnames may only contain alphanumeric characters, hyphens or dots";
    if (strcmp(name, "cluster-announce-human-nodename") == 0)
        return all_bytes(value, "-._") ? NULL
                                       : "Announced human node name contained invalid character";
    if (strcmp(name, "cluster-announce-ip") == 0)
        return all_bytes(value, ":.-_") ? NULL : "cluster-announce-ip contains invalid character";
    if (strcmp(name, "cluster-announce-client-ipv4") == 0)
        return address_ok(AF_INET, value) ? NULL : "Invalid IPv4 address";
    if (strcmp(name, "cluster-announce-client-ipv6") == 0)
        return address_ok(AF_INET6, value) ? NULL : "Invalid IPv6 address";
    if (strcmp(name, "proc-title-template") == 0)
        return title_template_ok(value)
                   ? NULL
                   : "template format is invalid or contains unknown variables";
    if (strcmp(name, "rdma-bind") == 0)
        return value.size == 0 ? NULL : "No RDMA building support.";
    return NULL;
}

const char *config_row_check(const struct config_row *row, struct config *draft)
{
    if (strcmp(row->name, "hz") == 0)
        draft->hz = draft->hz < 1 ? 1 : draft->hz > 500 ? 500 : draft->hz;
    if (strcmp(row->name, "tuco-shards") == 0 &&
        (draft->tuco_shards & (draft->tuco_shards - 1)) != 0)
        return "argument must be a power of two";
    if (strcmp(row->name, "tls-port") == 0 && draft->tls_port != 0)
        return "TLS is not available in this build";
    return NULL;
}
