"""A location that nothing is configured for yet: every viewer hears so."""

from edgefn.model.errors import NotConfiguredError
from edgefn.model.message import Request, Response
from edgefn.proxy.failures import failure
from edgefn.proxy.site import Site
from edgefn.wire.application import Deliver


class Unconfigured(Site):
    """The site until the first configuration comes, whatever its routes."""

    def answer_now(self, request: Request, deliver: Deliver) -> None:
        """Answer nothing: what there is to say has its place in `answer`."""
        del request, deliver

    async def _answer(self, request: Request, asked: Request | None) -> Response:
        del asked
        return self._failed(request, failure(NotConfiguredError("no configuration has come yet")))
