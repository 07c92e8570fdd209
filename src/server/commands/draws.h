/* draws.h - random members, any of them as often as it is drawn: what SRANDMEMBER, HRANDFIELD and ZRANDMEMBER tell when asked
 * for a negative count, which may be any number up to 2^63 - 1.
 *
 * While the reply is small, or there are at most as many draws as members, they are made at once. Else the members are copied
 * as they are shown, and the rest is drawn from the copy as the client takes it: such a reply holds as much memory as the
 * value has, its key is free at once, and the client can be killed, or limited, in the middle of it.
 */
#pragma once

#include "server/reply.h"

#include <stddef.h>
#include <stdint.h>

struct call;
struct draws_copy;

/* What is drawn from. The handler embeds it. */
struct draws {
    size_t count; /* members; not 0 */
    /* Replies n draws. */
    void (*draw)(const struct draws *d, uint64_t n, struct reply *r);
    /* For each member: writes it to draws_member(to), then draws_member_done(to). */
    void (*each)(const struct draws *d, struct draws_copy *to);
};
struct reply *draws_member(struct draws_copy *to);
void draws_member_done(struct draws_copy *to);

/* Behind the head of the array: n draws. The key's shard is held. */
void draws_reply(struct call *call, const struct draws *d, uint64_t n);
