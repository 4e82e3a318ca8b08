"""`edgefn schema`: for editors, and for whoever reads it through a pipe."""

import json
import subprocess

from tests.cli.running import CHECKOUT, COMMAND, Here


def test_it_is_a_json_schema_of_the_configuration(here: Here) -> None:
    done = here("schema")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert told["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"origins", "routes"} <= set(told["properties"])


def test_a_reader_that_stops_early_is_no_reason_to_complain() -> None:
    with subprocess.Popen(
        [*COMMAND, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=CHECKOUT
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(timeout=20) == 141
