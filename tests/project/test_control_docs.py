"""docs/control.md names every endpoint of the control API, and every command that speaks to it."""

from unittest.mock import sentinel

import pytest

from edgefn.cli.main import COMMANDS
from edgefn.control.alias_endpoints import alias_endpoints
from edgefn.control.configuration_endpoints import configuration_endpoints
from edgefn.control.deploy_endpoints import deploy_endpoints
from edgefn.control.fleet_purging import fleet_purge_endpoints
from edgefn.control.function_endpoints import function_endpoints
from edgefn.control.invoke_endpoints import invoke_endpoints
from edgefn.control.location_endpoints import Hall, Told, location_endpoints
from edgefn.control.log_endpoints import log_endpoints
from edgefn.control.purging import purge_endpoints
from edgefn.control.reference import reference
from edgefn.control.running import running_endpoints
from edgefn.control.sealing_endpoints import sealing_endpoints
from edgefn.control.status_endpoints import status_endpoints
from edgefn.control.token_endpoints import token_endpoints
from tests.project.sources import ROOT

PAGE = (ROOT / "docs" / "control.md").read_text()
NOBODY = sentinel.nobody
HALL = Hall(NOBODY, NOBODY, Told(()), NOBODY, NOBODY, 0)
ENDPOINTS = [
    *running_endpoints(NOBODY),
    *purge_endpoints(NOBODY),
    *fleet_purge_endpoints(NOBODY, NOBODY),
    *token_endpoints(NOBODY),
    *deploy_endpoints(NOBODY),
    *function_endpoints(NOBODY),
    *alias_endpoints(NOBODY),
    *configuration_endpoints(NOBODY),
    *invoke_endpoints(NOBODY, NOBODY),
    *status_endpoints(NOBODY),
    *sealing_endpoints(NOBODY),
    *log_endpoints(NOBODY),
    *location_endpoints(HALL),
]


def test_the_table_is_what_the_endpoints_say() -> None:
    table = reference(ENDPOINTS)
    assert table in PAGE, f"put this table into docs/control.md:\n{table}"


@pytest.mark.parametrize(
    "command", sorted(set(COMMANDS) - {"check", "demo", "doctor", "event", "kvs", "new", "schema"})
)
def test_every_command_that_speaks_to_it_is_there(command: str) -> None:
    assert f"`edgefn {command}" in PAGE
