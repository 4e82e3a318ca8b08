"""The endpoint that signs and seals anew what is published."""

from aiohttp import web

from edgefn.control.asking import TOUCHED
from edgefn.control.desk import Desk, published
from edgefn.control.endpoints import STRINGS, WHOLE, Endpoint, Scope, json_of, table

_SEALED = table({"generation": WHOLE, "files": WHOLE, "left": STRINGS})


def sealing_endpoints(desk: Desk) -> list[Endpoint]:
    """Return the endpoint."""

    async def seal(request: web.Request) -> web.Response:
        resealed = await desk.publisher.seal_anew()
        generation = await desk.publisher.sign_anew()
        request[TOUCHED].update(files=resealed.files, generation=generation)
        return web.json_response({"generation": generation, "files": resealed.files, "left": list(resealed.left)})

    says = "Sign and seal all that is published anew, with the keys of now; `left` says what stays as it is, and why."
    return [
        Endpoint("seal-anew", "POST", "/v1/seals", Scope.ADMIN, says, published(seal), json_of(_SEALED)),
    ]
