"""What the tests stand on: ports that two of them never share."""

import subprocess
import sys
from pathlib import Path

from tests.free_ports import free_port
from tests.project.sources import ROOT

MANY = 20


def test_processes_side_by_side_get_different_ports_that_the_kernel_gives_to_nobody() -> None:
    asking = f"from tests.free_ports import free_port; print(*(free_port() for _ in range({MANY})))"
    asked = [
        subprocess.Popen([sys.executable, "-c", f"{asking}; input()"], cwd=ROOT, stdin=-1, stdout=-1, text=True)
        for _ in range(2)
    ]
    told = [[int(word) for word in process.stdout.readline().split()] for process in asked if process.stdout]
    ours = [free_port() for _ in range(MANY)]
    for process in asked:
        process.communicate("\n", timeout=30)

    ports = [*ours, *told[0], *told[1]]
    assert len(set(ports)) == 3 * MANY
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not [port for port in ports if first <= port <= last]
