"""One way to the origin: for whom, and what is stored of it already."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from edgefn.model.headers import Headers
from edgefn.model.hot import hot_dataclass
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.rules.accept_encoding import normalised
from edgefn.rules.lookup import Lookup
from edgefn.rules.validating import asking_about, confirms, has_validator, without_conditions
from edgefn.stores.base import Stored

Fetch: TypeAlias = Callable[[Request], Awaitable[Response]]


@hot_dataclass(frozen=True, slots=True)
class Errand:
    """`stored` is what would answer `request`, were it not for the reason `lookup`; None: nothing would.

    `is_unconditional`: the answer must be a whole one.
    """

    request: Request
    key: str
    fetch: Fetch
    stored: Stored | None
    lookup: Lookup
    is_unconditional: bool = False

    @property
    def validates(self) -> bool:
        """Return whether the origin is asked if what is stored still holds."""
        if self.stored is None or self.is_unconditional or self.request.method != "GET":
            return False
        return self.stored.origin_tag is not None or has_validator(self.stored.headers)

    @property
    def replaces_conditions(self) -> bool:
        """Return whether the origin does not get to see the viewer's own conditions."""
        return self.is_unconditional or self.validates

    def outgoing(self, policy: CachePolicy) -> Request:
        """Return the request for the origin, with the Accept-Encoding that the route tells apart."""
        headers = self.request.headers
        if self.validates and self.stored is not None:
            headers = asking_about(headers, origin_headers(self.stored), self.stored.whole_length)
        elif self.is_unconditional:
            headers = without_conditions(headers)
        if policy.encodings:
            coding = normalised(headers.joined("accept-encoding"), policy.encodings)
            headers = headers.replacing("Accept-Encoding", coding)
        return self.request if headers is self.request.headers else replace(self.request, headers=headers)


def is_confirmed(errand: Errand, response: Response) -> bool:
    """Return whether the origin's answer says that what is stored still holds."""
    if errand.stored is None or not errand.validates:
        return False
    return confirms(response.status, response.headers, origin_headers(errand.stored), errand.stored.whole_length)


def origin_headers(stored: Stored) -> Headers:
    """Return the fields with the validator that the origin knows."""
    return stored.headers if stored.origin_tag is None else stored.headers.replacing("ETag", stored.origin_tag)
