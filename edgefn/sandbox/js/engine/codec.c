// Text forms of bytes: base64 (RFC 4648, both alphabets), hex, UTF-8.
#include "engine.h"

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL_SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char HEX[] = "0123456789abcdef";

size_t base64_room(size_t size) { return (size + 2) / 3 * 4; }

size_t base64_encode(const uint8_t *data, size_t size, int url, char *out) {
    const char *alphabet = url ? URL_SAFE : STANDARD;
    char *at = out;
    size_t i = 0;
    for (; i + 2 < size; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        *at++ = alphabet[group >> 6 & 63];
        *at++ = alphabet[group & 63];
    }
    if (i < size) {
        uint32_t group = (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0);
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        if (i + 1 < size) *at++ = alphabet[group >> 6 & 63];
        else if (!url) *at++ = '=';
        if (!url) *at++ = '=';
    }
    return (size_t)(at - out);
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

// As Node.js reads it: either alphabet, foreign characters skipped, the first '=' ends it.
size_t base64_decode(const char *text, size_t size, uint8_t *out) {
    uint32_t group = 0;
    int have = 0;
    uint8_t *at = out;
    for (size_t i = 0; i < size && text[i] != '='; i++) {
        int value = base64_value(text[i]);
        if (value < 0) continue;
        group = group << 6 | (uint32_t)value;
        if (++have == 4) {
            *at++ = (uint8_t)(group >> 16);
            *at++ = (uint8_t)(group >> 8);
            *at++ = (uint8_t)group;
            group = 0;
            have = 0;
        }
    }
    if (have == 3) {
        *at++ = (uint8_t)(group >> 10);
        *at++ = (uint8_t)(group >> 2);
    } else if (have == 2) {
        *at++ = (uint8_t)(group >> 4);
    }
    return (size_t)(at - out);
}

size_t hex_encode(const uint8_t *data, size_t size, char *out) {
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = HEX[data[i] >> 4];
        out[2 * i + 1] = HEX[data[i] & 15];
    }
    return 2 * size;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// As Node.js reads it: it stops at the first pair that is not hex.
size_t hex_decode(const char *text, size_t size, uint8_t *out) {
    size_t count = 0;
    for (size_t i = 0; i + 1 < size; i += 2) {
        int high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) break;
        out[count++] = (uint8_t)(high << 4 | low);
    }
    return count;
}

// Returns the length of the sequence at `data`: positive when it is whole, else minus what is to be replaced.
static int sequence(const uint8_t *data, size_t size) {
    uint8_t first = data[0], least = 0x80, most = 0xBF;
    int more;
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) more = 1;
    else if (first >= 0xE0 && first <= 0xEF) more = 2;
    else if (first >= 0xF0 && first <= 0xF4) more = 3;
    else return -1;
    if (first == 0xE0) least = 0xA0;
    if (first == 0xED) most = 0x9F;
    if (first == 0xF0) least = 0x90;
    if (first == 0xF4) most = 0x8F;
    for (int i = 1; i <= more; i++) {
        if ((size_t)i >= size || data[i] < least || data[i] > most) return -i;
        least = 0x80;
        most = 0xBF;
    }
    return more + 1;
}

size_t utf8_flaw(const uint8_t *data, size_t size) {
    size_t at = 0;
    while (at < size) {
        int length = sequence(data + at, size - at);
        if (length < 0) return at;
        at += (size_t)length;
    }
    return size;
}

size_t utf8_repair(const uint8_t *data, size_t size, uint8_t *out) {
    uint8_t *to = out;
    for (size_t at = 0; at < size;) {
        int length = sequence(data + at, size - at);
        if (length < 0) {
            *to++ = 0xEF;
            *to++ = 0xBF;
            *to++ = 0xBD;
            at += (size_t)-length;
        } else {
            while (length-- > 0) *to++ = data[at++];
        }
    }
    return (size_t)(to - out);
}
