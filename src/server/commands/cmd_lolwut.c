/* cmd_lolwut.c - LOLWUT: a picture, and who drew it.
 *
 * Each cell is a start of the orbit z -> z*z + c. It is shaded not by how soon the orbit escapes but by how close it
 * came to one of the axes meanwhile, which draws stalks and eyes. The constant is random unless it is given.
 */
#include "base/number.h"
#include "platform/entropy.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "server/text.h"
#include "server/version.h"

enum {
    COLUMNS = 80,
    COLUMNS_MAX = 160,
    ROWS = 32,
    ROWS_MAX = 80,
    STEPS = 48,
    PICTURES_VERSION =
        9 /* the peer's version whose words we take; older ones have up to three numbers */
};

struct picture {
    int64_t columns, rows;
    double real, imaginary;
};

/* How close the orbit from (x, y) comes to an axis. */
static double closest(const struct picture *p, double x, double y)
{
    double least = 4;
    for (int i = 0; i < STEPS && x * x + y * y < 16; i++) {
        double next = x * x - y * y + p->real;
        y = 2 * x * y + p->imaginary;
        x = next;
        double from = x < 0 ? -x : x, other = y < 0 ? -y : y;
        from = other < from ? other : from;
        least = from < least ? from : least;
    }
    return least;
}

static char shade(double distance)
{
    static const char shades[] = "@8Oo=~-, ";
    double limit = 0.002;
    size_t i = 0;
    for (; shades[i + 1] != '\0' && distance > limit; i++)
        limit *= 2.2;
    return shades[i];
}

static void draw(const struct picture *p, struct text *out)
{
    for (int64_t row = 0; row < p->rows; row++) {
        char line[COLUMNS_MAX + 1];
        double y = ((double)row + 0.5) / (double)p->rows * 2.4 - 1.2;
        for (int64_t i = 0; i < p->columns; i++)
            line[i] = shade(closest(p, ((double)i + 0.5) / (double)p->columns * 3.2 - 1.6, y));
        line[p->columns] = '\n';
        text_add(out, (struct slice){line, (size_t)p->columns + 1});
    }
    text_addf(out, "Orbits of z*z + (%.2f %c %.2fi), shaded by how close they come to an axis\n",
              p->real, p->imaginary < 0 ? '-' : '+',
              p->imaginary < 0 ? -p->imaginary : p->imaginary);
}

static int64_t between(int64_t value, int64_t most)
{
    return value < 1 ? 1 : value > most ? most : value;
}

/* Reads [columns rows] [real imaginary]; false: the error was replied. */
static bool read_words(const struct call *call, size_t first, int64_t version, struct picture *p)
{
    size_t count = call->argc - first;
    const struct slice *words = call->argv + first;
    bool old = version < PICTURES_VERSION;
    int64_t numbers[3] = {COLUMNS, ROWS, 0};
    if (!old && count != 0 && count != 2 && count != 4) {
        reply_error(call->reply, ERR_LOLWUT);
        return false;
    }
    for (size_t i = 0; i < (old ? 3u : 2u) && i < count; i++) {
        if (!handler_integer(call, words[i], &numbers[i]))
            return false;
    }
    p->columns = between(numbers[0], COLUMNS_MAX);
    p->rows = between(numbers[1], ROWS_MAX);
    p->real = (double)(entropy_seed() % 2000) / 1000 - 1;
    p->imaginary = (double)(entropy_seed() % 2000) / 1000 - 1;
    if (!old && count == 4 &&
        (!number_parse_double(words[2], &p->real) ||
         !number_parse_double(words[3], &p->imaginary))) {
        reply_error(call->reply, ERR_NOT_FLOAT);
        return false;
    }
    return true;
}

static void run_lolwut(struct call *call)
{
    int64_t version = PICTURES_VERSION;
    size_t first = 1;
    struct picture picture;
    struct text out = {0};
    if (call->argc > 2 && slice_equal_nocase(call->argv[1], SLICE("VERSION"))) {
        if (!handler_integer(call, call->argv[2], &version))
            return;
        first = 3;
    }
    if (version == 5 || version == 6 || version == PICTURES_VERSION) {
        if (!read_words(call, first, version, &picture))
            return;
        draw(&picture, &out);
    }
    text_addf(&out, "Tuco ver. %s, which answers as Redis ver. %s\n", TUCO_VERSION, REDIS_VERSION);
    if (out.failed)
        reply_error(call->reply, ERR_NO_MEMORY);
    else
        reply_verbatim(call->reply, "txt", text_slice(&out));
    text_free(&out);
}

static const struct command rows[] = {
    {.name = "LOLWUT",
     .run = run_lolwut,
     .arity = -1,
     .flags = CMD_READONLY | CMD_FAST,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "5.0.0",
     .summary = "Draws a picture and tells the server's version.",
     .parse = handler_parses_itself,
     ROW_ARGS(ARG_INTEGER("version", .token = "VERSION", ARG_OPTIONAL))},
};

const struct command_family lolwut_family = COMMAND_FAMILY(rows);
