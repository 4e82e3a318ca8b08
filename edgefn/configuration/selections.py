"""Which headers, cookies or query parameters: `all`, `none`, a list of names, or `{except: [names]}`."""

from dataclasses import dataclass

from edgefn.configuration.document import Items, Node, Scalar
from edgefn.configuration.kinds import Text
from edgefn.configuration.origins import HEADER_NAME
from edgefn.configuration.reading import Field, Json, Reading, Section, Values, WrongError
from edgefn.configuration.shapes import ListOf
from edgefn.model.settings import ALL, NONE, Selecting, Selection

PARAMETER_NAME = r"[^\s&=;,]{1,256}"


class _Except:
    names = Field("except", ListOf(Text("a name", PARAMETER_NAME), 1), "Everything but these.", required=True)


def _build_except(values: Values) -> Selection:
    return Selection(Selecting.EXCEPT, values[_Except.names])


_EXCEPT = Section("except", _Except, _build_except)


@dataclass(frozen=True, slots=True)
class Choosing:
    """A selection of names that match `pattern`. `folded` ones do not care for case: they come out in lower case."""

    pattern: str = PARAMETER_NAME
    folded: bool = False
    shape: str = "all, none, a list of names, or {except: [names]}"

    def read(self, node: Node, at: str, reading: Reading) -> Selection:
        """Return the selection. An empty list is none."""
        if isinstance(node, Scalar):
            return self._word(node)
        if not isinstance(node, Items):
            chosen = _EXCEPT.read(node, at, reading)
            return Selection(chosen.mode, self._folded(chosen.names))
        names = ListOf(Text("a name", self.pattern)).read(node, at, reading)
        return Selection(Selecting.ONLY, self._folded(names)) if names else NONE

    def _folded(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name.lower() if self.folded else name for name in names))

    def _word(self, node: Scalar) -> Selection:
        match node.text:
            case "all":
                return ALL
            case "none":
                return NONE
            case other:
                raise WrongError(node.line, f'"{other}" is no selection; write {self.shape}')

    def schema(self) -> Json:
        """Return the four ways."""
        names = ListOf(Text("a name", self.pattern)).schema()
        return {"oneOf": [{"enum": ["all", "none"]}, names, _EXCEPT.schema()]}


HEADERS = Choosing(HEADER_NAME, folded=True)
PARAMETERS = Choosing()


@dataclass(frozen=True, slots=True)
class KeyHeaders:
    """The headers in a cache key: names only, since all of them in the key would leave nothing to share."""

    shape: str = "a list of header names, or none"

    def read(self, node: Node, at: str, reading: Reading) -> tuple[str, ...]:
        """Return the names in lower case."""
        chosen = HEADERS.read(node, at, reading)
        if chosen.mode in {Selecting.ALL, Selecting.EXCEPT}:
            raise WrongError(node.line, f"can't be all headers, or no two viewers would share; write {self.shape}")
        return chosen.names

    def schema(self) -> Json:
        """Return a list or the word."""
        return {"oneOf": [{"const": "none"}, ListOf(Text("a name", HEADER_NAME)).schema()]}
