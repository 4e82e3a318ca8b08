"""`cf.cwt` in CloudFront Functions: CBOR Web Tokens, made and checked."""

import hmac
import json
from hashlib import sha256

import pytest

from tests.sandbox_js.stage import Stage

CF = "import cf from 'cloudfront';\n"
KEY = "403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388"
# RFC 8392 appendix A.4: a MACed CWT with both tags and a MAC of 64 bits.
RFC_TOKEN = (
    "d83dd18443a10104a1044c53796d6d65747269633235365850a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b"
    "77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610d9f007420b714809310"
    "1ef6d789200"
)


async def told(stage: Stage, expression: str) -> object:
    """Return what an expression is, or the message of its error."""
    body = f"try {{ return {expression}; }} catch (error) {{ return `${{error.name}}: ${{error.message}}`; }}"
    return await stage.result(f"{CF}function handler(event) {{ {body} }}")


def valid(token: str, key: str = KEY) -> str:
    return f"cf.cwt.validateToken(Buffer.from('{token}', 'hex'), {{ key: Buffer.from('{key}', 'hex') }})"


async def test_the_token_of_the_rfc_is_valid(stage: Stage) -> None:
    token = await told(stage, valid(RFC_TOKEN))
    assert isinstance(token, dict)
    assert token["protectedHeaders"] == {"1": 4}
    assert bytes(token["unprotectedHeaders"]["4"]["data"]) == b"Symmetric256"
    assert {name: token["payload"][name] for name in "123456"} == {
        "1": "coap://as.example.com",
        "2": "erikw",
        "3": "coap://light.example.com",
        "4": 1444064944,
        "5": 1443944944,
        "6": 1443944944,
    }


CLAIMS = "{ 1: 'me', 4: 1740000000, 401: { 1: { 2: '.net' } }, x: [1, -5, 1.5, true, null, 4294967296, '\u20ac'] }"
CONTEXT = "{ coseTag: 'MAC0', cwtTag: true, key: 'secret' }"


@pytest.mark.parametrize("order", ["{token}, {context}", "{context}, {token}"])
async def test_a_token_that_is_made_is_valid_with_its_key_only(stage: Stage, order: str) -> None:
    arguments = order.format(token=f"{{ payload: {CLAIMS} }}", context=CONTEXT)
    made = f"cf.cwt.generateToken({arguments})"
    token = await told(stage, f"cf.cwt.validateToken({made}, {{ key: 'secret' }})")
    assert token == {
        "protectedHeaders": {"1": 5},
        "unprotectedHeaders": {},
        "payload": {
            "1": "me",
            "4": 1740000000,
            "401": {"1": {"2": ".net"}},
            "x": [1, -5, 1.5, True, None, 4294967296, "\u20ac"],
        },
    }
    wrong = await told(stage, f"cf.cwt.validateToken({made}, {{ key: 'Secret' }})")
    assert wrong == "Error: Invalid token: the signature does not match"


async def test_a_token_is_what_the_rfcs_say(stage: Stage) -> None:
    made = await told(
        stage, "cf.cwt.generateToken({ payload: { 1: 'me' } }, { coseTag: 'MAC0', key: 'k' }).toString('hex')"
    )
    signed = bytes.fromhex("84644d41433043a101054045a101626d65")
    mac = hmac.new(b"k", signed, sha256).hexdigest()
    assert made == f"d18443a10105a045a101626d655820{mac}"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("cf.cwt.validateToken('text', { key: 'k' })", 'TypeError: The "token" argument must be an instance of Buffer'),
        ("cf.cwt.validateToken(Buffer.alloc(1025), { key: 'k' })", "RangeError: A token has at most 1024 bytes"),
        (valid(RFC_TOKEN[:-2]), "Error: Invalid token: it ends too soon"),
        (valid(RFC_TOKEN + "00"), "Error: Invalid token: something follows it"),
        (valid(RFC_TOKEN[:-2] + "01"), "Error: Invalid token: the signature does not match"),
        (valid("80"), "Error: Invalid token: it is no COSE_Mac0 structure"),
        (valid("d18143a10104"), "Error: Invalid token: it is no COSE_Mac0 structure"),
        (valid("d1" + "81" * 40 + "00"), "Error: Invalid token: it is nested too deeply"),
        (valid("d19affffffff"), "Error: Invalid token: it ends too soon"),
        (valid("d18443a10101a040" + "40"), "Error: Invalid token: the algorithm 1 is not supported"),
        ("cf.cwt.generateToken({ payload: {} }, { coseTag: 'SIGN1', key: 'k' })", "TypeError: The context must have"),
        ("cf.cwt.generateToken({ payload: { a: 'x'.repeat(2000) } }, { coseTag: 'MAC0', key: 'k' })", "RangeError"),
        ("cf.cwt.generateToken({ payload: {} }, { coseTag: 'MAC0' })", 'TypeError: The "key" argument must be'),
    ],
)
async def test_what_is_no_token_is_refused(stage: Stage, expression: str, message: str) -> None:
    result = await told(stage, expression)
    assert str(result).startswith(message), json.dumps(result)


async def test_a_claim_can_not_reach_the_prototype(stage: Stage) -> None:
    payload = """JSON.parse('{"__proto__": {"admin": true}}')"""
    made = f"cf.cwt.generateToken({{ payload: {payload} }}, {{ coseTag: 'MAC0', key: 'k' }})"
    result = await told(stage, f"[cf.cwt.validateToken({made}, {{ key: 'k' }}).payload.admin, {{}}.admin]")
    assert result == [None, None]
