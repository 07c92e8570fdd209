/* load.c - a load generator for request-reply servers, on one thread.
 *
 * Each connection sends a batch of `pipeline` requests, waits until all are answered, and sends the
 * next: closed loop, as redis-benchmark works, so that both tools' figures can be compared. Replies
 * are scanned, not only counted by size, and errors are counted: a server that refuses fast does
 * not win.
 *
 *     load --port N [options] WORD...        WORD...: the command, e.g.  SET key:{key} {data}
 *     load --port N --echo BYTES [options]   raw messages, echoed back
 *     load --port N --idle COUNT             opens connections, prints "ready", holds them until
 *                                            its input ends; prints how many were dropped
 *   --connections 50  --pipeline 1  --seconds 3  --warmup 1     (seconds may be fractions)
 *   --requests N      stop after N instead of after a time; no warm-up
 *   --keys 1000000    {key} is 12 digits, {int} is 12 digits and starts with 1: below this number,
 *                     or below their own in {key:N} and {int:N}
 *   --sequential      {key} counts up, one a request, instead of being random
 *   --seed N          other random numbers than without it, for a load that goes on where one has ended
 *   --size 64         bytes of {data}
 *   --pid PID         also reports the CPU time that process used in the measured window
 *   --print-size      prints the bytes of one request and ends (for a server that does not look)
 *
 * Prints one line of name=value pairs; times are microseconds, cpu_us_per_request is PID's.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DIGITS = 12, HOLES_MAX = 128, IN_SIZE = 256 * 1024 };

/* One request with the places where digits are written in before it is sent. */
struct request {
    char *bytes;
    size_t size;
    struct {
        size_t at;
        uint64_t below;
        bool integer; /* first digit is always 1 */
    } holes[HOLES_MAX];
    int hole_count;
};

struct conn {
    int fd;
    char *out; /* pipeline requests, one after the other */
    size_t out_sent;
    int64_t sent_ns;
    int waiting;   /* replies of this batch still to come */
    long elements; /* parts of the current reply still to come */
    size_t skip;   /* bytes of a bulk still to be passed over */
    char type;     /* of the line being read; 0: at the start of an element */
    long number;   /* its number so far */
    bool minus;    /* the number is negative */
    bool wants_write;
};

static struct {
    int port, connections, pipeline, idle;
    size_t echo_size, data_size;
    double seconds, warmup;
    long requests; /* 0: by time */
    uint64_t keys;
    bool sequential, print_size;
    pid_t pid;
} opt = {
    .connections = 50, .pipeline = 1, .data_size = 64, .seconds = 3, .warmup = 1, .keys = 1000000};

static struct request request;
static uint64_t random_state = 0x9e3779b97f4a7c15u, next_key;
static long done, sent, errors;
static char first_error[128];
static char in[IN_SIZE];

/* ---- latency: 32 buckets per power of two, so a percentile is exact to 3 % ---- */
static uint64_t histogram[64 * 32];

static void histogram_add(int64_t ns, uint64_t count)
{
    uint64_t v = ns < 1 ? 1 : (uint64_t)ns;
    unsigned top = 63u - (unsigned)__builtin_clzll(v);
    unsigned sub = top >= 5 ? (unsigned)(v >> (top - 5)) & 31 : (unsigned)(v << (5 - top)) & 31;
    histogram[top * 32 + sub] += count;
}

static double histogram_percentile_us(double share)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++)
        total += histogram[i];
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) {
        seen += histogram[i];
        if (total && (double)seen >= share * (double)total)
            return (double)((uint64_t)1 << (i / 32)) * (1.0 + (double)(i % 32) / 32) / 1000;
    }
    return 0;
}

/* ---- small helpers ---- */
static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* CPU time of the watched process so far; 0 without one. */
static int64_t watched_cpu_ns(void)
{
    clockid_t clock;
    if (opt.pid == 0 || clock_getcpuclockid(opt.pid, &clock) != 0)
        return 0;
    return clock_ns(clock);
}

/* ---- requests ---- */
static void append(const char *data, size_t size)
{
    request.bytes = realloc(request.bytes, request.size + size);
    if (!request.bytes)
        die("load");
    memcpy(request.bytes + request.size, data, size);
    request.size += size;
}

static void append_hole(bool integer, uint64_t below)
{
    if (request.hole_count == HOLES_MAX) {
        fprintf(stderr, "load: too many {key} and {int}\n");
        exit(2);
    }
    request.holes[request.hole_count].at = request.size;
    request.holes[request.hole_count].below = below;
    request.holes[request.hole_count++].integer = integer;
    append("100000000000", DIGITS);
}

/* Adds what stands at p, a {hole} or a byte, to the request, or only its size to *size if that is given; returns what
 * comes after it. */
static const char *append_part(const char *p, size_t *size)
{
    bool key = !strncmp(p, "{key", 4), integer = !strncmp(p, "{int", 4);
    if (!strncmp(p, "{data}", 6)) {
        for (size_t i = 0; !size && i < opt.data_size; i++)
            append("x", 1);
        *(size ? size : &(size_t){0}) += opt.data_size;
        return p + 6;
    }
    if (!(key || integer) || (p[4] != '}' && p[4] != ':')) {
        if (size)
            ++*size;
        else
            append(p, 1);
        return p + 1;
    }
    char *end;
    uint64_t below = p[4] == ':' ? strtoull(p + 5, &end, 10) : (end = (char *)p + 4, opt.keys);
    if (*end != '}' || below == 0) {
        fprintf(stderr, "load: not a place for numbers: %s\n", p);
        exit(2);
    }
    if (size)
        *size += DIGITS;
    else
        append_hole(integer, below);
    return end + 1;
}

/* Adds one word as a bulk string. */
static void append_word(const char *word)
{
    size_t size = 0;
    char header[32];
    for (const char *p = word; *p;)
        p = append_part(p, &size);
    append(header, (size_t)snprintf(header, sizeof header, "$%zu\r\n", size));
    for (const char *p = word; *p;)
        p = append_part(p, NULL);
    append("\r\n", 2);
}

static void build_request(int words, char **word)
{
    char header[32];
    if (opt.echo_size) {
        for (size_t i = 0; i < opt.echo_size; i++)
            append("x", 1);
        return;
    }
    append(header, (size_t)snprintf(header, sizeof header, "*%d\r\n", words));
    for (int i = 0; i < words; i++)
        append_word(word[i]);
}

static void fill_holes(char *copy)
{
    uint64_t number = next_key++;
    for (int h = 0; h < request.hole_count; h++) {
        uint64_t v = (opt.sequential ? number : random_next() >> 11) % request.holes[h].below;
        char *digits = copy + request.holes[h].at;
        int last = request.holes[h].integer ? 1 : 0;
        for (int i = DIGITS - 1; i >= last; i--, v /= 10)
            digits[i] = (char)('0' + v % 10);
    }
}

/* ---- connections ---- */
static int connect_one(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)opt.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0)
        die("load: socket");
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("load: connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_rest(int epoll, struct conn *c)
{
    size_t size = request.size * (size_t)opt.pipeline;
    while (c->out_sent < size) {
        ssize_t n =
            send(c->fd, c->out + c->out_sent, size - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            die("load: send");
        if (n < 0)
            break;
        c->out_sent += (size_t)n;
    }
    bool more = c->out_sent < size;
    if (more != c->wants_write) {
        struct epoll_event e = {.events = EPOLLIN | (more ? EPOLLOUT : 0u), .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
        c->wants_write = more;
    }
}

static void send_batch(int epoll, struct conn *c)
{
    for (int i = 0; i < opt.pipeline; i++)
        fill_holes(c->out + (size_t)i * request.size);
    c->out_sent = 0;
    c->waiting = opt.pipeline;
    c->elements = 1;
    c->sent_ns = clock_ns(CLOCK_MONOTONIC);
    sent += opt.pipeline;
    send_rest(epoll, c);
}

/* A line has ended: what follows, and is an element complete? */
static void end_of_line(struct conn *c)
{
    long n = c->minus ? -c->number : c->number;
    c->elements--;
    switch (c->type) {
    case '$':
    case '=':
        if (n >= 0)
            c->skip = (size_t)n + 2;
        break;
    case '*':
    case '~':
    case '>': c->elements += n > 0 ? n : 0; break;
    case '%': c->elements += n > 0 ? 2 * n : 0; break;
    case '-': errors++; break;
    default: break;
    }
    c->type = 0;
}

/* Scans what has arrived; returns how many replies became complete. */
static int scan(struct conn *c, const char *p, size_t size)
{
    const char *end = p + size;
    int complete = 0;
    while (p < end || (c->skip == 0 && c->elements == 0)) {
        if (c->skip > 0) {
            size_t n = (size_t)(end - p) < c->skip ? (size_t)(end - p) : c->skip;
            p += n;
            c->skip -= n;
        } else if (c->elements == 0) {
            complete++;
            c->elements = c->waiting > complete ? 1 : -1; /* -1: nothing more is expected */
        } else if (c->elements < 0) {
            fprintf(stderr, "load: bytes that nobody asked for\n");
            exit(1);
        } else if (c->type == 0) {
            c->type = *p++;
            c->number = 0;
            c->minus = false;
            if (c->type == '-' && !first_error[0])
                snprintf(first_error, sizeof first_error, "%.*s",
                         (int)(end - p < 100 ? end - p : 100), p);
        } else if (*p == '\n') {
            p++;
            end_of_line(c);
        } else {
            if (*p >= '0' && *p <= '9')
                c->number = c->number * 10 + (*p - '0');
            else if (*p == '-')
                c->minus = true;
            p++;
        }
    }
    return complete;
}

static int scan_echo(struct conn *c, size_t size)
{
    c->skip += size; /* bytes of a message that has not come back whole */
    int complete = (int)(c->skip / opt.echo_size);
    c->skip %= opt.echo_size;
    return complete;
}

static bool stopping; /* no new batches */

static void readable(int epoll, struct conn *c)
{
    ssize_t n = recv(c->fd, in, sizeof in, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        fprintf(stderr, "load: the server closed a connection: %s\n",
                n < 0 ? strerror(errno) : "end");
        exit(1);
    }
    int complete = opt.echo_size ? scan_echo(c, (size_t)n) : scan(c, in, (size_t)n);
    if (complete > 0) {
        histogram_add(clock_ns(CLOCK_MONOTONIC) - c->sent_ns, (uint64_t)complete);
        done += complete;
        c->waiting -= complete;
    }
    if (c->waiting == 0 && !stopping)
        send_batch(epoll, c);
}

/* Runs until `until_ns`, or until `count` requests are done (0: no such limit). */
static void run(int epoll, int64_t until_ns, long count)
{
    struct epoll_event events[256];
    for (;;) {
        int n = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_rest(epoll, c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                readable(epoll, c);
            if (count > 0 && sent >= count)
                stopping = true;
        }
        if (count > 0 ? done >= sent && stopping : clock_ns(CLOCK_MONOTONIC) >= until_ns)
            return;
    }
}

static int connect_all(struct conn *conns)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < opt.connections; i++) {
        struct conn *c = &conns[i];
        c->fd = connect_one();
        c->out = malloc(request.size * (size_t)opt.pipeline);
        if (!c->out)
            die("load");
        for (int k = 0; k < opt.pipeline; k++)
            memcpy(c->out + (size_t)k * request.size, request.bytes, request.size);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
            die("load: epoll_ctl");
    }
    return epoll;
}

static int run_load(void)
{
    struct conn *conns = calloc((size_t)opt.connections, sizeof *conns);
    if (!conns)
        die("load");
    int epoll = connect_all(conns);
    for (int i = 0; i < opt.connections; i++)
        send_batch(epoll, &conns[i]);
    if (opt.requests == 0) {
        run(epoll, clock_ns(CLOCK_MONOTONIC) + (int64_t)(opt.warmup * 1e9), 0);
        memset(histogram, 0, sizeof histogram);
    }
    long before = opt.requests ? 0 : done;
    int64_t start = clock_ns(CLOCK_MONOTONIC), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    int64_t cpu = watched_cpu_ns();
    run(epoll, start + (int64_t)(opt.seconds * 1e9), opt.requests);
    double n = (double)(done - before);
    double ns = (double)(clock_ns(CLOCK_MONOTONIC) - start);
    own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
    cpu = watched_cpu_ns() - cpu;
    printf("requests=%.0f seconds=%.3f per_second=%.0f p50=%.1f p99=%.1f p999=%.1f max=%.1f "
           "errors=%ld load_us_per_request=%.3f cpu_us_per_request=%.4f\n",
           n, ns / 1e9, n / ns * 1e9, histogram_percentile_us(0.5), histogram_percentile_us(0.99),
           histogram_percentile_us(0.999), histogram_percentile_us(1), errors,
           (double)own / n / 1000, (double)cpu / n / 1000);
    if (errors)
        fprintf(stderr, "load: %ld errors, the first: %s\n", errors, first_error);
    return errors ? 1 : 0;
}

static int hold_idle(void)
{
    int *fds = calloc((size_t)opt.idle, sizeof *fds);
    char byte;
    int dropped = 0;
    if (!fds)
        die("load");
    for (int i = 0; i < opt.idle; i++)
        fds[i] = connect_one();
    printf("ready\n");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    for (int i = 0; i < opt.idle; i++)
        dropped += recv(fds[i], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN;
    printf("dropped=%d\n", dropped);
    return dropped ? 1 : 0;
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},    {"connections", 1, NULL, 'c'}, {"pipeline", 1, NULL, 'P'},
        {"seconds", 1, NULL, 's'}, {"warmup", 1, NULL, 'w'},      {"requests", 1, NULL, 'n'},
        {"keys", 1, NULL, 'k'},    {"sequential", 0, NULL, 'S'},  {"seed", 1, NULL, 'r'},
        {"size", 1, NULL, 'd'},    {"pid", 1, NULL, 'i'},         {"print-size", 0, NULL, 'z'},
        {"echo", 1, NULL, 'e'},    {"idle", 1, NULL, 'I'},        {0}};
    for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        switch (c) {
        case 'p': opt.port = atoi(optarg); break;
        case 'c': opt.connections = atoi(optarg); break;
        case 'P': opt.pipeline = atoi(optarg); break;
        case 's': opt.seconds = atof(optarg); break;
        case 'w': opt.warmup = atof(optarg); break;
        case 'n': opt.requests = atol(optarg); break;
        case 'k': opt.keys = strtoull(optarg, NULL, 10); break;
        case 'S': opt.sequential = true; break;
        case 'r': random_state *= 2 * strtoull(optarg, NULL, 10) + 1; break;
        case 'd': opt.data_size = strtoul(optarg, NULL, 10); break;
        case 'i': opt.pid = atoi(optarg); break;
        case 'z': opt.print_size = true; break;
        case 'e': opt.echo_size = strtoul(optarg, NULL, 10); break;
        case 'I': opt.idle = atoi(optarg); break;
        default: exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    bool has_work = opt.idle > 0 || opt.echo_size > 0 || optind < argc;
    if ((opt.port <= 0 && !opt.print_size) || opt.connections < 1 || opt.pipeline < 1 ||
        opt.keys < 1 || !has_work) {
        fprintf(stderr, "usage: load --port N [options] WORD...   (options: head of load.c)\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (opt.idle > 0)
        return hold_idle();
    build_request(argc - optind, argv + optind);
    if (opt.print_size) {
        printf("%zu\n", request.size);
        return 0;
    }
    return run_load();
}
