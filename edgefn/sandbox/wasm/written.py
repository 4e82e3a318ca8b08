"""Which pages of a guest's memory have been written to, as the kernel knows it (Linux 6.7, PAGEMAP_SCAN).

A memory is a private mapping of what it begins with. A page of it that was never written to still belongs to that, or
is not there at all; the first write gives the mapping a copy of its own, and that is what the kernel can be asked for.
"""

import contextlib
import ctypes
import os
import resource
from typing import Final

PAGE: Final = 4096
_MOST_RANGES: Final = 128
_SCAN: Final = 0xC060_6610  # _IOWR('f', 16, struct pm_scan_arg)
_IS_FILE, _IS_PRESENT, _IS_SWAPPED, _IS_ZERO = 1 << 2, 1 << 3, 1 << 4, 1 << 5
_UNTOUCHED: Final = _IS_FILE | _IS_ZERO
_THIS_THREAD: Final = 1
_MADV_DONTNEED: Final = 4


class _Range(ctypes.Structure):
    """A `struct page_region`."""

    _fields_ = (("start", ctypes.c_uint64), ("end", ctypes.c_uint64), ("categories", ctypes.c_uint64))


class _Scan(ctypes.Structure):
    """A `struct pm_scan_arg`: asks for pages that are there, or swapped out, and neither the file's nor zero."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages",
            "category_inverted", "category_mask", "category_anyof_mask", "return_mask",
        )
    )  # fmt: skip


_libc = ctypes.PyDLL(None)
_ioctl = _libc.ioctl
_ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
_madvise = _libc.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_memcmp = _libc.memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def faults() -> int:
    """Return how many page faults this thread has had. Without one, no page is written to for the first time."""
    used = resource.getrusage(_THIS_THREAD)
    return used.ru_minflt + used.ru_majflt


def forget(at: int, size: int) -> bool:
    """Drop what was written to a mapping, which then is as it began; return whether the kernel did it."""
    return bool(_madvise(at, size, _MADV_DONTNEED) == 0)


def same(one: int, other: int, size: int) -> bool:
    """Return whether memory at two addresses has the same content."""
    return bool(_memcmp(one, other, size) == 0)


class Pagemap:
    """The kernel's view of this process's memory. Everything is written to where it can't be asked."""

    def __init__(self, path: str = "/proc/self/pagemap") -> None:
        self.descriptor = -1
        with contextlib.suppress(OSError):
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Ask no more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Written:
    """The pages that were written to in `size` bytes at an address `at`."""

    __slots__ = ("_arguments", "_at", "_at_arguments", "_descriptor", "_end", "_ranges")

    def __init__(self, pagemap: Pagemap, at: int, size: int) -> None:
        self._descriptor = pagemap.descriptor
        self._at, self._end = at, at + size
        self._ranges = (_Range * _MOST_RANGES)()
        self._arguments = _Scan(
            size=ctypes.sizeof(_Scan),
            start=at,
            end=self._end,
            vec=ctypes.addressof(self._ranges),
            vec_len=_MOST_RANGES,
            category_inverted=_UNTOUCHED,
            category_mask=_UNTOUCHED,
            category_anyof_mask=_IS_PRESENT | _IS_SWAPPED,
            return_mask=_IS_PRESENT,
        )
        self._at_arguments = ctypes.addressof(self._arguments)

    def ranges(self) -> list[tuple[int, int]] | None:
        """Return (offset, size) of each range; None where the kernel does not say, or they are too many."""
        self._arguments.max_pages = 0
        count: int = _ioctl(self._descriptor, _SCAN, self._at_arguments)
        if count < 0 or self._arguments.walk_end != self._end:
            return None
        return [(found.start - self._at, found.end - found.start) for found in self._ranges[:count]]

    def are_more_than(self, pages: int) -> bool:
        """Return whether they are more than so many."""
        self._arguments.max_pages = pages  # it stops at the first one beyond; 0 would be no limit
        count: int = _ioctl(self._descriptor, _SCAN, self._at_arguments)
        end: int = self._arguments.walk_end
        return count < 0 or end != self._end or (count > 0 and not pages)
