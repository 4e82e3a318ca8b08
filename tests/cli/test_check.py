"""`edgefn check`: what is wrong with a configuration, to the line."""

from pathlib import Path

import pytest

from tests.cli.running import CHECKOUT, Here, edgefn

SOUND = """\
location: fra1
listen: 127.0.0.1:8080
origins: {app: {url: "http://127.0.0.1:9000"}}
functions: {f: {path: f.py, runtime: python3.11, handler: f.main}}
routes:
  - {path: /a/*, origin: app, hooks: {viewer-request: f}}
  - {path: "*", origin: app}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "f.py").write_text("def main(event, context): ...")
    (tmp_path / "edgefn.yaml").write_text(SOUND)
    return tmp_path / "edgefn.yaml"


def test_a_sound_configuration_is_counted(path: Path) -> None:
    done = edgefn("check", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: ok: 2 routes, 1 origin, 1 function\n", "")


def test_what_is_published_alone_is_checked_to_the_line(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("origins: {a: {url: 'http://a'}}\nroutes: [{path: '*', origin: a, hooks: {viewer-request: geo}}]\n")
    done = here("check", "--shared", "--strict", str(path))
    told = f"{path}: ok: 1 route, 1 origin, 0 functions\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    path.write_text(path.read_text() + "workers: 2\n")
    done = here("check", "--shared", str(path))
    told = f"{path}:3: workers: is each location's own; write it into the location's own file\n"
    assert (done.returncode, done.stderr) == (2, told)


def test_a_file_that_follows_a_site_needs_no_routes(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text("location: fra1\nlisten: 127.0.0.1:8080\nsite: shop\n")
    done = here("check", str(path))
    told = f"{path}: ok: 0 functions, routes and origins: those that are published for site shop\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


@pytest.mark.parametrize("name", ["demo.yaml", "minimal.yaml"])
def test_the_configurations_that_we_ship_are_sound(here: Here, name: str) -> None:
    done = here("check", str(CHECKOUT / "config" / name))
    assert (done.returncode, done.stderr) == (0, "")


def test_every_problem_has_its_line(here: Here, path: Path) -> None:
    path.write_text(SOUND.replace("origin: app}", "orign: app}").replace("viewer-request: f", "viewer-request: g"))
    done = here("check", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == [f"{path}:6:", f"{path}:7:", f"{path}:7:"]
    assert "routes[0].hooks.viewer-request" in done.stderr
    assert "routes[1].orign: is not a setting; did you mean origin?" in done.stderr


def test_a_file_that_is_missing_is_named(here: Here, path: Path) -> None:
    (path.parent / "f.py").unlink()
    done = here("check", str(path))
    assert done.returncode == 2
    line = 1 + path.read_text().splitlines().index(next(line for line in SOUND.splitlines() if "f.py" in line))
    told = f"{path}:{line}: functions.f.path: there is no file {path.parent}/f.py; write the path of one"
    assert told in done.stderr


@pytest.mark.parametrize(
    ("handler", "runtime", "told"),
    [
        ("index.cors.preflight", "nodejs20.x", ""),
        ("src/app.handler", "nodejs20.x", ""),
        ("pkg.mod.main", "python3.11", ""),
        ("pkg/mod.main", "python3.11", ""),
        ("pkg.main", "python3.11", ""),
        ("index.handler", "python3.11", "has no index.py or index/__init__.py"),
        ("mod.main", "nodejs20.x", "has no mod.js or mod.mjs or mod.cjs"),
    ],
)
def test_the_file_of_a_handler_is_looked_for(here: Here, path: Path, handler: str, runtime: str, told: str) -> None:
    bundle = path.parent / "bundle"
    for name in ("index.js", "src/app.mjs", "pkg/__init__.py", "pkg/mod.py"):
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).touch()
    path.write_text(
        SOUND.replace("f.py, runtime: python3.11, handler: f.main", f"bundle, runtime: {runtime}, handler: {handler}")
    )
    done = here("check", str(path))
    assert done.returncode == (2 if told else 0)
    assert told in done.stderr


def test_a_configuration_that_can_not_be_read_is_named(here: Here, tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"location: \xfc")
    assert here("check", "nowhere.yaml").stderr == "nowhere.yaml: can't be read: No such file or directory\n"
    assert here("check", str(tmp_path)).stderr == f"{tmp_path}: can't be read: Is a directory\n"
    assert (
        "latin.yaml: is not UTF-8 text: invalid start byte at byte 10"
        in here("check", str(tmp_path / "latin.yaml")).stderr
    )


def test_a_store_that_can_not_be_read_is_named(here: Here, tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_text("[]")
    config = tmp_path / "edgefn.yaml"
    config.write_text(
        "location: fra1\nlisten: 127.0.0.1:0\norigins: {app: {url: http://127.0.0.1:9}}\n"
        'kvs: {prices: ./prices.json}\nroutes: [{path: "*", origin: app}]\n'
    )
    done = here("check", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{config}:4: kvs.prices: {tmp_path}/prices.json: is not a JSON object\n"


ODD = """\
function handler(event) {
  const { request } = event;
  console.log('a', 1);
  return request;
}
"""
PLAIN = "function handler(event) { return event.request; }\n"


def test_strict_warns_of_what_aws_would_refuse(here: Here, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "index.js").write_text(ODD)
    (tmp_path / "plain.js").write_text(PLAIN)
    config = tmp_path / "edgefn.yaml"
    config.write_text(
        "location: fra1\nlisten: 127.0.0.1:0\norigins: {app: {url: http://127.0.0.1:9}}\nfunctions:\n"
        "  odd: {path: odd, runtime: cloudfront-js-2.0, environment: {A1: x}}\n"
        "  plain: {path: plain.js, runtime: cloudfront-js-1.0}\n"
        'routes: [{path: "*", origin: app, hooks: {viewer-request: odd}}]\n'
    )
    plain = here("check", str(config))
    assert (plain.returncode, plain.stderr) == (0, "")
    strict = here("check", "--strict", str(config))
    assert strict.returncode == 1
    assert strict.stdout == f"{config}: ok: 1 route, 1 origin, 2 functions, 3 warnings\n"
    assert strict.stderr.splitlines() == [
        f"{config}: functions.odd.environment: CloudFront Functions have no environment variables of their own at AWS",
        f"{tmp_path}/odd/index.js:2:9: destructuring is not documented for cloudfront-js-2.0; AWS may reject it",
        f"{tmp_path}/odd/index.js:3:18: console.log takes one argument at AWS; the others are not logged",
    ]


def test_one_function_can_be_checked_without_a_configuration(here: Here, tmp_path: Path) -> None:
    (tmp_path / "odd.js").write_text(ODD)
    (tmp_path / "plain.js").write_text(PLAIN)
    odd = here("check", "--strict", str(tmp_path / "odd.js"), "--runtime", "cloudfront-js-1.0")
    assert (odd.returncode, odd.stderr.splitlines()[0]) == (
        1,
        f"{tmp_path}/odd.js:2:3: const is not documented for cloudfront-js-1.0; AWS may reject it",
    )
    plain = here("check", "--strict", str(tmp_path / "plain.js"), "--runtime", "cloudfront-js-1.0")
    assert (plain.returncode, plain.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("odd.js",), "odd.js: is a function, not a configuration; write --runtime cloudfront-js-1.0 or"),
        (("odd.js", "--runtime", "cloudfront-js-2.0"), "write --strict, too"),
        (("nowhere.js", "--strict", "--runtime", "cloudfront-js-2.0"), "nowhere.js"),
        (("folder", "--strict", "--runtime", "cloudfront-js-2.0"), "folder: has no script index.js; there is"),
        (("latin.js", "--strict", "--runtime", "cloudfront-js-2.0"), "latin.js: is not UTF-8 text"),
    ],
)
def test_what_can_not_be_checked_is_told(here: Here, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "odd.js").write_text(ODD)
    (tmp_path / "latin.js").write_bytes(b"// \xe4\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("")
    done = here("check", f"{tmp_path}/{arguments[0]}", *arguments[1:])
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
