"""`edgefn keys`: makes keys, shows what others may know of them, and says whose signatures count."""

import asyncio
from pathlib import Path

from edgefn.functions.catalog import CatalogBuilder
from edgefn.functions.keys import read_keys
from edgefn.functions.replicas.base import Replica
from edgefn.model.settings import SignaturePolicy
from tests.cli.running import Here, Running
from tests.cli.test_serve import command, configuration
from tests.fakes.published import bundle, settings
from tests.free_ports import free_port
from tests.functions.publishing.stage import staged

CONFIG = """
location: here
listen: 127.0.0.1:0
admin: off
data_dir: {data}
signatures: {{policy: enforce}}
origins: {{app: {{url: "http://127.0.0.1:9"}}}}
routes: [{{path: "*", origin: app}}]
"""


def test_keys_are_made_shown_and_trusted_elsewhere(here: Here, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    none = here("keys", "show", "--dir", str(ours))
    assert (none.returncode, "has no keys" in none.stdout) == (0, True)
    made = here("keys", "new", "--dir", str(ours))
    assert made.returncode == 0
    secrets = [
        line.split()[1]
        for name in ("signing.key", "sealing.key")
        for line in (ours / name).read_text().split("\n")
        if line
    ]
    assert not any(secret in made.stdout + made.stderr for secret in secrets)
    line = next(row for row in made.stdout.splitlines() if "for others:" in row).partition("for others: ")[2]
    trusted = here("keys", "trust", line, "--name", "build", "--dir", str(theirs))
    assert (trusted.returncode, "trusts" in trusted.stdout, "build" in trusted.stdout) == (0, True, True)
    assert here("keys", "distrust", "build", "--dir", str(theirs)).returncode == 0
    again = here("keys", "distrust", "build", "--dir", str(theirs))
    assert (again.returncode, 'there is no key "build"' in again.stderr) == (1, True)
    twice = here("keys", "new", "--dir", str(ours))
    assert (twice.returncode, "has keys already" in twice.stderr) == (1, True)
    assert "opens" in here("keys", "new", "--rotate", "--dir", str(ours)).stdout


def test_what_was_published_before_there_were_keys_is_signed_anew(here: Here, tmp_path: Path) -> None:
    async def publish() -> None:
        async with staged(tmp_path / "var" / "replica") as stage:
            secret = settings(environment={"TOKEN": "secret"})
            await stage.publisher().deploy(secret, bundle(), alias="live")

    async def builder_of(policy: SignaturePolicy) -> CatalogBuilder:
        builder = CatalogBuilder(read_keys(tmp_path / "var" / "keys", policy))
        async with staged(tmp_path / "var" / "replica") as stage:
            replica: Replica = stage.replica
            for stored in await replica.read():
                builder.take(stored)
        return builder

    asyncio.run(publish())
    config = tmp_path / "edgefn.yaml"
    config.write_text(CONFIG.format(data=tmp_path / "var"))
    unkeyed = here("keys", "sign", str(config))
    assert (unkeyed.returncode, "no key to sign with" in unkeyed.stderr) == (1, True)
    assert here("keys", "new", "--dir", str(tmp_path / "var" / "keys")).returncode == 0
    assert asyncio.run(builder_of(SignaturePolicy.ENFORCE)).catalog.generation == 0
    signed = here("keys", "sign", str(config))
    assert (signed.returncode, "generation 3; files sealed anew: 1" in signed.stdout) == (0, True)
    enforcing = asyncio.run(builder_of(SignaturePolicy.ENFORCE))
    assert (enforcing.catalog.generation, enforcing.problems) == (3, ())
    assert enforcing.catalog.functions["hello"].versions[1].settings.environment == {"TOKEN": "secret"}


async def test_an_older_sealing_key_is_forgotten_once_nothing_needs_it(tmp_path: Path) -> None:
    config = configuration(tmp_path, "127.0.0.1:1", "site: main", admin=free_port())
    keys, code = tmp_path / "var" / "keys", tmp_path / "index.js"
    code.write_text("exports.handler = async () => process.env.WORD;\n")

    async def edgefn(*arguments: str | Path) -> tuple[int, str]:
        return await command(*arguments, "--dir", keys)

    assert (await edgefn("keys", "new"))[0] == 0
    async with Running("serve", config) as location:
        await location.url()
        publish = ("deploy", code, "--name", "f", "--runtime", "js", "--env", "WORD=sealed", "--config", config)
        assert (await command(*publish))[0] == 0
        status, told = await command("apply", config)
        assert (status, "done: 1 of 1 location" in told) == (0, True), told
    status, told = await edgefn("keys", "new", "--rotate", "--keep-signing")
    assert (status, "trusts" in told) == (0, False), told
    old, new = (next(line.split()[-1] for line in told.splitlines() if word in line) for word in ("opens", "seals"))
    status, told = await edgefn("keys", "forget", new)
    assert (status, "is the key that seals; make another one first" in told) == (1, True), told
    status, told = await edgefn("keys", "forget", "0123")
    assert (status, f"there are: {new}, {old}" in told) == (1, True), told
    status, told = await command("keys", "forget", old, "--dir", keys, "--data-dir", tmp_path)
    assert (status, "nothing is published here" in told) == (1, True), told
    status, told = await edgefn("keys", "forget", old)
    assert (status, f"{old} is still needed by" in told, "configuration.json: start" in told) == (1, True, True), told
    assert "ver.f.1" in told

    async with Running("serve", config) as location:
        await location.url()
        status, told = await command("keys", "sign", "--config", config)
        assert (status, "generation 4; files sealed anew: 1" in told) == (0, True), told
        assert (await command("keys", "sign", config))[1].endswith("files sealed anew: 0\n")
    status, told = await edgefn("keys", "forget", old)
    assert (status, old in told) == (0, False), told
    async with Running("serve", config) as location:
        await location.url()
        status, told = await command("invoke", "f:1", "--sample", "viewer-request", "--config", config)
        assert (status, '"result": "sealed"' in told) == (0, True), told
        status, told = await command("status", "--config", config)
        assert (status, told.splitlines()[2].split()[2]) == (0, "current"), told


def public(told: str) -> str:
    return next(row for row in told.splitlines() if "for others:" in row).partition("for others: ")[2]


def test_an_offline_root_says_who_may_sign_and_changes_even_itself(here: Here, tmp_path: Path) -> None:
    trust, keys = str(tmp_path / "trust.json"), str(tmp_path / "keys")
    roots = [str(tmp_path / name) for name in ("root1", "root2")]
    made = [here("keys", "root", "--dir", root) for root in roots]
    assert [done.returncode for done in made] == [0, 0]
    again = here("keys", "root", "--dir", roots[0])
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    secret = (tmp_path / "root1" / "root.key").read_text().split()[1]
    assert secret not in made[0].stdout

    line = public(here("keys", "new", "--dir", keys).stdout)
    nobody = here("keys", "authorize", trust, "--root", roots[0])
    assert (nobody.returncode, "--release: is missing" in nobody.stderr) == (1, True)
    assert here("keys", "authorize", trust, "--root", roots[0], "--release", line).returncode == 0
    pinned = here("keys", "pin", trust, "--dir", keys)
    assert (pinned.returncode, "version 1, until" in pinned.stdout) == (0, True)
    assert "a root says   version 1" in here("keys", "show", "--dir", keys).stdout

    both = [word for done in made for word in ("--root-key", public(done.stdout))]
    moved = here("keys", "authorize", trust, "--root", roots[0], *both, "--threshold", "2")
    assert (moved.returncode, "(2 of them must sign)" in moved.stdout) == (0, True)
    early = here("keys", "pin", trust, "--dir", keys)
    assert (early.returncode, "1 of the 2 signatures that it needs" in early.stderr) == (1, True)
    assert here("keys", "cosign", trust, "--root", roots[1]).returncode == 0
    assert "version 2, until" in here("keys", "pin", trust, "--dir", keys).stdout

    stranger = str(tmp_path / "stranger.json")
    assert here("keys", "authorize", stranger, "--root", roots[1], "--release", line).returncode == 0
    kept = here("keys", "pin", stranger, "--dir", keys)
    assert "version 2, until" in kept.stdout, "what is older than what is believed changes nothing"
    missing = here("keys", "pin", str(tmp_path / "no.json"), "--dir", keys)
    assert (missing.returncode, "there is no such file" in missing.stderr) == (1, True)
