"""One route's cache: answers from what is stored, or fetches, and stores what may be stored.

It keeps order; what may be stored, for how long, and what answers what is for `edgefn.rules` to say.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from weakref import ref

from edgefn.model.errors import FunctionError, NotStoredError
from edgefn.model.headers import Headers, Line
from edgefn.model.hot import hot_dataclass
from edgefn.model.message import Request, Response, no_body
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result, Trail
from edgefn.proxy.answering import CONDITIONS, answer, chosen, hit_lines, matching
from edgefn.proxy.background import Background
from edgefn.proxy.errand import Errand, Fetch
from edgefn.proxy.fetching import Fetching
from edgefn.proxy.flights import Duty, Flights, Landing
from edgefn.proxy.mended import Mended
from edgefn.proxy.miss import Miss
from edgefn.proxy.repeats import Source
from edgefn.proxy.shelved import Shelved
from edgefn.proxy.spool import Spool
from edgefn.rules.age import age_value, current_age
from edgefn.rules.cache_key import EXTENSION, fields_in_key, keys_by, uri_of
from edgefn.rules.cache_status import appended, forwarded, hit
from edgefn.rules.changed import changed_targets, has_changed
from edgefn.rules.directives import in_force
from edgefn.rules.freshness import is_fresh
from edgefn.rules.log_line import one_line
from edgefn.rules.lookup import Bypass, Lookup, bypass, may_collapse
from edgefn.rules.storing import Reason
from edgefn.rules.validating import without_conditions
from edgefn.rules.vary import matches, selected
from edgefn.rules.verdict import Ask, Held, Serve, Verdict, Why, verdict
from edgefn.rules.wishes import NO_WISHES, Wishes, has_wishes, wishes
from edgefn.stores.base import Stored, StoreError
from edgefn.stores.stock import Stock

_log = logging.getLogger("edgefn")

_COLLAPSED = "collapsed"
_ROUNDS = 2
_FRESH = Serve(Why.FRESH)
_ABSENT = Ask(Lookup.URI_MISS)


@hot_dataclass(frozen=True, slots=True)
class _Judged:
    """What was found for a request, and whether it answers."""

    stored: Stored | None
    age: float
    verdict: Verdict
    now: float


class Cache:
    """The cache of one route. `stock`, `flights` and `background` may be shared; `now` is wall-clock seconds."""

    def __init__(
        self, stock: Stock, policy: CachePolicy, flights: Flights, now: Callable[[], float], background: Background
    ) -> None:
        self._stock = stock
        self._policy = policy
        self._flights = flights
        self._now = now
        self._background = background
        self._key = keys_by(policy)
        self._fetching = Fetching(stock, policy, now, background.carry)

    def serve_now(self, request: Request) -> Response | None:
        """Return the answer that lies fresh in memory, without waiting; None when there is none."""
        if bypass(request, self._policy) is not None or self._has_wishes(request):
            return None
        return self._fresh(request, self._stock.get(self._key(request)))

    def _fresh(self, request: Request, variants: Sequence[Stored]) -> Response | None:
        """Return the answer that is fresh among `variants`; `request` has no wishes about that."""
        stored = chosen(variants, request) if variants else None
        if stored is None:
            return None
        now = self._now()
        age = current_age(stored.initial_age, stored.received_at, now)
        return self._hit(request, stored, age, now) if is_fresh(stored.lifetime, age) else None

    @property
    def may_miss_now(self) -> bool:
        """Return whether a miss may be fetched without waiting for anything but the origin."""
        policy = self._policy
        return policy.enabled and not (policy.encodings or policy.compress)

    def miss_now(self, request: Request) -> Miss | None:
        """Return what to do with a request of which `serve_now` had nothing; None: the usual way is to see to it.

        That is where something is stored, or is being fetched, or the answer is likely of use to this viewer alone.
        """
        if request.method != "GET" or bypass(request, self._policy) is not None:
            return None
        if self._has_wishes(request) or not may_collapse(request):
            return None
        key = self._key(request)
        if self._stock.peek(key) or self._stock.may_be_on_disk(key) or self._fetching.is_failing(key):
            return None
        duty = self._flights.board_nowait(key)
        if duty is None:
            return None
        return Miss(self._fetching, request, key, duty, self._now)

    def source_of(self, request: Request) -> Source | None:
        """Return what `serve_now` has just answered `request` with, if it did with all that is stored there."""
        if request.method != "GET" or not CONDITIONS.isdisjoint(request.headers.names()):
            return None
        key = self._key(request)
        variants = self._stock.peek(key)
        stored = chosen(variants, request)
        if stored is None or not stored.is_here:
            return None
        fields = fields_in_key(self._policy).union(*(dict(variant.vary) for variant in variants))
        return Source(key, tuple(map(ref, variants)), variants.index(stored), fields)

    def hit_again(self, source: Source) -> tuple[Stored, float] | None:
        """Return what is stored and its age, if that is still in memory and fresh. That counts as a use."""
        stored = source.stored_in(self._stock.get(source.key))
        if stored is None:
            return None
        age = current_age(stored.initial_age, stored.received_at, self._now())
        return (stored, age) if is_fresh(stored.lifetime, age) else None

    def told_of(self, stored: Stored, age: float) -> Sequence[Line]:
        """Return the lines that a hit of this age adds."""
        return hit_lines(age, hit(stored.lifetime - age) if self._policy.cache_status else "")

    def serve(self, request: Request, fetch: Fetch) -> Awaitable[Response]:
        """Return the response to `request`, calling `fetch` only when it must.

        A response that is being stored must be read to its end or closed. Raises what `fetch` raises, and
        `NotStoredError`.
        """
        why = bypass(request, self._policy)
        if why is not None:
            return self._bypassed(request, fetch, why)
        return self._served(request, fetch) if self._stock.disk is None else self._served_with_disk(request, fetch)

    async def _served_with_disk(self, request: Request, fetch: Fetch) -> Response:
        """Return the response, with the body opened where it lies on disk.

        What is dropped there before it is opened is looked for once more, and then fetched for this request alone.
        """
        for _ in range(_ROUNDS):
            response = await self._served(request, fetch)
            if not isinstance(response.body, Shelved) or request.method == "HEAD":
                return response
            opened = await self._opened(response, response.body, request, fetch)
            if opened is not None:
                return opened
        self._may_fetch(request)
        key = self._key(request)
        return await self._fetching.go(Errand(request, key, fetch, None, Lookup.URI_MISS), self._flights.alone(key))

    async def _served(self, request: Request, fetch: Fetch) -> Response:
        """Return the response. A body that lies on disk is yet to be opened."""
        key = self._key(request)
        variants, has_wishes = self._stock.get(key), self._has_wishes(request)
        response = None if has_wishes else self._fresh(request, variants)
        if response is not None:
            return response  # most are: nothing of what follows is needed to see it
        judged = self._judged(request, variants)
        response = self._at_once(request, key, fetch, judged)
        may_share = may_collapse(request)
        is_alone = not may_share or has_wishes or request.method != "GET"
        if response is None and is_alone and self._stock.disk is not None:  # others look there for all who wait
            judged = await self._judged_with_disk(request, key)
            response = self._at_once(request, key, fetch, judged)
        if response is not None:
            return response
        self._may_fetch(request)
        errand = _errand(request, key, fetch, judged)
        if not may_share or errand.lookup is Lookup.REQUEST:
            return await self._fetching.go(errand, self._flights.alone(key))
        if request.method == "GET":
            duty = self._flights.board_nowait(self._flight_name(request, key))
            if duty is not None:
                return await self._lead(errand, duty)
        return await self._collapsed(errand)

    def _may_fetch(self, request: Request) -> None:
        """Raise `NotStoredError` where the viewer wants nothing that is not stored."""
        if self._wishes(request).only_if_cached:
            raise NotStoredError("only-if-cached")

    def _has_wishes(self, request: Request) -> bool:
        return self._policy.honour_request and has_wishes(request.headers)

    def _wishes(self, request: Request) -> Wishes:
        return wishes(request.headers) if self._has_wishes(request) else NO_WISHES

    async def _opened(self, response: Response, body: Shelved, request: Request, fetch: Fetch) -> Response | None:
        """Return the response with its body from disk; None when that can't be had.

        Where it breaks off later, for what lies there is damaged, the origin is asked for the rest.
        """
        try:
            found = None if self._stock.disk is None else await body.opened(self._stock.disk)
        except StoreError:
            return None
        if found is None:
            return None
        return replace(response, body=Mended(found, partial(self._fetching.rest, request, fetch, body)))

    async def _judged_anywhere(self, request: Request, key: str) -> _Judged:
        """Return what is stored for `request`; the disk is asked for what memory does not have."""
        judged = self._judged(request, self._stock.get(key))
        if self._stock.disk is None or isinstance(judged.verdict, Serve):
            return judged
        return await self._judged_with_disk(request, key)

    async def _judged_with_disk(self, request: Request, key: str) -> _Judged:
        brought = await self._stock.bring(key, lambda stored: matches(stored.vary, request.headers))
        return self._judged(request, [*self._stock.peek(key), *brought])

    def _judged(self, request: Request, variants: Sequence[Stored]) -> _Judged:
        """Return which of the variants is for `request`, and whether that answers it."""
        stored = chosen(variants, request) if variants else None
        now = self._now()
        if stored is None:
            return _Judged(None, 0.0, Ask(_missed(variants, request)) if variants else _ABSENT, now)
        age = current_age(stored.initial_age, stored.received_at, now)
        asked = self._wishes(request)
        immutable = asked.max_age is not None and "immutable" in in_force(stored.headers, self._policy.targeted)
        held = Held(stored.lifetime, age, stored.stale, stored.retry_at, immutable)
        return _Judged(stored, age, verdict(held, asked, now), now)

    def _at_once(self, request: Request, key: str, fetch: Fetch, judged: _Judged) -> Response | None:
        """Return what is stored, if that will do; it may be validated in the background then."""
        stored, found = judged.stored, judged.verdict
        if stored is None or isinstance(found, Ask):
            return None
        if found.in_background:
            name = self._flight_name(request, key)
            self._background.start(name, partial(self._validated, request, key, fetch))
        return self._hit(request, stored, judged.age, judged.now, found.why)

    def _hit(self, request: Request, stored: Stored, age: float, now: float, why: str = Why.FRESH) -> Response:
        _note_hit(request.trail, stored, why)
        if not self._policy.cache_status:
            return answer(request, stored, age, now)
        return answer(request, stored, age, now, hit(stored.lifetime - age, "" if why is Why.FRESH else why))

    async def _validated(self, request: Request, key: str, fetch: Fetch) -> None:
        """Do in the background what a viewer's request would have done in the foreground."""
        asked = replace(request, method="GET", body=no_body(), trail=Trail(), interim=_nobody_listens)
        stored = (await self._judged_anywhere(asked, key)).stored
        if stored is None:
            return
        headers = without_conditions(request.headers, of_a_part=stored.part is not None)
        asked = replace(asked, headers=headers)
        errand = Errand(asked, key, fetch, stored, Lookup.STALE)
        response = await self._fetching.go(errand, self._flights.alone(key))
        try:
            while asked.trail.cache_reason == Reason.INCOMPLETE and await response.body.read():
                pass  # until it is stored, or grows too large
        finally:
            response.body.close()

    async def _bypassed(self, request: Request, fetch: Fetch, why: Bypass) -> Response:
        """Pass `request` by; what it changed at the origin is stored no more (RFC 9111 section 4.4)."""
        self.passing(request, why)
        try:
            response = await fetch(request)
        except FunctionError as error:  # the origin may have done what it was asked for all the same
            if has_changed(request.method, error.origin_status):
                await self._invalidate(request)
            raise
        if has_changed(request.method, response.status, response.origin_status):
            try:
                await self._invalidate(request)
                for path, query in changed_targets(request, response.headers):
                    await self._invalidate(replace(request, path=path, query=query))
            except BaseException:
                response.close()
                raise
        return self.passed(request, response, why)

    def passing(self, request: Request, why: Bypass) -> None:
        """Let the trail tell that `request` is passed by."""
        _note(request.trail, Lookup.METHOD if why is Bypass.METHOD else Lookup.BYPASS, why)

    def passed(self, request: Request, response: Response, why: Bypass) -> Response:
        """Return the response to a request that was passed by, as it goes on; the trail tells of it."""
        request.trail.result = Result.ERROR if response.from_origin_error else Result.MISS
        if not self._policy.cache_status or response.tunnel is not None:
            return response
        lookup = Lookup.METHOD if why is Bypass.METHOD else Lookup.BYPASS
        member = forwarded(lookup, response.origin_status, "" if lookup is Lookup.METHOD else why)
        return response.dressed(appended(response.headers, member))

    async def _invalidate(self, request: Request) -> None:
        uri = uri_of(self._key(request))
        self._flights.invalidate(uri)
        try:
            await self._stock.remove(uri)
        except StoreError as error:
            _log.error("%s: what it changed may still be stored: %s", request.id, one_line(str(error)))

    async def _collapsed(self, errand: Errand) -> Response:
        """Fetch for all who wait, or wait; what comes of the wait is judged for this request alone."""
        request, key = errand.request, errand.key
        for _ in range(_ROUNDS):  # the first may only tell what the response varies by
            name = self._flight_name(request, key)
            landing = await (self._flights.board(name) if request.method == "GET" else self._flights.join(name))
            if isinstance(landing, Duty) and request.method == "GET":
                errand = self._anew(errand)
                return await self._lead(errand, landing)
            if isinstance(landing, Spool):
                response = self._followed(errand, landing)
                if response is not None:
                    return response
            elif isinstance(landing, Duty):
                landing.hand_on()  # a HEAD brings back nothing to store
            judged = await self._judged_anywhere(request, key)
            if judged.stored is not None and isinstance(judged.verdict, Serve):
                return self._landed(errand, judged.stored, judged.age, judged.now)
            if landing is not Landing.STORED or name == self._flight_name(request, key):
                break
        return await self._lead(self._anew(errand), self._flights.alone(key))

    def _followed(self, errand: Errand, spool: Spool) -> Response | None:
        """Return what another viewer's fetch is bringing; None when it is not for this request, or has just ended."""
        if not spool.can_be_joined:
            return None
        request, head, since = errand.request, spool.keeper.head, spool.keeper.since
        judged = self._judged(request, [head])
        if request.method != "GET" or judged.verdict != _FRESH or self._stock.is_purged(errand.key, head.tags, since):
            return None
        _note_hit(request.trail, head, _COLLAPSED)
        headers = head.headers.adding(("Age", age_value(judged.age)))
        if self._policy.cache_status:
            headers = appended(headers, forwarded(errand.lookup, 0, "", collapsed=True))
        return Response(head.status, head.reason, headers, spool.reader(), head.from_origin_error)

    async def _lead(self, errand: Errand, duty: Duty) -> Response:
        """Go on the errand, unless what is on disk will do."""
        if self._stock.disk is None:
            return await self._fetching.go(errand, duty)
        request, key = errand.request, errand.key
        with duty:
            judged = await self._judged_with_disk(request, key)
        response = self._at_once(request, key, errand.fetch, judged)
        if response is not None:
            duty.landed()
            return response
        return await self._fetching.go(_errand(request, key, errand.fetch, judged), duty)

    def _anew(self, errand: Errand) -> Errand:
        """Return the errand as it is now, after a wait."""
        judged = self._judged(errand.request, self._stock.get(errand.key))
        return _errand(errand.request, errand.key, errand.fetch, judged)

    def _landed(self, errand: Errand, stored: Stored, age: float, now: float) -> Response:
        """Return what another viewer's fetch has brought."""
        _note_hit(errand.request.trail, stored, _COLLAPSED)
        told = forwarded(errand.lookup, 0, "", collapsed=True) if self._policy.cache_status else ""
        return answer(errand.request, stored, age, now, told)

    def _flight_name(self, request: Request, key: str) -> str:
        """Return what equal requests share: the key, and their values of the fields known to matter."""
        variants = self._stock.peek(key)
        if not variants or not variants[0].vary:
            return key
        names = tuple(name for name, _ in variants[0].vary)
        return f"{key}{EXTENSION}{selected(names, request.headers)!r}"


def _errand(request: Request, key: str, fetch: Fetch, judged: _Judged) -> Errand:
    lookup = judged.verdict.lookup if isinstance(judged.verdict, Ask) else Lookup.STALE
    return Errand(request, key, fetch, judged.stored, lookup)


def _missed(variants: Sequence[Stored], request: Request) -> Lookup:
    return Lookup.PARTIAL if matching(variants, request) else Lookup.VARY_MISS


def _note_hit(trail: Trail, stored: Stored, why: str) -> None:
    trail.cache = Lookup.HIT
    trail.cache_reason = why
    trail.result = Result.ERROR if stored.from_origin_error else Result.HIT


def _note(trail: Trail, lookup: Lookup, reason: str) -> None:
    trail.cache = lookup
    trail.cache_reason = reason


def _nobody_listens(status: int, headers: Headers) -> None:
    del status, headers
