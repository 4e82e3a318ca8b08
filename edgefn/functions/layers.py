"""Layers: files that several functions share, laid under a function's own (AWS: Lambda layers).

They become part of the bundle, in a folder that the sandbox shows as /opt. So a version has one digest with all that it
runs on, and deleting or changing a layer changes nothing that was published.
"""

from collections.abc import Sequence
from pathlib import Path

from edgefn.functions.archive import read_bundle
from edgefn.functions.bundle import Bundle, BundleError, BundleFile, SizeLimit
from edgefn.model.settings import FunctionSettings
from edgefn.sandbox.process.bwrap import LAYERS

MOST_LAYERS = 5


def layered(bundle: Bundle, layers: Sequence[Bundle]) -> Bundle:
    """Return `bundle` with the files of `layers` in /opt, the later ones over the earlier ones.

    Raises `BundleError` for more than five, more than 250 MB together, files that are folders in another layer, and
    for a function that has files of its own in the folder of its layers.
    """
    if not layers:
        return bundle
    if len(layers) > MOST_LAYERS:
        raise BundleError(f"there are {len(layers)} layers; a function has at most {MOST_LAYERS}")
    for file in bundle.files:
        if file.path.startswith(f"{LAYERS}/"):
            raise BundleError(f"{file.path!r}: {LAYERS} is where the files of layers lie; take another folder")
    shared = {file.path: file for layer in layers for file in layer.files}
    files = [
        *bundle.files,
        *(BundleFile(f"{LAYERS}/{path}", file.data, file.executable) for path, file in shared.items()),
    ]
    limit = SizeLimit()
    for file in files:
        limit.add(file.path, len(file.data))
    return Bundle.of(files)


def read_function(settings: FunctionSettings) -> Bundle:
    """Return the files of a function and of its layers, from where its settings say. Raises `BundleError`."""
    return read_with_layers(settings.path, settings.layers)


def read_with_layers(path: str, layers: Sequence[str]) -> Bundle:
    """Return the files at `path`, and those of the layers at the paths `layers`. Raises `BundleError`."""
    return layered(read_bundle(Path(path)), [_read_layer(Path(layer)) for layer in layers])


def _read_layer(path: Path) -> Bundle:
    try:
        return read_bundle(path)
    except BundleError as error:
        raise BundleError(f"layer {path}: {error}") from error
