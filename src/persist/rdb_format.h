/* rdb_format.h - the numbers of RDB. Facts of the format; the same as in Redis up to version 11, Valkey's from there.
 *
 * A DUMP payload:
 *
 *     | type 1 | body | version 2 | crc64 8 |     integers little endian; the CRC is of all before it
 *
 * A length: 00llllll, 01llllll l, 0x80 + 4, 0x81 + 8 (big endian); 11eeeeee: a string in an encoding of its own.
 */
#pragma once

enum {
    RDB_VERSION = 80,         /* what we write */
    RDB_VERSION_SHARED = 11,  /* the last that Redis and Valkey have in common */
    RDB_VERSION_OWN_MIN = 80, /* between the two are Redis's own, which mean other things */
    RDB_FOOTER = 10,          /* version and CRC */
    RDB_COMPRESS_MIN = 21,    /* bytes of a string that is worth compressing */
    RDB_INTEGER_TEXT_MAX = 11 /* longest text that becomes an integer */
};

enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3, /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET_2 = 5, /* scores as doubles */
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14, /* of ziplists */
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18, /* of listpacks and plain elements */
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_HASH_2 = 22, /* fields with deadlines */
};

/* Of strings, behind 11 in the first byte. */
enum { RDB_ENC_INT8, RDB_ENC_INT16, RDB_ENC_INT32, RDB_ENC_LZF };

/* Nodes of RDB_LIST_QUICKLIST_2. */
enum { RDB_NODE_PLAIN = 1, RDB_NODE_PACKED = 2 };
