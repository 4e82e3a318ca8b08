// Hashes: MD5 (RFC 1321), SHA-1, SHA-256, SHA-384, SHA-512 (FIPS 180-4), and HMAC (RFC 2104) over them.
#include "engine.h"

#include <stdlib.h>
#include <string.h>

static uint32_t left(uint32_t x, int n) { return x << n | x >> (32 - n); }
static uint32_t right(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint64_t right64(uint64_t x, int n) { return x >> n | x << (64 - n); }
static uint32_t little32(const uint8_t *p) { return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24; }
static uint32_t big32(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static uint64_t big64(const uint8_t *p) { return (uint64_t)big32(p) << 32 | big32(p + 4); }

typedef void Compress(void *state, const uint8_t *block);

// Feeds all of `data`, then the padding: a one bit, zeros, and the length in bits in the last 8 bytes.
static void feed(Compress *compress, void *state, size_t block, int big, const uint8_t *data, size_t size) {
    size_t whole = size / block * block, rest = size - whole, tail = block == 128 ? 16 : 8;
    for (size_t at = 0; at < whole; at += block) compress(state, data + at);
    uint8_t last[2 * MOST_BLOCK] = {0};
    size_t padded = rest + 1 + tail <= block ? block : 2 * block;
    if (rest) memcpy(last, data + whole, rest);
    last[rest] = 0x80;
    uint64_t bits = (uint64_t)size * 8;
    for (int i = 0; i < 8; i++) last[padded - 8 + i] = (uint8_t)(bits >> (big ? 56 - 8 * i : 8 * i));
    for (size_t at = 0; at < padded; at += block) compress(state, last + at);
}

static const uint32_t MD5_SINES[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8,
    0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87,
    0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039,
    0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
    0xeb86d391,
};
static const uint8_t MD5_TURNS[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static void md5_block(void *state, const uint8_t *block) {
    uint32_t *h = state, a = h[0], b = h[1], c = h[2], d = h[3];
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int word;
        switch (i / 16) {
            case 0: f = (b & c) | (~b & d); word = i; break;
            case 1: f = (d & b) | (~d & c); word = (5 * i + 1) % 16; break;
            case 2: f = b ^ c ^ d; word = (3 * i + 5) % 16; break;
            default: f = c ^ (b | ~d); word = 7 * i % 16; break;
        }
        uint32_t sum = a + f + MD5_SINES[i] + little32(block + 4 * word);
        a = d;
        d = c;
        c = b;
        b += left(sum, MD5_TURNS[i / 16][i % 4]);
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
}

static void md5(const uint8_t *data, size_t size, uint8_t *digest) {
    uint32_t h[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    feed(md5_block, h, 64, 0, data, size);
    for (int i = 0; i < 16; i++) digest[i] = (uint8_t)(h[i / 4] >> (8 * (i % 4)));
}

static void store32(const uint32_t *h, size_t size, uint8_t *digest) {
    for (size_t i = 0; i < size; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void store64(const uint64_t *h, size_t size, uint8_t *digest) {
    for (size_t i = 0; i < size; i++) digest[i] = (uint8_t)(h[i / 8] >> (56 - 8 * (i % 8)));
}

static void sha1_block(void *state, const uint8_t *block) {
    uint32_t *h = state, w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++) w[i] = big32(block + 4 * i);
    for (int i = 16; i < 80; i++) w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        switch (i / 20) {
            case 0: f = (b & c) | (~b & d); k = 0x5a827999; break;
            case 1: f = b ^ c ^ d; k = 0x6ed9eba1; break;
            case 2: f = (b & c) | (b & d) | (c & d); k = 0x8f1bbcdc; break;
            default: f = b ^ c ^ d; k = 0xca62c1d6; break;
        }
        uint32_t next = left(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = left(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

static void sha1(const uint8_t *data, size_t size, uint8_t *digest) {
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    feed(sha1_block, h, 64, 1, data, size);
    store32(h, 20, digest);
}

static const uint64_t K[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};
// SHA-256's constants are the upper halves of SHA-512's first 64.

static void sha256_block(void *state, const uint8_t *block) {
    uint32_t *h = state, w[64], s[8];
    for (int i = 0; i < 16; i++) w[i] = big32(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (right(x, 7) ^ right(x, 18) ^ x >> 3) + w[i - 7] + (right(y, 17) ^ right(y, 19) ^ y >> 10);
    }
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t a = s[0], e = s[4];
        uint32_t one = s[7] + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & s[5]) ^ (~e & s[6]));
        one += (uint32_t)(K[i] >> 32) + w[i];
        uint32_t two = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

static void sha256(const uint8_t *data, size_t size, uint8_t *digest) {
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    feed(sha256_block, h, 64, 1, data, size);
    store32(h, 32, digest);
}

static void sha512_block(void *state, const uint8_t *block) {
    uint64_t *h = state, w[80], s[8];
    for (int i = 0; i < 16; i++) w[i] = big64(block + 8 * i);
    for (int i = 16; i < 80; i++) {
        uint64_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (right64(x, 1) ^ right64(x, 8) ^ x >> 7);
        w[i] += w[i - 7] + (right64(y, 19) ^ right64(y, 61) ^ y >> 6);
    }
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 80; i++) {
        uint64_t a = s[0], e = s[4];
        uint64_t one = s[7] + (right64(e, 14) ^ right64(e, 18) ^ right64(e, 41)) + ((e & s[5]) ^ (~e & s[6]));
        one += K[i] + w[i];
        uint64_t two = (right64(a, 28) ^ right64(a, 34) ^ right64(a, 39)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

static void sha512(const uint8_t *data, size_t size, uint8_t *digest) {
    uint64_t h[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                     0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
    feed(sha512_block, h, 128, 1, data, size);
    store64(h, 64, digest);
}

static void sha384(const uint8_t *data, size_t size, uint8_t *digest) {
    uint64_t h[8] = {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
                     0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4};
    feed(sha512_block, h, 128, 1, data, size);
    store64(h, 48, digest);
}

static const Hash HASHES[] = {
    {"md5", 16, 64, md5},         {"sha1", 20, 64, sha1},       {"sha256", 32, 64, sha256},
    {"sha384", 48, 128, sha384}, {"sha512", 64, 128, sha512},
};

const Hash *hash_named(const char *name) {
    for (size_t i = 0; i < sizeof HASHES / sizeof *HASHES; i++)
        if (strcmp(HASHES[i].name, name) == 0) return HASHES + i;
    return NULL;
}

int hmac(const Hash *hash, const uint8_t *key, size_t key_size, const uint8_t *data, size_t size, uint8_t *digest) {
    uint8_t short_key[MOST_BLOCK] = {0}, outer[MOST_BLOCK + MOST_DIGEST];
    uint8_t *inner = malloc(hash->block + size);
    if (inner == NULL) return 0;
    if (key_size > hash->block) hash->of(key, key_size, short_key);
    else if (key_size) memcpy(short_key, key, key_size);
    for (size_t i = 0; i < hash->block; i++) {
        inner[i] = short_key[i] ^ 0x36;
        outer[i] = short_key[i] ^ 0x5c;
    }
    if (size) memcpy(inner + hash->block, data, size);
    hash->of(inner, hash->block + size, outer + hash->block);
    hash->of(outer, hash->block + hash->size, digest);
    free(inner);
    return 1;
}
