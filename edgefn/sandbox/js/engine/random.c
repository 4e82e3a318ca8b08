// All randomness of an invocation: SHA-256 of the host's seed and a counter. Whoever sees some of it learns nothing else.
#include "engine.h"

#include <string.h>

static struct {
    uint64_t block;
    size_t used;
    uint8_t bytes[32];
} pool = {0, 32, {0}};

static void refill(void) {
    uint8_t input[40];
    memcpy(input, shared.seed, 32);
    memcpy(input + 32, &pool.block, 8);
    pool.block++;
    pool.used = 0;
    hash_named("sha256")->of(input, sizeof input, pool.bytes);
}

void random_start(void) {
    pool.block = 0;
    pool.used = 32;
}

void random_bytes(uint8_t *out, size_t size) {
    while (size-- > 0) {
        if (pool.used == 32) refill();
        *out++ = pool.bytes[pool.used++];
    }
}

double random_unit(void) {
    uint64_t bits;
    random_bytes((uint8_t *)&bits, sizeof bits);
    return (double)(bits >> 11) * 0x1p-53;
}
