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
