"""Values with their repetitions, as CloudFront Functions see headers, cookies and query parameters.

`{"value": first}`, and with `multiValue` all of them when the name stood there more than once. What a function gives
back is compared with what it was shown: where nothing was changed, the original text stays.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from edgefn.rules.cff_violation import invalid

Item: TypeAlias = Mapping[str, str]
"""One value: `value`, and for cookies of a response `attributes`."""

Shown: TypeAlias = dict[str, object]
Piece: TypeAlias = tuple[str, str]
"""A name, and the text that stands for one value of it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One map of a result. `path` is its name there; `item_text` makes text of a name and a new item.

    `item_text` raises `ViolatedError` for what does not fit. `fields` are what an item has besides `value`.
    """

    path: str
    sentence: str
    item_text: Callable[[str, Item], str]
    fields: tuple[str, ...] = ()


def shown(items: Iterable[tuple[str, Item]]) -> Shown:
    """Return the map that a function sees of (name, item) pairs."""
    grouped: dict[str, list[Item]] = {}
    for name, item in items:
        grouped.setdefault(name, []).append(item)
    return {
        name: {**values[0], "multiValue": values} if len(values) > 1 else dict(values[0])
        for name, values in grouped.items()
    }


def changes(field: Field, before: Shown, pieces: Iterable[Piece], result: object) -> dict[str, tuple[str, ...]]:
    """Return the new texts of each name that a function touched; no texts: it deleted the name.

    `pieces` are the original texts in their order. Raises `ViolatedError`.
    """
    if result == before:
        return {}
    if not isinstance(result, dict):
        raise invalid(field.path, f"{field.path} that are not an object", field.sentence)
    originals: dict[str, list[str]] = {}
    for name, text in pieces:
        originals.setdefault(name, []).append(text)
    found: dict[str, tuple[str, ...]] = {}
    for name, given in result.items():
        if name not in before or given != before[name]:
            found[name] = _texts(field, name, before.get(name), given, originals.get(name, []))
    found.update((name, ()) for name in before if name not in result)
    return found


def replaced(pieces: Iterable[Piece], found: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the texts of `pieces` with those of `found`: in the place of a name's first one, new names at the end."""
    waiting = dict(found)
    texts: list[str] = []
    for name, text in pieces:
        if name in found:
            texts.extend(waiting.pop(name, ()))
        else:
            texts.append(text)
    for added in waiting.values():
        texts.extend(added)
    return texts


def _texts(field: Field, name: str, before: object, given: object, originals: list[str]) -> tuple[str, ...]:
    """Return the texts of one changed name. A changed `multiValue` wins over `value` (AWS: event structure)."""
    path = f"{field.path}.{name}"
    if not isinstance(given, dict):
        raise invalid(path, "an entry that is not an object", field.sentence)
    known = [dict(item) for item in _all_of(before)]
    multi: object = given.get("multiValue")
    earlier: object = before.get("multiValue") if isinstance(before, dict) else None
    if multi is not None and multi != earlier:
        items = _items(field, path, multi)
    else:
        items = [_item(field, path, given), *(known[1:] if multi is not None else ())]
    texts = []
    for position, item in enumerate(items):
        if position < len(known) and item == known[position]:
            texts.append(originals[position])
        else:
            texts.append(field.item_text(name, item))
    return tuple(texts)


def _all_of(entry: object) -> list[Mapping[str, str]]:
    """Return all values of an entry that we have shown."""
    if not isinstance(entry, dict):
        return []
    multi: object = entry.get("multiValue")
    return list(multi) if isinstance(multi, list) else [entry]


def _items(field: Field, path: str, multi: object) -> list[dict[str, str]]:
    if not isinstance(multi, list):
        raise invalid(f"{path}.multiValue", "a multiValue that is not an array", field.sentence)
    return [_item(field, f"{path}.multiValue", item) for item in multi]


def _item(field: Field, path: str, given: object) -> dict[str, str]:
    if not isinstance(given, dict):
        raise invalid(path, "a value that is not an object", field.sentence)
    value: object = given.get("value")
    if not isinstance(value, str):
        raise invalid(path, "no string as value", field.sentence)
    item = {"value": value}
    for name in field.fields:
        extra: object = given.get(name, "")
        if not isinstance(extra, str):
            raise invalid(f"{path}.{name}", f"{name} that are no string", field.sentence)
        item[name] = extra
    return item
