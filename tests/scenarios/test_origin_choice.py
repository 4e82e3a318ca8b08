"""Where a request goes: to the configured origin, to one that a function chose, or to the second of a group."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import Answer, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
resolve:
  other.example: {other}
  one.s3.eu-west-1.amazonaws.com: {app}
  two.s3.eu-west-1.amazonaws.com: {other}
origins:
  app: {url: "http://{app}", headers: {X-From: edge}}
  other: {url: "http://{other}/base"}
  hurried: {url: "http://{app}", response_timeout: 100ms, connection_attempts: 1}
  dead: {url: "http://127.0.0.1:1", connection_attempts: 1}
  hidden: {url: "http://hidden.example:8080", address: "{app}"}
  bucket: {url: "http://one.s3.eu-west-1.amazonaws.com"}
origin_groups:
  by-status: {members: [app, other], failover: [404, 500]}
  by-connection: {members: [dead, other], failover: [503]}
  by-connection-not: {members: [dead, other], failover: [500, 504]}
  by-timeout: {members: [hurried, other], failover: [504]}
  by-timeout-not: {members: [hurried, other], failover: [503]}
  both-dead: {members: [dead, hurried], failover: [503]}
functions:
  chooser: {path: chooser.js, runtime: nodejs20.x, handler: chooser.handler}
routes:
  - {path: /choose/*, origin: app, hooks: {origin-request: chooser}}
  - {path: /hidden/*, origin: hidden, hooks: {origin-request: chooser}}
  - {path: /bucket/*, origin: bucket, hooks: {origin-request: chooser}}
  - {path: /group/*, origin: by-status, hooks: {origin-request: chooser, origin-response: chooser}}
  - {path: /lost/*, origin: by-connection, hooks: {origin-request: chooser}}
  - {path: /lost-for-good/*, origin: by-connection-not}
  - {path: /late/*, origin: by-timeout}
  - {path: /late-for-good/*, origin: by-timeout-not}
  - {path: /both-dead/*, origin: both-dead}
  - {path: /dead/*, origin: dead}
  - {path: /based/*, origin: other}
  - {path: "*", origin: app}
"""

CHOOSER = """
const at = { customHeaders: {}, keepaliveTimeout: 5, path: '', port: 80, protocol: 'http', readTimeout: 30,
             sslProtocols: ['TLSv1.2'] };
const stories = {
  domain: (request) => { request.origin.custom.domainName = 'other.example'; },
  domain_and_host: (request) => {
    request.origin.custom.domainName = 'other.example';
    request.headers.host = [{ key: 'Host', value: 'other.example' }];
  },
  no_host: (request) => { request.origin.custom.domainName = 'other.example'; delete request.headers.host; },
  path: (request) => { request.origin.custom.path = '/elsewhere'; },
  headers: (request) => {
    request.origin.custom.customHeaders['x-from'][0].value = 'function';
    request.origin.custom.customHeaders['x-secret'] = [{ key: 'X-Secret', value: 'open sesame' }];
  },
  no_headers: (request) => { request.origin.custom.customHeaders = {}; },
  whole: (request) => { request.origin = { custom: { ...at, domainName: 'other.example', path: '/whole' } }; },
  least: (request) => { request.origin = { custom: { domainName: 'other.example', port: 80, protocol: 'http' } }; },
  hasty: (request) => { request.origin.custom.readTimeout = 1; },
  unknown: (request) => { request.origin.custom.domainName = 'nowhere.invalid'; request.origin.custom.port = 80; },
  uri: (request) => { request.uri = '/rewritten'; request.querystring = 'a=1&b=%20'; },
  method: (request) => { request.method = 'DELETE'; },
  bucket: (request) => {
    request.origin.s3.domainName = 'two.s3.eu-west-1.amazonaws.com';
    request.headers.host = [{ key: 'Host', value: 'two.s3.eu-west-1.amazonaws.com' }];
  },
  bucket_to_custom: (request) => { request.origin = { custom: { ...at, domainName: 'other.example' } }; },
  tell: (request) => ({ status: '200', body: JSON.stringify(request.origin) }),
};
exports.handler = async (event) => {
  const { config, request, response } = event.Records[0].cf;
  const [, route, story] = request.uri.split('/');
  if (response) {
    response.headers['x-judged'] = [{ value: `${response.status} of ${request.origin.custom.port}` }];
    return response;
  }
  if (['group', 'lost'].includes(route)) {
    request.headers['x-sent-to'] = [{ value: `${request.origin.custom.port}${request.origin.custom.path}` }];
    return request;
  }
  return stories[story](request) || request;
};
"""


async def never(conversation: Conversation, request: SeenRequest) -> None:
    del request
    await conversation.stall()


PAGES = {
    "/group/missing": page(404, b"none"),
    "/group/broken": page(500, b"oh"),
    "/group/unwell": page(503, b"soon"),
    "/group/hopeless": page(500, b"oh"),
    "/late/page": never,
    "/late-for-good/page": never,
    "/both-dead/page": never,
    "/choose/hasty": never,
}


@dataclass(frozen=True)
class Stage:
    edge: Edge
    app: Website
    other: Website


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("origins")
    (directory / "chooser.js").write_text(CHOOSER)
    async with (
        Website(PAGES) as app,
        Website({"/base/group/hopeless": page(503, b"oh no")}) as other,
        Edge(CONFIGURATION, directory, app=app.address, other=other.address) as edge,
    ):
        yield Stage(edge, app, other)


async def test_a_function_that_changes_only_the_domain_leaves_the_host(stage: Stage) -> None:
    # The port is a loopback one: `resolve` stands for the whole address of a domain.
    await stage.edge.get("/choose/domain")

    seen = stage.other.asked("/choose/domain")[0]
    assert seen.header("Host") == stage.app.address


async def test_a_function_that_changes_domain_and_host_moves_the_request(stage: Stage) -> None:
    await stage.edge.get("/choose/domain_and_host")

    assert stage.other.asked("/choose/domain_and_host")[0].header("Host") == "other.example"


async def test_a_function_that_deletes_the_host_gets_that_of_the_chosen_origin(stage: Stage) -> None:
    await stage.edge.get("/choose/no_host")

    assert stage.other.asked("/choose/no_host")[0].header("Host") == f"other.example:{stage.app.port}"


async def test_a_function_may_change_the_path_in_front_of_all_paths(stage: Stage) -> None:
    await stage.edge.get("/choose/path?a=1")

    assert stage.app.asked("/elsewhere/choose/path")[0].target == "/elsewhere/choose/path?a=1"


async def test_a_function_may_change_the_path_of_the_request_itself(stage: Stage) -> None:
    await stage.edge.get("/choose/uri?gone=1")

    assert stage.app.asked("/rewritten")[0].target == "/rewritten?a=1&b=%20"


async def test_a_changed_method_is_ignored(stage: Stage) -> None:
    await stage.edge.get("/choose/method")

    assert stage.app.asked("/choose/method")[0].method == "GET"


async def test_custom_headers_take_the_place_of_the_viewers(stage: Stage) -> None:
    await stage.edge.get("/page", X_From="viewer")

    seen = stage.app.asked("/page")[0]
    assert [value for name, value in seen.headers if name.lower() == "x-from"] == ["edge"]


async def test_a_function_may_change_and_add_custom_headers(stage: Stage) -> None:
    await stage.edge.get("/choose/headers")

    seen = stage.app.asked("/choose/headers")[0]
    assert (seen.header("X-From"), seen.header("X-Secret")) == ("function", "open sesame")


async def test_a_function_may_take_custom_headers_away(stage: Stage) -> None:
    await stage.edge.get("/choose/no_headers")

    assert stage.app.asked("/choose/no_headers")[0].header("X-From") is None


async def test_a_function_may_name_an_origin_that_no_configuration_knows(stage: Stage) -> None:
    answer = await stage.edge.get("/choose/whole")

    assert answer.status == 200
    seen = stage.other.asked("/whole/choose/whole")[0]
    assert seen.header("X-From") is None
    assert seen.header("Host") == stage.app.address


async def test_a_new_origin_needs_no_more_than_domain_port_and_protocol(stage: Stage) -> None:
    answer = await stage.edge.get("/choose/least")

    assert answer.status == 200
    assert stage.other.asked("/choose/least")


async def test_the_event_shows_the_custom_origin_as_it_is(stage: Stage) -> None:
    answer = await stage.edge.get("/choose/tell")

    assert answer.json() == {
        "custom": {
            "customHeaders": {"x-from": [{"key": "X-From", "value": "edge"}]},
            "domainName": "127.0.0.1",
            "keepaliveTimeout": 5,
            "path": "",
            "port": stage.app.port,
            "protocol": "http",
            "readTimeout": 30,
            "sslProtocols": ["TLSv1.2"],
        }
    }


async def test_the_event_shows_the_name_of_an_origin_rather_than_its_address(stage: Stage) -> None:
    told = (await stage.edge.get("/hidden/tell")).text

    assert '"domainName":"hidden.example"' in told
    assert '"port":8080' in told
    assert stage.app.address not in told


async def test_the_address_of_an_origin_holds_for_that_origin_alone(stage: Stage) -> None:
    await stage.edge.get("/hidden/domain")

    assert stage.other.asked("/hidden/domain")
    assert not stage.app.asked("/hidden/domain")


async def test_the_event_shows_a_bucket_as_one(stage: Stage) -> None:
    answer = await stage.edge.get("/bucket/tell")

    assert answer.json() == {
        "s3": {
            "authMethod": "none",
            "customHeaders": {},
            "domainName": "one.s3.eu-west-1.amazonaws.com",
            "path": "",
            "readTimeout": 30,
            "region": "eu-west-1",
        }
    }


async def test_a_function_may_choose_another_bucket(stage: Stage) -> None:
    answer = await stage.edge.get("/bucket/bucket")

    assert answer.status == 200
    assert stage.other.asked("/bucket/bucket")[0].header("Host") == "two.s3.eu-west-1.amazonaws.com"


async def test_a_function_may_go_from_a_bucket_to_a_custom_origin(stage: Stage) -> None:
    answer = await stage.edge.get("/bucket/bucket_to_custom")

    assert answer.status == 200
    assert stage.other.asked("/bucket/bucket_to_custom")[0].header("Host") == "one.s3.eu-west-1.amazonaws.com"


async def test_a_function_may_shorten_the_wait_for_an_origin(stage: Stage) -> None:
    async with asyncio.timeout(5):
        answer = await stage.edge.get("/choose/hasty")

    assert (answer.status, answer.x_cache) == (504, "Error")


async def test_a_name_that_nobody_knows_is_a_502(stage: Stage) -> None:
    answer = await stage.edge.get("/choose/unknown")

    assert (answer.status, answer.x_cache) == (502, "Error")
    assert "OriginDnsError" in await stage.edge.log_line(answer["X-Amz-Cf-Id"])


async def test_an_origin_with_a_path_gets_it_in_front(stage: Stage) -> None:
    await stage.edge.get("/based/page")

    assert stage.other.asked("/base/based/page")


async def test_an_origin_that_can_not_be_reached_is_a_502(stage: Stage) -> None:
    answer = await stage.edge.get("/dead/page")

    assert (answer.status, answer.x_cache) == (502, "Error")
    assert "OriginConnectError" in await stage.edge.log_line(answer["X-Amz-Cf-Id"])


async def attempts(stage: Stage, answer: Answer) -> list[str]:
    """Return what came of each attempt at an origin."""
    line = await stage.edge.log_line(answer["X-Amz-Cf-Id"])
    tries = [field.removeprefix("origin=").split("/") for field in line.split() if field.startswith("origin=")]
    return [f"{origin} {outcome}" for origin, outcome, _ in tries]


async def test_the_second_origin_answers_in_place_of_a_status_that_is_listed(stage: Stage) -> None:
    for path, status in (("/group/missing", 404), ("/group/broken", 500)):
        answer = await stage.edge.get(path)

        assert (answer.status, answer.x_cache, answer.text) == (200, "Miss", f"/base{path}")
        assert await attempts(stage, answer) == [f"app {status}", "other 200"]


async def test_a_status_that_is_not_listed_is_the_answer(stage: Stage) -> None:
    answer = await stage.edge.get("/group/unwell")

    assert (answer.status, answer.text) == (503, "soon")
    assert await attempts(stage, answer) == ["app 503"]


async def test_the_origin_hooks_run_again_for_the_second_origin_and_see_it(stage: Stage) -> None:
    answer = await stage.edge.get("/group/missing")

    assert answer["X-Judged"] == f"200 of {stage.other.port}"
    assert stage.app.asked("/group/missing")[-1].header("X-Sent-To") == f"{stage.app.port}"
    assert stage.other.asked("/base/group/missing")[-1].header("X-Sent-To") == f"{stage.other.port}/base"
    assert stage.other.asked("/base/group/missing")[-1].header("Host") == stage.other.address
    assert stage.other.asked("/base/group/missing")[-1].header("X-From") is None


async def test_the_second_origins_failure_is_the_answer(stage: Stage) -> None:
    answer = await stage.edge.get("/group/hopeless")

    lost = await stage.edge.get("/both-dead/page")

    assert (answer.status, answer.x_cache, answer.text) == (503, "Error", "oh no")
    assert (lost.status, lost.x_cache) == (504, "Error")


async def test_head_and_options_fail_over_too(stage: Stage) -> None:
    for method in ("HEAD", "OPTIONS"):
        answer = await stage.edge.ask(method, "/group/broken")

        assert answer.status == 200
        assert await attempts(stage, answer) == ["app 500", "other 200"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_may_have_changed_something_never_fails_over(stage: Stage, method: str) -> None:
    refused = await stage.edge.ask(method, "/group/broken", body=b"data")
    lost = await stage.edge.ask(method, "/lost/page", body=b"data")

    assert (refused.status, refused.text) == (500, "oh")
    assert await attempts(stage, refused) == ["app 500"]
    assert lost.status == 502
    assert [attempt.split()[0] for attempt in await attempts(stage, lost)] == ["dead"]


async def test_a_lost_connection_fails_over_when_503_is_listed(stage: Stage) -> None:
    answer = await stage.edge.get("/lost/page")
    lost = await stage.edge.get("/lost-for-good/page")

    assert (answer.status, answer.text) == (200, "/base/lost/page")
    assert await attempts(stage, answer) == ["dead OriginConnectError", "other 200"]
    assert (lost.status, lost.x_cache) == (502, "Error")


async def test_a_timeout_fails_over_when_504_is_listed(stage: Stage) -> None:
    answer = await stage.edge.get("/late/page")
    late = await stage.edge.get("/late-for-good/page")

    assert (answer.status, answer.text) == (200, "/base/late/page")
    assert (await attempts(stage, answer))[-1] == "other 200"
    assert (late.status, late.x_cache) == (504, "Error")


async def test_every_request_begins_with_the_first_origin(stage: Stage) -> None:
    before = len(stage.app.asked("/group/broken"))

    await stage.edge.get("/group/broken")
    await stage.edge.get("/group/broken")

    assert len(stage.app.asked("/group/broken")) == before + 2


async def test_a_request_with_a_body_whose_function_answers_needs_no_origin(stage: Stage) -> None:
    answer = await stage.edge.ask("POST", "/choose/tell", body=b"a" * 1_000_000)

    assert answer.status == 200
    assert not stage.app.asked("/choose/tell")
