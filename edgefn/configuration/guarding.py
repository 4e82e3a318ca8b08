"""`sandbox` and `signatures`: how functions are shut in, and who may publish them."""

import re
from typing import Final

from edgefn.configuration.functions import PROCESS_RUNTIMES
from edgefn.configuration.kinds import Choice, FilePath, Text, Whole
from edgefn.configuration.reading import Field, Section, Values
from edgefn.configuration.shapes import MapOf
from edgefn.model.settings import SandboxMode, SandboxSettings, SignaturePolicy, SignatureSettings


class _SandboxFields:
    mode = Field(
        "mode", Choice(SandboxMode), "How weak a sandbox is accepted; `required` is the full one.", SandboxMode.REQUIRED
    )
    user = Field(
        "user",
        Text("a user's name", r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"),
        "Whom functions run as when edgefn itself is root. Default: edgefn, then nobody.",
    )
    parked = Field("parked", Whole(0, 64), "Sandboxes kept ready for each runtime.", "1")
    interpreters = Field(
        "interpreters",
        MapOf(
            FilePath("a path of an interpreter"),
            "|".join(map(re.escape, PROCESS_RUNTIMES)),
            "a Node.js or Python runtime",
        ),
        "Which program runs a runtime, such as `nodejs22.x: /opt/node22/bin/node`. Default: one that is found, of that "
        "version or else the nearest, with a warning.",
    )


def _build_sandbox(values: Values) -> SandboxSettings:
    return SandboxSettings(
        values[_SandboxFields.mode],
        values.get(_SandboxFields.user) or "",
        values[_SandboxFields.parked],
        values.get(_SandboxFields.interpreters) or {},
    )


SANDBOX: Final = Section("sandbox", _SandboxFields, _build_sandbox)


class _SignatureFields:
    keys = Field(
        "keys",
        FilePath("a path of a directory"),
        "Where the keys are that sign and seal what is published, and those that are trusted: see `edgefn keys`. "
        "Default: `keys` in data_dir.",
    )
    policy = Field(
        "policy",
        Choice(SignaturePolicy),
        "What becomes of published things that nobody trusted has signed: a warning, or they do not count. Without any "
        "key under `warn` nothing is verified.",
        SignaturePolicy.WARN,
    )


def _build_signatures(values: Values) -> SignatureSettings:
    return SignatureSettings(values.get(_SignatureFields.keys) or "", values[_SignatureFields.policy])


SIGNATURES: Final = Section("signatures", _SignatureFields, _build_signatures)
