"""Object stores that have large blobs too (S3, GCS, Azure, HTTP, a directory). The only module that knows obstore.

They spare the hub the traffic, and are not relied on: whoever reads checks size and digest, and asks the hub otherwise.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol, cast

from edgefn.functions.replicas.base import ReplicaError
from edgefn.model.publishing import Blob

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

_PIECE: Final = 1 << 20
_CONNECT_SECONDS, _REQUEST_SECONDS, _RETRY_SECONDS = 3, 300, 10
_RETRIES: Final = 2
_REST_SECONDS: Final = 30.0
"""How long a store is left alone that failed: each of many blobs would wait for it otherwise."""
ALLOW_HTTP: Final = "allow_http"
"""The one option that is not of a provider: whether its endpoint may be spoken to in clear."""


class BlobStoreError(ReplicaError):
    """A store could not do it. Never holds credentials."""


class Depot(Protocol):
    """Where a publisher puts large blobs besides its replica."""

    def address(self, blob: Blob) -> str:
        """Return the URL of the store that this blob goes to, "" for none."""

    async def put(self, blob: Blob, content: bytes) -> None:
        """Put it there, if it isn't yet. What goes wrong is reported: locations then ask the hub."""

    async def delete(self, digest: str) -> None:
        """Take it away, if it is there. What goes wrong is reported."""


@dataclass(slots=True)
class BlobStores:
    """Stores by their URL, opened when they are first needed. `options` are those of the provider (aws_region).

    A store that answers, or goes on, only after more than `patience` seconds is given up.
    """

    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: float = 15.0
    _opened: "dict[str, ObjectStore]" = field(default_factory=dict)
    _rests: dict[str, float] = field(default_factory=dict)

    async def get(self, url: str, digest: str) -> AsyncGenerator[bytes, None]:
        """Yield a blob in pieces. Whoever takes it checks size and digest. Raises `BlobStoreError`."""
        clock = asyncio.get_running_loop().time
        if clock() < self._rests.get(url, 0.0):
            raise BlobStoreError(f"{url} failed a moment ago")
        try:
            async for piece in self._pieces(url, digest):
                yield piece
        except BlobStoreError:
            self._rests[url] = clock() + _REST_SECONDS
            raise

    async def _pieces(self, url: str, digest: str) -> AsyncGenerator[bytes, None]:
        import obstore

        store = self._store(url)
        try:
            async with asyncio.timeout(self.patience):
                found = await obstore.get_async(store, digest)
            pieces = aiter(found.stream(min_chunk_size=_PIECE))
            while True:
                async with asyncio.timeout(self.patience):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                yield bytes(piece)
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise _failed(url, error) from None  # its words may hold what was sent

    async def put(self, url: str, blob: Blob, content: bytes) -> None:
        """Put a blob there, unless it is there already. Raises `BlobStoreError`."""
        store = self._store(url)
        import obstore

        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                if not await self._has(store, blob):
                    await obstore.put_async(store, blob.digest, content)
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise _failed(url, error) from None

    async def delete(self, url: str, digest: str) -> None:
        """Take a blob away, if it is there. Raises `BlobStoreError`."""
        store = self._store(url)
        import obstore

        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                await obstore.delete_async(store, digest)
        except FileNotFoundError:
            return
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise _failed(url, error) from None

    async def _has(self, store: "ObjectStore", blob: Blob) -> bool:
        import obstore

        try:
            return (await obstore.head_async(store, blob.digest))["size"] == blob.size
        except FileNotFoundError:
            return False

    def _store(self, url: str) -> "ObjectStore":
        if url not in self._opened:
            self._opened[url] = _opened(url, self.options)
        return self._opened[url]


@dataclass(frozen=True, slots=True)
class OneDepot:
    """A depot in one store, for blobs of at least `least` bytes. `report` hears what goes wrong."""

    stores: BlobStores
    url: str
    least: int
    report: Callable[[str], None]

    def address(self, blob: Blob) -> str:
        """Return the store's URL for a blob that is large enough."""
        return self.url if blob.size >= self.least else ""

    async def put(self, blob: Blob, content: bytes) -> None:
        """Put it there, if it isn't yet."""
        try:
            await self.stores.put(blob.url, blob, content)
        except BlobStoreError as error:
            self.report(f"{error}: locations fetch {blob.digest[:12]} from the hub")

    async def delete(self, digest: str) -> None:
        """Take it away, if it is there."""
        try:
            await self.stores.delete(self.url, digest)
        except BlobStoreError as error:
            self.report(f"{error}: {digest[:12]} stays there")


def _opened(url: str, options: Mapping[str, str]) -> "ObjectStore":
    try:
        from obstore.store import from_url
    except ImportError:
        raise BlobStoreError(f"{url} needs the extra `blob`: pip install 'edgefn[blob]'") from None
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "timeout": timedelta(seconds=_REQUEST_SECONDS),
        "allow_http": url.startswith("http:") or options.get(ALLOW_HTTP) == "true",
    }
    retry: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}
    config = {} if url.startswith("http") else {key: value for key, value in options.items() if key != ALLOW_HTTP}
    try:
        if url.startswith("file:"):
            return from_url(url, mkdir=True)
        told = cast("S3Config", config)  # or that of another provider: it refuses what it does not know
        return from_url(url, config=told or None, client_options=client, retry_config=retry)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # it panics for some options, and that is no Exception
        raise BlobStoreError(f"{url} can't be used: {_words(error)}; look at its options") from None


def _failed(url: str, error: Exception) -> BlobStoreError:
    if isinstance(error, FileNotFoundError):
        return BlobStoreError(f"{url} does not have it")
    return BlobStoreError(f"{url}: {_words(error)}")


def _words(error: BaseException) -> str:
    """Return an error's kind and the status that the store answered with: its own words may hold what was sent."""
    status = re.search(r"status code: (\d{3} [A-Za-z ]+)", str(error))
    kind = type(error).__name__.removesuffix("Error")
    return f"{kind} ({status[1].strip()})" if status else kind
