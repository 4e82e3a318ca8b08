"""The runtimes that are JavaScript in WebAssembly: what they are made of, and their limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edgefn.sandbox.wasm.guest import LogLimits
from edgefn.sandbox.wasm.host import GuestLimits

KB = 1024
MB = 1024 * KB

_SOURCES = Path(__file__).parent / "runtime"
_SHARED = ("core", "inspect", "refusals", "bytes", "buffer", "numbers", "querystring", "crypto")
_CLOUDFRONT = (*_SHARED, "cloudfront", "bytestrings")
_LAMBDA = (*_SHARED, "path", "search", "hosts", "url", "urls", "secrets", "util", "lambda")

COMPUTE_BUDGET = 0.0005
"""Seconds of CPU time that count as a compute utilisation of 100. AWS does not publish its own."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A runtime. `parts` are the files of its prelude, in order; `heap` is what a function may use, in bytes.

    `init` is what its top-level code may take, in seconds, however much more the function's settings allow.
    `whole_bundle`: the function is all files of its bundle, not just one.
    """

    parts: tuple[str, ...]
    heap: int
    limits: GuestLimits
    init: float = 1.0
    whole_bundle: bool = False

    def prelude(self) -> bytes:
        """Return the source that makes an engine this runtime: a function that takes the natives."""
        texts = [(_SOURCES / f"{part}.js").read_text() for part in self.parts]
        return "(function (natives) {{\n{}\n}})".format("\n".join(texts)).encode()


# AWS: 2 MB of memory, 10 KB of log, and less than a millisecond. Ours stops a function when it has used so much that
# AWS would have stopped it on any machine.
_FUNCTION = GuestLimits(cpu=0.1, result=MB, log=LogLimits(size=10 * KB))

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "cloudfront-js-1.0": Profile((*_CLOUDFRONT, "cloudfront1"), 2 * MB, _FUNCTION),
        "cloudfront-js-2.0": Profile((*_CLOUDFRONT, "cloudfront2", "cwt"), 2 * MB, _FUNCTION),
        "js": Profile(
            _LAMBDA,
            12 * MB,
            GuestLimits(),
            init=10.0,
            whole_bundle=True,
        ),
    }
)
"""By the name that configurations have for them."""

LIMITS: Mapping[str, GuestLimits] = MappingProxyType({name: profile.limits for name, profile in PROFILES.items()})
"""What `WasmHost` needs to know of them."""


def compute_utilization(cpu: float) -> int:
    """Return AWS's measure of a CloudFront Function: 0 to 100 of the time that it may take. `cpu` in seconds."""
    return min(100, round(cpu / COMPUTE_BUDGET * 100))
