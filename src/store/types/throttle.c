/* throttle.c - see throttle.h. */
#include "store/types/throttle.h"

#include "base/number.h"
#include "store/types/string.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)
/* Two of these and the time of today are an int64. */
#define LONGEST_NS (INT64_MAX / 4)

static enum store_result read_moment(struct transaction *tx, struct store_key key, int64_t now_ns,
                                     int64_t *moment_ns)
{
    struct string_value v;
    enum store_result rc = string_get(tx, key, &v);
    *moment_ns = now_ns;
    if (rc != STORE_OK)
        return rc == STORE_MISSING ? STORE_OK : rc;
    if (!number_parse_int64(v.bytes, moment_ns))
        return STORE_NOT_INTEGER;
    if (*moment_ns < now_ns)
        *moment_ns = now_ns;
    return *moment_ns - now_ns <= LONGEST_NS ? STORE_OK : STORE_OUT_OF_RANGE;
}

static enum store_result write_moment(struct transaction *tx, struct store_key key,
                                      int64_t moment_ns)
{
    char digits[NUMBER_INT64_MAX_SIZE];
    struct slice text = {digits, number_format_int64(digits, moment_ns)};
    int64_t at_ms = (moment_ns + NS_PER_MS - 1) / NS_PER_MS;
    return string_set(tx, key, text, &(struct string_set_options){.expire_at_ms = at_ms});
}

enum store_result throttle_take(struct transaction *tx, struct store_key key,
                                const struct throttle_rate *rate, struct throttle_verdict *verdict)
{
    __int128 interval = (__int128)rate->period_s * NS_PER_S / rate->count;
    interval = interval > 0 ? interval : 1;
    int64_t now_ns, moment_ns, limit, all_ns, take_ns;
    if (__builtin_mul_overflow(tx->now_ms, NS_PER_MS, &now_ns) || interval > LONGEST_NS ||
        __builtin_add_overflow(rate->burst, 1, &limit) ||
        __builtin_mul_overflow((int64_t)interval, limit, &all_ns) || all_ns > LONGEST_NS ||
        __builtin_mul_overflow((int64_t)interval, rate->quantity, &take_ns) || take_ns > LONGEST_NS)
        return STORE_OUT_OF_RANGE;
    enum store_result rc = read_moment(tx, key, now_ns, &moment_ns);
    if (rc != STORE_OK)
        return rc;
    int64_t wait_ns = moment_ns + take_ns - all_ns - now_ns;
    *verdict = (struct throttle_verdict){.limited = wait_ns > 0, .limit = limit, .retry_ns = -1};
    if (verdict->limited) {
        if (take_ns <= all_ns)
            verdict->retry_ns = wait_ns;
    } else if (take_ns > 0) {
        moment_ns += take_ns;
        rc = write_moment(tx, key, moment_ns);
    }
    int64_t left_ns = all_ns - (moment_ns - now_ns);
    verdict->remaining = left_ns > 0 ? left_ns / (int64_t)interval : 0;
    verdict->reset_ns = moment_ns - now_ns;
    return rc;
}
