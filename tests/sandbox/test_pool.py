"""Who runs the next event, and when workers come and go."""

import asyncio
import json
import time

import pytest

from edgefn.sandbox.base import Failed, Invocation, OpenError, OverLimit, Returned, TimedOut
from tests.sandbox.stage import Settings, Stage, request_id, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNTER = """
    import os, time
    count = 0
    birth = os.urandom(8).hex()
    def handler(event, context):
        global count
        count += 1
        time.sleep((event or {}).get("sleep", 0))
        if (event or {}).get("crash"):
            os.kill(os.getpid(), 9)
        return [birth, count]
"""


async def test_a_warm_worker_is_used_again_and_keeps_its_state(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=4)
    births = [await function.result() for _ in range(3)]
    assert [count for _, count in births] == [1, 2, 3]  # type: ignore[misc]
    assert function.statistics.counts.starts == 1
    assert function.statistics.counts.returned == 3


async def test_only_the_cold_call_tells_an_init_time(stage: Stage) -> None:
    function = await stage.python(COUNTER)
    cold, warm = await function.run(), await function.run()
    assert isinstance(cold, Returned)
    assert isinstance(warm, Returned)
    assert cold.usage.init is not None
    assert cold.usage.init > 0
    assert warm.usage.init is None
    assert warm.usage.memory > 1_000_000
    assert 0 < warm.usage.wall < 1


async def test_the_pool_grows_up_to_its_concurrency_and_refuses_the_rest(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=2)
    outcomes = await asyncio.gather(*(function.run({"sleep": 0.3}) for _ in range(4)))
    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["OverLimit", "OverLimit", "Returned", "Returned"]
    assert function.statistics.counts.refused == 2


async def test_a_worker_on_its_way_to_the_next_in_line_counts_as_busy(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefn.sandbox.process.pool._PATIENCE", 60.0)
    function = await stage.python(COUNTER, concurrency=16, provisioned=1)

    async def client() -> None:
        for _ in range(20):
            assert isinstance(await function.run(), Returned)

    await asyncio.gather(*(client() for _ in range(8)))
    assert function.statistics.counts.returned == 160
    assert function.statistics.counts.starts == 1
    assert function.statistics.busy == 0


async def test_events_that_only_compute_share_a_few_workers_and_those_that_wait_do_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefn.sandbox.process.pool._PATIENCE", 0.001)
    monkeypatch.setattr("edgefn.sandbox.process.pool._LONG_WAIT", 60.0)
    computing = await stage.python(
        """
        import time
        def handler(event, context):
            until = time.monotonic() + 0.02
            while time.monotonic() < until:
                pass
        """,
        concurrency=32,
        provisioned=1,
    )
    waiting = await stage.python(COUNTER, concurrency=12, provisioned=1)
    await computing.run()
    await asyncio.gather(*(computing.run() for _ in range(32)))
    assert computing.statistics.counts.starts <= 8
    for _ in range(2):
        await asyncio.gather(*(waiting.run({"sleep": 0.1}) for _ in range(12)))
    assert waiting.statistics.counts.starts > 8


@pytest.mark.parametrize("language", ["python", "node"])
async def test_a_worker_tells_whether_an_event_has_waited(stage: Stage, language: str) -> None:
    if language == "python":
        source = "import time\ndef handler(event, context): event and time.sleep(event)"
        function = await stage.python(source)
    else:
        source = "exports.handler = (event) => event && new Promise((done) => setTimeout(done, event * 1000));"
        function = await stage.node(source)
    outcomes = [await function.run(0) for _ in range(9)] + [await function.run(0.03)]
    usages = [outcome.usage for outcome in outcomes if isinstance(outcome, Returned)]
    assert len(usages) == 10
    assert not all(usage.waited for usage in usages[:9])  # now and then a thread of the interpreter itself has waited
    assert usages[9].waited


async def test_the_worker_used_last_is_used_first(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=2)
    await asyncio.gather(function.run({"sleep": 0.2}), function.run({"sleep": 0.3}))
    first = await function.result()
    second = await function.result()
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[0] == second[0]


async def test_provisioned_workers_are_ready_before_the_first_event(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=3, provisioned=2)
    assert function.statistics.idle == 2
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert outcome.usage.init is None


async def test_a_version_that_does_not_start_can_not_be_provisioned(stage: Stage) -> None:
    with pytest.raises(OpenError) as error:
        await stage.python("raise ValueError('no')", provisioned=1)
    assert error.value.failure is not None
    assert error.value.failure.type == "ValueError"
    assert stage.host.statistics().pools == ()


async def test_a_runtime_without_a_process_is_refused(stage: Stage) -> None:
    with pytest.raises(OpenError, match=r"cloudfront-js-2\.0"):
        await stage.node("", runtime="cloudfront-js-2.0")


async def test_a_missing_bundle_is_refused_by_name(stage: Stage) -> None:
    with pytest.raises(OpenError, match="the bundle can't be read"):
        await stage.open({}, Settings("index.handler", "python3.11"))


async def test_idle_workers_retire_but_not_the_provisioned_ones(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=2, provisioned=1, idle_timeout=0.2)
    await asyncio.gather(function.run({"sleep": 0.1}), function.run({"sleep": 0.1}))
    assert function.statistics.idle == 2
    await until(lambda: function.statistics.idle == 1)
    await asyncio.sleep(0.3)
    assert function.statistics.idle == 1


async def test_a_timeout_is_told_at_once_and_the_next_event_finds_a_worker(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=1, timeout=0.3)
    await function.run()
    started = time.monotonic()
    assert isinstance(await function.run({"sleep": 30}), TimedOut)
    assert time.monotonic() - started < 0.4
    assert isinstance(await function.run(), Returned)
    assert function.statistics.counts.timed_out == 1


async def test_a_free_worker_serves_while_another_is_replaced(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=2, timeout=0.3)
    slow = asyncio.create_task(function.run({"sleep": 30}))
    await asyncio.gather(function.run({"sleep": 0.1}))
    assert isinstance(await slow, TimedOut)
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert outcome.usage.init is None


async def test_a_lost_provisioned_worker_is_replaced_in_the_background(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=1, provisioned=1)
    crashed = await function.failure({"crash": True})
    assert crashed.type == "Runtime.ExitError"
    await until(lambda: function.statistics.idle == 1)
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert outcome.usage.init is None


async def test_an_event_waits_for_the_replacement_when_all_room_is_its(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=1, provisioned=1)
    await function.failure({"crash": True})
    await until(lambda: function.statistics.starting == 1)
    assert isinstance(await function.run(), Returned)


async def test_a_crash_costs_only_its_own_event(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=8)
    events = [{"sleep": 0.1, "crash": number == 3} for number in range(8)]
    outcomes = await asyncio.gather(*(function.run(event) for event in events))
    for number, outcome in enumerate(outcomes):
        if number == 3:
            assert isinstance(outcome, Failed)
            assert outcome.type == "Runtime.ExitError"
            assert outcome.message.startswith("RequestId: 0000")
            assert outcome.message.endswith("Error: Runtime exited with error: signal: killed")
        else:
            assert isinstance(outcome, Returned)


async def test_killing_a_sandbox_under_load_costs_only_its_own_event(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=4)
    await asyncio.gather(*(function.run({"sleep": 0.1}) for _ in range(4)))

    async def events(count: int) -> list[object]:
        return [await function.run({"sleep": 0.005}) for _ in range(count)]

    load = [asyncio.create_task(events(40)) for _ in range(4)]
    for process in stage.launcher.processes[:3]:
        await asyncio.sleep(0.03)
        process.kill()
    outcomes = [outcome for done in await asyncio.gather(*load) for outcome in done]
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Returned)]
    assert len(outcomes) == 160
    assert len(failed) <= 3
    assert all(isinstance(outcome, Failed) and outcome.type == "Runtime.ExitError" for outcome in failed)


async def test_an_idle_worker_that_dies_is_dropped(stage: Stage) -> None:
    function = await stage.python(COUNTER)
    await function.run()
    stage.launcher.processes[0].kill()
    await until(lambda: function.statistics.idle == 0)
    assert isinstance(await function.run(), Returned)


async def test_cancelling_an_event_kills_its_worker(stage: Stage) -> None:
    function = await stage.python(COUNTER)
    await function.run()
    call = asyncio.create_task(function.run({"sleep": 30}))
    await until(lambda: function.statistics.busy == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert function.statistics.busy == 0
    assert await asyncio.wait_for(stage.launcher.processes[0].gone(), 5) == -9
    assert isinstance(await function.run(), Returned)


async def test_a_failed_init_is_tried_again_then_backed_off(stage: Stage) -> None:
    function = await stage.python("raise ValueError('not today')")
    failures = [await function.failure() for _ in range(4)]
    assert {failure.type for failure in failures} == {"ValueError"}
    assert {failure.message for failure in failures} == {"not today"}
    assert len(stage.launcher.starts) == 2
    assert any("backing off for 0.25 s: ValueError: not today" in text for text in function.printed())
    await asyncio.sleep(0.3)
    await function.failure()
    assert len(stage.launcher.starts) == 3


async def test_a_function_that_only_crashes_is_backed_off(stage: Stage) -> None:
    function = await stage.python(COUNTER)
    outcomes = [await function.run({"crash": True}) for _ in range(7)]
    assert [type(outcome).__name__ for outcome in outcomes[:5]] == ["Failed"] * 5
    refused = outcomes[-1]
    assert isinstance(refused, OverLimit)
    assert refused.reason == "backing off after 5 crashes in a row"
    await asyncio.sleep(0.3)
    assert isinstance(await function.run(), Returned)
    assert isinstance(await function.run({"crash": True}), Failed)
    assert isinstance(await function.run(), Returned)


async def test_a_machine_that_refuses_sandboxes_fails_the_event(stage: Stage) -> None:
    function = await stage.python(COUNTER)
    stage.launcher.refusal = "no user namespaces here"
    failure = await function.failure()
    assert failure.type == "Sandbox.LaunchError"
    assert failure.message == "no user namespaces here"


async def test_an_init_that_takes_too_long_is_stopped(stage: Stage) -> None:
    function = await stage.python("import time\ntime.sleep(60)", init_timeout=0.3)
    failure = await function.failure()
    assert failure.type == "Sandbox.Timedout"
    assert failure.message == "Init timed out after 0.30 seconds"


async def test_init_is_not_taken_from_the_event_s_time(stage: Stage) -> None:
    function = await stage.python("import time\ntime.sleep(0.4)\ndef handler(e, c): return 1", timeout=0.2)
    assert await function.result() == 1


async def test_threads_do_not_run_while_a_worker_is_idle(stage: Stage) -> None:
    function = await stage.python("""
        import threading, time
        ticks = 0
        def tick():
            global ticks
            while True:
                time.sleep(0.001)
                ticks += 1
        threading.Thread(target=tick, daemon=True).start()
        def handler(event, context):
            return ticks
    """)
    await function.result()
    await until(lambda: function.statistics.frozen == 1)
    before = await function.result()
    await asyncio.sleep(0.5)
    after = await function.result()
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after - before < 100


async def test_node_timers_do_not_run_while_a_worker_is_idle(stage: Stage) -> None:
    function = await stage.node("""
        let ticks = 0;
        setInterval(() => { ticks += 1; }, 1);
        exports.handler = async () => ticks;
    """)
    before = await function.result()
    await asyncio.sleep(0.5)
    after = await function.result()
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after - before < 20


async def test_parked_workers_are_assigned_and_replaced(parking_stage: Stage) -> None:
    function = await parking_stage.node("exports.handler = async () => 'from ' + __filename;", concurrency=2)
    assert parking_stage.host.statistics().parked == 1
    assert await function.result() == "from /var/task/index.js"
    await until(lambda: parking_stage.host.statistics().parked == 1)
    assert len(parking_stage.launcher.starts) == 2


async def test_versions_of_one_profile_share_parked_workers_and_nothing_else(parking_stage: Stage) -> None:
    one = await parking_stage.python("import os\nos.environ['X'] = '1'\ndef handler(e, c): return 'one'")
    two = await parking_stage.python(
        "import os\ndef handler(e, c): return [os.environ.get('X'), os.listdir('/var/task')]"
    )
    assert await one.result() == "one"
    assert await two.result() == [None, ["index.py"]]


async def test_parked_workers_go_with_the_last_version_of_their_profile(parking_stage: Stage) -> None:
    function = await parking_stage.python(COUNTER)
    assert parking_stage.host.statistics().parked == 1
    await function.version.close()
    assert parking_stage.host.statistics().parked == 0
    await asyncio.wait_for(parking_stage.launcher.processes[0].gone(), 5)


async def test_a_parked_worker_that_dies_is_not_assigned(parking_stage: Stage) -> None:
    function = await parking_stage.python(COUNTER)
    parking_stage.launcher.processes[0].kill()
    await until(lambda: parking_stage.host.statistics().parked == 0)
    assert isinstance(await function.run(), Returned)


async def test_closing_a_version_ends_its_events_and_its_processes(stage: Stage) -> None:
    function = await stage.python(COUNTER, concurrency=2)
    call = asyncio.create_task(function.run({"sleep": 30}))
    await until(lambda: function.statistics.busy == 1)
    await function.version.close()
    assert isinstance(await call, Failed)
    assert isinstance(await function.run(), OverLimit)
    assert await stage.launcher.processes[0].gone() == -9


async def test_closing_while_a_worker_starts_leaves_nothing(stage: Stage) -> None:
    function = await stage.python("import time\ntime.sleep(60)")
    call = asyncio.create_task(function.run())
    await until(lambda: len(stage.launcher.processes) == 1)
    await asyncio.wait_for(function.version.close(), 5)
    assert not isinstance(await call, Returned)
    assert await stage.launcher.processes[0].gone() == -9


async def test_closing_the_host_leaves_no_file(stage: Stage) -> None:
    function = await stage.node("exports.handler = async () => 1;")
    await function.result()
    assert len(stage.left_in_slots()) == 1
    await stage.host.close()
    assert stage.left_in_slots() == []


async def test_the_event_reaches_the_function_byte_by_byte(stage: Stage) -> None:
    function = await stage.node("exports.handler = async (event) => event;")
    event = {"text": 'é"\\\u2028\U0001f600', "number": 1e21, "deep": [[[[]]]]}
    outcome = await function.version.run(Invocation(request_id(), json.dumps(event, ensure_ascii=False).encode()))
    assert isinstance(outcome, Returned)
    assert json.loads(outcome.result) == event
