/* glob.h - glob patterns as KEYS, SCAN MATCH, PSUBSCRIBE and CONFIG GET take them.
 *
 *   *  any bytes    ?  one byte    [abc] [^abc] [a-z]  one byte of a class    \x  x itself
 *
 * An unclosed class ends with the pattern; a backslash at the very end stands for itself. Bytes, no
 * characters. Pure; the work is bounded by pattern.size * text.size whatever the pattern.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* True if the whole text matches. `nocase` folds ASCII letters. An empty text matches only an empty
 * pattern, not even '*': that is how the peers do it. */
bool glob_match(struct slice pattern, struct slice text, bool nocase);
/* True if the pattern has no special bytes, so that only the text equal to it matches. */
bool glob_is_literal(struct slice pattern);
/* True for "*": the commands take it as everything, the empty name included. */
bool glob_is_any(struct slice pattern);
