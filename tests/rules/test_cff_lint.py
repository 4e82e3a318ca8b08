"""What `check --strict` finds in the code of a CloudFront Function, and what it leaves alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.rules.cff_lint import NEW, OLD, Finding, check
from edgefn.rules.js_tokens import Kind, tokens

FINE_IN_BOTH = """
'use strict';
var table = { '/old': '/new', class: 1, 'let': 2 };
// let const class ?. ?? eval(`x`)
/* import x from 'y' */
function handler(event) {
    var request = event.request, re = /let|const \\/ [/]class/g, half = 4 / 2 / 1;
    var text = `a ${table['/old']} b ${1 + `${2}`} let`;
    var f = function (a, ...rest) { return rest.length; };
    var g = (a, ...rest) => rest.length;
    if (table[request.uri]) { return { statusCode: 301, headers: { location: { value: text } } }; }
    for (var key in request.querystring) { console.log(key + ', ' + [1, 2].join(', ')); }
    return 2 ** 3 > 4 ? request : event.of.let;
}
"""
FINE_IN_NEW = """
import cf from 'cloudfront';
const crypto = require('crypto');
let count = 1_000;
async function helper(key) { const value = await cf.kvs().get(key); return value; }
async function handler(event) {
    const value = await helper('a');
    try { if (await cf.kvs().exists('b')) { count += 1; } } catch (error) { console.log(`no: ${error}`); }
    return event.request.uri.replaceAll('a', Buffer.from(value).toString()) ? event.request : null;
}
"""


def found(source: str, runtime: str = NEW) -> list[tuple[int, int]]:
    lines = source if "handler" in source else f"{source}\nfunction handler() {{}}"
    return [(finding.line, finding.column) for finding in check(lines, runtime)]


@pytest.mark.parametrize("runtime", [OLD, NEW])
def test_a_documented_program_has_no_findings(runtime: str) -> None:
    assert check(FINE_IN_BOTH, runtime) == ()


def test_what_the_new_runtime_added_has_no_findings_there() -> None:
    assert check(FINE_IN_NEW, NEW) == ()
    assert len(check(FINE_IN_NEW, OLD)) >= 10


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("var a = b?.c;", 10),
        ("var a = b ?? c;", 11),
        ("a ||= b;", 3),
        ("class A {}", 1),
        ("var a = [...b];", 10),
        ("f(...b);", 3),
        ("var { a } = b;", 5),
        ("var [a] = b;", 5),
        ("function f({ a }) {}", 12),
        ("var f = ([a]) => a;", 10),
        ("for (var a of b) {}", 12),
        ("function* f() {}", 9),
        ("var a = 10n;", 9),
        ("eval('1');", 1),
        ("new Function('1');", 5),
        ("setTimeout(f, 1);", 1),
        ("fetch('/');", 1),
        ("var a = process.env;", 9),
        ("var a = new Map();", 13),
        ("var a = b.flatMap(f);", 11),
        ("var a = Object.fromEntries(b);", 16),
        ("var a = Array.from(b);", 15),
        ("console.error('a');", 9),
        ("console.log('a', 1);", 16),
        ("console.log(f(1, 2), 3);", 20),
        ("var f = async function () {};", 9),
        ("var f = async () => 1;", 9),
        ("module.exports = 1;", 1),
        ("await f();", 1),
        ("async function f() { g(await h()); }", 24),
        ("async function f() { return [g(1, await h())]; }", 35),
    ],
)
def test_what_is_not_documented_is_found_at_its_place(source: str, column: int) -> None:
    assert found(source) == [(1, column)]


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("let a = 1;", 1),
        ("const a = 1;", 1),
        ("async function f() {}", 1),
        ("import a from 'crypto';", 1),
        ("var a = Buffer.from('a');", 9),
        ("var a = btoa('a');", 9),
        ("var a = b.replaceAll('c', 'd');", 11),
        ("var a = Promise.all(b);", 17),
    ],
)
def test_the_old_runtime_lacks_more(source: str, column: int) -> None:
    assert found(source, OLD) == [(1, column)]
    assert found(source, NEW) == []


@pytest.mark.parametrize(
    "source",
    [
        "console.log('a', );",
        "console.log(`${f(1, 2)}, b`);",
        "console.log([1, 2]);",
        "var fetch = 1; fetch;",
        "a.eval(1);",
        "var o = { Map: 1 };",
        "if (await_()) {}",
        "var of = 1; f(of);",
        "var a = b.Object.nothing;",
        "var Array = { from: 1 }; Array.from;",
        "var a = b ? .5 : c;",
    ],
)
def test_what_only_looks_like_it_is_left_alone(source: str) -> None:
    assert found(source) == []


def test_lines_are_counted() -> None:
    assert check("function handler(event) {\n  // a comment\n  return event\n    ?.request;\n}", NEW) == (
        Finding(4, 5, "optional chaining (?.) is not documented for cloudfront-js-2.0; AWS may reject it"),
    )


def test_a_program_without_handler_is_found() -> None:
    assert check("function handle() {}", NEW) == (Finding(1, 1, 'there is no function named "handler"'),)


def test_a_program_that_is_too_long_is_found() -> None:
    source = "function handler() {}\n" + "// padding\n" * 1000
    assert check(source, NEW) == (Finding(1, 1, f"the code has {len(source)} bytes; AWS takes at most 10240"),)


# ------------------------------------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a /b/ c", ["a", "/", "b", "/", "c"]),
        ("return /b/g.test(c)", ["return", "/b/g", ".", "test", "(", "c", ")"]),
        ("(a) / b / c", ["(", "a", ")", "/", "b", "/", "c"]),
        ("= /[/]/ ", ["=", "/[/]/"]),
        ("`a${b}c${`d`}e` + f", ["`a${", "b", "}c${", "`d`", "}e`", "+", "f"]),
        ("`${{a: {}}}`", ["`${", "{", "a", ":", "{", "}", "}", "}`"]),
        ("'it\\'s' \"x\"", ["'it\\'s'", '"x"']),
        ("a?.b ?.5:c", ["a", "?.", "b", "?", ".5", ":", "c"]),
        ("0x1F 1_000 1e-3 .5 10n", ["0x1F", "1_000", "1e-3", ".5", "10n"]),
        ("x = y /* a */ / z // b", ["x", "=", "y", "/", "z"]),
    ],
)
def test_source_is_cut_into_tokens(source: str, expected: list[str]) -> None:
    assert [token.text for token in tokens(source)] == expected


@given(st.text("ab1 '\"`${}()[]/\\*.?=\n<-", max_size=60))
def test_any_text_is_cut_into_pieces_of_it_in_order(source: str) -> None:
    at = 0
    for token in tokens(source):
        assert token.text
        at = source.index(token.text, at) + len(token.text)
        assert isinstance(token.kind, Kind)
        assert source.split("\n")[token.line - 1][token.column - 1 :].startswith(token.text.split("\n")[0])


@given(st.text("ab1 '\"`${}()[],/.?=\nletconsofawy", max_size=80), st.sampled_from([OLD, NEW]))
def test_any_text_can_be_checked(source: str, runtime: str) -> None:
    assert all(finding.line >= 1 and finding.column >= 1 for finding in check(source, runtime))
