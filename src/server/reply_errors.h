/* reply_errors.h - every error text that clients compare, in one place. Facts of the protocol. */
#pragma once

#define ERR_SYNTAX         "ERR syntax error"
#define ERR_WRONG_TYPE     "WRONGTYPE Operation against a key holding the wrong kind of value"
#define ERR_NOT_INTEGER    "ERR value is not an integer or out of range"
#define ERR_NOT_FLOAT      "ERR value is not a valid float"
#define ERR_OVERFLOW       "ERR increment or decrement would overflow"
#define ERR_NO_KEY         "ERR no such key"
#define ERR_SAME_OBJECT    "ERR source and destination objects are the same"
#define ERR_OUT_OF_RANGE   "ERR index out of range"
#define ERR_NAN            "ERR increment would produce NaN or Infinity"
#define ERR_STRING_TOO_BIG "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define ERR_DB_RANGE       "ERR DB index is out of range"
#define ERR_OOM            "OOM command not allowed when used memory > 'maxmemory'."
#define ERR_NO_MEMORY      "OOM out of memory"
#define ERR_NOAUTH         "NOAUTH Authentication required."
#define ERR_EXECABORT      "EXECABORT Transaction discarded because of previous errors."

/* integers and times */
#define ERR_NOT_INT        "ERR value is out of range, value must between -2147483648 and 2147483647"
#define ERR_OFFSET_RANGE   "ERR offset is out of range"
#define ERR_DECR_OVERFLOW  "ERR decrement would overflow"
#define ERR_EXPIRE_TIME    "ERR invalid expire time in '%s' command"
#define ERR_NUMKEYS        "ERR invalid numkeys value or out of range"
#define ERR_ARITY          "ERR wrong number of arguments for '%s' command"

/* EXPIRE's options */
#define ERR_EXPIRE_OPTION  "ERR Unsupported option %.*s"
#define ERR_EXPIRE_NX      "ERR NX and XX, GT or LT options at the same time are not compatible"
#define ERR_EXPIRE_GT_LT   "ERR GT and LT options at the same time are not compatible"

/* keys */
#define ERR_CURSOR         "ERR invalid cursor"
#define ERR_TYPE_NAME      "ERR unknown type name '%.*s'"
#define ERR_IDLE_BUT_LFU                                                                           \
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "      \
    "switching between policies at runtime LRU and LFU data will take some time to adjust."
#define ERR_FREQ_NOT_LFU                                                                           \
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that " \
    "when switching between policies at runtime LRU and LFU data will take some time to adjust."

/* LCS */
#define ERR_LCS_TYPE       "ERR The specified keys must contain string values"
#define ERR_LCS_LEN_IDX    "ERR If you want both the length and indexes, please just use IDX."
#define ERR_LCS_MEMORY     "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"

/* COMMAND */
#define ERR_KEYS_COMMAND   "ERR Invalid command specified"
#define ERR_KEYS_NONE      "ERR The command has no key arguments"
#define ERR_KEYS_ARITY     "ERR Invalid number of arguments specified for command"
#define ERR_KEYS_ARGUMENTS "ERR Invalid arguments specified for command"
