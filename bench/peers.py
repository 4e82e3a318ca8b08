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
from dataclasses import dataclass
from pathlib import Path

BODY_SIZE = 1024
_TICKS = os.sysconf("SC_CLK_TCK")
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


def is_here(program: str) -> bool:
    """Return whether `program` is installed."""
    return _found(program) is not None


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


@dataclass(frozen=True)
class Running:
    """A server that runs, with all its children."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return the user and system time that it and its children have taken so far."""
        ticks = 0
        for pid in self._family():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(field) for field in fields[11:15])  # own, and of children that ended
        return ticks / _TICKS

    def memory(self) -> int:
        """Return the bytes that it and its children hold; what they share counts once."""
        kilobytes = 0
        for pid in self._family():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        kilobytes += int(line.split()[1])
        return kilobytes * 1024

    def settle(self, patience: float = 20.0) -> None:
        """Wait until it has started whatever it starts behind its first listener."""
        deadline, before = time.monotonic() + patience, -1.0
        while time.monotonic() < deadline and self.cpu_seconds() - before > 2 / _TICKS:
            before = self.cpu_seconds()
            time.sleep(0.5)

    def _family(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry.name))
        family = [self.pid]
        for pid in family:
            family += children.get(pid, ())
        return family


@contextlib.contextmanager
def started(arguments: list[str], port: int, core: str) -> Iterator[Running]:
    """Run a server on one core until the block ends."""
    process = subprocess.Popen(
        ["taskset", "-c", core, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(port, process)
        yield Running(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def nginx(directory: Path, name: str, http: str, modules: tuple[str, ...] = ()) -> list[str]:
    """Return the command of an nginx with this `http` block and these modules."""
    home = directory / name
    home.mkdir()
    home.chmod(0o777)
    config = home / "nginx.conf"
    config.write_text(
        "".join(f"load_module {module};\n" for module in modules)
        + f"daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; sendfile on; keepalive_requests 1000000000;"
        f" client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;"
        f" uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n"
        f"{http}\n}}\n"
    )
    return [_found("nginx") or "nginx", "-c", str(config), "-p", str(home)]


def nginx_origin(directory: Path, port: int) -> list[str]:
    """Return the command of an origin that answers 1 KB from memory, and tells what X-Bench it was asked with."""
    body = "x" * BODY_SIZE
    return nginx(
        directory,
        "origin",
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type text/plain;"
        " add_header X-Bench-Seen $http_x_bench;"
        f' return 200 "{body}"; }} }}',
    )


def nginx_proxy(directory: Path, port: int, origin: int) -> list[str]:
    """Return the command of nginx as a plain reverse proxy with keep-alive to the origin."""
    return nginx(
        directory,
        "proxy",
        f"upstream app {{ server 127.0.0.1:{origin}; keepalive 128; keepalive_requests 1000000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://app;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }',
    )


def nginx_files(directory: Path, port: int, sizes: dict[str, int]) -> list[str]:
    """Return the command of an origin with files that may be cached: `/NAME/whatever` has the size that `NAME` has.

    X-Origin-Id is another one each time. `/status` tells how many requests came.
    """
    files = directory / "files"
    files.mkdir()
    for name, size in sizes.items():
        (files / name).write_bytes(os.urandom(size))
    places = " ".join(
        f"location /{name}/ {{ root {files}; rewrite ^ /{name} break; default_type application/octet-stream;"
        ' add_header Cache-Control "max-age=86400"; add_header X-Origin-Id $request_id; }'
        for name in sizes
    )
    status = "location = /status { stub_status; }"
    return nginx(directory, "origin", f"server {{ listen 127.0.0.1:{port} backlog=4096; {places} {status} }}")


def nginx_cache(directory: Path, port: int, origin: int) -> list[str]:
    """Return the command of nginx with `proxy_cache`, its files in the page cache, and keep-alive to the origin."""
    return nginx(
        directory,
        "cache",
        f"proxy_cache_path {directory}/kept levels=1:2 keys_zone=kept:100m max_size=8g use_temp_path=off;"
        f" upstream app {{ server 127.0.0.1:{origin}; keepalive 128; keepalive_requests 1000000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://app; proxy_cache kept;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }',
    )


def varnish(directory: Path, port: int, origin: int) -> list[str]:
    """Return the command of Varnish with a cache of 2 GB in memory."""
    storage = ["-s", "malloc,2G", "-n", str(directory / "varnish"), "-j", "none"]
    return ["varnishd", "-F", "-a", f"127.0.0.1:{port}", "-b", f"127.0.0.1:{origin}", *storage, "-p", "thread_pools=1"]


_ENVOY = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          generate_request_id: false
          route_config:
            virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: app}}}}]}}]
          http_filters:
          - name: envoy.filters.http.cache
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: app
    type: STATIC
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {origin}}}}}}}
"""


def envoy(directory: Path, port: int, origin: int) -> list[str]:
    """Return the command of Envoy with its cache filter over SimpleHttpCache, in memory."""
    config = directory / "envoy.yaml"
    config.write_text(_ENVOY.format(port=port, origin=origin))
    return ["envoy", "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "off"]


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
