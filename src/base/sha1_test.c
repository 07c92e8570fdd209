/* sha1_test.c - the vectors of RFC 3174. */
#include "base/sha1.h"

#include "support/testing.h"

#include <string.h>

static void check_hex(const uint8_t digest[SHA1_SIZE], const char *hex)
{
    char text[2 * SHA1_SIZE + 1];
    for (int i = 0; i < SHA1_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    CHECK(strcmp(text, hex) == 0);
}

TEST(sha1, rfc_3174_vectors)
{
    uint8_t out[SHA1_SIZE];
    sha1_of("abc", 3, out);
    check_hex(out, "a9993e364706816aba3e25717850c26c9cd0d89d");
    sha1_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
    check_hex(out, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    sha1_of(NULL, 0, out);
    check_hex(out, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(sha1, million_a_in_odd_pieces)
{
    static char a[1000];
    memset(a, 'a', sizeof a);
    struct sha1 s;
    uint8_t out[SHA1_SIZE];
    sha1_init(&s);
    for (size_t left = 1000000, n = 1; left > 0; left -= n, n = n % 997 + 1) {
        if (n > left)
            n = left;
        sha1_update(&s, a, n);
    }
    sha1_final(&s, out);
    check_hex(out, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}
