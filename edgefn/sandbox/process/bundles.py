"""A version's files on disk, ready to appear in a running sandbox.

A parked worker already has its slot directory mounted; the bundle comes to it by renaming prepared entries into that
directory, which takes no mount and no privilege. So a version keeps a master copy with modes that we chose, and hard
linked trees of it, made ahead, on the same file system as the slots.
"""

import asyncio
import os
import shutil
import stat

from edgefn.sandbox.process.tasks import Tasks

_DIRECTORY = 0o755
_FILE = 0o644
_PROGRAM = 0o755

_PREPARE_DELAY = 0.05
"""Seconds before the next tree is made: the event for which the last one was needed comes first."""


class Bundle:
    """The files of one version. Directories are made below `home`, under names that start with `name`."""

    def __init__(self, root: str, home: str, name: str, tasks: Tasks) -> None:
        self._root = root
        self._master = os.path.join(home, f"{name}-master")
        self._prefix = os.path.join(home, f"{name}-copy")
        self._count = 0
        self._spare: list[str] = []
        self._tasks = tasks
        self._closed = False

    async def open(self) -> None:
        """Make the master copy and one tree ahead. Raises `OSError` when the files can't be read."""
        await asyncio.to_thread(copy_tree, self._root, self._master)
        await self._prepare()

    async def move_into(self, slot: str) -> None:
        """Make the bundle appear in the empty directory `slot`. Raises `OSError`."""
        tree = self._spare.pop() if self._spare else await self._link()
        for name in os.listdir(tree):
            os.rename(os.path.join(tree, name), os.path.join(slot, name))
        os.rmdir(tree)
        if not self._spare:
            self._tasks.start(self._prepare_later())

    async def close(self) -> None:
        """Remove everything but what moved into slots."""
        self._closed = True
        for tree in (self._master, *self._spare):
            await asyncio.to_thread(shutil.rmtree, tree, ignore_errors=True)
        self._spare.clear()

    async def _prepare_later(self) -> None:
        await asyncio.sleep(_PREPARE_DELAY)
        if not self._spare and not self._closed:
            await self._prepare()

    async def _prepare(self) -> None:
        try:
            tree = await self._link()
        except OSError:  # a full disk: the worker that needs the tree will meet it, and say so
            return
        if self._closed:
            await asyncio.to_thread(shutil.rmtree, tree, ignore_errors=True)
        else:
            self._spare.append(tree)

    async def _link(self) -> str:
        self._count += 1
        tree = f"{self._prefix}{self._count}"
        await asyncio.to_thread(link_tree, self._master, tree)
        return tree


def copy_tree(source: str, target: str) -> None:
    """Copy a bundle: modes 0755 and 0644, links as links, and nothing that is neither file, directory nor link."""
    os.mkdir(target)
    os.chmod(target, _DIRECTORY)
    with os.scandir(source) as entries:
        for entry in entries:
            _copy(entry, os.path.join(target, entry.name))


def _copy(entry: os.DirEntry[str], target: str) -> None:
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(entry.path), target)
    elif stat.S_ISDIR(mode):
        copy_tree(entry.path, target)
    elif stat.S_ISREG(mode):
        shutil.copyfile(entry.path, target, follow_symlinks=False)
        os.chmod(target, _PROGRAM if mode & 0o111 else _FILE)


def link_tree(source: str, target: str) -> None:
    """Make a tree of the same files: own directories, hard links to everything else."""
    os.mkdir(target)
    os.chmod(target, _DIRECTORY)
    with os.scandir(source) as entries:
        for entry in entries:
            there = os.path.join(target, entry.name)
            if entry.is_dir(follow_symlinks=False):
                link_tree(entry.path, there)
            else:
                os.link(entry.path, there, follow_symlinks=False)
