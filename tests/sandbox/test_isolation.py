"""What a hostile function finds when it looks around: nothing of the host, in either language."""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator

import pytest

from edgefn.sandbox.process.launch import Language
from tests.sandbox.probing import Laboratory, Probe, laboratory, namespace_of, processes_in

SECRET = "hunter2-of-the-host"


@pytest.fixture(params=list(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture
async def lab(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Laboratory]:
    monkeypatch.setenv("SECRET_TOKEN", SECRET)
    async with laboratory() as made:
        yield made


@pytest.fixture
async def probe(lab: Laboratory, language: Language) -> Probe:
    return await lab.start(language)


@pytest.fixture
def canary() -> Iterator[str]:
    """A file on the host that everybody may read."""
    descriptor, path = tempfile.mkstemp(prefix="edgefn-canary-", dir="/tmp")
    os.write(descriptor, SECRET.encode())
    os.fchmod(descriptor, 0o644)
    os.close(descriptor)
    yield path
    os.unlink(path)


READ = {
    Language.PYTHON: """
def read(path):
    try:
        with open(path, "rb") as file:
            return "read " + file.read(200).decode("latin-1")
    except OSError as error:
        import errno
        return errno.errorcode[error.errno]
result = {path: read(path) for path in %s}
""",
    Language.NODE: """
const fs = require('fs');
const result = {};
for (const path of %s) {
  try { result[path] = 'read ' + fs.readFileSync(path).subarray(0, 200).toString('latin1'); }
  catch (error) { result[path] = error.code; }
}
return result;
""",
}

WRITE = {
    Language.PYTHON: """
def write(path):
    try:
        with open(path, "a") as file:
            file.write("1")
        return "written"
    except OSError as error:
        import errno
        return errno.errorcode[error.errno]
result = {path: write(path) for path in %s}
""",
    Language.NODE: """
const fs = require('fs');
const result = {};
for (const path of %s) {
  try { fs.appendFileSync(path, '1'); result[path] = 'written'; } catch (error) { result[path] = error.code; }
}
return result;
""",
}

LIST = {
    Language.PYTHON: "import os\nresult = sorted(os.listdir(%s))",
    Language.NODE: "return require('fs').readdirSync(%s).sort();",
}

CONNECT = {
    Language.PYTHON: """
import errno, socket
def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(5)
        try:
            s.connect(address if isinstance(address, str) else tuple(address))
            return "connected"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))
result = [connect(socket.AF_UNIX if isinstance(a, str) else socket.AF_INET6 if ":" in a[0] else socket.AF_INET, a)
          for a in %s]
""",
    Language.NODE: """
const net = require('net');
const result = [];
for (const address of %s) {
  result.push(await new Promise((done) => {
    const options = typeof address === 'string' ? { path: address } : { host: address[0], port: address[1] };
    const s = net.connect(options, () => { s.destroy(); done('connected'); });
    s.on('error', (error) => done(error.code));
  }));
}
return result;
""",
}


async def look(probe: Probe, language: Language, snippets: dict[Language, str], argument: object) -> object:
    return await probe.ask(snippets[language] % json.dumps(argument))


async def test_no_file_of_the_host_is_there(probe: Probe, language: Language, canary: str) -> None:
    paths = ["/etc/shadow", "/etc/hostname", "/root/.bashrc", "/home", "/var/lib/dpkg/status", canary, __file__]
    ways = ["/var/task/../../..", "/proc/self/root", "/proc/1/root", "/proc/1/cwd", "/proc/self/cwd/../.."]
    paths += [way + path for way in ways for path in (canary, "/etc/shadow")]
    found = await look(probe, language, READ, paths)
    assert found == dict.fromkeys(paths, "ENOENT")


async def test_links_in_a_bundle_lead_nowhere(lab: Laboratory, language: Language, canary: str) -> None:
    probe = await lab.start(language)
    for name, target in {
        "a": "/etc/shadow",
        "b": canary,
        "c": f"/proc/1/root/..{canary}",
        "d": "../../../root",
    }.items():
        os.symlink(target, os.path.join(probe.slot, name))
    paths = [f"/var/task/{name}" for name in "abcd"]
    assert await look(probe, language, READ, paths) == dict.fromkeys(paths, "ENOENT")


async def test_no_secret_stands_in_any_environment_or_command_line(
    lab: Laboratory, probe: Probe, language: Language
) -> None:
    assert os.environ["SECRET_TOKEN"] == SECRET
    paths = [f"/proc/{pid}/{name}" for pid in ("self", "1", "2") for name in ("environ", "cmdline")]
    found = await look(probe, language, READ, paths)
    assert isinstance(found, dict)
    text = "".join(found.values())
    assert SECRET not in text
    assert lab.launcher.slots not in text
    assert "SECRET_TOKEN" not in text


async def test_nobody_else_is_in_proc(lab: Laboratory, probe: Probe, language: Language) -> None:
    neighbour = await lab.start(language)
    listing = await look(probe, language, LIST, "/proc")
    assert isinstance(listing, list)
    assert [name for name in listing if name.isdigit()] == ["1", "2"]
    assert await neighbour.ask("result = 7" if language is Language.PYTHON else "return 7") == 7


async def test_the_kernel_is_neither_read_nor_set(probe: Probe, language: Language) -> None:
    read = ["/proc/kcore", "/proc/kmsg", "/sys/kernel/notes", "/sys/fs/cgroup/cgroup.procs"]
    found = await look(probe, language, READ, read)
    assert isinstance(found, dict)
    assert set(found.values()) <= {"ENOENT", "EACCES", "EPERM"}
    write = ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory"]
    write += ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/user/max_user_namespaces"]
    found = await look(probe, language, WRITE, write)
    assert isinstance(found, dict)
    assert set(found.values()) <= {"ENOENT", "EACCES", "EPERM", "EROFS"}


async def test_there_are_no_devices_but_the_harmless_ones(probe: Probe, language: Language) -> None:
    listing = await look(probe, language, LIST, "/dev")
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "console", "core", "fd", "ptmx", "pts", "shm"}
    assert isinstance(listing, list)
    assert set(listing) <= harmless | {"stdin", "stdout", "stderr"}
    assert await look(probe, language, LIST, "/") == ["dev", "etc", "lib", "lib64", "opt", "proc", "tmp", "usr", "var"]


async def test_only_tmp_can_be_written(probe: Probe, language: Language) -> None:
    os.mkdir(os.path.join(probe.slot, ".opt"))  # where layers lie, seen as /opt
    closed = ["/var/task/x", "/var/runtime/x", "/usr/x", "/etc/passwd", "/x", "/dev/x", "/dev/shm/x", "/opt/x"]
    found = await look(probe, language, WRITE, closed)
    assert isinstance(found, dict)
    assert set(found.values()) <= {"EROFS", "EACCES"}
    assert await look(probe, language, WRITE, ["/tmp/x"]) == {"/tmp/x": "written"}


async def test_the_host_and_the_internet_are_out_of_reach(probe: Probe, language: Language) -> None:
    hits: list[str] = []
    directory = tempfile.mkdtemp(dir="/tmp")
    os.chmod(directory, 0o755)
    path = os.path.join(directory, "socket")

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append("a visitor")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    local = await asyncio.start_unix_server(greet, path)
    os.chmod(path, 0o777)
    port = server.sockets[0].getsockname()[1]
    addresses: list[object] = [["127.0.0.1", port], ["1.1.1.1", 443], ["1.1.1.1", 25], ["169.254.169.254", 80]]
    addresses += [["2606:4700:4700::1111", 443], path]
    try:
        found = await look(probe, language, CONNECT, addresses)
    finally:
        server.close()
        local.close()
        os.unlink(path)
        os.rmdir(directory)
    unreachable = {"ENETUNREACH", "EADDRNOTAVAIL"}
    assert isinstance(found, list)
    assert found[0] == "ECONNREFUSED"
    assert set(found[1:5]) <= unreachable
    assert found[5] == "ENOENT"
    assert hits == []


async def test_the_abstract_sockets_of_the_host_are_not_seen(lab: Laboratory) -> None:
    probe = await lab.start()
    name = f"edgefn-canary-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        assert await look(probe, Language.PYTHON, CONNECT, [f"\0{name}"]) == ["ECONNREFUSED"]


INTERFACES = {
    Language.PYTHON: "import socket\nresult = [name for _, name in socket.if_nameindex()]",
    Language.NODE: "return Object.keys(require('os').networkInterfaces());",
}


async def test_loopback_is_the_only_interface_and_a_private_one(lab: Laboratory, language: Language) -> None:
    one, other = await lab.start(language), await lab.start(language)
    assert await one.ask(INTERFACES[language]) == ["lo"]
    listen = {
        Language.PYTHON: "import socket\nkept = socket.create_server(('0.0.0.0', 0))\n"
        "__builtins__['kept'] = kept\nresult = kept.getsockname()[1]",
        Language.NODE: "globalThis.kept = require('net').createServer();"
        "await new Promise((ok) => kept.listen(0, '0.0.0.0', ok)); return kept.address().port;",
    }
    port = await one.ask(listen[language])
    assert await look(one, language, CONNECT, [["127.0.0.1", port]]) == ["connected"]
    assert await look(other, language, CONNECT, [["127.0.0.1", port]]) == ["ECONNREFUSED"]
    with socket.socket() as visitor:
        visitor.settimeout(5)
        assert isinstance(port, int)
        with pytest.raises(ConnectionRefusedError):
            visitor.connect(("127.0.0.1", port))


STATUS = {
    Language.PYTHON: "result = open('/proc/self/status').read()",
    Language.NODE: "return require('fs').readFileSync('/proc/self/status', 'utf8');",
}


async def test_it_runs_without_rights_and_under_the_filter(probe: Probe, language: Language) -> None:
    text = await probe.ask(STATUS[language])
    assert isinstance(text, str)
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split() == ["993"] * 4
    assert os.stat(f"/proc/{probe.reaper()}").st_uid != 0


async def test_it_inherits_nothing_but_its_output_and_its_control_socket(lab: Laboratory, language: Language) -> None:
    leaked, other = os.pipe()
    os.set_inheritable(leaked, True)
    os.set_inheritable(other, True)
    probe = await lab.start(language)
    code = {
        Language.PYTHON: "import os\nresult = [os.readlink(f'/proc/self/fd/{fd}').partition(':')[0]"
        " for fd in (0, 1, 2, 3)]",
        Language.NODE: "return [0, 1, 2, 3].map((fd) =>"
        " require('fs').readlinkSync('/proc/self/fd/' + fd).replace(/:.*/, ''));",
    }
    found = await probe.ask(code[language])
    pipes = {os.fstat(leaked).st_ino, os.fstat(other).st_ino}
    inside = [pid for pid in processes_in(namespace_of(probe)) if pid != probe.reaper()]
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for pid in inside for fd in os.listdir(f"/proc/{pid}/fd")]
    os.close(leaked)
    os.close(other)
    assert found == ["/dev/null", "pipe", "pipe", "socket"]
    assert not [link for link in links if any(f"[{inode}]" in link for inode in pipes)]
    assert len([link for link in links if link.startswith("socket:")]) == 1


async def test_only_its_own_environment_reaches_it(lab: Laboratory, language: Language) -> None:
    probe = await lab.start(language, environment={"GREETING": "hello", "TZ": "UTC"})
    code = {
        Language.PYTHON: "import os\nresult = dict(os.environ)",
        Language.NODE: "return { ...process.env };",
    }
    environment = await probe.ask(code[language])
    assert isinstance(environment, dict)
    assert environment["GREETING"] == "hello"
    assert set(environment) <= {"GREETING", "TZ", "PATH", "HOME", "LANG", "LC_CTYPE", "PWD", "EDGEFN_FD"}


async def test_no_setuid_program_and_no_shell_lies_around(probe: Probe, language: Language) -> None:
    code = {
        Language.PYTHON: "import os\nresult = [os.path.join(d, f) for top in ('/usr/bin', '/bin', '/sbin', '/usr/sbin',"
        " '/var') for d, _, fs in os.walk(top) for f in fs if os.lstat(os.path.join(d, f)).st_mode & 0o6000"
        " or f in ('sh', 'bash', 'su', 'sudo', 'mount')]",
        Language.NODE: "const fs = require('fs'); return ['/usr/bin', '/var/lang/bin'].filter((d) => fs.existsSync(d))"
        ".flatMap((d) => fs.readdirSync(d).map((f) => d + '/' + f)).filter((p) => fs.lstatSync(p).mode & 0o6000"
        " || /\\/(sh|bash|su|sudo|mount)$/.test(p));",
    }
    assert await probe.ask(code[language]) == []


async def test_a_debugger_listens_to_nobody_outside(lab: Laboratory) -> None:
    probe = await lab.start(Language.NODE)
    port = 39229
    url = await probe.ask(f"const i = require('inspector'); i.open({port}, '0.0.0.0'); return i.url();")
    assert isinstance(url, str)
    with socket.socket() as visitor, pytest.raises(ConnectionRefusedError):
        visitor.connect(("127.0.0.1", port))


async def test_a_program_of_its_own_runs_under_the_same_filter(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON)
    code = """
import os, shutil, subprocess, sys
shutil.copy("/usr/bin/prlimit", "/tmp/mine")
os.chmod("/tmp/mine", 0o4755)
shown = subprocess.run(["/tmp/mine", "--version"], capture_output=True, text=True)
child = subprocess.run([sys.executable, "-I", "-S", "-c", "print(open('/proc/self/status').read())"],
                       capture_output=True, text=True).stdout
result = [shown.returncode, "Seccomp:\\t2" in child, "NoNewPrivs:\\t1" in child]
"""
    assert await probe.ask(code) == [0, True, True]


async def test_one_sandbox_leaves_nothing_for_the_next(lab: Laboratory, language: Language) -> None:
    first, second = await lab.start(language), await lab.start(language)
    assert await look(first, language, WRITE, ["/tmp/left", "/tmp/.hidden"]) is not None
    assert await look(second, language, LIST, "/tmp") == []
    third = await lab.start(language)
    assert await look(third, language, LIST, "/tmp") == []
