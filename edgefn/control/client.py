"""What the command line uses to talk to a control plane or a running location."""

import errno
import io
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import orjson
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientOSError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    FormData,
    ServerDisconnectedError,
)

from edgefn.control.retries import HEADER

PATIENCE: Final = 60.0
_LINE: Final = 1 << 20
_TRIES: Final = 2
_CONNECT: Final = 15.0
"""Seconds for the way there, TLS included."""


class ControlError(Exception):
    """Nobody answered, or it was refused. The message says what to do; `code` is the API's, "" without an answer."""

    def __init__(self, message: str, *, code: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((message, *problems)))
        self.code = code


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an upload: what it is, and its bytes."""

    type: str
    content: bytes


class ControlClient:
    """Speaks to the control API at `base` (a URL) with a token.

    `ca` (PEM) says who must have signed its certificate, "" for whoever the system trusts. Raises `ControlError` when
    that is no certificate.
    """

    def __init__(self, base: str, token: str, ca: str = "") -> None:
        self._base = base.rstrip("/")
        self._token = token
        self._tls = _trusting(ca)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, object]:
        """Return what the API says. Raises `ControlError`."""
        return await self._ask("GET", path, query, None, {})

    async def change(
        self,
        method: str,
        path: str,
        sent: object = None,
        query: Mapping[str, str] | None = None,
        *,
        patience: float = PATIENCE,
        replaces: int | None = None,
    ) -> dict[str, object]:
        """Have something changed, with a JSON body; return what the API says. Raises `ControlError`.

        It is asked again when the answer is lost on its way, and done once; with `replaces`, only if that revision is
        still in force.
        """
        content = None if sent is None else orjson.dumps(sent)
        headers = {} if replaces is None else {"If-Match": f'"{replaces}"'}
        return await self._ask(method, path, query, content, headers, patience)

    async def upload(self, method: str, path: str, parts: Mapping[str, Part]) -> dict[str, object]:
        """Send files (multipart/form-data, in order); return what the API says. Raises `ControlError`."""
        return await self._ask(method, path, None, parts, {}, 10 * PATIENCE)

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, object]]:
        """Yield the JSON documents of an answer that goes on. Raises `ControlError`, also when it breaks off."""
        timeout = ClientTimeout(total=None, sock_connect=PATIENCE)
        try:
            async with (
                self._session(timeout) as session,
                session.get(f"{self._base}{path}", params=dict(query), ssl=self._tls) as response,
            ):
                if response.status >= 400:
                    raise _refusal(response.status, await _told(response))
                async for line in response.content:
                    told: object = orjson.loads(line) if line.strip() else None
                    if isinstance(told, dict) and "error" in told:
                        raise _refusal(response.status, told)
                    if isinstance(told, dict):
                        yield told
        except ClientConnectorCertificateError as error:
            raise _untrusted(self._base, error) from error
        except ValueError as error:
            raise _stranger(self._base) from error
        except ClientConnectorError as error:
            raise ControlError(f"nobody answers at {self._base}: {_why(error)}") from error
        except (ClientError, TimeoutError) as error:
            raise ControlError(f"the control API at {self._base} broke off: {error}") from error

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        sent: bytes | Mapping[str, Part] | None,
        headers: Mapping[str, str],
        patience: float = PATIENCE,
    ) -> dict[str, object]:
        headers = dict(headers) if method == "GET" else {**headers, HEADER: uuid.uuid4().hex}
        for left in reversed(range(_TRIES)):
            try:
                async with (
                    self._session(ClientTimeout(total=patience, connect=_CONNECT)) as session,
                    session.request(
                        method,
                        f"{self._base}{path}",
                        params=dict(query or {}),
                        data=_form(sent) if isinstance(sent, Mapping) else sent,
                        headers=headers,
                        ssl=self._tls,
                    ) as response,
                ):
                    told = await _told(response)
                    if response.status >= 400:
                        raise _refusal(response.status, told)
                    return told
            except ClientConnectorCertificateError as error:
                raise _untrusted(self._base, error) from error
            except ValueError as error:
                raise _stranger(self._base) from error
            except (ClientError, TimeoutError) as error:
                if left == 0:
                    raise ControlError(f"nobody answers at {self._base}: {_why(error)}") from error
        raise AssertionError("unreachable")

    def _session(self, timeout: ClientTimeout) -> ClientSession:
        return ClientSession(
            timeout=timeout, headers={"Authorization": f"Bearer {self._token}"}, read_bufsize=_LINE, trust_env=False
        )


def _why(error: Exception) -> str:
    """Return why nobody answers, without what the URL says already."""
    if isinstance(error, ClientConnectorSSLError):
        return "it does not speak TLS as we do; if it has no `tls` in its configuration, write http://"
    if isinstance(error, ClientConnectorError) and error.errno == errno.ECONNREFUSED:
        return "the connection is refused; is it running? and is that its `admin` address?"
    if isinstance(error, ServerDisconnectedError | ClientOSError) and not isinstance(error, ClientConnectorError):
        return f"the connection broke off ({str(error) or type(error).__name__}); does it speak TLS, at https://?"
    if isinstance(error, TimeoutError):
        return "there was no answer in time; is that its `admin` address?"
    return str(error) or type(error).__name__


def _stranger(base: str) -> ControlError:
    return ControlError(f"what answers at {base} is no control API: write the `admin` address of a location or a fleet")


def is_in_clear(base: str) -> bool:
    """Return whether what is sent to `base` can be read on a network: http, and not to this very machine."""
    parts = urlsplit(base)
    if parts.scheme == "https" or parts.hostname in {None, "localhost"}:
        return False
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def _trusting(ca: str) -> ssl.SSLContext | bool:
    try:
        return ssl.create_default_context(cadata=ca) if ca else True
    except (ssl.SSLError, ValueError) as error:
        raise ControlError(f"whom to trust is no certificate in PEM: {error}") from error


def _untrusted(base: str, error: ClientConnectorCertificateError) -> ControlError:
    return ControlError(
        f"the certificate of {base} is not trusted: {error.certificate_error}; "
        "give the authority that signed it by --ca-file FILE, or ask by the name that is in it"
    )


async def _told(response: ClientResponse) -> dict[str, object]:
    told: object = orjson.loads(await response.read())
    if not isinstance(told, dict):
        raise ValueError("it does not speak as the control API does")
    return told


def _form(parts: Mapping[str, Part]) -> FormData:
    form = FormData()
    for name, part in parts.items():
        form.add_field(name, io.BytesIO(part.content), content_type=part.type, filename=name)
    return form


def _refusal(status: int, told: dict[str, object]) -> ControlError:
    match told:
        case {"error": {"code": str(code), "message": str(message), **more}}:
            problems = more.get("problems")
            listed = tuple(str(problem) for problem in problems) if isinstance(problems, list) else ()
            return ControlError(message, code=code, problems=listed)
        case _:
            return ControlError(f"it answered {status}: {told}")
