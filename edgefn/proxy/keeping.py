"""What becomes of the stored responses of one route when the origin has answered: added, confirmed, outdated."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from edgefn.model.headers import Headers
from edgefn.model.hot import hot_dataclass
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.proxy.answering import can_answer, matching
from edgefn.proxy.errand import Errand, origin_headers
from edgefn.proxy.flights import Duty
from edgefn.proxy.joining import as_part, combined
from edgefn.rules.age import Times
from edgefn.rules.compression import with_vary
from edgefn.rules.directives import in_force
from edgefn.rules.stale import NEVER_STALE
from edgefn.rules.storing import MayStore, Reason, Refuse, may_store, stored_headers
from edgefn.rules.tags import tags_of
from edgefn.rules.validating import agrees, confirmed, updated
from edgefn.rules.vary import nominated, selected
from edgefn.stores.base import Part, Stored, StoreError
from edgefn.stores.stock import Stock


@hot_dataclass(frozen=True, slots=True)
class Storable:
    """A response that may be stored, with the times and the verdict; `origin_tag` as in `Stored`."""

    response: Response
    verdict: MayStore
    times: Times
    origin_tag: str | None


class Keeping:
    """Changes what is stored by the policy of one route. It waits for the disk alone, and only for large bodies.

    `since` is always the number of the latest purge when the fetch began.
    """

    def __init__(self, stock: Stock, policy: CachePolicy) -> None:
        self._stock = stock
        self._policy = policy

    def stored(self, request: Request, storable: Storable, body: bytes, part: Part | None = None) -> Stored:
        """Return a response to `request` as it is to be stored with `body`."""
        response, times, verdict = storable.response, storable.times, storable.verdict
        names = nominated(response.headers) or ()
        if self._policy.encodings:
            names = tuple(name for name in names if name != "accept-encoding")  # its normalised value is in the key
        control = in_force(response.headers, self._policy.targeted)
        return Stored(
            status=response.status,
            reason=response.reason,
            headers=stored_headers(response.headers, times.received_at, control),
            body=body,
            requested_at=times.requested_at,
            received_at=times.received_at,
            lifetime=verdict.lifetime,
            initial_age=verdict.initial_age,
            vary=selected(names, request.headers),
            from_origin_error=response.from_origin_error,
            stale=verdict.stale,
            tags=tags_of(response.headers, self._policy.tag_headers),
            origin_tag=storable.origin_tag,
            part=part,
        )

    def keep(self, key: str, complete: Stored, now: float, since: int) -> Reason | None:
        """Store a response with its body. Return why not, or None."""
        new = as_part(complete) if complete.status == 206 else complete
        if new is None:
            return Reason.INCOMPLETE
        if self._stock.is_purged(key, new.tags, since):
            return Reason.INVALIDATED
        for held in self._stock.peek(key):
            if held.vary == new.vary:
                if held.outweighs(new, now):
                    return Reason.SUPERSEDED  # a slow fetch that began before the one that brought it
                new = combined(held, new, self._stock.largest_in_memory)
                break
        self._stock.put(key, new, since)
        return None

    async def is_superseded(self, key: str, new: Stored, now: float) -> bool:
        """Return whether a response that is on its way to the disk would cover a newer one, in memory or there."""
        known = [*self._stock.peek(key), *await self._stock.bring(key, lambda _: False)]
        return any(held.vary == new.vary and held.outweighs(new, now) for held in known)

    async def confirm(self, errand: Errand, answer: Headers, times: Times, duty: Duty) -> Stored | None:
        """Update what a 304 is about, and return what it says of the response to `errand` (RFC 9111 section 4.3.4).

        None: it is about nothing that is stored. When the duty is outdated the store is left alone.
        """
        if errand.stored is None:
            return None
        variants = matching(self._stock.peek(errand.key), errand.request)
        candidates = [errand.stored, *(variant for variant in variants if variant is not errand.stored)]
        found = confirmed(answer, [origin_headers(candidate) for candidate in candidates])
        renewed = [await self._renew(errand, candidates[index], answer, times, duty) for index in found]
        return next((stored for stored in renewed if can_answer(stored, errand.request)), None)

    async def _renew(self, errand: Errand, held: Stored, answer: Headers, times: Times, duty: Duty) -> Stored:
        """Return `held` with the fields of the answer, and store it so, as far as the new fields allow that."""
        headers = updated(origin_headers(held), answer, times.received_at)
        if self._policy.compress and "accept-encoding" in (nominated(held.headers) or ()):
            headers = with_vary(headers)  # what the edge has said of it; the origin does not know
        response = Response(held.status, held.reason, headers, from_origin_error=held.from_origin_error)
        of_get = replace(errand.request, method="GET")
        verdict = may_store(of_get, replace(response, status=_whole_status(held)), self._policy, times)
        store = MayStore(0.0, 0.0, NEVER_STALE) if isinstance(verdict, Refuse) else verdict
        storable = Storable(response, store, times, held.origin_tag)
        renewed = replace(self.stored(errand.request, storable, held.body, held.part), shelved=held.shelved)
        if held.origin_tag is not None:
            renewed = replace(renewed, headers=_with_own_tag(renewed.headers, held))
        if isinstance(verdict, Refuse):
            if not verdict.reason.is_about_request:
                await self.outdate(errand.key, held)
        elif not duty.is_outdated:
            await self._replace(errand.key, held, renewed, duty.since)
        return renewed

    async def _replace(self, key: str, held: Stored, renewed: Stored, since: int) -> None:
        """Put `renewed` in the place of `held`, or where nothing has come into its place meanwhile."""
        await self._renew_on_disk(held, renewed, since)
        if held.is_here and (self._is_stored(key, held) or not self._has_like(key, renewed)):
            self._stock.update(key, held, renewed, since)

    async def _renew_on_disk(self, held: Stored, renewed: Stored, since: int) -> None:
        if held.shelved is not None:
            with suppress(StoreError):  # it will be validated once more
                await self._stock.renew(held.shelved, renewed, since)

    def _is_stored(self, key: str, held: Stored) -> bool:
        return any(variant is held for variant in self._stock.peek(key))

    def _has_like(self, key: str, new: Stored) -> bool:
        return any(variant.vary == new.vary for variant in self._stock.peek(key))

    async def confirm_by_head(self, errand: Errand, answer: Headers, times: Times, duty: Duty) -> None:
        """Update the stored responses that the answer to a HEAD agrees with; outdate the others (section 4.3.5)."""
        for held in await self._all_like(errand):
            size = None
            if held.origin_tag is None:
                size = held.whole_length
            if held.status in {200, 206} and agrees(answer, origin_headers(held), size):
                await self._renew(errand, held, answer, times, duty)
            else:
                await self.outdate(errand.key, held)

    async def _all_like(self, errand: Errand) -> list[Stored]:
        """Return all that the request of `errand` selects, the parts too, and what is on disk alone."""
        about = matching(self._stock.peek(errand.key), errand.request)
        on_disk = matching(await self._stock.bring(errand.key, lambda _: False), errand.request)
        for held in (*(() if errand.stored is None else (errand.stored,)), *on_disk):
            if not any(known.vary == held.vary for known in about):
                about.append(held)
        return about

    async def outdate(self, key: str, held: Stored) -> None:
        """Let `held`, if it is still stored, answer nobody any more without validation."""
        outdated = replace(held, lifetime=0.0, stale=NEVER_STALE)
        if self._is_stored(key, held):
            self._stock.touch_up(key, outdated)
        if held.shelved is None:
            self._stock.outdate_on_disk(key, held, outdated)
        await self._renew_on_disk(held, outdated, self._stock.epoch())

    async def rest(self, key: str, held: Stored, until: float) -> None:
        """Leave the origin of `held` alone until then: it has just failed."""
        resting = replace(held, retry_at=until)
        if self._is_stored(key, held):
            self._stock.touch_up(key, resting)
        else:
            await self._renew_on_disk(held, resting, self._stock.epoch())

    def variants(self, key: str) -> Sequence[Stored]:
        """Return what is stored under `key`."""
        return self._stock.peek(key)


def _with_own_tag(headers: Headers, held: Stored) -> Headers:
    """Return `headers` with the tag of the edge's own form of the response, which is what is stored."""
    tag = held.headers.get("etag")
    return headers.without("etag") if tag is None else headers.replacing("ETag", tag)


def _whole_status(held: Stored) -> int:
    """Return the status by which the rules judge it: a part is as storable as the whole."""
    return 200 if held.part is not None else held.status
