"""Layers under a function's files: up to five, in order, the function's own always winning."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.configuration import loader
from edgefn.functions import bundle as bundles
from edgefn.functions.bundle import Bundle, BundleError, BundleFile
from edgefn.functions.layers import layered, read_function
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from tests.fakes.published import settings


def files(**texts: str) -> Bundle:
    return Bundle.of([BundleFile(name.replace("__", "/"), text.encode()) for name, text in texts.items()])


OWN = files(index="own")


def texts(bundle: Bundle) -> dict[str, str]:
    return {file.path: file.data.decode() for file in bundle.files}


def test_a_function_without_layers_stays_as_it_is() -> None:
    assert layered(OWN, []) is OWN


def test_later_layers_lie_over_earlier_ones() -> None:
    whole = layered(
        OWN, [files(python__a="1", python__b="1", python__c="1"), files(python__b="2"), files(python__c="3")]
    )
    assert texts(whole) == {"index": "own", ".opt/python/a": "1", ".opt/python/b": "2", ".opt/python/c": "3"}


def test_the_digest_covers_the_layers() -> None:
    one, other = layered(OWN, [files(a="1")]), layered(OWN, [files(a="2")])
    assert len({OWN.digest, one.digest, other.digest}) == 3
    assert layered(OWN, [files(a="0"), files(a="1")]).digest == one.digest


def test_what_is_executable_in_a_layer_stays_so() -> None:
    tool = Bundle.of([BundleFile("bin/tool", b"#!", executable=True)])
    assert [file.executable for file in layered(OWN, [tool]).files] == [True, False]


def test_more_than_five_layers_are_refused() -> None:
    assert len(layered(OWN, [files(**{f"a{number}": "x"}) for number in range(5)]).files) == 6
    with pytest.raises(BundleError, match="6 layers; a function has at most 5"):
        layered(OWN, [files(a="x")] * 6)


def test_a_layer_that_needs_a_file_for_a_folder_is_refused_by_name() -> None:
    with pytest.raises(BundleError, match=r"'\.opt/python': is both a file and a folder"):
        layered(OWN, [files(python__a="1"), files(python="2")])


def test_a_function_with_files_in_the_place_of_layers_is_refused_by_name() -> None:
    with pytest.raises(BundleError, match=r"'\.opt/x': \.opt is where the files of layers lie"):
        layered(Bundle.of([BundleFile(".opt/x", b"")]), [files(a="1")])


def test_layers_count_into_the_size_of_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_SIZE", 1000)
    assert layered(files(index="x" * 400), [files(a="y" * 600)])
    with pytest.raises(BundleError, match=r"'\.opt/a': the bundle is larger"):
        layered(files(index="x" * 400), [files(a="y" * 601)])


def test_a_function_is_read_with_its_layers(tmp_path: Path) -> None:
    for name, text in (("code/index.js", "own"), ("one/nodejs/a.js", "1"), ("two/nodejs/a.js", "2")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    both = settings(path=str(tmp_path / "code"), layers=(str(tmp_path / "one"), str(tmp_path / "two")))
    assert texts(read_function(both)) == {"index.js": "own", ".opt/nodejs/a.js": "2"}
    with pytest.raises(BundleError, match=f"layer {tmp_path}/three: .*no such file"):
        read_function(replace(both, layers=(f"{tmp_path}/three",)))


CONFIG = """
location: here
listen: 127.0.0.1:0
origins: {{app: {{url: "http://127.0.0.1:9"}}}}
functions: {{f: {{path: code, runtime: {runtime}, layers: {layers}}}}}
routes: [{{path: "*", origin: app}}]
"""


def test_layers_are_configured_for_runtimes_that_have_an_opt() -> None:
    def load(runtime: str, layers: str) -> Settings:
        return loader.load(CONFIG.format(runtime=runtime, layers=layers), filename="edgefn.yaml", base="/etc/edgefn")

    assert load("python3.12", "[one, two.zip]").functions["f"].layers == ("/etc/edgefn/one", "/etc/edgefn/two.zip")
    with pytest.raises(SettingsError, match=r"functions\.f\.layers: runtime js has no /opt"):
        load("js", "[one]")
    with pytest.raises(SettingsError, match=r"functions\.f\.layers: has 6 members; write 0 to 5"):
        load("python3.12", "[a, a, a, a, a, a]")
