"""The line to a NATS server or cluster. The only module that knows nats-py; everything else sees `Link` and `Message`.

nats-py's own reconnecting is not used: after some errors (of authorization, for one) it closes for good, and by
default it takes four minutes to notice that a server has frozen. Here a client lives as long as one connection, and a
new one is made for the next. What was asked on the old one fails at once instead of timing out.
"""

import asyncio
import contextlib
import itertools
import logging
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from edgefn.functions.replicas.base import ReplicaError, UnavailableError, UnknownOutcomeError
from edgefn.functions.replicas.nats.hearing import Ear, Message, Question
from edgefn.functions.replicas.nats.nkeys import KeyPair
from edgefn.functions.replicas.nats.refusals import check_encrypted, check_usable, is_refusal, said, why_not

PING_EVERY = 2
PINGS_OUTSTANDING = 2
CONNECT_SECONDS = 3.0
CONNECTION_SECONDS = 2.0
"""How long a call waits for a connection when there is none."""
ANSWER_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_LOOK_SECONDS = 1.0
_FIRST_PAUSE, _LAST_PAUSE, _REFUSED_PAUSE = 0.1, 1.0, 5.0


def _is_of_note(record: logging.LogRecord) -> bool:
    """Leave out what nats-py's streams make asyncio say whenever a connection with TLS ends."""
    return "eof_received() has no effect when using ssl" not in str(record.msg)


logging.getLogger("asyncio").addFilter(_is_of_note)


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are: a token that the operator's side signed, and the key that it names."""

    token: str
    key: KeyPair


@dataclass(frozen=True, slots=True)
class Address:
    """Where the servers are (`nats://host:port`, several for a cluster), who we are there, and whom we trust."""

    servers: tuple[str, ...]
    login: Callable[[], Login] | None = None
    """Asked for each connection, as tokens expire and are renewed."""
    tls: ssl.SSLContext | None = None
    inbox: str = "_INBOX"
    name: str = "edgefn"


class DisconnectedError(UnavailableError):
    """There is no connection, and has not been for a while.

    `is_refused` says that the servers are there and one of us must change: waiting does not cure it.
    """

    def __init__(self, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused


class NoLeaderError(UnavailableError):
    """Nobody took it: the stream's servers choose a leader now, or there is no such stream."""


class Link:
    """A supervised connection. Once opened it connects in the background, again and again.

    `secret` makes the subject on which it is answered one that no other location can guess.
    """

    def __init__(self, address: Address, jitter: Callable[[], float], secret: str = "") -> None:
        self._address = address
        self._jitter = jitter
        self._secret = secret or f"{id(self):x}"
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._ended = asyncio.Event()
        self._renewed = asyncio.Event()
        self._questions: dict[str, Question] = {}
        self._numbers = itertools.count(1)
        self._ears: dict[Ear, Subscription | None] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._trouble = "no connection has been made yet"
        self._is_refused = False
        self.is_closed = False
        self.has_jetstream = True
        """Whether the server that we speak with keeps streams itself: in a cluster others may."""
        self.connections = 0
        """How many connections there have been."""

    def open(self) -> None:
        """Begin to connect. `close` ends it."""
        self._supervisor = asyncio.get_running_loop().create_task(self._supervise())

    async def close(self) -> None:
        """End the connection, and fail what is under way."""
        self.is_closed = True
        if self._supervisor is not None:
            while not self._supervisor.done():  # nats-py may swallow a cancellation while it connects
                self._supervisor.cancel()
                await asyncio.wait((self._supervisor,), timeout=_CLOSE_SECONDS)
        self._trouble = "the replica has been closed"
        self._up.set()
        for ear in self._ears:
            ear.hear(None)

    def renew(self, address: Address) -> None:
        """Speak with these servers, as this user, from now on: the connection that there is ends."""
        self._address = address
        self._renewed.set()
        self._ended.set()

    @property
    def is_up(self) -> bool:
        """Say whether there is a connection now."""
        return self._client is not None

    async def ask(
        self,
        subject: str,
        data: bytes = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Message:
        """Send a request and return the one answer.

        Raises `UnavailableError` when it was not taken, `UnknownOutcomeError` when no answer came in time, and
        `ReplicaError` when the server refuses it to us.
        """
        async with contextlib.aclosing(self.ask_for_many(subject, data, headers, seconds)) as answers:
            async for answer in answers:
                if answer.status == "503":
                    raise NoLeaderError(f"nobody answers to {subject}: the streams have no leader now, or do not exist")
                return answer
        raise AssertionError("a request either has an answer or fails")

    async def ask_for_many(
        self,
        subject: str,
        data: bytes = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> AsyncGenerator[Message, None]:
        """Send a request and yield all that comes back, for as long as it is asked. Raises as `ask` does."""
        client = await self._connected()
        number = str(next(self._numbers))
        question = self._questions[number] = Question(subject)
        try:
            await self._publish(client, subject, data, headers, f"{self._inbox(self.connections)}.{number}")
            while True:
                try:
                    async with asyncio.timeout(seconds):
                        answer = await question.answers.get()
                except TimeoutError:
                    raise UnknownOutcomeError(f"no answer from NATS within {seconds:g} s ({subject})") from None
                if isinstance(answer, ReplicaError):
                    raise answer
                yield answer
        finally:
            del self._questions[number]

    async def send(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a message that nobody answers. Raises `UnavailableError`."""
        await self._publish(await self._connected(), subject, data, headers)

    @contextlib.asynccontextmanager
    async def listening(self, subject: str) -> AsyncIterator[Ear]:
        """Hear the messages of a subject, now and on every later connection, until the block is left."""
        ear = Ear(subject)
        self._ears[ear] = None
        client = self._client
        if client is not None:
            with contextlib.suppress(nats.errors.Error, OSError):  # Then it is subscribed to on the next connection.
                await self._subscribe(client, ear)
        try:
            yield ear
        finally:
            subscription = self._ears.pop(ear)
            if subscription is not None:
                with contextlib.suppress(nats.errors.Error, OSError):  # Then it has ended with its connection.
                    await subscription.unsubscribe()

    async def _publish(
        self, client: Client, subject: str, data: bytes, headers: Mapping[str, str] | None, reply: str = ""
    ) -> None:
        try:
            await client.publish(subject, data, reply=reply, headers=dict(headers) if headers else None)
        except (nats.errors.Error, OSError) as error:  # Raised before anything is sent.
            raise DisconnectedError(f"the connection to NATS failed: {said(error)}") from error

    async def _connected(self) -> Client:
        try:
            async with asyncio.timeout(CONNECTION_SECONDS):
                await self._up.wait()
                while self._client is not None and self._client.is_closed:  # and it is not noticed yet
                    self._client = None
                    self._up.clear()
                    self._ended.set()
                    await self._up.wait()
        except TimeoutError:
            pass
        if self._client is None:
            told = f"no connection to NATS ({', '.join(self._address.servers)}): {self._trouble}"
            raise DisconnectedError(told, is_refused=self._is_refused)
        return self._client

    async def _supervise(self) -> None:
        pause = _FIRST_PAUSE
        for number in itertools.count():
            if self.is_closed:
                return
            servers = self._address.servers
            connected = await self._live(servers[number % len(servers)])
            longest = _REFUSED_PAUSE if self._is_refused else _LAST_PAUSE
            pause = _FIRST_PAUSE if connected else min(pause * 2, longest)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause * (0.5 + self._jitter())):
                    await self._renewed.wait()
            self._renewed.clear()

    async def _live(self, server: str) -> bool:
        """Connect to a server and stay as long as the connection lasts; return whether it came about."""
        self._ended = asyncio.Event()
        client = Client()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connect(client, server)
            self._up.set()
            self._is_refused = False
            for ear in self._ears:
                ear.hear(None)
            while not client.is_closed:  # Looked at too: a close that hangs in a full socket reports late.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._ended.wait()
                if self._ended.is_set():
                    break
            self._trouble = f"the connection ended: {client.last_error or 'the server closed it'}"
        except Exception as error:  # noqa: BLE001  # whatever a server makes nats-py raise, we try again
            self._trouble = why_not(
                server, client.last_error if isinstance(error, nats.errors.NoServersError) else error
            )
            self._is_refused = is_refusal(error)
            return False
        else:
            return True
        finally:
            self._client = None
            self._up.clear()
            self._fail_all()
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.close()

    async def _connect(self, client: Client, server: str) -> None:
        login = self._address.login() if self._address.login is not None else None

        def signed(nonce: str) -> bytes:
            check_encrypted(server, _told_by(client))  # before anything is signed that somebody in between could use
            return b"" if login is None else b64encode(login.key.sign(nonce.encode()))

        await client.connect(
            [server],
            name=self._address.name,
            error_cb=self._on_error,
            closed_cb=self._on_closed,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            ping_interval=PING_EVERY,
            max_outstanding_pings=PINGS_OUTSTANDING,
            tls=self._address.tls,
            inbox_prefix=self._address.inbox,
            # A user's name is what makes nats-py look at the callbacks; it is not sent.
            user=self._address.name if login is not None else None,
            signature_cb=None if login is None else signed,
            user_jwt_cb=None if login is None else lambda: bytearray(login.token.encode()),
        )
        check_usable(server, _told_by(client), client.connected_server_version, has_login=login is not None)
        self.has_jetstream = bool(_told_by(client).get("jetstream"))
        self.connections += 1
        await client.subscribe(f"{self._inbox(self.connections)}.*", cb=self._on_answer)
        for ear in list(self._ears):
            await self._subscribe(client, ear)
        await _flushed(client)
        self._client = client

    async def _subscribe(self, client: Client, ear: Ear) -> None:
        async def heard(raw: Msg) -> None:
            ear.hear(_message(raw))

        subscription = await client.subscribe(ear.subject, cb=heard)
        if ear in self._ears:
            self._ears[ear] = subscription
        else:  # nobody listens any more
            await subscription.unsubscribe()
        await _flushed(client)

    def _inbox(self, connection: int) -> str:
        return f"{self._address.inbox}.{self._secret}.{connection}"

    async def _on_answer(self, raw: Msg) -> None:
        question = self._questions.get(raw.subject.rpartition(".")[2])
        if question is not None:
            question.answer(_message(raw))

    async def _on_error(self, error: Exception) -> None:
        # The subject stands in the text only: `permissions violation for publish to "..."`.
        for question in self._questions.values():
            if f'"{question.subject}"'.lower() in str(error).lower():
                question.answer(ReplicaError(f"NATS refuses us {question.subject}"))
        for ear in self._ears:
            ear.is_refused |= f'subscription to "{ear.subject}"'.lower() in str(error).lower()

    async def _on_closed(self) -> None:
        self._ended.set()

    def _fail_all(self) -> None:
        for question in self._questions.values():
            question.answer(UnknownOutcomeError("the connection to NATS was lost before an answer came"))


def _told_by(client: Client) -> Mapping[str, object]:
    """Return what a server said of itself when the connection began."""
    return client._server_info  # noqa: SLF001  # nats-py tells it in no other way


def _message(raw: Msg) -> Message:
    return Message(raw.subject, raw.data, dict(raw.headers or {}))


async def _flushed(client: Client) -> None:
    """Wait until the server has heard all that was said to it. Raises as `Client.flush`.

    Who waits here may be cancelled, nats-py's own wait may not: the answer to it would end all reading.
    """
    flushing = asyncio.ensure_future(client.flush())
    flushing.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.shield(flushing)
