"""The module `cloudfront`: key-value stores, the place of the edge, the raw query, the choice of an origin."""

import pytest

from edgefn.sandbox.base import TimedOut
from tests.sandbox_js.stage import Stage

CF = "import cf from 'cloudfront';\n"
STORE = f"{CF}const store = cf.kvs();\n"


async def test_a_value_is_read_in_its_formats(shelved: Stage) -> None:
    source = f"""{STORE}async function handler() {{
        const text = await store.get('name');
        const shape = await store.get('shape', {{ format: 'json' }});
        const bytes = await store.get('colour', {{ format: 'bytes' }});
        return [text, shape.sides, bytes.toString('hex')];
    }}"""
    assert await shelved.result(source) == ["Jos\u00e9", 4, b"blue".hex()]


async def test_a_missing_key_rejects(shelved: Stage) -> None:
    failure = await shelved.failure(f"{STORE}async function handler() {{ return await store.get('size'); }}")
    assert 'has no key "size"' in failure.message


async def test_a_missing_key_can_be_caught_and_asked_for(shelved: Stage) -> None:
    source = f"""{STORE}async function handler() {{
        try {{ await store.get('size'); }} catch (error) {{
            return [await store.exists('size'), await store.exists('name')];
        }}
    }}"""
    assert await shelved.result(source) == [False, True]


async def test_several_values_are_read_at_one_time(shelved: Stage) -> None:
    source = (
        f"{STORE}async function handler() {{ return await Promise.all(['name', 'colour'].map((key) =>"
        " store.get(key))); }"
    )
    assert await shelved.result(source) == ["Jos\u00e9", "blue"]


async def test_the_store_tells_of_itself(shelved: Stage) -> None:
    source = f"{STORE}async function handler() {{ return (await store.meta()).keyCount; }}"
    assert await shelved.result(source) == 3


async def test_without_a_store_reading_fails(stage: Stage) -> None:
    failure = await stage.failure(f"{STORE}async function handler() {{ return await store.get('name'); }}")
    assert failure.message == "No key-value store is associated with the function"


async def test_reading_for_ever_ends_at_the_limit(shelved: Stage) -> None:
    outcome = await shelved.run(f"{STORE}async function handler() {{ for (;;) await store.get('name'); }}")
    assert isinstance(outcome, TimedOut)


async def test_too_many_questions_at_one_time_are_refused(shelved: Stage) -> None:
    source = (
        f"{STORE}async function handler() {{ return await Promise.all(Array(65).fill('name').map((key) =>"
        " store.get(key))); }"
    )
    assert "64 questions" in (await shelved.failure(source)).message


# ------------------------------------------------------------------------------------------ facts


@pytest.mark.parametrize(("raw", "expected"), [("b&a=1&b=%20", "b&a=1&b=%20"), ("", ""), (None, None)])
async def test_the_raw_query_is_told(stage: Stage, raw: str | None, expected: str | None) -> None:
    event = {"request": {"uri": "/", "querystring": {}}, "edge": {"rawQuery": raw}}
    source = (
        "function handler(event) { const raw = event.request.rawQueryString(); return raw === undefined ? null : raw; }"
    )
    assert await stage.result(source, event) == expected


async def test_an_event_by_hand_has_a_raw_query_too(stage: Stage) -> None:
    query = {
        "a": {"value": "1"},
        "b": {"value": "2", "multiValue": [{"value": "2"}, {"value": "3"}]},
        "c": {"value": ""},
    }
    source = "function handler(event) { return event.request.rawQueryString(); }"
    assert await stage.result(source, {"request": {"querystring": query}}) == "a=1&b=2&b=3&c"


async def test_neither_the_method_nor_our_facts_are_seen(stage: Stage) -> None:
    event = {"request": {"uri": "/"}, "edge": {"rawQuery": "a"}}
    assert await stage.result("function handler(event) { return event; }", event) == {"request": {"uri": "/"}}


async def test_the_place_is_told(stage: Stage) -> None:
    place = {"name": "FRA", "serverIp": "192.0.2.1", "region": "eu-central-1"}
    assert (
        await stage.result(f"{CF}function handler() {{ return cf.edgeLocation; }}", {"edge": {"location": place}})
        == place
    )


# ------------------------------------------------------------------------------------------ origins

ASKED = {"context": {"eventType": "viewer-request"}, "request": {"uri": "/"}}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("updateRequestOrigin({ domainName: 'a.example' })", {"update": {"domainName": "a.example"}}),
        ("selectRequestOriginById('b')", {"select": "b", "overrides": {}}),
        ("selectRequestOriginById('b', { hostHeader: 'h' })", {"select": "b", "overrides": {"hostHeader": "h"}}),
        ("createRequestOriginGroup({ originIds: ['a', 'b'] })", {"group": {"originIds": ["a", "b"]}}),
    ],
)
async def test_a_choice_of_origin_goes_beside_the_request(stage: Stage, call: str, told: object) -> None:
    source = f"{CF}function handler(event) {{ cf.{call}; return event.request; }}"
    assert await stage.result(source, ASKED) == {"uri": "/", "edge": {"origin": told}}


async def test_an_origin_is_chosen_at_viewer_request_only(stage: Stage) -> None:
    source = f"{CF}function handler(event) {{ cf.selectRequestOriginById('a'); return event.response; }}"
    failure = await stage.failure(source, {"context": {"eventType": "viewer-response"}, "response": {}})
    assert "viewer-request only" in failure.message


async def test_a_choice_does_not_outlive_its_request(stage: Stage) -> None:
    source = (
        f"{CF}function handler(event) {{ if (event.choose) cf.selectRequestOriginById('a'); return event.request; }}"
    )
    assert "edge" in str(await stage.result(source, {**ASKED, "choose": True}))
    assert await stage.result(source, ASKED) == {"uri": "/"}
