"""Things to publish, and a log in memory: what several tests of publishing need."""

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.replicas.base import Record, Stored
from edgefn.model.publishing import Blob, Manifest
from edgefn.model.settings import FunctionSettings


def settings(name: str = "hello", **fields: object) -> FunctionSettings:
    given = {"path": "", "runtime": "nodejs20.x", **fields}
    return FunctionSettings(name, **given)  # type: ignore[arg-type]  # checked by the dataclass


def bundle(text: str = "exports.handler = async () => null;", path: str = "index.js") -> Bundle:
    return Bundle.of([BundleFile(path, text.encode())])


def draft(name: str = "hello", code: str = "a", **fields: object) -> Manifest:
    digest = code.encode().hex().rjust(64, "0")
    return Manifest(settings(name, **fields), 0, digest, Blob(digest, 100))


class Log:
    """Records in their places, the newest one of each subject. Appending is all that it can."""

    def __init__(self) -> None:
        self._records: dict[str, Stored] = {}
        self._last = 0

    def append(self, records: Sequence[Record]) -> list[Stored]:
        appended = []
        for record in records:
            self._last += 1
            stored = Stored(self._last, record.subject, record.value)
            self._records[record.subject] = stored
            appended.append(stored)
        return appended

    def __iter__(self) -> Iterator[Stored]:
        return iter(sorted(self._records.values(), key=lambda stored: stored.sequence))


names = st.sampled_from(["a", "b"])
codes = st.sampled_from(["x", "y", "z"])
