// What the parts of the engine know of each other.
#ifndef EDGEFN_ENGINE_H
#define EDGEFN_ENGINE_H

#include <stddef.h>
#include <stdint.h>

// The page that guest and host share. The host writes the first group before each call, and reads the second after it.
typedef struct {
    double now_ms;       // the Unix time, standing still during an invocation
    uint8_t seed[32];    // what all randomness of the invocation comes from
    uint32_t log_limit;  // how many bytes of log are taken
    uint32_t log_size;
    uint32_t log_at;
    uint32_t input_at;
    uint32_t input_size;
} Shared;

extern Shared shared;

// digest.c
typedef struct {
    const char *name;
    size_t size;
    size_t block;
    void (*of)(const uint8_t *data, size_t length, uint8_t *digest);
} Hash;

enum { MOST_DIGEST = 64, MOST_BLOCK = 128 };

const Hash *hash_named(const char *name);
// Puts the keyed digest (RFC 2104) into `digest`. Returns 0 when there is no memory.
int hmac(const Hash *hash, const uint8_t *key, size_t key_size, const uint8_t *data, size_t size, uint8_t *digest);

// codec.c: each returns how many bytes it wrote; `out` has room for what the matching `_room` says.
size_t base64_room(size_t size);
size_t base64_encode(const uint8_t *data, size_t size, int url, char *out);
size_t base64_decode(const char *text, size_t size, uint8_t *out);
size_t hex_encode(const uint8_t *data, size_t size, char *out);
size_t hex_decode(const char *text, size_t size, uint8_t *out);
// Returns where the first byte stands that is not UTF-8, or `size`.
size_t utf8_flaw(const uint8_t *data, size_t size);
// Writes UTF-8 with U+FFFD for each maximal broken part (WHATWG Encoding); `out` has room for 3 * size bytes.
size_t utf8_repair(const uint8_t *data, size_t size, uint8_t *out);

// memory.c
// Sees to it that so many bytes can be had without asking the host for pages.
void memory_reserve(size_t size);
// Lets `room` more bytes be used, and `last_resort` on top of them once that has been refused.
void memory_limit(size_t room, size_t last_resort);

// random.c
void random_start(void);
void random_bytes(uint8_t *out, size_t size);
double random_unit(void);

#endif
