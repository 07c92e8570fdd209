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
#define ERR_NOT_HLL        "WRONGTYPE Key is not a valid HyperLogLog string value."
#define ERR_CORRUPT_HLL    "INVALIDOBJ Corrupted HLL object detected"
#define ERR_NO_MEMORY      "OOM out of memory"
#define ERR_NOAUTH         "NOAUTH Authentication required."
#define ERR_EXECABORT      "EXECABORT Transaction discarded because of previous errors."

#define ERR_DEBUG_PROTECTED                                                                       \
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you " \
    "can run it from a local connection, otherwise you need to set this option in the "           \
    "configuration file, and then restart the server."
#define ERR_MODULE_PROTECTED                                                                    \
    "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", " \
    "you can run it from a local connection, otherwise you need to set this option in the "     \
    "configuration file, and then restart the server."
#define ERR_MAX_CLIENTS "ERR max number of clients reached"
#define ERR_WRONGPASS   "WRONGPASS invalid username-password pair or user is disabled."
#define ERR_NO_PASSWORD                                                                         \
    "ERR AUTH <password> called without any password configured for the default user. Are you " \
    "sure your configuration is correct?"
#define ERR_NOPROTO "NOPROTO unsupported protocol version"
#define ERR_HELLO_NOAUTH                                                                       \
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "  \
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the " \
    "RESP "                                                                                    \
    "protocol version at the same time"
#define ERR_CLIENT_NAME "ERR Client names cannot contain spaces, newlines or special characters."
#define ERR_NO_CLUSTER  "ERR This instance has cluster support disabled"
#define ERR_NO_CLIENT   "ERR No such client"
#define ERR_PROTECTED_MODE                                                                        \
    "DENIED Running in protected mode because protected mode is enabled and no password is set "  \
    "for the default user. In this mode connections are only accepted from the loopback "         \
    "interface. If you want to connect from external computers, you may adopt one of the "        \
    "following solutions: 1) Just disable protected mode sending the command 'CONFIG SET "        \
    "protected-mode no' from the loopback interface by connecting from the same host the server " \
    "is running, however MAKE SURE it's not publicly accessible from internet if you do so. Use " \
    "CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the "    \
    "protected mode by editing the configuration file, and setting the protected mode option to " \
    "'no', and then restarting the server. 3) If you started the server manually just for "       \
    "testing, restart it with the '--protected-mode no' option. 4) Set up an authentication "     \
    "password for the default user. NOTE: You only need to do one of the above things in order "  \
    "for the server to start accepting connections from the outside."
/* integers and times */
#define ERR_NOT_INT       "ERR value is out of range, value must between -2147483648 and 2147483647"
#define ERR_OFFSET_RANGE  "ERR offset is out of range"
#define ERR_DECR_OVERFLOW "ERR decrement would overflow"
#define ERR_EXPIRE_TIME   "ERR invalid expire time in '%s' command"
#define ERR_NUMFIELDS \
    "ERR numfields should be greater than 0 and match the provided number of fields"
#define ERR_NUMKEYS "ERR invalid numkeys value or out of range"
#define ERR_ARITY   "ERR wrong number of arguments for '%s' command"

/* EXPIRE's options */
#define ERR_EXPIRE_OPTION "ERR Unsupported option %.*s"
#define ERR_EXPIRE_NX     "ERR NX and XX, GT or LT options at the same time are not compatible"
#define ERR_EXPIRE_GT_LT  "ERR GT and LT options at the same time are not compatible"

/* conditions of SET and DELEX */
#define ERR_DIGEST          "ERR must be exactly 16 hexadecimal characters"
#define ERR_DELEX_CONDITION "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"
#define ERR_DELEX_TYPE      "ERR Key should be of string type if conditions are specified"

/* INCREX */
#define ERR_COUNT_BOUNDS "ERR LBOUND can't be greater than UBOUND"

/* keys */
#define ERR_CURSOR    "ERR invalid cursor"
#define ERR_NOVALUES  "ERR NOVALUES option can only be used in HSCAN"
#define ERR_TYPE_NAME "ERR unknown type name '%.*s'"
#define ERR_IDLE_BUT_LFU                                                                     \
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when " \
    "switching between policies at runtime LRU and LFU data will take some time to adjust."
#define ERR_FREQ_NOT_LFU                                                                           \
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that " \
    "when switching between policies at runtime LRU and LFU data will take some time to adjust."

/* LCS */
#define ERR_LCS_TYPE      "ERR The specified keys must contain string values"
#define ERR_LCS_LEN_IDX   "ERR If you want both the length and indexes, please just use IDX."
#define ERR_LCS_TOO_LONG  "ERR String too long for LCS"
#define ERR_LCS_NO_MEMORY "ERR Insufficient memory, failed allocating transient memory for LCS"
#define ERR_LCS_MEMORY \
    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"

/* COMMAND */
#define ERR_KEYS_COMMAND   "ERR Invalid command specified"
#define ERR_KEYS_NONE      "ERR The command has no key arguments"
#define ERR_KEYS_ARITY     "ERR Invalid number of arguments specified for command"
#define ERR_KEYS_ARGUMENTS "ERR Invalid arguments specified for command"

/* lists */
#define ERR_NOT_POSITIVE    "ERR value is out of range, must be positive"
#define ERR_NUMKEYS_ZERO    "ERR numkeys should be greater than 0"
#define ERR_COUNT_ZERO      "ERR count should be greater than 0"
#define ERR_COUNT_NEGATIVE  "ERR COUNT can't be negative"
#define ERR_MAXLEN_NEGATIVE "ERR MAXLEN can't be negative"
#define ERR_RANK_ZERO                                                                            \
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use " \
    "negative to start from the end of the list"
#define ERR_LONG_RANGE                                                        \
    "ERR value is out of range, value must between -9223372036854775807 and " \
    "9223372036854775807"

/* bitmaps */
#define ERR_BIT_OFFSET        "ERR bit offset is not an integer or out of range"
#define ERR_BIT_VALUE         "ERR bit is not an integer or out of range"
#define ERR_BIT_ARGUMENT      "ERR The bit argument must be 1 or 0."
#define ERR_BITOP_NOT         "ERR BITOP NOT must be called with a single source key."
#define ERR_BITFIELD_OVERFLOW "ERR Invalid OVERFLOW type specified"
#define ERR_BITFIELD_RO       "ERR BITFIELD_RO only supports the GET subcommand"
#define ERR_BITFIELD_TYPE                                                                       \
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but " \
    "i64 is."

/* DUMP and RESTORE */
#define ERR_DUMP_PAYLOAD     "ERR DUMP payload version or checksum are wrong"
#define ERR_DUMP_FORMAT      "ERR Bad data format"
#define ERR_BUSY_KEY         "BUSYKEY Target key name already exists."
#define ERR_RESTORE_TTL      "ERR Invalid TTL value, must be >= 0"
#define ERR_RESTORE_IDLETIME "ERR Invalid IDLETIME value, must be >= 0"
#define ERR_RESTORE_FREQ     "ERR Invalid FREQ value, must be >= 0 and <= 255"

/* streams */
#define ERR_STREAM_ID    "ERR Invalid stream ID specified as stream command argument"
#define ERR_STREAM_START "ERR invalid start ID for the interval"
#define ERR_STREAM_END   "ERR invalid end ID for the interval"
#define ERR_STREAM_BOTH \
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
#define ERR_STREAM_MAXLEN  "ERR The MAXLEN argument must be >= 0."
#define ERR_STREAM_LIMIT   "ERR The LIMIT argument must be >= 0."
#define ERR_STREAM_NO_TRIM "ERR syntax error, XTRIM must be called with a trimming strategy"
#define ERR_STREAM_NO_LIMIT \
    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
#define ERR_STREAM_LIMIT_EXACT "ERR syntax error, LIMIT cannot be used without the special ~ option"
#define ERR_STREAM_ID_ZERO     "ERR The ID specified in XADD must be greater than 0-0"
#define ERR_STREAM_ID_SMALL \
    "ERR The ID specified in XADD is equal or smaller than the target stream top item"
#define ERR_STREAM_FULL \
    "ERR The stream has exhausted the last possible ID, unable to add more items"
#define ERR_STREAM_TOO_LARGE  "ERR Elements are too large to be stored"
#define ERR_STREAM_ADDED_SIGN "ERR entries_added must be positive"
#define ERR_STREAM_SET_PROVIDED \
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
#define ERR_STREAM_SET_CURRENT \
    "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
#define ERR_STREAM_SET_TOP \
    "ERR The ID specified in XSETID is smaller than the target stream top item"
#define ERR_STREAM_SET_ADDED \
    "ERR The entries_added specified in XSETID is smaller than the target stream length"
#define ERR_STREAM_UNBALANCED \
    "ERR Unbalanced '%s' list of streams: for each stream key an %s must be specified."
#define ERR_STREAM_ONLY_GROUP \
    "ERR The %s option is only supported by XREADGROUP. You called XREAD instead."
#define ERR_STREAM_GROUP_MISSING "ERR Missing GROUP option for XREADGROUP"
#define ERR_STREAM_MEANINGLESS                                                                 \
    "ERR The %s ID is meaningless in the context of XREADGROUP: you want to read the history " \
    "of this consumer by specifying a proper ID, or use the > ID to get new messages. The %s " \
    "ID would just return an empty result set."
#define ERR_STREAM_NEW_ONLY                                                               \
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> " \
    "<consumer> option."
#define ERR_STREAM_READ_NO_GROUP \
    "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP option"
#define ERR_MIGRATE_KEYS \
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
#define ERR_MIGRATE_CONNECT  "IOERR error or timeout connecting to the client"
#define ERR_MIGRATE_WRITE    "IOERR error or timeout writing to target instance"
#define ERR_MIGRATE_READ     "IOERR error or timeout reading from target instance"
#define ERR_MIGRATE_TARGET   "ERR Target instance replied with error: %s"
#define ERR_MIGRATE_IN_EXEC  "ERR MIGRATE cannot wait for another server inside a transaction"
#define ERR_PAUSE_MODE       "ERR CLIENT PAUSE mode must be WRITE or ALL"
#define ERR_NO_IMPORT_MODE   "ERR Server is not in import mode"
#define ERR_LOLWUT           "ERR Syntax error. Use: LOLWUT [columns rows] [real imaginary]"
#define ERR_NO_LATENCY       "ERR No samples available for event '%.*s'"
#define ERR_COMMANDLOG_COUNT "ERR count should be greater than or equal to -1"
#define ERR_COMMANDLOG_TYPE \
    "ERR type should be one of the following: slow, large-request, large-reply"
#define ERR_TIMEOUT          "ERR timeout is not an integer or out of range"
#define ERR_TIMEOUT_NEGATIVE "ERR timeout is negative"
#define ERR_TIMEOUT_RANGE    "ERR timeout is out of range"
#define ERR_TIMEOUT_FLOAT    "ERR timeout is not a float or out of range"
#define ERR_UNBLOCK_REASON   "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
#define ERR_UNBLOCKED        "UNBLOCKED client unblocked via CLIENT UNBLOCK"
#define ERR_WAIT_LOCAL       "ERR value is out of range, value must between 0 and 1"
#define ERR_WAIT_NO_FILE \
    "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
#define ERR_SUBCOMMAND_WORDS \
    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP."
#define ERR_STREAM_NEEDED                                                                     \
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want " \
    "to use the MKSTREAM option to create an empty stream automatically."
#define ERR_STREAM_BUSY            "BUSYGROUP Consumer Group name already exists"
#define ERR_STREAM_READ_SIGN       "ERR value for ENTRIESREAD must be positive or -1"
#define ERR_STREAM_NO_GROUP        "NOGROUP No such consumer group '%.*s' for key name '%.*s'"
#define ERR_STREAM_NO_KEY_OR_GROUP "NOGROUP No such key '%.*s' or consumer group '%.*s'"
#define ERR_STREAM_CLAIM_IDLE      "ERR Invalid min-idle-time argument for XCLAIM"
#define ERR_STREAM_AUTOCLAIM_IDLE  "ERR Invalid min-idle-time argument for XAUTOCLAIM"
#define ERR_STREAM_CLAIM_NUMBER    "ERR Invalid %s option argument for XCLAIM"
#define ERR_STREAM_CLAIM_OPTION    "ERR Unrecognized XCLAIM option '%.*s'"
#define ERR_STREAM_NUMIDS          "ERR Number of IDs must be a positive integer"
#define ERR_STREAM_NUMIDS_MISMATCH "ERR The `numids` parameter must match the number of arguments"
#define ERR_STREAM_COUNT           "ERR COUNT must be > 0"
