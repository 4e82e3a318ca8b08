"""From records to the catalog that they make together.

A record is a signed envelope of {subject, generation, document}. The head closes a commit, and names the state that all
records up to it make together: so nothing is taken over before it is whole, nothing that is older than what is there,
and nothing that its signer has not seen.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from edgefn.functions import configurations, documents
from edgefn.functions.changes import changes
from edgefn.functions.documents import DocumentError, Json
from edgefn.functions.heads import Head, Payload, read, read_head, state_digest, written, written_head
from edgefn.functions.replicas.base import HEAD, TRUST, Record, Stored
from edgefn.functions.roles import Trust
from edgefn.functions.signing import EnvelopeError, Keys
from edgefn.functions.trust import TrustError, followed
from edgefn.model.publishing import Alias, Catalog, Configuration, Garbage, Manifest, PublishedFunction, Revision

_KINDS = frozenset({"fn", "ver", "alias", "config", "garbage"})


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that does not count, or counts with a warning; where it doesn't, what was there before holds."""

    subject: str
    why: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A whole commit: what is published now, and what is wrong with some of it."""

    catalog: Catalog
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A head that does not count, and why. What was published before goes on to hold.

    `generation` is the one that is offered, 0 when nobody trusted has signed it; `is_whole` says that all records are
    there that it was signed for: it is an older state of everything.
    """

    reason: str
    generation: int = 0
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class _About:
    draft: Manifest | None
    last_version: int
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class _Pointer:
    current: int
    last: int


@dataclass(frozen=True, slots=True)
class _Read:
    """What a record says, and what is wrong with it, by the `keys` of then; without either, that its subject goes."""

    part: "_Parsed | None" = None
    flaw: str = ""
    value: bytes = b""
    keys: Keys | None = None


_GONE = _Read()
_Parsed: TypeAlias = _About | Manifest | Alias | _Pointer | Revision | dict[str, Garbage]


class CatalogBuilder:
    """Takes records in their order and gives a catalog at each head that counts. No I/O.

    Each record is verified and read when it is taken, so that a head makes little work however much came before it.
    Subjects of other kinds than those of `functions.replicas.base` are passed over.
    """

    def __init__(self, keys: Keys) -> None:
        self.catalog = Catalog()
        self.head = Head()
        self._keys = keys
        self._pending: dict[str, _Read] = {}
        self._digests: dict[str, str] = {}
        self._covered: dict[str, str] = {}
        self._parsed: dict[str, dict[str, _Parsed]] = {}
        self._flaws: dict[str, str] = {}
        self._stuck: dict[str, str] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with the records of the applied commits."""
        return tuple(Problem(subject, why) for subject, why in sorted({**self._stuck, **self._flaws}.items()))

    @property
    def uncovered(self) -> frozenset[str]:
        """Return the subjects whose records are other ones than the last head that counts was signed for.

        That is a commit under way, or something that nobody who may publish has written.
        """
        return frozenset(each for each in self._pending if self._digests.get(each) != self._covered.get(each))

    def restart(self) -> None:
        """Forget the log, as another one is followed now. What is published holds until a newer head counts."""
        self._pending = {subject: _GONE for parsed in self._parsed.values() for subject in parsed}
        self._digests.clear()

    def take(self, stored: Stored) -> Applied | Held | None:
        """Take the next record: None as long as the commit is not whole, or brings nothing new."""
        if stored.subject == HEAD:
            return self._close(stored.value)
        if stored.subject == TRUST:
            self._follow_root(stored.value)
        if stored.subject.partition(".")[0] in _KINDS:
            _note(self._digests, stored.subject, stored.value)
            if stored.value or self._knows(stored.subject):
                self._pending[stored.subject] = self._read(stored.subject, stored.value)
            else:
                self._pending.pop(stored.subject, None)
        return None

    @property
    def trust(self) -> Trust | None:
        """Return the newest word of the root, None where there is none, or nobody was given one to begin with."""
        return self._keys.trust

    def _follow_root(self, chain: bytes) -> None:
        if self._keys.trust is None:
            return
        why = ""
        try:
            self._keys = replace(self._keys, trust=followed(self._keys.trust, chain))
        except TrustError as error:
            why = f"what it says of whom to trust does not count: {error}"
        self._remark(TRUST, why)

    def _knows(self, subject: str) -> bool:
        return subject in self._flaws or subject in self._parsed.get(_function_of(subject), {})

    def _close(self, value: bytes) -> Applied | Held | None:
        try:
            payload = read(HEAD, value, self._keys)
            head = read_head(payload)
        except (EnvelopeError, DocumentError) as error:
            return Held(f"the head of what is published does not count: {error}")
        if payload.flaw and self._keys.enforces:
            return Held(f"the head of what is published does not count: {payload.flaw}")
        if (head.generation, head.state) == (self.head.generation, self.head.state):
            return None
        if head.generation <= self.head.generation:
            log = "" if head.incarnation == self.head.incarnation else " of another log"
            return Held(
                f"generation {head.generation}{log} is offered, but {self.head.generation} is applied already: this "
                "is an old backup or a replay; if the log was restored on purpose, renew it with a higher generation",
                head.generation,
                head.state == state_digest(self._digests),
            )
        if head.state != state_digest(self._digests):
            why = f"the records of generation {head.generation} are not all there, or not those that were signed"
            return Held(why, head.generation)
        return self._apply(head, payload.flaw)

    def _apply(self, head: Head, flaw: str) -> Applied:
        names = set()
        self._remark(HEAD, flaw)
        for subject, pending in self._pending.items():
            told = pending
            if pending.keys is not None and pending.keys is not self._keys:  # somebody else is trusted since
                told = self._read(subject, pending.value)
            name = _function_of(subject)
            names.add(name)
            parsed = self._parsed.setdefault(name, {})
            if told.part is not None:
                parsed[subject] = told.part
            elif not told.flaw:  # else what was there before holds
                parsed.pop(subject, None)
            self._remark(subject, told.flaw)
        self._pending.clear()
        self._covered = dict(self._digests)
        self.head = head
        self.catalog = self._assembled(names)
        return Applied(self.catalog, self.problems)

    def _read(self, subject: str, value: bytes) -> _Read:
        if not value:
            return _GONE
        try:
            payload = read(subject, value, self._keys)
            if payload.flaw and self._keys.enforces:
                return _Read(None, payload.flaw, value, self._keys)
            return _Read(_document(subject, payload, self._keys), payload.flaw, value, self._keys)
        except (EnvelopeError, DocumentError) as error:
            return _Read(None, str(error), value, self._keys)

    def _remark(self, subject: str, flaw: str) -> None:
        self._flaws.pop(subject, None)
        if flaw:
            self._flaws[subject] = flaw

    def _assembled(self, names: Iterable[str]) -> Catalog:
        functions, retired = dict(self.catalog.functions), dict(self.catalog.retired)
        for name in names:
            functions.pop(name, None)
            retired.pop(name, None)
            function = self._function(name)
            if isinstance(function, int):
                retired[name] = function
            elif function is not None:
                functions[name] = function
        others = self._parsed.get("", {})
        garbage = others.get("garbage")
        return Catalog(
            functions,
            retired,
            self._configurations(others),
            garbage if isinstance(garbage, dict) else {},
            self.head.generation,
            self.head.incarnation,
        )

    def _configurations(self, parsed: Mapping[str, _Parsed]) -> dict[str, Configuration]:
        """Return what is published for each site; where a revision does not count, what was in force before is."""
        self._stuck = {subject: why for subject, why in self._stuck.items() if not subject.startswith("config.")}
        revisions: dict[str, dict[int, Revision]] = {}
        for subject, part in parsed.items():
            if isinstance(part, Revision):
                revisions.setdefault(subject.split(".")[1], {})[part.number] = part
        found = {}
        for subject, part in parsed.items():
            if isinstance(part, _Pointer):
                site = subject.split(".")[1]
                whole = Configuration(site, part.current, revisions.get(site, {}), part.last, part.current == 0)
                is_sound = whole.is_deleted or whole.in_force is not None
                found[site] = whole if is_sound else self._unmoved(subject, whole)
        return found

    def _unmoved(self, subject: str, configuration: Configuration) -> Configuration:
        why = f"it points at configuration {configuration.current}, which does not count; it stays where it was"
        self._stuck[subject] = why
        before = self.catalog.configurations.get(configuration.site)
        in_force = None if before is None else before.in_force
        if in_force is None:
            return replace(configuration, current=0)
        revisions = {**configuration.revisions, in_force.number: in_force}
        return replace(configuration, current=in_force.number, revisions=revisions)

    def _function(self, name: str) -> PublishedFunction | int | None:
        """Return a function, the last version of a deleted one, or None."""
        self._stuck = {subject: why for subject, why in self._stuck.items() if _function_of(subject) != name}
        about: _About | None = None
        versions, aliases = {}, {}
        for part in self._parsed.get(name, {}).values():
            match part:
                case _About():
                    about = part
                case Manifest():
                    versions[part.version] = part
                case Alias():
                    aliases[part.name] = part
                case _Pointer() | Revision() | dict():
                    pass
        if about is None:
            return None
        if about.is_deleted:
            return about.last_version
        sound = {key: alias for key, each in aliases.items() if (alias := self._sound(each, versions)) is not None}
        return PublishedFunction(name, about.draft, versions, sound, about.last_version)

    def _sound(self, alias: Alias, versions: dict[int, Manifest]) -> Alias | None:
        """Return the alias; where a version of it does not count, what it was before."""
        missing = [target.version for target in alias.targets if target.version not in versions]
        if not missing:
            return alias
        subject = f"alias.{alias.function}.{alias.name}"
        self._stuck[subject] = f"it points at version {missing[0]}, which does not count; it stays where it was"
        function = self.catalog.functions.get(alias.function)
        before = None if function is None else function.aliases.get(alias.name)
        if before is None or any(target.version not in versions for target in before.targets):
            return None
        return before

    def records(self, after: Catalog, head: Head) -> list[Record]:
        """Return the records that turn what is published into `after`, `head` last, signed and sealed."""
        return self.written(changes(self.catalog, after, self._keys), head)

    def signed(self, changed: Iterable[tuple[str, Json | None]], generation: int) -> list[Record]:
        """Return the records of documents by their subjects (None: it goes), signed."""
        return [
            Record(subject, b"" if document is None else written(subject, generation, document, self._keys))
            for subject, document in changed
        ]

    def written(self, changed: Iterable[tuple[str, Json | None]], head: Head) -> list[Record]:
        """Return the records of documents by their subjects (None: it goes), `head` last, signed."""
        digests = dict(self._digests)
        records = self.signed(changed, head.generation)
        for record in records:
            _note(digests, record.subject, record.value)
        closing = replace(head, state=state_digest(digests))
        return [*records, Record(HEAD, written_head(closing, self._keys))]


def _note(digests: dict[str, str], subject: str, value: bytes) -> None:
    digests.pop(subject, None)
    if value:
        digests[subject] = hashlib.sha256(value).hexdigest()


def _function_of(subject: str) -> str:
    """Return the function that a subject is about, "" for none."""
    kind, _, rest = subject.partition(".")
    return rest.partition(".")[0] if kind in {"fn", "ver", "alias"} else ""


def _document(subject: str, payload: Payload, keys: Keys) -> _Parsed:
    kind, *parts = subject.split(".")
    match kind, parts, payload.document:
        case "fn", [name], {"draft": draft, "last_version": int(last), "deleted": bool(is_deleted)}:
            manifest = None if draft is None else documents.manifest_from_document(draft, keys.sealing)
            if manifest is None or manifest.function == name:
                return _About(manifest, last, is_deleted)
        case "ver", [name, number], document:
            manifest = documents.manifest_from_document(document, keys.sealing)
            if (manifest.function, str(manifest.version)) == (name, number):
                return manifest
        case "alias", [function, name], document:
            alias = documents.alias_from_document(document)
            if (alias.function, alias.name) == (function, name):
                return alias
        case "config", [site, *numbers], document:
            return _configuration(site, numbers, document, keys)
        case "garbage", [], document:
            return documents.garbage_from_document(document)
        case _:
            pass
    raise DocumentError(f"it does not say what {subject} must say")


def _configuration(site: str, numbers: list[str], document: object, keys: Keys) -> _Pointer | Revision:
    if not numbers:
        return _Pointer(*configurations.pointer_from_document(document))
    named, revision = configurations.revision_from_document(document, keys.sealing)
    if [named, str(revision.number)] != [site, *numbers]:
        raise DocumentError(f"it is configuration {revision.number} of site {named}")
    return revision
