"""What AWS's own runtime of CloudFront Functions would reject, or does not document, although ours can run it.

AWS documents which parts of the language each runtime has. This looks at words and signs only, so it may miss
something; what it finds is a warning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgefn.rules.js_tokens import Kind, Token, tokens

_MAX_CODE = 10 * 1024
"""Bytes of a function's code (AWS: quotas on CloudFront Functions)."""

OLD, NEW = "cloudfront-js-1.0", "cloudfront-js-2.0"


@dataclass(frozen=True, slots=True)
class Finding:
    """One warning, with its place; both count from 1."""

    line: int
    column: int
    message: str


_SIGNS = {
    "?.": "optional chaining (?.)",
    "??": "the operator ??",
    "??=": "the operator ??=",
    "&&=": "the operator &&=",
    "||=": "the operator ||=",
}
_WORDS = {
    "class": "class",
    "yield": "a generator (yield)",
    "debugger": "debugger",
    "with": "with",
    "enum": "enum",
    "super": "super",
}
_OLD_WORDS = {
    "let": "let",
    "const": "const",
    "async": "async",
    "await": "await",
    "import": "import",
    "export": "export",
}
_ABSENT = {
    "eval": "eval",
    "Function": "new Function",
    "setTimeout": "a timer (setTimeout)",
    "setInterval": "a timer (setInterval)",
    "setImmediate": "a timer (setImmediate)",
    "clearTimeout": "a timer (clearTimeout)",
    "queueMicrotask": "queueMicrotask",
    "fetch": "the network (fetch)",
    "XMLHttpRequest": "the network (XMLHttpRequest)",
    "WebSocket": "the network (WebSocket)",
    "process": "process",
    "module": "module.exports",
    "exports": "exports",
    "Map": "Map",
    "Set": "Set",
    "WeakMap": "WeakMap",
    "WeakSet": "WeakSet",
    "WeakRef": "WeakRef",
    "Proxy": "Proxy",
    "Reflect": "Reflect",
    "BigInt": "BigInt",
    "Intl": "Intl",
    "URL": "URL",
    "URLSearchParams": "URLSearchParams",
    "structuredClone": "structuredClone",
    "performance": "performance",
}
_OLD_ABSENT = {
    "Buffer": "Buffer",
    "TextEncoder": "TextEncoder",
    "TextDecoder": "TextDecoder",
    "atob": "atob",
    "btoa": "btoa",
    "Symbol": "Symbol",
    "DataView": "DataView",
}
_STATIC = {
    "Array": frozenset({"isArray", "of", "prototype", "name"}),
    "JSON": frozenset({"parse", "stringify"}),
    "Object": frozenset(
        {"assign", "create", "defineProperties", "defineProperty", "entries", "freeze", "getOwnPropertyDescriptor",
         "getOwnPropertyDescriptors", "getOwnPropertyNames", "getPrototypeOf", "is", "isExtensible", "isFrozen",
         "isSealed", "keys", "preventExtensions", "prototype", "seal", "setPrototypeOf", "values"}
    ),
    "Promise": frozenset({"all", "allSettled", "any", "prototype", "race", "reject", "resolve"}),
    "String": frozenset({"bytesFrom", "fromCharCode", "fromCodePoint", "prototype"}),
    "Symbol": frozenset({"for", "iterator", "keyFor", "prototype", "toStringTag"}),
}  # fmt: skip
"""What the runtimes have of the members of these objects."""

_OLD_STATIC = {"Promise": frozenset({"prototype", "reject", "resolve"})}
_NEW_METHODS = frozenset(
    {"at", "findLast", "findLastIndex", "flat", "flatMap", "toReversed", "toSorted", "toSpliced", "fromEntries",
     "groupBy", "hasOwn", "matchAll", "isWellFormed", "toWellFormed", "structuredClone"}
)  # fmt: skip
_DECLARING = frozenset({"var", "let", "const"})
_OPENING, _CLOSING = {"(", "[", "{"}, {")", "]", "}"}


def check(source: str, runtime: str) -> tuple[Finding, ...]:
    """Return the warnings for the code of a CloudFront Function, in the order of their places."""
    program = _Program(tuple(tokens(source)), runtime)
    found = [*_size(source), *program.findings()]
    return tuple(sorted(set(found), key=lambda finding: (finding.line, finding.column)))


def _size(source: str) -> Iterator[Finding]:
    size = len(source.encode())
    if size > _MAX_CODE:
        yield Finding(1, 1, f"the code has {size} bytes; AWS takes at most {_MAX_CODE}")


@dataclass(frozen=True, slots=True)
class _Program:
    tokens: Sequence[Token]
    runtime: str

    def findings(self) -> Iterator[Finding]:
        declared = self._declared()
        for position, token in enumerate(self.tokens):
            match token.kind:
                case Kind.NAME:
                    yield from self._name(position, token, declared)
                case Kind.SIGN:
                    yield from self._sign(position, token)
                case Kind.NUMBER if token.text.endswith("n") and not token.text.startswith("0x"):
                    yield self._warning(token, "a BigInt")
                case _:
                    pass
        yield from self._nested_awaits()
        yield from self._handler()

    def _at(self, position: int) -> str:
        """Return the text of a token, "" where there is none."""
        return self.tokens[position].text if 0 <= position < len(self.tokens) else ""

    def _warning(self, token: Token, what: str) -> Finding:
        return Finding(token.line, token.column, f"{what} is not documented for {self.runtime}; AWS may reject it")

    def _name(self, position: int, token: Token, declared: frozenset[str]) -> Iterator[Finding]:
        text, before, after = token.text, self._at(position - 1), self._at(position + 1)
        if before in {".", "?."}:
            yield from self._member(position, token, declared)
            return
        if after == ":" and before in {"{", ","}:
            return
        words = {**_WORDS, **_OLD_WORDS} if self.runtime == OLD else _WORDS
        absent = {**_ABSENT, **_OLD_ABSENT} if self.runtime == OLD else _ABSENT
        if text in words and not (text == "super" and before == ""):
            yield self._warning(token, words[text])
        elif text in absent and text not in declared:
            yield self._warning(token, absent[text])
        elif text == "console":
            yield from self._console(position)
        elif text == "of" and self._is_for_of(position):
            yield self._warning(token, "for-of")
        elif text in _DECLARING and after in {"{", "["}:
            yield self._warning(self.tokens[position + 1], "destructuring")
        elif text == "async" and self._is_closure(position):
            yield self._warning(token, "an async closure")
        elif text.startswith("#"):
            yield self._warning(token, "a private member")

    def _member(self, position: int, token: Token, declared: frozenset[str]) -> Iterator[Finding]:
        owner = self._at(position - 2)
        has = {**_STATIC, **_OLD_STATIC} if self.runtime == OLD else _STATIC
        if owner in has and owner not in declared and self._at(position - 3) not in {".", "?."}:
            if token.text not in has[owner]:
                yield self._warning(token, f"{owner}.{token.text}")
        elif token.text in _NEW_METHODS and self._at(position + 1) == "(":
            yield self._warning(token, f"the method {token.text}")
        elif token.text == "replaceAll" and self.runtime == OLD:
            yield self._warning(token, "the method replaceAll")

    def _sign(self, position: int, token: Token) -> Iterator[Finding]:
        if token.text in _SIGNS:
            yield self._warning(token, _SIGNS[token.text])
        elif token.text == "..." and not self._is_rest(position):
            yield self._warning(token, "spread")
        elif token.text == "*" and self._at(position - 1) == "function":
            yield self._warning(token, "a generator (function*)")
        elif token.text in {"{", "["} and self._at(position - 1) == "(" and self._opens_parameters(position - 1):
            yield self._warning(token, "destructuring")

    def _console(self, position: int) -> Iterator[Finding]:
        """Only `console.log` exists, and takes one argument (AWS: runtime features)."""
        if self._at(position + 1) != ".":
            return
        method = self.tokens[position + 2] if position + 2 < len(self.tokens) else None
        if method is None:
            return
        if method.text != "log":
            yield self._warning(method, f"console.{method.text}")
        elif self._at(position + 3) == "(" and (comma := self._comma(position + 3)) is not None:
            yield Finding(comma.line, comma.column, "console.log takes one argument at AWS; the others are not logged")

    def _comma(self, opening: int) -> Token | None:
        """Return the first comma that separates arguments inside of these parentheses."""
        depth = 0
        for position in range(opening, len(self.tokens)):
            token = self.tokens[position]
            if token.kind is Kind.TEXT:
                depth += token.text.endswith("${") - token.text.startswith("}")
            elif token.text in _OPENING:
                depth += 1
            elif token.text in _CLOSING:
                depth -= 1
                if depth == 0:
                    return None
            elif token.text == "," and depth == 1 and self._at(position + 1) != ")":
                return token
        return None

    def _is_for_of(self, position: int) -> bool:
        opening = position
        depth = 0
        while opening > 0 and depth >= 0:
            opening -= 1
            depth += (self._at(opening) in _CLOSING) - (self._at(opening) in _OPENING)
        return self._at(opening) == "(" and self._at(opening - 1) in {"for", "await"} and self._at(position - 1) != "("

    def _is_closure(self, position: int) -> bool:
        """Return whether an `async` begins a function that is an expression, not a declaration of its own."""
        after = self._at(position + 1)
        if after == "function":
            return not (
                self.tokens[position].after_newline or self._at(position - 1) in {"", ";", "}", "default", "export"}
            )
        return after == "(" or self._at(position + 2) == "=>"

    def _is_rest(self, position: int) -> bool:
        """Return whether dots stand in a list of parameters: the last of them, before `)` and a body."""
        if self._at(position + 2) != ")":
            return False
        opening = self._opening(position + 2)
        return self._opens_parameters(opening)

    def _opening(self, closing: int) -> int:
        depth = 0
        for position in range(closing, -1, -1):
            depth += (self._at(position) in _CLOSING) - (self._at(position) in _OPENING)
            if depth == 0:
                return position
        return 0

    def _opens_parameters(self, opening: int) -> bool:
        """Return whether a parenthesis opens the parameters of a function or of an arrow."""
        before = self._at(opening - 1)
        if before == "function" or self._at(opening - 2) in {"function", "*"}:
            return True
        depth = 0
        for position in range(opening, len(self.tokens)):
            depth += (self._at(position) in _OPENING) - (self._at(position) in _CLOSING)
            if depth == 0:
                return self._at(position + 1) == "=>"
        return False

    def _nested_awaits(self) -> Iterator[Finding]:
        """An `await` among the arguments of a call is a syntax error at AWS; so is one outside of all functions."""
        if self.runtime == OLD:
            return
        calls: list[bool] = []
        for position, token in enumerate(self.tokens):
            if token.kind is Kind.SIGN and token.text in _OPENING:
                calls.append(token.text == "(" and self._is_call(position))
            elif token.kind is Kind.SIGN and token.text in _CLOSING and calls:
                calls.pop()
            elif token.kind is Kind.NAME and token.text == "await":
                if not calls:
                    yield Finding(token.line, token.column, "await outside of a function is rejected by AWS")
                elif calls[-1]:
                    yield Finding(token.line, token.column, "await in the arguments of a call is rejected by AWS")

    def _is_call(self, opening: int) -> bool:
        before = self.tokens[opening - 1] if opening else None
        if before is None or before.text in {
            "if",
            "while",
            "for",
            "switch",
            "return",
            "catch",
            "function",
            "await",
            "typeof",
        }:
            return False
        return before.kind is Kind.NAME or before.text in {")", "]"}

    def _declared(self) -> frozenset[str]:
        """Return the names that the program declares itself, anywhere."""
        return frozenset(
            token.text
            for position, token in enumerate(self.tokens)
            if token.kind is Kind.NAME and self._at(position - 1) in {*_DECLARING, "function", "class", "import"}
        )

    def _handler(self) -> Iterator[Finding]:
        if "handler" not in self._declared():
            yield Finding(1, 1, 'there is no function named "handler"')
