"""Settings to a site: puts the parts of each route together."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from edgefn.functions.callee import Callee
from edgefn.model.hook import Event
from edgefn.model.origin import Origin
from edgefn.model.origin_choice import OriginChoice
from edgefn.model.settings import HookSettings, RouteSettings, Settings
from edgefn.node import world
from edgefn.node.files import Files
from edgefn.node.geo import Locate
from edgefn.proxy.background import Background
from edgefn.proxy.cache import Cache
from edgefn.proxy.dialects import Dialects, cloudfront
from edgefn.proxy.door import Door
from edgefn.proxy.flights import Flights
from edgefn.proxy.hooks import Hook, Hooks
from edgefn.proxy.misses import Misses
from edgefn.proxy.origins import Origins, Sender
from edgefn.proxy.relay import Relay
from edgefn.proxy.repeats import Repeats
from edgefn.proxy.shields import Shielded, Shielding
from edgefn.proxy.site import Lane, Site, Surroundings
from edgefn.proxy.unconfigured import Unconfigured
from edgefn.proxy.viewer_facts import ViewerFacts
from edgefn.proxy.walk import Walk
from edgefn.rules.cff_event import EdgeLocation
from edgefn.rules.cff_origin import KnownOrigins
from edgefn.rules.error_caching import with_error_pages
from edgefn.rules.event import EventConfig
from edgefn.rules.forwarding import Forwarder
from edgefn.rules.quotas import quotas
from edgefn.rules.response_headers import Dressing
from edgefn.rules.shielding import cdn_id
from edgefn.rules.viewer_headers import wanted
from edgefn.stores.stock import Stock

_NOWHERE = Origin("nowhere", "nowhere.invalid", 80, "http")


@dataclass(frozen=True, slots=True)
class Lasting:
    """What outlives a configuration: connections, stored responses, flights, background work, our name in Via."""

    sender: Sender
    stock: Stock
    flights: Flights
    background: Background
    pseudonym: str
    access_log: Callable[[str], None]


_FOR_REPEATS = 8
"""What requests that come again may take of memory, as a part of what the cache may."""

CalleeOf: TypeAlias = Callable[[HookSettings], Callee]
"""Returns what a hook calls."""


def site_of(settings: Settings, callee_of: CalleeOf, lasting: Lasting, files: Files) -> Site:
    """Return the site that answers by `settings`; without any routes it says that there are none yet."""
    dressing = Dressing(lasting.pseudonym, _pop_of(settings.location))
    around = Surroundings(
        new_id=world.request_id,
        wall=world.wall,
        monotonic=world.monotonic,
        timestamp=world.timestamp,
        access_log=lasting.access_log if settings.access_log else None,
    )
    if not settings.routes:
        nothing = replace(settings, routes=(RouteSettings("*", _NOWHERE.id),), origins={_NOWHERE.id: _NOWHERE})
        lanes = [_lane(route, nothing, callee_of, lasting, Beside(files.locate, None)) for route in nothing.routes]
        none = Repeats(0, settings.viewer)
        return Unconfigured(lanes, dressing, around, default_root_object="", error_pages={}, repeats=none)
    shielding = _shielding(settings, lasting, files)
    lanes = [_lane(route, settings, callee_of, lasting, Beside(files.locate, shielding)) for route in settings.routes]
    return Site(
        lanes,
        dressing,
        around,
        default_root_object=settings.default_root_object,
        error_pages=settings.error_pages,
        repeats=Repeats(settings.cache_memory // _FOR_REPEATS, settings.viewer),
        door=None if shielding is None else Door(shielding.secret, shielding.cdn_id, world.wall),
    )


@dataclass(frozen=True, slots=True)
class Beside:
    """What the routes of a site share: the geographic database, and the shields."""

    locate: Locate
    shielding: Shielding | None


def _shielding(settings: Settings, lasting: Lasting, files: Files) -> Shielding | None:
    if settings.shield is None:
        return None
    own_id = cdn_id(settings.location)
    return Shielding(
        settings.shield.locations,
        files.shield_secret,
        lasting.pseudonym,
        own_id,
        lasting.sender,
        world.wall,
        world.monotonic,
    )


def _lane(route: RouteSettings, settings: Settings, callee_of: CalleeOf, lasting: Lasting, beside: Beside) -> Lane:
    facts = ViewerFacts(wanted(route), beside.locate)
    hooks = _hooks(route, settings, callee_of, facts)
    policy = with_error_pages(route.cache, settings.error_pages)
    cache = Cache(lasting.stock, policy, lasting.flights, world.steady, lasting.background)
    forwarder = Forwarder(route, lasting.pseudonym)
    origins = Origins(forwarder, _usual(route, settings), lasting.sender, settings.resolve)
    direct = Walk(hooks, facts, cache, origins)
    shielding = beside.shielding
    walk = direct
    if shielding is not None and shielding.shields:
        walk = Walk(hooks, facts, cache, Shielded(shielding, route.path, origins))
    if hooks.on_viewer_side or facts.names:
        is_known_by_hook = hooks.at_viewer_response is None and not facts.names
        return Lane(route, walk, direct, None, hooks.on_viewer_side, behind_hook=cache if is_known_by_hook else None)
    if walk is not direct or route.hooks or len(origins.usual.members) > 1:
        return Lane(route, walk, direct, cache)
    relay = Relay(origins, cache, world.monotonic)  # the short cut past functions and failover, for there are none
    if not route.cache.enabled:
        return Lane(route, walk, direct, cache, relay=relay)
    return Lane(route, walk, direct, cache, misses=Misses(relay, cache) if cache.may_miss_now else None)


def _usual(route: RouteSettings, settings: Settings) -> OriginChoice:
    group = settings.origin_groups.get(route.origin)
    if group is None:
        return OriginChoice((settings.origins[route.origin],))
    return OriginChoice(tuple(settings.origins[member] for member in group.members), group.statuses)


def _dialects(route: RouteSettings, settings: Settings) -> Dialects:
    known = KnownOrigins(_usual(route, settings).members[0], settings.origins)
    return Dialects(cloudfront(known, EdgeLocation(_pop_of(settings.location)[:3])))


def _hooks(route: RouteSettings, settings: Settings, callee_of: CalleeOf, facts: ViewerFacts) -> Hooks:
    config = EventConfig(settings.distribution_domain or _first_domain(settings), settings.distribution_id)
    dialects = _dialects(route, settings)
    bound: dict[Event, Hook] = {}
    for event, hook in route.hooks.items():
        limits = quotas(settings.quotas, event)
        callee = callee_of(hook)
        bound[event] = Hook(
            event, callee, hook.include_body, hook.on_failure, limits, config, world.monotonic, dialects
        )
    return Hooks.of(bound, facts)


def _first_domain(settings: Settings) -> str:
    return f"{settings.distribution_id.lower()}.cloudfront.net"


def _pop_of(location: str) -> str:
    """Return the X-Amz-Cf-Pop of a location: three letters, a number, P and a number, as in AWS's `FRA50-P1`."""
    letters = "".join(character for character in location.upper() if character.isascii() and character.isalpha())
    number = "".join(character for character in location if character.isdigit())[:3]
    return f"{letters[:3].ljust(3, 'X')}{number or zlib.crc32(location.encode()) % 90 + 10}-P1"
