/* type_ops.c - the table of types. A type that lives in a block of its own adds its row here. */
#include "store/types/type_ops.h"

#include "store/types/hash_object.h"
#include "store/types/set_form.h"
#include "store/types/stream_object.h"
#include "store/types/zset_object.h"

static const struct type_ops *const rows[TYPE_MODULE + 1] = {
    [TYPE_LIST] = &list_ops,    [TYPE_HASH] = &hash_type_ops, [TYPE_STREAM] = &stream_type_ops,
    [TYPE_SET] = &set_type_ops, [TYPE_ZSET] = &zset_type_ops,
};

const struct type_ops *type_ops_of(enum store_type type)
{
    return (unsigned)type <= TYPE_MODULE ? rows[type] : NULL;
}
