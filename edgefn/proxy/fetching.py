"""Asking the origin, and what comes of it: stored, merged into what is stored, or served stale in its stead."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edgefn.model.errors import EdgeError, FunctionError, OriginError
from edgefn.model.hot import hot_dataclass
from edgefn.model.message import Body, BytesBody, Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result, Trail
from edgefn.proxy.answering import answer, chosen
from edgefn.proxy.compressed import Compressed
from edgefn.proxy.errand import Errand, Fetch, is_confirmed
from edgefn.proxy.flights import Duty
from edgefn.proxy.joining import placed
from edgefn.proxy.keeping import Keeping, Storable
from edgefn.proxy.recent_failures import RecentFailures
from edgefn.proxy.shelved import Shelved
from edgefn.proxy.spool import Carry, Keeper, Spool
from edgefn.proxy.teed import Teed
from edgefn.rules.age import Times, current_age
from edgefn.rules.cache_status import appended, forwarded
from edgefn.rules.compression import coding_for, compressed_headers, confirmed_headers, is_compressible, with_vary
from edgefn.rules.directives import in_force
from edgefn.rules.freshness import is_fresh
from edgefn.rules.log_line import one_line
from edgefn.rules.lookup import Lookup, is_conditional
from edgefn.rules.ranges import received_span, strong_tag
from edgefn.rules.stale import covers_failure, covers_status, is_error, limit_for
from edgefn.rules.storing import MayStore, Reason, Refuse, may_store, withheld
from edgefn.stores.base import Stored, StoreError
from edgefn.stores.stock import Stock
from edgefn.wire.outbound import UnheardError

STORED = "stored"
_VALIDATED = "validated"
_STALE_IF_ERROR, _DISCONNECTED, _FUNCTION_FAILED = "stale-if-error", "stale-disconnected", "stale-function-failed"


@hot_dataclass(frozen=True, slots=True)
class _Unkept:
    """An answer that is not to be stored."""

    response: Response
    reason: Reason


@hot_dataclass(frozen=True, slots=True)
class _Fetched:
    """An answer that is being stored."""

    errand: Errand
    duty: Duty
    storable: Storable


class Fetching:
    """Goes on errands for one route."""

    def __init__(self, stock: Stock, policy: CachePolicy, now: Callable[[], float], carry: Carry) -> None:
        self._policy = policy
        self._now = now
        self._stock = stock
        self._carry = carry
        self._keeping = Keeping(stock, policy)
        self._failures = RecentFailures(policy, now)

    async def go(self, errand: Errand, duty: Duty) -> Response:
        """Return what the origin, or what is stored in its stead, answers. Raises what fetching raises."""
        with duty:
            outgoing = errand.outgoing(self._policy)
            requested_at = self._now()
            known = self._failures.recall(errand.key)
            if known is not None:
                return await self._stale_for_failure(errand, duty, known)
            try:
                response = await errand.fetch(outgoing)
            except OriginError as error:
                self._failures.remember(errand.key, error)
                return await self._stale_for_failure(errand, duty, error)
            except FunctionError as error:
                return await self._stale_for_function(errand, duty, error)
            times = Times(requested_at, self._now())
            if is_confirmed(errand, response):
                response.body.close()
                confirmed = await self._confirmed(errand, response, times, duty)
                return confirmed or await self.go(replace(errand, is_unconditional=True), duty)
            stale = await self._stale_for_error(errand, duty, response) if errand.lookup is Lookup.STALE else None
            return stale or await self._received(errand, duty, outgoing, response, times)

    async def rest(self, request: Request, fetch: Fetch, body: Shelved, at: int) -> Body:
        """Return what is behind `at` bytes of a damaged body, from the origin, if it has the very same one.

        Raises `StoreError` if not, and what fetching raises.
        """
        lacking = body.lacking(at)
        if lacking is None:
            raise StoreError("the rest is damaged, and no strong validator says what else is the same")
        outgoing = Errand(request, "", fetch, None, Lookup.PARTIAL, is_unconditional=True).outgoing(self._policy)
        wanted = (("Range", f"bytes={lacking.span.first}-{lacking.span.last}"), ("If-Range", lacking.tag))
        response = await fetch(replace(outgoing, headers=outgoing.headers.adding(*wanted)))
        is_it = strong_tag(response.headers) == lacking.tag and response.status == 206
        if not is_it or received_span(response.headers) != (lacking.span, lacking.total):
            response.body.close()
            raise StoreError("the rest is damaged, and the origin does not have the same any more")
        return response.body

    async def _confirmed(self, errand: Errand, response: Response, times: Times, duty: Duty) -> Response | None:
        """Return the answer that a 304 confirms, merged with it; None when it is about nothing that is stored."""
        renewed = await self._keeping.confirm(errand, response.headers, times, duty)
        if renewed is None:
            return None
        _end(duty, shared=is_fresh(renewed.lifetime, renewed.initial_age))
        _note(errand, _VALIDATED, Result.ERROR if renewed.from_origin_error else Result.REFRESH_HIT)
        return self._answered_anew(errand, renewed, response)

    def _answered_anew(self, errand: Errand, stored: Stored, received: Response, *, is_new: bool = False) -> Response:
        """Return what the origin has just given or confirmed: as old as it says, with what is for this viewer alone."""
        lines = withheld(received.headers, in_force(stored.headers, self._policy.targeted))
        shown = replace(stored, headers=stored.headers.adding(*lines)) if lines else stored
        now = self._now()
        age = current_age(stored.initial_age, stored.received_at, now) if "age" in received.headers else None
        status = received.origin_status if is_new else received.status
        return answer(errand.request, shown, age, now, self._member(errand, status, "", is_new=is_new))

    def _member(self, errand: Errand, status: int, why: str, *, is_new: bool = False) -> str:
        return forwarded(errand.lookup, status, why, stored=is_new) if self._policy.cache_status else ""

    async def _stale_for_failure(self, errand: Errand, duty: Duty, error: OriginError) -> Response:
        """Return the stale response for an answer that did not come. Raises `error` where it may not be served."""
        stored = self._stale(errand)
        if stored is None or not covers_failure(stored.stale, error.failure, self._staleness(stored)):
            await self._rest_in_background(errand, duty)
            raise error
        errand.request.trail.detail = f"{error.failure}: {error}"
        await self._rest(errand, duty, stored, limit_for(stored.stale, error.failure))
        return self._in_its_stead(errand, duty, stored, 0, _DISCONNECTED)

    async def _stale_for_function(self, errand: Errand, duty: Duty, error: FunctionError) -> Response:
        """Return the stale response for a function that failed, where its hook says so. Raises `error` elsewhere.

        It may be served for as long as for an origin that can't be reached.
        """
        stored = self._stale(errand)
        limit = 0.0 if stored is None or not error.prefers_stale else stored.stale.if_disconnected
        if stored is None or self._staleness(stored) >= limit:
            await self._rest_in_background(errand, duty)
            raise error
        errand.request.trail.detail = one_line(f"{error.kind}: function {error.function}: {error.rule}")
        await self._rest(errand, duty, stored, limit)
        return self._in_its_stead(errand, duty, stored, 0, _FUNCTION_FAILED)

    async def _stale_for_error(self, errand: Errand, duty: Duty, response: Response) -> Response | None:
        """Return the stale response for an error of the origin, where it may be served (RFC 5861 section 4)."""
        stored = self._stale(errand)
        if stored is None or not covers_status(stored.stale, response.status, self._staleness(stored)):
            if is_error(response.status):
                await self._rest_in_background(errand, duty)
            return None
        response.body.close()
        await self._rest(errand, duty, stored, stored.stale.if_error)
        return self._in_its_stead(errand, duty, stored, response.status, _STALE_IF_ERROR)

    @staticmethod
    def _stale(errand: Errand) -> Stored | None:
        return errand.stored if errand.lookup is Lookup.STALE else None

    def _staleness(self, stored: Stored) -> float:
        return current_age(stored.initial_age, stored.received_at, self._now()) - stored.lifetime

    async def _rest(self, errand: Errand, duty: Duty, stored: Stored, limit: float) -> None:
        """Leave the origin alone for a moment, but no longer than `stored` may stand in for it."""
        moment = min(self._policy.stale_retry, limit - self._staleness(stored))
        if moment > 0 and not duty.is_outdated:
            await self._keeping.rest(errand.key, stored, self._now() + moment)

    async def _rest_in_background(self, errand: Errand, duty: Duty) -> None:
        """Do so for an error that nothing may cover up: viewers are served while it is validated, and need not wait."""
        stored = self._stale(errand)
        if stored is not None:
            await self._rest(errand, duty, stored, stored.stale.while_revalidate)

    def _in_its_stead(self, errand: Errand, duty: Duty, stored: Stored, status: int, why: str) -> Response:
        duty.landed()  # who waits finds it at rest
        _note(errand, why, Result.ERROR if stored.from_origin_error else Result.HIT)
        now = self._now()
        age = current_age(stored.initial_age, stored.received_at, now)
        return answer(errand.request, stored, age, now, self._member(errand, status, why))

    async def _received(
        self, errand: Errand, duty: Duty, outgoing: Request, received: Response, times: Times
    ) -> Response:
        """Return the origin's answer, on its way into the store if it may be stored."""
        if outgoing.method == "HEAD" and received.status == 200:
            await self._keeping.confirm_by_head(errand, received.headers, times, duty)
        found = self._judged(errand, duty, outgoing, received, times)
        if isinstance(found, Response):
            return found
        if errand.stored is not None and _ends(errand, errand.stored, received.status, found.reason):
            try:
                await self._keeping.outdate(errand.key, errand.stored)
            except BaseException:
                found.response.close()
                raise
        return self._unkept(errand, duty, found)

    def received_now(self, errand: Errand, duty: Duty, received: Response, times: Times) -> Response:
        """Return the same for the GET of something of which nothing is stored: that needs no waiting."""
        found = self._judged(errand, duty, errand.request, received, times)
        return found if isinstance(found, Response) else self._unkept(errand, duty, found)

    def failed_now(self, errand: Errand, duty: Duty, error: EdgeError) -> None:
        """Take note that no answer came to such a request."""
        if isinstance(error, OriginError) and not isinstance(error, UnheardError):
            self._failures.remember(errand.key, error)
        duty.hand_on()

    def is_failing(self, key: str) -> bool:
        """Return whether an attempt would most likely end in a failure that is remembered."""
        return self._failures.recall(key) is not None

    def _judged(
        self, errand: Errand, duty: Duty, outgoing: Request, received: Response, times: Times
    ) -> Response | _Unkept:
        errand.request.trail.result = Result.ERROR if received.from_origin_error else Result.MISS
        response = self._compressed(outgoing, received)
        verdict = may_store(outgoing, response, self._policy, times)
        if isinstance(verdict, MayStore) and (response.body.length or 0) <= self._stock.largest:
            tag = received.headers.get("etag") if isinstance(response.body, Compressed) else None
            return self._storing(_Fetched(errand, duty, Storable(response, verdict, times, tag)))
        return _Unkept(response, verdict.reason if isinstance(verdict, Refuse) else Reason.TOO_LARGE)

    def _unkept(self, errand: Errand, duty: Duty, found: _Unkept) -> Response:
        duty.unshared()
        _note(errand, found.reason)
        return self._told(found.response, errand, found.reason)

    def _compressed(self, outgoing: Request, response: Response) -> Response:
        """Return the response as the route's viewers get it: compressed, or dressed so where there is no body."""
        if self._policy.compress and response.status == 304:
            return response.dressed(confirmed_headers(outgoing.headers, response.headers))
        if not is_compressible(outgoing.method, response, self._policy):
            return response
        coding = coding_for(outgoing, self._policy)
        if coding is None:
            return response.dressed(with_vary(response.headers))
        headers = compressed_headers(response.headers, coding)
        body = response.body if outgoing.method == "HEAD" else Compressed(response.body, coding)
        return response.carrying(headers, body)

    def _storing(self, fetched: _Fetched) -> Response:
        """Return the response with a body that is kept as it passes; one that is here already is kept at once."""
        errand, response = fetched.errand, fetched.storable.response
        _note(errand, Reason.INCOMPLETE)  # until its body is here
        is_small = (response.body.length or 0) <= self._stock.largest_at_once
        data = response.body.buffered() if is_small else None
        if data is None:
            return self._told(response, errand, "", self._passing(fetched))
        why = self._keep_at_once(fetched, data)
        if why is None and errand.replaces_conditions and is_conditional(errand.request):  # these it did not see
            stored = chosen(self._keeping.variants(errand.key), errand.request)
            if stored is not None:
                return self._answered_anew(errand, stored, response, is_new=True)
        return self._told(response, errand, why or "", BytesBody(data, response.body.trailers))

    def _passing(self, fetched: _Fetched) -> Body:
        """Return a body that is kept while it passes; others can follow it where some wait, or where it may be long."""
        if self._stock.disk is not None or (fetched.duty.waiters and fetched.storable.verdict.is_fresh):
            return self._spooled(fetched)
        keep, refused = partial(self._keep, fetched), partial(_refuse, fetched.errand.request.trail)
        return Teed(fetched.storable.response.body, self._stock.largest_at_once, fetched.duty, keep, refused)

    def _keep_at_once(self, fetched: _Fetched, data: bytes) -> Reason | None:
        """Keep a body that is all here, unless it is not as long as it said, or too large after all.

        Return why it is not kept, or None.
        """
        declared = fetched.storable.response.body.length
        if len(data) > self._stock.largest_at_once:
            _refuse(fetched.errand.request.trail, Reason.TOO_LARGE)
            fetched.duty.unshared()
            return Reason.TOO_LARGE
        if declared is not None and declared != len(data):
            fetched.duty.hand_on()
            return Reason.INCOMPLETE
        return self._keep(fetched, data)

    def _spooled(self, fetched: _Fetched) -> Body:
        """Return a body that goes to its viewer, to all who come for the same, and into the store."""
        errand, duty, storable = fetched.errand, fetched.duty, fetched.storable
        head = placed(self._keeping.stored(errand.request, storable, b""))
        span = received_span(storable.response.headers) if storable.response.status == 206 else None

        def kept() -> None:
            self._stock.on_disk(errand.key, head)
            errand.request.trail.cache_reason = STORED
            _end(duty, shared=storable.verdict.is_fresh)

        def refused(reason: Reason) -> None:
            _refuse(errand.request.trail, reason)
            if reason is Reason.INCOMPLETE:
                duty.hand_on()
            else:
                _end(duty, shared=reason is Reason.SUPERSEDED)  # then there is something better to look at

        keeper = Keeper(
            key=errand.key,
            head=head,
            since=duty.since,
            length=span[0].length if span else None,
            most_in_memory=self._stock.largest_in_memory,
            keep=partial(self._keep, fetched),
            writing=partial(self._stock.writing, errand.key, head, duty.since),
            superseded=lambda: self._keeping.is_superseded(errand.key, head, self._now()),
            kept=kept,
            refused=refused,
            is_paced=self._stock.disk is None,
        )
        spool = Spool(storable.response.body, keeper, self._carry)
        if storable.verdict.is_fresh and span is None:
            duty.shows(spool)
        return spool.reader()

    def _keep(self, fetched: _Fetched, data: bytes) -> Reason | None:
        """Keep a whole body; the trail tells of it. Return why it is not kept, or None."""
        errand, duty = fetched.errand, fetched.duty
        if duty.is_outdated:
            _refuse(errand.request.trail, Reason.INVALIDATED)
            return Reason.INVALIDATED
        stored = self._keeping.stored(errand.request, fetched.storable, data)
        reason = self._keeping.keep(errand.key, stored, self._now(), duty.since)
        errand.request.trail.cache_reason = reason or STORED
        _end(duty, shared=fetched.storable.verdict.is_fresh)
        return reason

    def _told(self, response: Response, errand: Errand, why: str, body: Body | None = None) -> Response:
        """Return `response`, with another `body`, and with what Cache-Status has to say.

        `why` it is not stored, "" when it is.
        """
        headers = response.headers
        if self._policy.cache_status and response.tunnel is None:
            headers = appended(headers, forwarded(errand.lookup, response.origin_status, why, stored=not why))
        return response.carrying(headers, response.body if body is None else body)


def _ends(errand: Errand, stored: Stored, status: int, reason: Reason) -> bool:
    """Return whether an answer that may not be stored tells that what is stored holds no more.

    An error does not, nor does what is about the request alone, or about the viewer's own copy, or about a part of it.
    """
    is_like_it = status != 304 and (status != 206 or stored.part is not None)
    replaces = errand.validates or (errand.lookup is Lookup.STALE and is_like_it)
    return replaces and status < 500 and not reason.is_about_request


def _end(duty: Duty, *, shared: bool) -> None:
    if shared:
        duty.landed()
    else:
        duty.unshared()


def _note(errand: Errand, reason: str, result: Result | None = None) -> None:
    trail = errand.request.trail
    trail.cache = errand.lookup
    trail.cache_reason = reason
    if result is not None:
        trail.result = result


def _refuse(trail: Trail, reason: Reason) -> None:
    trail.cache_reason = reason
