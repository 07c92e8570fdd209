/* glob_fuzz.c - any pattern on any text, with the properties that need no model. First byte: where the
 * pattern ends; top bit: nocase.
 */
#include "base/glob.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    bool nocase = data[0] & 128;
    const char *bytes = (const char *)data + 1;
    size_t total = size - 1, cut = (data[0] & 127u) < total ? (data[0] & 127u) : total;
    struct slice pattern = {bytes, cut}, text = {bytes + cut, total - cut};
    bool matched = glob_match(pattern, text, nocase);
    /* Matching with folded case accepts whatever exact case does. */
    if (!nocase && matched && !glob_match(pattern, text, true) && glob_is_literal(pattern))
        abort();
    if (glob_is_literal(pattern) && !nocase && matched != slice_equal(pattern, text))
        abort();
    return 0;
}
