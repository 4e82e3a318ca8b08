"""What CloudFront Functions can use besides the language: crypto, querystring, Buffer, text coding."""

import base64
import hashlib
import hmac
import json

import pytest

from tests.sandbox_js.stage import NEW, OLD, PLAIN, Stage

SIZES = (0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000)


@pytest.mark.parametrize(
    ("runtime", "names"), [(OLD, ("md5", "sha1", "sha256")), (PLAIN, ("md5", "sha1", "sha256", "sha384", "sha512"))]
)
async def test_hashes_are_those_that_everybody_computes(stage: Stage, runtime: str, names: tuple[str, ...]) -> None:
    expression = f"""{json.dumps(names)}.map((name) => {json.dumps(SIZES)}.map((size) =>
        require('crypto').createHash(name).update('x'.repeat(size)).digest('hex')))"""
    assert await stage.value(expression, runtime) == [
        [hashlib.new(name, b"x" * size).hexdigest() for size in SIZES] for name in names
    ]


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha384", "sha512"])
async def test_keyed_hashes_are_those_that_everybody_computes(stage: Stage, name: str) -> None:
    expression = f"""{json.dumps(SIZES)}.map((size) =>
        require('crypto').createHmac('{name}', 'k'.repeat(size)).update('data').digest('base64url'))"""
    expected = [
        base64.urlsafe_b64encode(hmac.new(b"k" * size, b"data", name).digest()).decode().rstrip("=") for size in SIZES
    ]
    assert await stage.value(expression, PLAIN) == expected


async def test_a_hash_takes_its_data_in_pieces(stage: Stage) -> None:
    source = """import crypto from 'crypto';
        function handler() {
          const hash = crypto.createHash('sha256').update('a').update(Buffer.from('b')).update('63', 'hex');
          const digest = hash.digest('hex');
          try { hash.update('d'); } catch (error) { return [digest, error.message]; }
        }"""
    assert await stage.result(source) == [hashlib.sha256(b"abc").hexdigest(), "Digest already called"]


async def test_an_unknown_hash_is_refused(stage: Stage) -> None:
    failure = await stage.failure("function handler() { require('crypto').createHash('sha512'); }")
    assert failure.message == "Digest method not supported: sha512"


@pytest.mark.parametrize("source", ["const m = require('%s');", "import m from '%s';", "import * as m from '%s';"])
@pytest.mark.parametrize(
    ("module", "member"), [("crypto", "createHash"), ("querystring", "parse"), ("cloudfront", "kvs")]
)
async def test_a_module_is_had_in_every_form(stage: Stage, source: str, module: str, member: str) -> None:
    assert await stage.result(f"{source % module}\nfunction handler() {{ return typeof m.{member}; }}") == "function"


async def test_members_of_a_module_are_had_by_name(stage: Stage) -> None:
    source = "import { createHash as hash } from 'crypto';\nfunction handler() { return typeof hash; }"
    assert await stage.result(source) == "function"


@pytest.mark.parametrize("runtime", [OLD, NEW])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("a&b=&=c", {"a": "", "b": "", "": "c"}),
        ("a=x+y%20z%C3%A9", {"a": "x y z\u00e9"}),
        ("a=%ff%zz%", {"a": "\ufffd%zz%"}),
        ("__proto__=1", {"__proto__": "1"}),
    ],
)
async def test_a_query_is_parsed(stage: Stage, text: str, expected: object, runtime: str) -> None:
    assert await stage.value(f"require('querystring').parse({json.dumps(text)})", runtime) == expected


async def test_a_query_is_parsed_as_asked(stage: Stage) -> None:
    expression = """[require('querystring').parse('a:1;b:2', ';', ':'),
        require('querystring').parse('a&b&c', '&', '=', {maxKeys: 2}),
        require('querystring').parse('a=1', null, null, {decodeURIComponent: (x) => x + '!'})]"""
    assert await stage.value(expression) == [{"a": "1", "b": "2"}, {"a": "", "b": ""}, {"a!": "1!"}]


async def test_a_query_is_written(stage: Stage) -> None:
    expression = """[require('querystring').stringify({a: 'x y', b: [1, true], c: null, '\u00e9': '&'}),
        require('querystring').stringify({a: 1, b: 2}, ';', ':'), require('querystring').escape('a b&'),
        require('querystring').unescape('a%20b')]"""
    assert await stage.value(expression) == ["a=x%20y&b=1&b=true&c=&%C3%A9=%26", "a:1;b:2", "a%20b%26", "a b"]


# ------------------------------------------------------------------------------------------ Buffer


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Buffer.from('h\u00e9').toString('hex')", "68c3a9"),
        ("Buffer.from('68c3a9zz', 'hex').toString()", "h\u00e9"),
        ("Buffer.from('aGk_', 'base64url').toString('base64')", "aGk/"),
        ("Buffer.from('aG k=\\nignored', 'base64').toString()", "hi"),
        ("Buffer.from([256, -1, 65]).toJSON()", {"type": "Buffer", "data": [0, 255, 65]}),
        ("Buffer.from(new Uint8Array([1, 2]).buffer, 1).toString('hex')", "02"),
        ("Buffer.alloc(5, 'ab').toString()", "ababa"),
        ("Buffer.alloc(2).equals(Buffer.from([0, 0]))", True),
        ("Buffer.concat([Buffer.from('a'), Buffer.from('bc')], 2).toString()", "ab"),
        ("Buffer.compare(Buffer.from('a'), Buffer.from('b'))", -1),
        ("Buffer.byteLength('\u20ac')", 3),
        (
            "[Buffer.isBuffer(Buffer.alloc(1)), Buffer.isBuffer(new Uint8Array(1)), Buffer.isEncoding('HEX')]",
            [True, False, True],
        ),
        ("Buffer.from('hello').indexOf('l')", 2),
        ("Buffer.from('hello').lastIndexOf('l')", 3),
        ("Buffer.from('hello').includes(Buffer.from('ell'))", True),
        ("Buffer.from('hello').subarray(1, -1).toString()", "ell"),
        ("Buffer.from('hello').toString('utf8', 1, 3)", "el"),
        ("Buffer.from('hello').fill('xy', 1, 4).toString()", "hxyxo"),
        ("Buffer.from('0102', 'hex').swap16().toString('hex')", "0201"),
        ("(() => { const b = Buffer.alloc(3); return [b.write('\u20acx'), b.toString()]; })()", [3, "\u20ac"]),
        (
            "(() => { const b = Buffer.alloc(2); return [Buffer.from('abc').copy(b, 1), b.toString('latin1')]; })()",
            [1, "\x00a"],
        ),
        ("Buffer.from('ff80', 'hex').readInt16BE(0)", -128),
        ("Buffer.from('0000803f', 'hex').readFloatLE(0)", 1),
        ("Buffer.from('010203040506', 'hex').readUIntBE(0, 6)", 0x010203040506),
        ("Buffer.from('ffffff', 'hex').readIntLE(0, 3)", -1),
        ("(() => { const b = Buffer.alloc(6); b.writeIntBE(-2, 0, 6); return b.toString('hex'); })()", "fffffffffffe"),
        (
            "(() => { const b = Buffer.alloc(8); b.writeDoubleBE(1.5, 0); return b.toString('hex'); })()",
            "3ff8000000000000",
        ),
        (
            "(() => { const b = Buffer.from('abc'); b[0] = 65; return [b.length, b.toString(), b.byteOffset]; })()",
            [3, "Abc", 0],
        ),
        ("Buffer.from('\u00e9\u20ac', 'latin1').toString('hex')", "e9ac"),
        ("Buffer.from('ff', 'hex').toString()", "\ufffd"),
    ],
)
async def test_a_buffer_does_what_that_of_node_does(stage: Stage, expression: str, expected: object) -> None:
    assert await stage.value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "Buffer.alloc(-1)",
        "Buffer.alloc(2).readUInt32LE(0)",
        "Buffer.alloc(2).writeUInt8(256, 0)",
        "Buffer.from('a', 'utf9')",
        "Buffer.from(7)",
    ],
)
async def test_a_buffer_refuses(stage: Stage, expression: str) -> None:
    assert (await stage.failure(f"function handler() {{ return {expression}; }}")).type in {"RangeError", "TypeError"}


# ------------------------------------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Array.from(new TextEncoder().encode('\u20ac'))", [0xE2, 0x82, 0xAC]),
        (
            (
                "(() => { const t = new Uint8Array(4); return [new TextEncoder().encodeInto('a\u20ac\u20ac', t),"
                " Array.from(t)]; })()"
            ),
            [{"read": 2, "written": 4}, [97, 0xE2, 0x82, 0xAC]],
        ),
        ("new TextDecoder().decode(new Uint8Array([0xEF, 0xBB, 0xBF, 97]))", "a"),
        ("new TextDecoder('utf8', {ignoreBOM: true}).decode(new Uint8Array([0xEF, 0xBB, 0xBF, 97])).length", 2),
        ("new TextDecoder().decode(new Uint8Array([97, 0xFF, 0xE2, 0x82]))", "a\ufffd\ufffd"),
        (
            (
                "(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xE2, 0x82]), {stream: true}) +"
                " d.decode(new Uint8Array([0xAC])); })()"
            ),
            "\u20ac",
        ),
        ("btoa('h\\xe9')", base64.b64encode("h\u00e9".encode("latin-1")).decode()),
        ("atob(' aG k=')", "hi"),
    ],
)
async def test_text_and_bytes(stage: Stage, expression: str, expected: object) -> None:
    assert await stage.value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([255]))",
        "btoa('\u20ac')",
        "atob('a')",
        "atob('a*bc')",
        "new TextDecoder('koi8-r')",
    ],
)
async def test_text_that_is_none_is_refused(stage: Stage, expression: str) -> None:
    failure = await stage.failure(f"function handler() {{ return {expression}; }}")
    assert failure.type in {"TypeError", "RangeError", "InvalidCharacterError"}
