// The system under wasi-libc, answered inside of the module: it imports nothing, so there is nothing that it could reach.
#include "engine.h"

#include <string.h>

#define CALL(name) __imported_wasi_snapshot_preview1_##name

enum { NO_FILE = 8, NOT_THERE = 52 };

int32_t CALL(clock_time_get)(int32_t clock, int64_t precision, int32_t at) {
    (void)clock, (void)precision;
    uint64_t now = (uint64_t)shared.now_ms * 1000000;
    memcpy((void *)(uintptr_t)at, &now, sizeof now);
    return 0;
}

int32_t CALL(random_get)(int32_t at, int32_t size) {
    random_bytes((uint8_t *)(uintptr_t)at, (size_t)size);
    return 0;
}

_Noreturn void CALL(proc_exit)(int32_t status) {
    (void)status;
    __builtin_trap();
}

int32_t CALL(fd_write)(int32_t fd, int32_t pieces, int32_t count, int32_t written) {
    (void)fd, (void)pieces, (void)count, (void)written;
    return NO_FILE;
}

int32_t CALL(fd_read)(int32_t fd, int32_t pieces, int32_t count, int32_t got) {
    (void)fd, (void)pieces, (void)count, (void)got;
    return NO_FILE;
}

int32_t CALL(fd_seek)(int32_t fd, int64_t offset, int32_t whence, int32_t at) {
    (void)fd, (void)offset, (void)whence, (void)at;
    return NO_FILE;
}

int32_t CALL(fd_close)(int32_t fd) {
    (void)fd;
    return NO_FILE;
}

// In Zig's libc this one is written in Zig and has an import of its own.
int close(int fd) {
    (void)fd;
    return -1;
}

int32_t CALL(fd_fdstat_get)(int32_t fd, int32_t at) {
    (void)fd, (void)at;
    return NO_FILE;
}

int32_t CALL(environ_sizes_get)(int32_t count, int32_t size) {
    (void)count, (void)size;
    return NOT_THERE;
}

int32_t CALL(environ_get)(int32_t names, int32_t texts) {
    (void)names, (void)texts;
    return NOT_THERE;
}
