// The allocator. An instance's memory is copied for each invocation, so what counts is that it stays small: blocks lie one
// behind the other, a freed one is joined with its free neighbours, and the smallest list that surely fits is taken from.
#include "engine.h"

#include <string.h>

enum { PAGE = 65536, HEAD = 8, STEP = 8, LEAST = 8, SMALL = 1024, FINE = SMALL / STEP };
enum { CLASSES = 224, WORDS = (CLASSES + 63) / 64, FREE = 1 };

typedef struct Block {
    uint32_t room;           // bytes behind this head, and the mark FREE
    uint32_t before;         // the room of the block before, 0 for the first one
    struct Block *next, *previous;  // in its list, while it is free; else the data begins here
} Block;

extern uint8_t __heap_base;

static uint8_t *top, *end;         // where fresh blocks are made, and where memory ends
static uint32_t last;              // the room of the block before `top`
static Block *waiting[CLASSES];
static uint64_t filled[WORDS];     // which of the lists are not empty
static size_t used, limit = SIZE_MAX, reserve;

static uint32_t room_of(const Block *block) { return block->room & ~(uint32_t)FREE; }
static Block *after(Block *block) { return (Block *)((uint8_t *)block + HEAD + room_of(block)); }

// The last class whose blocks may be as small as `room`: steps of 8 bytes up to a kilobyte, then quarters of powers of two.
static uint32_t class_of(uint32_t room) {
    if (room < SMALL) return room / STEP;
    uint32_t power = 31 - (uint32_t)__builtin_clz(room);
    return FINE + (power - 10) * 4 + (room >> (power - 2) & 3);
}

static void keep(Block *block) {
    uint32_t kind = class_of(room_of(block));
    block->room |= FREE;
    block->previous = NULL;
    block->next = waiting[kind];
    if (block->next != NULL) block->next->previous = block;
    waiting[kind] = block;
    filled[kind / 64] |= 1ull << kind % 64;
}

static void drop(Block *block) {
    uint32_t kind = class_of(room_of(block));
    block->room &= ~(uint32_t)FREE;
    if (block->next != NULL) block->next->previous = block->previous;
    if (block->previous != NULL) block->previous->next = block->next;
    else if ((waiting[kind] = block->next) == NULL) filled[kind / 64] &= ~(1ull << kind % 64);
}

static Block *take(uint32_t room) {
    uint32_t kind = room < SMALL ? class_of(room) : class_of(room) + 1;
    for (uint32_t word = kind / 64; word < WORDS; word++) {
        uint64_t lists = filled[word] & (word == kind / 64 ? ~0ull << kind % 64 : ~0ull);
        if (lists == 0) continue;
        Block *block = waiting[word * 64 + (uint32_t)__builtin_ctzll(lists)];
        drop(block);
        return block;
    }
    return NULL;
}

static int grow(size_t size) {
    if (top == NULL) {
        top = (uint8_t *)(((uintptr_t)&__heap_base + STEP - 1) / STEP * STEP);
        end = (uint8_t *)(__builtin_wasm_memory_size(0) * PAGE);
    }
    if (size <= (size_t)(end - top)) return 1;
    size_t pages = (size - (size_t)(end - top) + PAGE - 1) / PAGE;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return 0;
    end += pages * PAGE;
    return 1;
}

void memory_reserve(size_t size) { grow(size); }

void memory_limit(size_t room, size_t last_resort) {
    limit = used + room < used ? SIZE_MAX : used + room;
    reserve = last_resort;
}

// Whether so much more may be used. The first refusal opens the reserve: the error that tells of it needs memory, too.
static int may_use(size_t size) {
    if (size <= limit && used <= limit - size) return 1;
    limit += reserve;
    reserve = 0;
    return 0;
}

static Block *fresh(uint32_t room) {
    if (room + HEAD > (size_t)(end - top) && !grow(room + HEAD)) return NULL;
    Block *block = (Block *)top;
    block->room = room;
    block->before = last;
    last = room;
    top += HEAD + room;
    return block;
}

// Says to whoever is behind a block how large that is now.
static void announce(Block *block) {
    if ((uint8_t *)after(block) == top) last = room_of(block);
    else after(block)->before = room_of(block);
}

static void cut(Block *block, uint32_t room) {
    uint32_t rest = block->room - room;
    if (rest < HEAD + LEAST) return;
    block->room = room;
    Block *second = after(block);
    second->room = rest - HEAD;
    second->before = room;
    announce(second);
    keep(second);
}

static Block *block_of(void *data) { return (Block *)((uint8_t *)data - HEAD); }

void *malloc(size_t size) {
    if (size > (size_t)1 << 30) return NULL;
    uint32_t room = size < LEAST ? LEAST : (uint32_t)((size + STEP - 1) / STEP * STEP);
    if (!may_use(room)) return NULL;
    Block *block = take(room);
    if (block != NULL) cut(block, room);
    else if ((block = fresh(room)) == NULL) return NULL;
    used += room_of(block);
    return (uint8_t *)block + HEAD;
}

void free(void *data) {
    if (data == NULL) return;
    Block *block = block_of(data);
    used -= room_of(block);
    if (block->before) {
        Block *before = (Block *)((uint8_t *)block - block->before - HEAD);
        if (before->room & FREE) {
            drop(before);
            before->room += HEAD + block->room;
            block = before;
        }
    }
    if ((uint8_t *)after(block) == top) {
        last = block->before;
        top = (uint8_t *)block;
        return;
    }
    if (after(block)->room & FREE) {
        Block *second = after(block);
        drop(second);
        block->room += HEAD + second->room;
    }
    announce(block);
    keep(block);
}

size_t malloc_usable_size(void *data) { return data == NULL ? 0 : room_of(block_of(data)); }

void *calloc(size_t count, size_t size) {
    if (size && count > ((size_t)1 << 30) / size) return NULL;
    void *data = malloc(count * size);
    if (data != NULL) memset(data, 0, count * size);
    return data;
}

void *realloc(void *data, size_t size) {
    if (data == NULL) return malloc(size);
    size_t room = malloc_usable_size(data);
    if (size <= room) return data;
    void *larger = malloc(size);
    if (larger == NULL) return NULL;
    memcpy(larger, data, room);
    free(data);
    return larger;
}
