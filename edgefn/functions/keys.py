"""Where a publisher's keys are kept, and whose signatures count: small text files in one directory.

signing.key     ed25519-secret BASE64, for its owner only: signs what is published
sealing.key     aes256-secret BASE64 on each line, for its owner only: the first one seals, all of them open
publisher.key   the same: signs functions and versions instead, where an offline root gives the duties to two keys
trusted         ed25519 BASE64 NAME on each line: public keys whose signatures count, beside that of signing.key
trust.json      the word of an offline root: then the keys that it names count, and no others
root.key        ed25519-secret BASE64: a root's own, in a directory that lies offline
"""

import base64
import binascii
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from edgefn.functions.roles import Trust
from edgefn.functions.sealing import SealingKey
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.functions.trust import TrustError, begun, followed
from edgefn.model.settings import SignaturePolicy, SignatureSettings

SIGNING_FILE, SEALING_FILE, PUBLISHER_FILE = "signing.key", "sealing.key", "publisher.key"
TRUSTED_FILE, TRUST_FILE, ROOT_FILE = "trusted", "trust.json", "root.key"
_SIGNING_KIND, _SEALING_KIND, _PUBLIC_KIND = "ed25519-secret", "aes256-secret", "ed25519"
_NAME = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_SIZE = 32


class KeysError(Exception):
    """A file of keys can't be used. The message names it and the cure, and tells nothing of the keys."""


def keys_directory(signatures: SignatureSettings, data_dir: str) -> Path:
    """Return where the keys of the location or control plane with this data directory are."""
    return Path(signatures.keys or Path(data_dir) / "keys")


def read_keys(directory: Path, policy: SignaturePolicy) -> Keys:
    """Return the keys in `directory`; none when there is none. Raises `KeysError`."""
    return Keys(
        read_signing_key(directory / SIGNING_FILE),
        {key_id(public): public for public, _ in trusted_keys(directory)},
        tuple(SealingKey(secret) for secret in _secrets(directory / SEALING_FILE, _SEALING_KIND)),
        policy,
        read_trust(directory),
        read_signing_key(directory / PUBLISHER_FILE),
    )


def read_signing_key(file: Path) -> SigningKey | None:
    """Return the key in a file, None when there is none. Raises `KeysError`."""
    secrets = _secrets(file, _SIGNING_KIND)
    if len(secrets) > 1:
        raise KeysError(f"{file}: has {len(secrets)} keys; one signs")
    return SigningKey(secrets[0]) if secrets else None


def make_signing_key(file: Path, dice: Callable[[int], bytes]) -> SigningKey:
    """Make a key in a file of its own, and return it. Raises `KeysError`, also when there is one."""
    if file.exists():
        raise KeysError(f"{file}: is there already; move it away to make another one")
    key = SigningKey(dice(_SIZE))
    _write(file, _line(_SIGNING_KIND, key.secret), 0o600)
    return key


def read_chain(file: Path) -> bytes | None:
    """Return the chain of a root's documents in a file, None when there is none. Raises `KeysError`."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysError(f"{file}: can't be read: {error.strerror}") from error


def read_trust(directory: Path) -> Trust | None:
    """Return whom the root trusts by the file in a directory of keys, None without one. Raises `KeysError`."""
    file = directory / TRUST_FILE
    chain = read_chain(file)
    try:
        return None if chain is None else begun(chain)
    except TrustError as error:
        raise KeysError(f"{file}: {error}") from error


def pin(directory: Path, chain: bytes) -> Trust:
    """Believe the root's word from now on; it must follow from what is believed already. Raises `KeysError`."""
    file = directory / TRUST_FILE
    known = read_trust(directory)
    try:
        trust = begun(chain) if known is None else followed(known, chain)
    except TrustError as error:
        raise KeysError(f"{file}: {error}") from error
    if known is None or trust.version > known.version:
        write_chain(file, chain)
    return trust


def write_chain(file: Path, chain: bytes) -> None:
    """Write a chain, whole or not at all. Raises `KeysError`."""
    _write(file, chain.decode(), 0o644)


def make_keys(
    directory: Path,
    dice: Callable[[int], bytes],
    *,
    rotate: bool = False,
    keep_sealing: bool = False,
    keep_signing: bool = False,
) -> Keys:
    """Make keys to sign and to seal with, and return them; `dice` returns random bytes.

    With `rotate` in the place of those that are there: what the old ones signed and sealed still counts. With
    `keep_sealing` the one that seals stays as it is: locations of a fleet have it since they joined. With
    `keep_signing` the one that signs does.
    Raises `KeysError`, also when there are some and they are not to be replaced.
    """
    before = read_keys(directory, SignaturePolicy.WARN)
    if (before.signing or before.sealing) and not rotate:
        raise KeysError(f"{directory}: has keys already; rotate them to make new ones that the old ones stand beside")
    if not (keep_sealing and before.sealing):
        sealed = [_line(_SEALING_KIND, each.secret) for each in (SealingKey(dice(_SIZE)), *before.sealing)]
        _write(directory / SEALING_FILE, "".join(sealed), 0o600)
    if not (keep_signing and before.signing):
        if before.signing is not None:
            trust(directory, before.signing.public, f"retired-{key_id(before.signing.public)}")
        _write(directory / SIGNING_FILE, _line(_SIGNING_KIND, SigningKey(dice(_SIZE)).secret), 0o600)
    return read_keys(directory, SignaturePolicy.WARN)


def without_sealing(keys: Keys, key: str) -> Keys:
    """Return the keys without the sealing key `key`, by its id. Raises `KeysError` when it is none, or still seals."""
    known = [each.id for each in keys.sealing]
    if key not in known:
        raise KeysError(f'there is no sealing key "{key}"; there are: {", ".join(known) or "none"}')
    if key == known[0]:
        raise KeysError(f"{key} is the key that seals; make another one first: `edgefn keys new --rotate`")
    return replace(keys, sealing=tuple(each for each in keys.sealing if each.id != key))


def forget_sealing(directory: Path, key: str) -> Keys:
    """Forget an older sealing key, by its id, and return the keys that are left. What it sealed is lost.

    Raises `KeysError`.
    """
    left = without_sealing(read_keys(directory, SignaturePolicy.WARN), key)
    _write(directory / SEALING_FILE, "".join(_line(_SEALING_KIND, each.secret) for each in left.sealing), 0o600)
    return left


def trusted_keys(directory: Path) -> list[tuple[bytes, str]]:
    """Return the public keys that are trusted beside the own one, with their names. Raises `KeysError`."""
    file = directory / TRUSTED_FILE
    return [(_key(file, number, line, _PUBLIC_KIND), _name_in(line)) for number, line in _lines(file)]


def trust(directory: Path, public: bytes, name: str) -> None:
    """Let the signatures of a public key count from now on, under `name`. Raises `KeysError`."""
    if not _NAME.fullmatch(name):
        raise KeysError(f'"{name}" can\'t name a key: write at most 64 letters, digits, dots, dashes, underscores or @')
    others = [each for each in trusted_keys(directory) if each[0] != public]
    _write_trusted(directory, [*others, (public, name)])


def distrust(directory: Path, key: str) -> None:
    """Let the signatures of the key called `key`, by its name or id, count no more. Raises `KeysError`."""
    known = trusted_keys(directory)
    left = [(public, name) for public, name in known if key not in {name, key_id(public)}]
    if len(left) == len(known):
        names = ", ".join(name for _, name in known) or "none"
        raise KeysError(f'{directory / TRUSTED_FILE}: there is no key "{key}"; there are: {names}')
    _write_trusted(directory, left)


def public_line(public: bytes, name: str) -> str:
    """Return a public key as others add it to those that they trust."""
    return f"{_PUBLIC_KIND} {base64.b64encode(public).decode()} {name}"


def parse_public(line: str) -> tuple[bytes, str]:
    """Return the public key in a line that `public_line` made, and its name. Raises `KeysError`."""
    return _key(Path("the key"), 0, line, _PUBLIC_KIND), _name_in(line)


def _write_trusted(directory: Path, keys: list[tuple[bytes, str]]) -> None:
    _write(directory / TRUSTED_FILE, "".join(f"{public_line(public, name)}\n" for public, name in keys), 0o644)


def _name_in(line: str) -> str:
    words = line.split()
    return words[2] if len(words) > 2 else ""


def _line(kind: str, secret: bytes) -> str:
    return f"{kind} {base64.b64encode(secret).decode()}\n"


def _secrets(file: Path, kind: str) -> list[bytes]:
    secrets = [_key(file, number, line, kind) for number, line in _lines(file)]
    if secrets and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise KeysError(f"{file}: others can read it; chmod 600 {file}")
    return secrets


def _key(file: Path, number: int, line: str, kind: str) -> bytes:
    words = line.split()
    try:
        key = base64.b64decode(words[1], validate=True) if words[0] == kind else b""
    except (IndexError, binascii.Error, ValueError):
        key = b""
    if len(key) != _SIZE:
        where = f"{file}:{number}" if number else str(file)
        raise KeysError(f"{where}: is no key; write {kind} and {_SIZE} bytes in base64")
    return key


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"{file}: can't be read: {error.strerror if isinstance(error, OSError) else error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def _write(file: Path, text: str, mode: int) -> None:
    """Write a file, whole or not at all."""
    unfinished = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.rename(file)
    except OSError as error:
        raise KeysError(f"{file}: can't be written: {error.strerror}") from error
