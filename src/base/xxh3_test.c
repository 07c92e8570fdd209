/* xxh3_test.c - what libxxhash 0.8.1 says (XXH3_64bits), at each size where another way begins. */
#include "base/xxh3.h"

#include "support/testing.h"

static const struct {
    size_t size;
    uint64_t hash;
} vectors[] = {
    {0, 0x2d06800538d394c2u},    {1, 0x929e358d27ae3ee2u},     {2, 0x7453273f744ec252u},
    {3, 0xedbd89085055020fu},    {4, 0xb88a3316c9cbada6u},     {5, 0x48581867e4b2c143u},
    {7, 0x77fea4ce0a6e9ec7u},    {8, 0xca529b018625de44u},     {9, 0x70dc22712a6ee9fcu},
    {12, 0xed7a4a2b0b653a85u},   {15, 0x9db738c356488828u},    {16, 0x9886796291da8a97u},
    {17, 0xf13e1a9528336483u},   {31, 0xa702f49208a4f068u},    {32, 0x2f7ddf70286c3c84u},
    {33, 0x266de476c09d9677u},   {64, 0x2cd706754e9ebc4au},    {65, 0x49399ef428124cb1u},
    {96, 0x9da7b83d15498fd4u},   {97, 0x0676eff840cd2227u},    {127, 0x45b64b291980cc07u},
    {128, 0x160d5cc14718584du},  {129, 0xf59fdf21df5914aau},   {130, 0xab88a64545e9403fu},
    {144, 0x5d5508a1e91ee3b5u},  {160, 0x28e9c8b37686501du},   {239, 0xf277d1944736562bu},
    {240, 0xe043677d5ae49e40u},  {241, 0x7d187ab642ec16edu},   {256, 0xaec8f01ddd1080b0u},
    {511, 0x4c82647151f3c506u},  {512, 0x5f9857635af1a094u},   {1023, 0x4f0f5fb5d52af501u},
    {1024, 0x5e1054d10959bf1eu}, {1025, 0x97ff34d6cec3109au},  {1088, 0x61e648232896da5du},
    {2047, 0x5245bfe0c43a19b2u}, {2048, 0x905a119f0a6ec8acu},  {2049, 0x3c55edc8cc56a4feu},
    {4096, 0x560254436edd0136u}, {10000, 0xf826711670b2e639u},
};

TEST(xxh3, every_way_as_the_library)
{
    enum { MOST = 10000, SHIFT = 3 };
    static unsigned char bytes[SHIFT + MOST];
    for (size_t shift = 0; shift <= SHIFT; shift++) { /* no alignment is asked for */
        for (size_t i = 0; i < MOST; i++)
            bytes[shift + i] = (unsigned char)(i * i * 7 + i * 13 + 5);
        for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
            CHECK_EQ(xxh3_64(bytes + shift, vectors[i].size), vectors[i].hash);
    }
}
