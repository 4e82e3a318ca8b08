"""Starting the servers that a bench measures: edgefn, nginx, and an origin that is never the bottleneck."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

BODY_SIZE = 1024
PROXY_CORE = "1"
LOAD_CORE = "0"


def need(*programs: str) -> None:
    """End the bench with a word on what is missing, unless all of `programs` and the two cores are here."""
    lacking = [program for program in programs if _found(program) is None]
    if lacking:
        sys.exit(f"this bench needs {' and '.join(lacking)}: apt-get install {' '.join(lacking)}")
    cores = os.sched_getaffinity(0)
    if not {int(PROXY_CORE), int(LOAD_CORE)} <= cores:
        sys.exit(f"this bench pins to the cores {LOAD_CORE} and {PROXY_CORE}, but may use only {sorted(cores)}")


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], timeout: float = 20.0) -> None:
    """Wait until something listens. Raises `RuntimeError` when the process ends or the time is up."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


@contextlib.contextmanager
def started(arguments: list[str], port: int, core: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on one core until the block ends."""
    process = subprocess.Popen(
        ["taskset", "-c", core, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(port, process)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _nginx(directory: Path, name: str, http: str) -> list[str]:
    home = directory / name
    home.mkdir()
    home.chmod(0o777)
    config = home / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {home}/b;"
        f" proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n"
        f"{http}\n}}\n"
    )
    return [_found("nginx") or "nginx", "-c", str(config), "-p", str(home)]


def nginx_origin(directory: Path, port: int) -> list[str]:
    """Return the command of an origin that answers 1 KB from memory, and tells what X-Bench it was asked with."""
    body = "x" * BODY_SIZE
    return _nginx(
        directory,
        "origin",
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type text/plain;"
        " add_header X-Bench-Seen $http_x_bench;"
        f' return 200 "{body}"; }} }}',
    )


def nginx_proxy(directory: Path, port: int, origin: int) -> list[str]:
    """Return the command of nginx as a plain reverse proxy with keep-alive to the origin."""
    return _nginx(
        directory,
        "proxy",
        f"upstream app {{ server 127.0.0.1:{origin}; keepalive 128; keepalive_requests 1000000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://app;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }',
    )


def edgefn(directory: Path, name: str, config: str) -> list[str]:
    """Return the command of edgefn with this configuration."""
    path = directory / f"{name}.yaml"
    path.write_text(config)
    return [sys.executable, "-m", "edgefn.cli.main", "serve", str(path)]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory that every server may read."""
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as name:
        os.chmod(name, 0o755)
        yield Path(name)
