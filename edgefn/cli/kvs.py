"""`edgefn kvs`: reads and changes a key-value store. Functions that read it see a change within about a second."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgefn.cli.reading import counted, load_settings, read_bytes
from edgefn.configuration.reading import did_you_mean
from edgefn.functions.kvs_file import Content, StoreError, import_file, read_content, update
from edgefn.model.errors import SettingsError
from edgefn.node import world
from edgefn.rules.kvs import Changes
from edgefn.rules.log_line import one_line

EXAMPLES = """\
examples:
  edgefn kvs put redirects.json /old /new /older /newer
  edgefn kvs get redirects.json /old
  edgefn kvs list redirects.json --prefix /old --json
  edgefn kvs delete redirects.json /older
  edgefn kvs import redirects.json new-redirects.json
  edgefn kvs put redirects /old /new --config config/edgefn.yaml

A store is a JSON file, which the first put or import makes; with --config it is named as in that configuration.
Changes are all or nothing, within AWS's limits: keys of 512 bytes, values of 1 KB, 5 MB in all, 50 keys at a time.
Exit status 0: done; 1: there is no such key; 2: the store can't be read or changed.
"""

_EXAMPLES = {
    "put": "  edgefn kvs put redirects.json /old /new\n  edgefn kvs put prices.json apple 1.20 pear 2.10 --json",
    "get": "  edgefn kvs get redirects.json /old\n  edgefn kvs get redirects /old --config config/edgefn.yaml",
    "list": "  edgefn kvs list redirects.json\n  edgefn kvs list redirects.json --prefix /shop/ --json",
    "delete": "  edgefn kvs delete redirects.json /old /older",
    "import": "  edgefn kvs import redirects.json new-redirects.json\n  edgefn kvs import redirects.json - < new.json",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with arguments of its own."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, action in _ACTIONS.items():
        added = actions.add_parser(
            name,
            help=action.summary,
            description=f"{action.summary[0].upper()}{action.summary[1:]}.",
            epilog=f"examples:\n{_EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument("store", metavar="STORE", help="the store's file; with --config, its name there")
        action.add(added)
        added.add_argument("--config", metavar="CONFIG", help="the configuration file that names the store")
        added.add_argument("--json", action="store_true", help="print JSON")
        added.set_defaults(act=action.act)


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pairs", metavar="KEY VALUE", nargs="+", help="keys, each with its value behind it")


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY")


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("keys", metavar="KEY", nargs="+")


def _add_prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prefix", default="", help="only keys that begin like this")


def _add_file(parser: argparse.ArgumentParser) -> None:
    told = '{"data": [{"key": ..., "value": ...}]} or {"key": "value"}; - is standard input'
    parser.add_argument("file", metavar="FILE", help=told)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    path = _store(given)
    try:
        act: Callable[[argparse.Namespace, Path], int] = given.act
        return act(given, path)
    except StoreError as error:
        raise SettingsError((str(error),)) from error


def _store(given: argparse.Namespace) -> Path:
    if not given.store:
        raise SettingsError(("STORE: is empty; write the path of a JSON file",))
    if given.config is None:
        return Path(given.store)
    # The store may be the very thing that is wrong with the configuration: its file is looked at only by the action.
    stores = load_settings(given.config).kvs
    if given.store not in stores:
        told = f'kvs: there is no store "{given.store}"; {did_you_mean(given.store, stores)}'
        raise SettingsError((f"{given.config}: {told}",))
    return Path(stores[given.store])


def _put(given: argparse.Namespace, path: Path) -> int:
    words: list[str] = given.pairs
    if len(words) % 2:
        raise SettingsError((f"{path}: the key {words[-1]!r} has no value behind it; write KEY VALUE [KEY VALUE ...]",))
    puts = dict(zip(words[::2], words[1::2], strict=True))
    _check_text(path, *words)
    _told(given, path, update(path, Changes(puts), now=world.wall()))
    return 0


def _get(given: argparse.Namespace, path: Path) -> int:
    _check_text(path, given.key)
    pairs = read_content(path).pairs
    if given.key not in pairs:
        return _missing(path, [given.key])
    print(json.dumps({"key": given.key, "value": pairs[given.key]}) if given.json else pairs[given.key])
    return 0


def _list(given: argparse.Namespace, path: Path) -> int:
    content = read_content(path)
    pairs = {key: value for key, value in sorted(content.pairs.items()) if key.startswith(given.prefix)}
    if given.json:
        items = [{"key": key, "value": value} for key, value in pairs.items()]
        print(json.dumps({**_described(path, content), "items": items}))
    else:
        for key, value in pairs.items():
            print(f"{one_line(key)}\t{one_line(value)}")
    return 0


def _delete(given: argparse.Namespace, path: Path) -> int:
    _check_text(path, *given.keys)
    pairs = read_content(path).pairs
    missing = [key for key in given.keys if key not in pairs]
    if missing:
        return _missing(path, missing)
    _told(given, path, update(path, Changes({}, given.keys), now=world.wall()))
    return 0


def _import(given: argparse.Namespace, path: Path) -> int:
    source = read_bytes(given.file)
    try:
        content = import_file(path, source, now=world.wall())
    except StoreError as error:
        named = str(error).startswith(str(path))
        where = "standard input" if given.file == "-" else given.file
        raise StoreError(str(error) if named else f"{where}: {error}") from error
    _told(given, path, content)
    return 0


def _missing(path: Path, keys: list[str]) -> int:
    for key in keys:
        print(f'{path}: there is no key "{one_line(key)}"', file=sys.stderr)
    return 1


def _check_text(path: Path, *words: str) -> None:
    for word in words:
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise SettingsError((f"{path}: {word!a} is not UTF-8 text",))


def _told(given: argparse.Namespace, path: Path, content: Content) -> None:
    if given.json:
        print(json.dumps(_described(path, content)))
    else:
        print(f"{path}: {counted(len(content.pairs), 'key')}, {counted(content.size, 'byte')}")


def _described(path: Path, content: Content) -> dict[str, object]:
    return {
        "store": str(path),
        "keys": len(content.pairs),
        "size": content.size,
        "etag": content.etag,
        "created": content.created,
        "updated": content.updated,
    }


@dataclass(frozen=True, slots=True)
class _Action:
    summary: str
    add: Callable[[argparse.ArgumentParser], None]
    act: Callable[[argparse.Namespace, Path], int]


_ACTIONS = {
    "put": _Action("set keys to values; the store is made when there is none", _add_pairs, _put),
    "get": _Action("print the value of a key", _add_key, _get),
    "list": _Action("print keys with their values", _add_prefix, _list),
    "delete": _Action("take keys out; when one is not there, none is", _add_keys, _delete),
    "import": _Action("put the pairs of a file in the place of all that the store held", _add_file, _import),
}
