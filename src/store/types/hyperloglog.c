/* hyperloglog.c - see hyperloglog.h.
 *
 * The sparse form is changed in place: find the run that covers the register, split it in at most three, and join what has
 * become equal around it. This order of steps is part of the format: the same additions must give the same bytes as in the
 * peers, or a DUMP, a digest and the moment of becoming dense would differ. It costs a walk over the runs, at most
 * hll-sparse-max-bytes of them, which is why the form is left when it grows; skip_runs takes 16 bytes of it at once.
 *
 * Rejected: registers in a byte each beside the string while it is hot (a cache to keep in step, for 20 ns an addition).
 */
#include "store/types/hyperloglog.h"

#include "base/murmur_hash.h"
#include "store/type_limits.h"
#include "store/types/string_edit.h"
#include "store/types/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuco/mem.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    DENSE = 0,
    SPARSE = 1,
    DENSE_SIZE = HLL_HEADER + HLL_REGISTERS * 6 / 8,
    ENCODING_AT = 4,
    ESTIMATE_AT = 8,
    STALE_AT = 15, /* its top bit: the estimate is not that of the registers */
    SPARSE_VALUE_MAX = 32,
    VALUE_RUN_MAX = 4,
    SHORT_RUN_MAX = 64,
    REGISTER_VALUES = 64,
    HASH_BITS = 50, /* of the hash, those that are not the register's number */
};
#define HASH_SEED UINT64_C(0xadc83b19)

/* ---- elements and estimates ---- */

unsigned hll_place(struct slice element, uint8_t *value)
{
    uint64_t hash = murmur_hash_64a(element.data, element.size, HASH_SEED);
    uint64_t rest = hash >> 14 | UINT64_C(1) << HASH_BITS;
    *value = (uint8_t)(__builtin_ctzll(rest) + 1);
    return hash & (HLL_REGISTERS - 1);
}

/* Ertl's sigma and tau: what the registers that are 0, and those that are full, contribute. */
static double sigma(double x)
{
    double factor = 1, sum = x, before;
    if (x == 1)
        return INFINITY;
    do {
        x *= x;
        before = sum;
        sum += x * factor;
        factor += factor;
    } while (sum != before);
    return sum;
}

static double tau(double x)
{
    double factor = 1, sum = 1 - x, before;
    if (x == 0 || x == 1)
        return 0;
    do {
        x = sqrt(x);
        before = sum;
        factor *= 0.5;
        sum -= (1 - x) * (1 - x) * factor;
    } while (sum != before);
    return sum / 3;
}

/* counts[v]: registers that hold v. */
static uint64_t estimate_counts(const uint32_t counts[REGISTER_VALUES])
{
    const double m = HLL_REGISTERS, alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    double z = m * tau((m - counts[HASH_BITS + 1]) / m);
    for (int value = HASH_BITS; value >= 1; value--)
        z = (z + counts[value]) * 0.5;
    z += m * sigma(counts[0] / m);
    return (uint64_t)llround(alpha * m * m / z);
}

uint64_t hll_estimate(const uint8_t registers[HLL_REGISTERS])
{
    uint32_t counts[REGISTER_VALUES] = {0};
    for (size_t i = 0; i < HLL_REGISTERS; i++)
        counts[registers[i] % REGISTER_VALUES]++;
    return estimate_counts(counts);
}

/* ---- registers of 6 bits ---- */

static uint8_t dense_get(const unsigned char *packed, size_t i)
{
    size_t byte = i * 6 / 8;
    unsigned shift = i * 6 & 7, bits = packed[byte] >> shift;
    if (shift > 2)
        bits |= (unsigned)packed[byte + 1] << (8 - shift);
    return bits & 63;
}

static void dense_set(unsigned char *packed, size_t i, uint8_t value)
{
    size_t byte = i * 6 / 8;
    unsigned shift = i * 6 & 7;
    packed[byte] = (unsigned char)((packed[byte] & ~(63u << shift)) | (unsigned)value << shift);
    if (shift > 2)
        packed[byte + 1] = (unsigned char)((packed[byte + 1] & ~(63u >> (8 - shift))) |
                                           (unsigned)value >> (8 - shift));
}

/* ---- runs ---- */

struct run {
    uint32_t length; /* registers */
    uint8_t value;   /* of each */
    uint8_t bytes;   /* that say so: 1 or 2 */
};

/* The run at `at`; false: cut off. */
static bool run_read(struct slice s, size_t at, struct run *run)
{
    const unsigned char *p = (const unsigned char *)s.data + at;
    if (at >= s.size)
        return false;
    if (*p & 0x80)
        *run = (struct run){(*p & 3u) + 1, (uint8_t)((*p >> 2 & 31) + 1), 1};
    else if (*p & 0x40)
        *run = (struct run){0, 0, 2};
    else
        *run = (struct run){*p + 1u, 0, 1};
    if (run->bytes == 2 && at + 1 < s.size)
        run->length = ((p[0] & 63u) << 8 | p[1]) + 1;
    return run->length > 0;
}

static size_t put_zeros(unsigned char *to, uint32_t length)
{
    if (length == 0)
        return 0;
    length--;
    if (length < SHORT_RUN_MAX) {
        to[0] = (unsigned char)length;
        return 1;
    }
    to[0] = (unsigned char)(0x40 | length >> 8);
    to[1] = (unsigned char)length;
    return 2;
}

static size_t put_values(unsigned char *to, uint8_t value, uint32_t length)
{
    if (length == 0)
        return 0;
    to[0] = (unsigned char)(0x80 | (value - 1) << 2 | (length - 1));
    return 1;
}

/* Calls for all runs; false: they do not cover the registers exactly. */
#define EACH_RUN(s, run, at, first)                                                             \
    for (size_t at = HLL_HEADER, first = 0; run_read((s), at, &(run)) && first < HLL_REGISTERS; \
         first += (run).length, at += (run).bytes)

static bool runs_valid(struct slice s)
{
    struct run run;
    size_t covered = 0, end = HLL_HEADER;
    EACH_RUN(s, run, at, first)
    {
        covered = first + run.length;
        end = at + run.bytes;
    }
    return covered == HLL_REGISTERS && end == s.size;
}

/* ---- values in the store ---- */

static bool is_dense(struct slice s)
{
    return s.data[ENCODING_AT] == DENSE;
}

/* Looks, without changing anything: STORE_OK with the bytes, or what is wrong. */
static enum store_result look(struct transaction *tx, struct store_key key, enum lookup_how how,
                              struct slice *out)
{
    struct found f = shard_lookup(tx, tx->db, key, how);
    if (!f.entry)
        return STORE_MISSING;
    if (f.entry->type != TYPE_STRING)
        return STORE_WRONG_TYPE;
    if (f.entry->encoding == ENCODING_INT)
        return STORE_NOT_HLL;
    *out = entry_string(f.entry);
    if (out->size < HLL_HEADER || memcmp(out->data, "HYLL", 4) != 0 ||
        (unsigned char)out->data[ENCODING_AT] > SPARSE ||
        (is_dense(*out) && out->size != DENSE_SIZE))
        return STORE_NOT_HLL;
    return STORE_OK;
}

/* A value that is being changed. */
struct edit {
    struct transaction *tx;
    struct store_key key;
    struct found f;
    unsigned char *bytes;
    size_t size;
    size_t sparse_max;
    bool is_new;
    uint64_t changes;
};

static struct slice edit_slice(const struct edit *e)
{
    return (struct slice){(const char *)e->bytes, e->size};
}

/* Opens it, or makes an empty one. */
static enum store_result edit_open(struct edit *e, struct transaction *tx, struct store_key key)
{
    static const unsigned char empty[HLL_HEADER + 2] = {'H',    'Y',         'L',        'L',
                                                        SPARSE, [16] = 0x7f, [17] = 0xff};
    struct slice now;
    size_t before;
    *e = (struct edit){.tx = tx, .key = key};
    int64_t limit = type_limit(&keyspace_limits(tx->keyspace)->hll_sparse_max_bytes);
    e->sparse_max = limit > 0 ? (size_t)limit : 0;
    enum store_result rc = look(tx, key, LOOKUP_WRITE, &now);
    if (rc != STORE_OK && rc != STORE_MISSING)
        return rc;
    e->is_new = rc == STORE_MISSING;
    e->size = e->is_new ? sizeof empty : now.size;
    rc = string_edit(tx, key, e->is_new ? sizeof empty : 0, &e->f, &e->bytes, &before);
    if (rc == STORE_OK && e->is_new)
        memcpy(e->bytes, empty, sizeof empty);
    return rc;
}

/* Says what was done; a key made by something that failed is dropped again. */
static enum store_result edit_close(struct edit *e, enum store_result rc)
{
    if (e->is_new && rc != STORE_OK) {
        shard_delete(&e->f, false);
        return rc;
    }
    if (e->changes == 0 && !e->is_new)
        return rc;
    e->bytes[STALE_AT] |= 0x80;
    value_changed(e->tx, e->key, EVENT_STRING, "pfadd", e->changes + e->is_new);
    return rc;
}

static bool edit_splice(struct edit *e, size_t at, size_t removed, size_t inserted)
{
    unsigned char *bytes = value_splice(&e->f, at, removed, inserted);
    if (!bytes)
        return false;
    e->bytes = bytes;
    e->size = e->size - removed + inserted;
    return true;
}

/* Raises registers to what the value at `s` has. False: the runs do not cover them. */
static bool collect(struct slice s, uint8_t registers[HLL_REGISTERS])
{
    const unsigned char *packed = (const unsigned char *)s.data + HLL_HEADER;
    if (is_dense(s)) {
        for (size_t i = 0; i < HLL_REGISTERS; i++) {
            uint8_t value = dense_get(packed, i);
            registers[i] = value > registers[i] ? value : registers[i];
        }
        return true;
    }
    if (!runs_valid(s))
        return false;
    struct run run;
    EACH_RUN(s, run, at, first)
    for (size_t i = first; run.value > 0 && i < first + run.length; i++)
        registers[i] = run.value > registers[i] ? run.value : registers[i];
    return true;
}

/* Gives it the dense form with these registers. */
static enum store_result make_dense(struct edit *e, const uint8_t registers[HLL_REGISTERS])
{
    if (!edit_splice(e, HLL_HEADER, e->size - HLL_HEADER, DENSE_SIZE - HLL_HEADER))
        return STORE_NO_MEMORY;
    e->bytes[ENCODING_AT] = DENSE;
    memset(e->bytes + HLL_HEADER, 0, DENSE_SIZE - HLL_HEADER);
    for (size_t i = 0; i < HLL_REGISTERS; i++)
        if (registers[i] > 0)
            dense_set(e->bytes + HLL_HEADER, i, registers[i]);
    return STORE_OK;
}

static enum store_result to_dense(struct edit *e)
{
    uint8_t registers[HLL_REGISTERS] = {0};
    if (is_dense(edit_slice(e)))
        return STORE_OK;
    return collect(edit_slice(e), registers) ? make_dense(e, registers) : STORE_CORRUPT;
}

/* ---- raising one register ---- */

static void dense_raise(struct edit *e, unsigned index, uint8_t value)
{
    if (dense_get(e->bytes + HLL_HEADER, index) >= value)
        return;
    dense_set(e->bytes + HLL_HEADER, index, value);
    e->changes++;
}

static enum store_result promote(struct edit *e, unsigned index, uint8_t value)
{
    enum store_result rc = to_dense(e);
    if (rc == STORE_OK)
        dense_raise(e, index, value);
    return rc;
}

/* Joins neighbouring runs of one value, in the five runs from `at` on. Bytes only go, so nothing fails. */
static void join_runs(struct edit *e, size_t at)
{
    struct run a, b;
    for (int left = 5; left > 0 && run_read(edit_slice(e), at, &a); left--) {
        size_t next = at + a.bytes;
        if (a.value > 0 && run_read(edit_slice(e), next, &b) && b.value == a.value &&
            a.length + b.length <= VALUE_RUN_MAX) {
            put_values(e->bytes + next, a.value, a.length + b.length);
            edit_splice(e, at, 1, 0);
        } else {
            at = next;
        }
    }
}

/* Where the run that covers a register begins, which one begins before it, and which register is its first. */
struct place {
    size_t at, before, first;
    struct run run;
};

#if defined(__SSE2__)
enum { CHUNK = 16 };

/* Which bytes of a chunk that begins with a run are the first of two. `maybe`: those that have the bits of one; every
 * second of a row of such bytes is a second byte. Adding the beginnings of rows at even places carries through these
 * rows and clears them. */
static inline uint32_t first_bytes(uint32_t maybe)
{
    const uint32_t even = 0x5555, odd = 0xaaaa;
    uint32_t begins = maybe & ~(maybe << 1);
    uint32_t from_even = maybe & ~(maybe + (begins & even));
    return (from_even & even) | (maybe & ~from_even & odd);
}

/* 0xff in the bytes whose bits are set. */
static inline __m128i bytes_of_bits(uint32_t bits)
{
    const __m128i each = _mm_set_epi8(-128, 64, 32, 16, 8, 4, 2, 1, -128, 64, 32, 16, 8, 4, 2, 1);
    __m128i both = _mm_unpacklo_epi64(_mm_set1_epi8((char)bits), _mm_set1_epi8((char)(bits >> 8)));
    return _mm_cmpeq_epi8(_mm_and_si128(both, each), each);
}

/* Registers that the chunk's bytes cover when `first` are the first of two and `second` the second: of those 256 times
 * the low six bits and one, of these all bits, of other zeros the low six and one, of values the low two and one. */
static inline uint32_t chunk_length(__m128i chunk, uint32_t first, uint32_t second)
{
    const __m128i one = _mm_set1_epi8(1), six = _mm_set1_epi8(63), zero = _mm_setzero_si128();
    __m128i is_value = _mm_cmplt_epi8(chunk, zero), is_first = zero, is_second = zero;
    if (first) {
        is_first = bytes_of_bits(first);
        is_second = bytes_of_bits(second);
    }
    __m128i bits =
        _mm_or_si128(_mm_xor_si128(six, _mm_and_si128(is_value, _mm_set1_epi8(60))), is_second);
    __m128i low = _mm_andnot_si128(is_first, _mm_and_si128(chunk, bits));
    low = _mm_add_epi8(low, _mm_andnot_si128(is_second, one));
    __m128i high = _mm_and_si128(_mm_and_si128(chunk, six), is_first);
    __m128i sums =
        _mm_add_epi64(_mm_sad_epu8(low, zero), _mm_slli_epi64(_mm_sad_epu8(high, zero), 8));
    return (uint32_t)(_mm_cvtsi128_si32(sums) + _mm_cvtsi128_si32(_mm_srli_si128(sums, 8)));
}

/* Moves the place (its run is not looked at) on by chunks of whole runs that end at or before the register. */
static void skip_runs(struct slice s, unsigned index, struct place *p)
{
    while (p->at + CHUNK <= s.size) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)(const void *)(s.data + p->at));
        uint32_t maybe = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_and_si128(chunk, _mm_set1_epi8((char)0xc0)), _mm_set1_epi8(0x40)));
        uint32_t first = maybe ? first_bytes(maybe) : 0, second = first << 1;
        uint32_t length = chunk_length(chunk, first, second), bytes = CHUNK;
        if (first >> (CHUNK - 1)) { /* its second byte is in the next chunk */
            bytes--;
            length -= ((unsigned char)s.data[p->at + bytes] & 63u) * 256 + 1;
        }
        if (p->first + length > index)
            return;
        p->first += length;
        p->at += bytes;
        p->before = p->at - 1 - (second >> (bytes - 1) & 1);
    }
}
#else
static void skip_runs(struct slice s, unsigned index, struct place *p)
{
    (void)s, (void)index, (void)p;
}
#endif

static bool find_run(struct slice s, unsigned index, struct place *p)
{
    *p = (struct place){.at = HLL_HEADER, .before = HLL_HEADER};
    skip_runs(s, index, p);
    while (run_read(s, p->at, &p->run)) {
        if (index < p->first + p->run.length)
            return true;
        p->before = p->at;
        p->first += p->run.length;
        p->at += p->run.bytes;
    }
    return false;
}

static enum store_result sparse_raise(struct edit *e, unsigned index, uint8_t value)
{
    struct place p;
    unsigned char split[5];
    size_t size = 0;
    if (value > SPARSE_VALUE_MAX)
        return promote(e, index, value);
    if (!find_run(edit_slice(e), index, &p))
        return STORE_CORRUPT;
    if (p.run.value >= value)
        return STORE_OK;
    uint32_t left = (uint32_t)(index - p.first), right = p.run.length - left - 1;
    size += p.run.value ? put_values(split, p.run.value, left) : put_zeros(split, left);
    size += put_values(split + size, value, 1);
    size +=
        p.run.value ? put_values(split + size, p.run.value, right) : put_zeros(split + size, right);
    if (size > p.run.bytes && e->size + size - p.run.bytes > e->sparse_max)
        return promote(e, index, value);
    if (size != p.run.bytes && !edit_splice(e, p.at, p.run.bytes, size))
        return STORE_NO_MEMORY;
    memcpy(e->bytes + p.at, split, size);
    e->changes++;
    join_runs(e, p.before);
    return STORE_OK;
}

static enum store_result raise_register(struct edit *e, unsigned index, uint8_t value)
{
    if (!is_dense(edit_slice(e)))
        return sparse_raise(e, index, value);
    dense_raise(e, index, value);
    return STORE_OK;
}

/* ---- operations ---- */

enum store_result hll_add(struct transaction *tx, struct store_key key,
                          const struct slice *elements, size_t count, bool *changed)
{
    struct edit e;
    enum store_result rc = edit_open(&e, tx, key);
    if (rc != STORE_OK)
        return rc;
    for (size_t i = 0; i < count && rc == STORE_OK; i++) {
        uint8_t value;
        unsigned index = hll_place(elements[i], &value);
        rc = raise_register(&e, index, value);
    }
    *changed = e.changes > 0 || e.is_new;
    return edit_close(&e, rc);
}

/* The estimate in the header, if it is that of the registers. */
static bool fresh_estimate(struct slice s, uint64_t *estimate)
{
    const unsigned char *p = (const unsigned char *)s.data + ESTIMATE_AT;
    *estimate = 0;
    for (int i = 7; i >= 0; i--)
        *estimate = *estimate << 8 | p[i];
    return !(p[7] & 0x80);
}

static bool estimate_of(struct slice s, uint64_t *estimate)
{
    uint32_t counts[REGISTER_VALUES] = {0};
    struct run run;
    if (is_dense(s)) {
        for (size_t i = 0; i < HLL_REGISTERS; i++)
            counts[dense_get((const unsigned char *)s.data + HLL_HEADER, i)]++;
    } else {
        if (!runs_valid(s))
            return false;
        EACH_RUN(s, run, at, first)
        counts[run.value] += run.length;
    }
    *estimate = estimate_counts(counts);
    return true;
}

enum store_result hll_count(struct transaction *tx, struct store_key key, uint64_t *estimate)
{
    struct slice s;
    struct edit e;
    *estimate = 0;
    enum store_result rc = look(tx, key, LOOKUP_READ, &s);
    if (rc != STORE_OK)
        return rc == STORE_MISSING ? STORE_OK : rc;
    if (fresh_estimate(s, estimate))
        return STORE_OK;
    if (!estimate_of(s, estimate))
        return STORE_CORRUPT;
    rc = edit_open(&e, tx, key);
    if (rc != STORE_OK)
        return rc;
    for (int i = 0; i < 8; i++)
        e.bytes[ESTIMATE_AT + i] = (unsigned char)(*estimate >> 8 * i);
    effects_changed(tx, tx->db, key.name, key.hash, 1);
    return STORE_OK;
}

/* Collects all; *dense: one of them is. Missing keys are empty. */
static enum store_result collect_all(struct transaction *tx, const struct store_key *keys,
                                     size_t count, enum lookup_how how,
                                     uint8_t registers[HLL_REGISTERS], bool *dense)
{
    *dense = false;
    for (size_t i = 0; i < count; i++) {
        struct slice s;
        enum store_result rc = look(tx, keys[i], how, &s);
        if (rc == STORE_MISSING)
            continue;
        if (rc != STORE_OK)
            return rc;
        *dense |= is_dense(s);
        if (!collect(s, registers))
            return STORE_CORRUPT;
    }
    return STORE_OK;
}

enum store_result hll_count_union(struct transaction *tx, const struct store_key *keys,
                                  size_t count, uint64_t *estimate)
{
    uint8_t registers[HLL_REGISTERS] = {0};
    bool dense;
    enum store_result rc = collect_all(tx, keys, count, LOOKUP_READ, registers, &dense);
    if (rc == STORE_OK)
        *estimate = hll_estimate(registers);
    return rc;
}

enum store_result hll_merge(struct transaction *tx, const struct store_key *keys, size_t count)
{
    uint8_t registers[HLL_REGISTERS] = {0};
    struct edit e;
    bool dense;
    enum store_result rc = collect_all(tx, keys, count, LOOKUP_READ, registers, &dense);
    if (rc == STORE_OK)
        rc = edit_open(&e, tx, keys[0]);
    if (rc != STORE_OK)
        return rc;
    if (dense)
        rc = make_dense(&e, registers);
    for (unsigned i = 0; !dense && i < HLL_REGISTERS && rc == STORE_OK; i++)
        if (registers[i] > 0)
            rc = raise_register(&e, i, registers[i]);
    e.changes =
        !e.is_new; /* one, also if memory ended half-way: what has risen belongs to the union and stays */
    return edit_close(&e, rc);
}

/* ---- debugging ---- */

enum store_result hll_form(struct transaction *tx, struct store_key key, bool convert, bool *dense,
                           bool *converted)
{
    struct slice s;
    struct edit e;
    *converted = false;
    enum store_result rc = look(tx, key, LOOKUP_WRITE, &s);
    if (rc != STORE_OK)
        return rc;
    *dense = is_dense(s);
    if (*dense || !convert)
        return STORE_OK;
    rc = edit_open(&e, tx, key);
    if (rc == STORE_OK)
        rc = to_dense(&e);
    if (rc != STORE_OK)
        return rc;
    *dense = *converted = true;
    effects_dirty(tx, key.hash, 1);
    return STORE_OK;
}

enum store_result hll_registers(struct transaction *tx, struct store_key key,
                                uint8_t registers[HLL_REGISTERS])
{
    struct slice s;
    enum store_result rc = look(tx, key, LOOKUP_WRITE, &s);
    if (rc != STORE_OK)
        return rc;
    memset(registers, 0, HLL_REGISTERS);
    return collect(s, registers) ? STORE_OK : STORE_CORRUPT;
}

enum store_result hll_runs(struct transaction *tx, struct store_key key, char **text, size_t *size)
{
    enum { RUN_TEXT = 16 }; /* "Z:16384 " and less */
    struct slice s;
    struct run run;
    enum store_result rc = look(tx, key, LOOKUP_WRITE, &s);
    if (rc != STORE_OK)
        return rc;
    if (is_dense(s))
        return STORE_NOT_MET;
    if (!runs_valid(s))
        return STORE_CORRUPT;
    char *to = *text = tu_alloc((s.size - HLL_HEADER) * RUN_TEXT + 1);
    if (!to)
        return STORE_NO_MEMORY;
    EACH_RUN(s, run, at, first)
    to += run.value ? snprintf(to, RUN_TEXT, "v:%d,%u ", run.value, run.length)
                    : snprintf(to, RUN_TEXT, "%c:%u ", run.bytes == 2 ? 'Z' : 'z', run.length);
    *size = (size_t)(to - *text) - 1;
    return STORE_OK;
}
