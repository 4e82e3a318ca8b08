"""One route's cache: answers from what is stored, or fetches, and stores what may be stored.

It keeps order; what may be stored, for how long, and what answers what is for `edgefn.rules` to say.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from edgefn.model.message import BytesBody, Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result, Trail
from edgefn.proxy.answering import answer, chosen
from edgefn.proxy.flights import Duty, Flights, Landing
from edgefn.proxy.teed import Teed
from edgefn.rules.accept_encoding import normalised
from edgefn.rules.age import Times, current_age
from edgefn.rules.cache_key import EXTENSION, keys_by, uri_of
from edgefn.rules.freshness import is_fresh
from edgefn.rules.lookup import Bypass, Lookup, bypass, is_safe, may_collapse
from edgefn.rules.storing import Reason, Refuse, may_store, stored_headers
from edgefn.rules.storing import Store as MayStore
from edgefn.rules.vary import nominated, selected
from edgefn.stores.base import Store, Stored

Fetch: TypeAlias = Callable[[Request], Awaitable[Response]]

_FRESH, _COLLAPSED, _STORED = "fresh", "collapsed", "stored"
_ROUNDS = 2


class Cache:
    """The cache of one route. `store` and `flights` may be shared by routes; `now` is wall-clock seconds."""

    def __init__(self, store: Store, policy: CachePolicy, flights: Flights, now: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._flights = flights
        self._now = now
        self._key = keys_by(policy)

    def serve_now(self, request: Request) -> Response | None:
        """Return the answer that lies fresh in memory, without waiting; None when there is none."""
        if bypass(request, self._policy) is not None:
            return None
        return self._stored(request, self._key(request), _FRESH)

    async def serve(self, request: Request, fetch: Fetch) -> Response:
        """Return the response to `request`, calling `fetch` at most once and only when it must.

        A response that is being stored must be read to its end or closed. Raises what `fetch` raises.
        """
        why = bypass(request, self._policy)
        if why is not None:
            return await self._bypassed(request, fetch, why)
        key = self._key(request)
        hit = self._stored(request, key, _FRESH)
        if hit is not None:
            return hit
        if not may_collapse(request):
            return await self._fetched(request, key, fetch, self._flights.alone(key))
        return await self._collapsed(request, key, fetch)

    def _stored(self, request: Request, key: str, why: str) -> Response | None:
        stored = chosen(self._store.get(key), request)
        if stored is None:
            return None
        now = self._now()
        age = current_age(stored.initial_age, stored.received_at, now)
        if not is_fresh(stored.lifetime, age):
            return None
        _note(request.trail, Lookup.HIT, why)
        request.trail.result = Result.ERROR if stored.from_origin_error else Result.HIT
        return answer(request, stored, age, now)

    async def _bypassed(self, request: Request, fetch: Fetch, why: Bypass) -> Response:
        """Pass `request` by; what it changed at the origin is stored no more (RFC 9111 section 4.4)."""
        _note(request.trail, Lookup.METHOD if why is Bypass.METHOD else Lookup.BYPASS, why)
        response = await fetch(request)
        request.trail.result = _fetched_result(response)
        if not is_safe(request.method) and 200 <= response.status < 400:
            uri = uri_of(self._key(request))
            self._flights.invalidate(uri)
            self._store.remove(uri)
        return response

    async def _collapsed(self, request: Request, key: str, fetch: Fetch) -> Response:
        """Fetch for all who wait, or wait; what comes of the wait is judged for this request alone."""
        for _ in range(_ROUNDS):  # the first may only tell what the response varies by
            name = self._flight_name(request, key)
            landing = await (self._flights.board(name) if request.method == "GET" else self._flights.join(name))
            if isinstance(landing, Duty) and request.method == "GET":
                return await self._fetched(request, key, fetch, landing)
            if isinstance(landing, Duty):
                landing.hand_on()  # a HEAD brings back nothing to store
            hit = self._stored(request, key, _COLLAPSED)
            if hit is not None:
                return hit
            if landing is not Landing.STORED or name == self._flight_name(request, key):
                break
        return await self._fetched(request, key, fetch, self._flights.alone(key))

    def _flight_name(self, request: Request, key: str) -> str:
        """Return what equal requests share: the key, and their values of the fields known to matter."""
        variants = self._store.get(key)
        if not variants or not variants[0].vary:
            return key
        names = tuple(name for name, _ in variants[0].vary)
        return f"{key}{EXTENSION}{selected(names, request.headers)!r}"

    def _missed(self, request: Request, key: str) -> Lookup:
        variants = self._store.get(key)
        if not variants:
            return Lookup.URI_MISS
        return Lookup.VARY_MISS if chosen(variants, request) is None else Lookup.STALE

    async def _fetched(self, request: Request, key: str, fetch: Fetch, duty: Duty) -> Response:
        requested_at = self._now()
        lookup = self._missed(request, key)
        with duty:
            response = await fetch(_normalised(request, self._policy))
            request.trail.result = _fetched_result(response)
            times = Times(requested_at, self._now())
            verdict = may_store(request, response, self._policy, times)
            match verdict:
                case MayStore():
                    _note(request.trail, lookup, Reason.INCOMPLETE)  # until its body is here
                    keep = partial(self._keep, key, self._blank(request, response, verdict, times), duty, request.trail)
                    return self._storing(request.trail, response, duty, keep)
                case Refuse(reason):
                    _note(request.trail, lookup, reason)
                    duty.unshared()
                    return response

    def _storing(self, trail: Trail, response: Response, duty: Duty, keep: Callable[[bytes], None]) -> Response:
        """Return `response` with a body that is kept as it passes; one that is here already is kept at once."""
        most = self._store.largest
        if (response.body.length or 0) > most:
            trail.cache_reason = Reason.TOO_LARGE
            duty.unshared()
            return response
        body = Teed(response.body, most, duty, keep, partial(_refused, trail))
        data = body.buffered()
        return replace(response, body=body if data is None else BytesBody(data, body.trailers))

    def _keep(self, key: str, blank: Stored, duty: Duty, trail: Trail, data: bytes) -> None:
        if duty.is_outdated:
            trail.cache_reason = Reason.INVALIDATED
            return
        self._store.put(key, replace(blank, body=data))
        trail.cache_reason = _STORED
        duty.landed()

    def _blank(self, request: Request, response: Response, verdict: MayStore, times: Times) -> Stored:
        """Return what is stored of `response`, without its body."""
        names = nominated(response.headers) or ()
        if self._policy.encodings:
            names = tuple(name for name in names if name != "accept-encoding")  # its normalised value is in the key
        return Stored(
            status=response.status,
            reason=response.reason,
            headers=stored_headers(response.headers, times.received_at),
            body=b"",
            requested_at=times.requested_at,
            received_at=times.received_at,
            lifetime=verdict.lifetime,
            initial_age=verdict.initial_age,
            vary=selected(names, request.headers),
            from_origin_error=response.from_origin_error,
        )


def _note(trail: Trail, lookup: Lookup, reason: str) -> None:
    trail.cache = lookup
    trail.cache_reason = reason


def _refused(trail: Trail, reason: Reason) -> None:
    trail.cache_reason = reason


def _fetched_result(response: Response) -> Result:
    return Result.ERROR if response.from_origin_error else Result.MISS


def _normalised(request: Request, policy: CachePolicy) -> Request:
    """Return `request` with the Accept-Encoding that the route tells apart, so that no other one is answered."""
    if not policy.encodings:
        return request
    coding = normalised(request.headers.joined("accept-encoding"), policy.encodings)
    return replace(request, headers=request.headers.replacing("Accept-Encoding", coding))
