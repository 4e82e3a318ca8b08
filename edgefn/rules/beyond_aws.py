"""What a configuration says that AWS has no place for, although it holds here: for `edgefn check --strict`."""

from collections.abc import Iterator

from edgefn.model.hook import Event
from edgefn.model.settings import CLOUDFRONT_JS, FunctionSettings, RouteSettings, Settings

_VIEWER_EVENTS = (Event.VIEWER_REQUEST, Event.VIEWER_RESPONSE)


def beyond_aws(settings: Settings) -> Iterator[str]:
    """Yield a warning for each setting, beginning with its key."""
    for function in settings.functions.values():
        yield from _of_function(function)
    for number, route in enumerate(settings.routes):
        yield from _of_route(f"routes[{number}].hooks", route, settings)


def _of_function(function: FunctionSettings) -> Iterator[str]:
    at = f"functions.{function.name}"
    is_cloudfront = function.runtime.startswith(CLOUDFRONT_JS)
    if function.environment:
        kind = "CloudFront Functions" if is_cloudfront else "Lambda@Edge functions"
        yield f"{at}.environment: {kind} have no environment variables of their own at AWS"
    if function.layers:
        yield f"{at}.layers: Lambda@Edge functions have no layers at AWS"
    if is_cloudfront and function.network:
        yield f"{at}.network: CloudFront Functions reach no network; it has no effect"
    if function.runtime in {"wasm", "js"}:
        yield f"{at}.runtime: AWS has no runtime {function.runtime}"


def _of_route(at: str, route: RouteSettings, settings: Settings) -> Iterator[str]:
    """Yield what AWS refuses of the functions at one route (AWS: restrictions on edge functions).

    Of those that are not in this file, nothing is known here.
    """
    hooks = [route.hooks[event] for event in _VIEWER_EVENTS if event in route.hooks]
    at_viewer = [hook.function for hook in hooks if not hook.qualifier and hook.function in settings.functions]
    kinds = {settings.functions[name].runtime.startswith(CLOUDFRONT_JS) for name in at_viewer}
    if len(kinds) > 1:
        yield f"{at}: at AWS the functions at both viewer events are of one kind: {' and '.join(at_viewer)} are not"
