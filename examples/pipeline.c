/* pipeline.c - stages that run at once, and the four ways in which a pipeline ends.
 *
 *     pipeline                   reads its built-in lines, in four ways, and checks each
 *     pipeline N...              sums the squares of the numbers given
 *
 * words -> parse -> square (four goroutines) -> sum. It ends because the source has no more, because
 * the last stage has enough and cancels, because a stage finds an error, or because its time is over.
 * Each stage closes its output when its input is closed, and leaves when a wait tells it that the
 * context has ended; the scope joins everyone on every way, so nothing leaks and the channels may be
 * freed. The first error of a stage is the scope's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>

enum { SQUARERS = 4 };

typedef tu_chan(const char *) words;
typedef tu_chan(long) numbers;

struct input {
    const char *const *word; /* the last one is NULL, unless it starts again for ever */
    size_t repeat;           /* after so many words, start again; 0: never */
};

/* A stage's result: the end of its input is no error. */
static int ended(int rc)
{
    return rc == -EPIPE ? 0 : rc;
}

static int read_words(const struct input *input, words out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0; i++) {
        const char *word = input->word[input->repeat ? i % input->repeat : i];
        if (!word)
            break;
        rc = tu_send(out, word);
    }
    tu_close_chan(out);
    return ended(rc);
}

static int parse(words in, numbers out)
{
    const char *word;
    int rc;
    while ((rc = tu_recv(in, &word)) == 0) {
        char *end;
        long n = strtol(word, &end, 10);
        rc = *end || end == word ? -EINVAL : tu_send(out, n);
        if (rc != 0)
            break;
    }
    tu_close_chan(out);
    return ended(rc);
}

/* One of several on the same channels: the last one that leaves closes the output. */
static int square(numbers in, numbers out, uint32_t *running)
{
    long n;
    int rc;
    while ((rc = tu_recv(in, &n)) == 0)
        if ((rc = tu_send(out, n * n)) != 0)
            break;
    if (__atomic_sub_fetch(running, 1, __ATOMIC_ACQ_REL) == 0)
        tu_close_chan(out);
    return ended(rc);
}

struct result {
    long sum, terms;
};

/* Stops by itself when the sum reaches `limit` (0: never). 0, or the first error of a stage. */
static int run_stages(const struct input *input, words w, numbers n, numbers squares, long limit,
                      struct result *result)
{
    uint32_t squarers = SQUARERS;
    bool enough = false;
    int rc = 0;
    tu_scope(s) {
        tu_scope_go(&s, read_words, input, w);
        tu_scope_go(&s, parse, w, n);
        for (int i = 0; i < SQUARERS; i++)
            tu_scope_go(&s, square, n, squares, &squarers);
        for (long term; !enough && tu_recv(squares, &term) == 0;) {
            result->sum += term;
            result->terms++;
            enough = limit && result->sum >= limit;
        }
        if (enough)
            tu_scope_cancel(&s); /* who waits in a send now gets -ECANCELED there */
        rc = tu_scope_wait(&s);
    }
    return enough && rc == -ECANCELED ? 0 : rc;
}

static int pipeline(const struct input *input, long limit, struct result *result)
{
    words w = tu_make_chan(const char *, 0);
    numbers n = tu_make_chan(long, 0), squares = tu_make_chan(long, 8);
    *result = (struct result){0};
    int rc = w && n && squares ? run_stages(input, w, n, squares, limit, result) : -ENOMEM;
    tu_free_chan(w);
    tu_free_chan(n);
    tu_free_chan(squares);
    return rc;
}

/* A goroutine is counted until its stack has been left, a moment after its scope has been told. */
static bool nobody_left(void)
{
    for (int64_t end = tu_now() + 10 * TU_S; tu_goroutines() > 1 && tu_now() < end;)
        tu_yield();
    return tu_goroutines() == 1;
}

static bool check(const char *what, int rc, int expected)
{
    bool good = rc == expected && nobody_left();
    printf("%s: %s, goroutines left: %zu\n", what, rc ? strerror(-rc) : "finished",
           tu_goroutines() - 1);
    return good;
}

static int demonstrate(void)
{
    static const char *const few[] = {"1", "2", "3", "4", "5", NULL};
    static const char *const wrong[] = {"1", "2", "three", "4", NULL};
    struct result result;
    int rc = pipeline(&(struct input){few, 0}, 0, &result);
    bool good = check("all of it", rc, 0) && result.sum == 55 && result.terms == 5;
    rc = pipeline(&(struct input){few, 5}, 100000, &result);
    good = check("until it is enough", rc, 0) && result.sum >= 100000 && good;
    rc = pipeline(&(struct input){wrong, 0}, 0, &result);
    good = check("a word that is no number", rc, -EINVAL) && good;
    tu_context *soon = tu_with_timeout(tu_context_current(), 20 * TU_MS);
    tu_defer(tu_cancel, soon);
    tu_in_context(soon) {
        rc = pipeline(&(struct input){few, 5}, 0, &result);
    }
    return check("for 20 ms", rc, -ETIMEDOUT) && good ? 0 : -EIO;
}

struct arguments {
    const char *const *words;
    int status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    struct result result = {0};
    int rc;
    if (arguments->words[0]) {
        rc = pipeline(&(struct input){arguments->words, 0}, 0, &result);
        printf("%ld squares make %ld: %s\n", result.terms, result.sum, rc ? strerror(-rc) : "ok");
    } else {
        rc = demonstrate();
    }
    arguments->status = rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct arguments arguments = {(const char *const *)(argv + 1), 1};
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
