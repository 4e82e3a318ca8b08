"""The home of one Python function: reads events from the control socket, runs the handler, writes what came of it.

Runs on the standard library alone, in whatever Python the runtime names. The function shares this process and may
break all of this; it then breaks itself only.
"""

import base64
import importlib
import json
import logging
import os
import resource
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType

RESULT_LIMIT = 6_291_556
PREFIX = struct.Struct("<II")

Document = dict[str, object]
Handler = Callable[[object, object], object]


class LoadError(Exception):
    """The handler can't be had; `kind` is AWS's name for why."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Control:
    """The worker's end of the control socket. Frames: two u32 lengths, a JSON header, a raw body."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._buffer = bytearray(1 << 16)
        self._home = os.getpid()
        self.waits = 0  # how often this process had given its core up when the call began

    def receive(self) -> tuple[bytes, memoryview]:
        """Wait for one frame. Ends the process when nobody is left at the other end."""
        have, need = 0, PREFIX.size
        while have < need:
            if need > len(self._buffer):
                self._buffer += bytes(need - len(self._buffer))
            with memoryview(self._buffer) as view:
                count = self._socket.recv_into(view[have:])
            if count == 0:
                leave(0)
            have += count
            if have >= PREFIX.size:
                need = PREFIX.size + sum(PREFIX.unpack_from(self._buffer))
        end = PREFIX.size + int(PREFIX.unpack_from(self._buffer)[0])
        return bytes(self._buffer[PREFIX.size : end]), memoryview(self._buffer)[end:need]

    def send(self, header: str, body: bytes = b"") -> None:
        """Send one frame. A forked child of the function's ends here: the socket is its parent's."""
        if os.getpid() != self._home:
            leave(0)
        head = header.encode()
        self._socket.sendall(PREFIX.pack(len(head), len(body)) + head + body)


def leave(status: int) -> None:
    """End this process at once: leftover threads are not waited for."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    os._exit(status)


def clean(text: str, limit: int) -> str:
    """Return text of a bounded length that survives UTF-8."""
    return text[:limit].encode("utf-8", "replace").decode()


def text_of(error: BaseException) -> str:
    """Return the error's message, whatever its `__str__` does."""
    try:
        return clean(str(error), 32_768)
    except Exception:  # noqa: BLE001  # the function's code runs here
        return "an error that has no text"


def trace_of(tb: TracebackType | None) -> list[str]:
    """Return the function's own frames, innermost last, as AWS prints them."""
    frames = traceback.extract_tb(tb, limit=-100)
    own = [frame for frame in frames if frame.filename != __file__ and not frame.filename.startswith("<frozen")]
    plain = [(frame.filename, frame.lineno or 0, frame.name, frame.line) for frame in own]  # no columns to underline
    return [clean(line, 1_000) for line in traceback.format_list(plain)]


def usage(control: Control) -> str:
    """Return what this process took so far, as members of a reply's header."""
    taken = resource.getrusage(resource.RUSAGE_SELF)
    waited = "true" if taken.ru_nvcsw > control.waits else "false"
    return f'"cpu":{time.process_time()},"memory":{taken.ru_maxrss * 1024},"waited":{waited}'


def send_error(control: Control, request_id: str, error: Document, *, fatal: bool = False) -> None:
    """Reply with an error document."""
    ending = "true" if fatal else "false"
    control.send(f'{{"id":{json.dumps(request_id)},"error":{json.dumps(error)},"fatal":{ending},{usage(control)}}}')


def send_result(control: Control, request_id: str, result: bytes) -> None:
    """Reply with a result that is already serialised."""
    if len(result) > RESULT_LIMIT:
        message = f"Response payload size exceeded maximum allowed payload size ({RESULT_LIMIT} bytes)."
        error: Document = {"type": "Function.ResponseSizeTooLarge", "message": message, "trace": []}
        send_error(control, request_id, error)
        return
    control.send(f'{{"id":{json.dumps(request_id)},"ok":true,{usage(control)}}}', result)


def print_error(error: Document) -> None:
    """Print an error as AWS does: one event of the log, its inner line ends as carriage returns."""
    trace = error["trace"]
    lines = [f"[ERROR] {error['type']}: {error['message']}"]
    if isinstance(trace, list) and trace:
        lines += ["Traceback (most recent call last):", *(str(line).rstrip("\n") for line in trace)]
    try:
        sys.__stdout__.write("\n".join(lines).replace("\n", "\r") + "\n")  # type: ignore[union-attr]  # never None here
    except (OSError, ValueError):
        return


def unserialisable(value: object) -> object:
    """Return a Decimal as the number that it is, and refuse all else that JSON does not know."""
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


class Serialiser:
    """Results as JSON: plain UTF-8 from Python 3.12 on, escaped ASCII before."""

    def __init__(self, runtime: str) -> None:
        minor = runtime.removeprefix("python3.")
        plain = minor.isdecimal() and int(minor) >= 12
        self._ascii = _encoder(escaped=True)
        self._plain = _encoder(escaped=False) if plain else self._ascii

    def __call__(self, value: object) -> bytes:
        """Return `value` as JSON; bytes are returned as they are. Raises `LoadError` (Runtime.MarshalError)."""
        if isinstance(value, bytes):
            return value
        try:
            try:
                return self._plain.encode(value).encode()
            except UnicodeEncodeError:
                return self._ascii.encode(value).encode()
        except Exception as error:  # the function's code runs here
            raise LoadError("Runtime.MarshalError", f"Unable to marshal response: {text_of(error)}") from error


def _encoder(*, escaped: bool) -> json.JSONEncoder:
    return json.JSONEncoder(
        ensure_ascii=escaped, allow_nan=False, separators=(",", ":"), default=unserialisable, check_circular=True
    )


def without_echo(result: object, data: str | None) -> object:
    """Return the result less a request body that it merely echoes: nobody reads that, and 1 MB costs 7 ms."""
    if data is None or type(result) is not dict or type(body := result.get("body")) is not dict:
        return result
    if body.get("action") == "replace" or body.get("data") != data:
        return result
    return {**result, "body": {name: value for name, value in body.items() if name != "data"}}


class CognitoIdentity:
    """Who calls: nobody that Cognito knows."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self) -> None:
        self.cognito_identity_id = None
        self.cognito_identity_pool_id = None


class LambdaContext:
    """The handler's second argument."""

    def __init__(self, init: Document) -> None:
        self.aws_request_id = ""
        self.function_name = init["function"]
        self.function_version = init["version"]
        self.invoked_function_arn = init["arn"]
        self.memory_limit_in_mb = str(init["memory"])
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.identity: CognitoIdentity | None = None
        self.client_context = None
        self.tenant_id = None
        self._deadline = 0.0

    def of(self, request_id: str, deadline: float) -> "LambdaContext":
        """Return the context of one call, made from this one; `deadline` on the monotonic clock."""
        context = LambdaContext.__new__(LambdaContext)
        context.__dict__ = {**self.__dict__, "aws_request_id": request_id, "_deadline": deadline}
        context.identity = CognitoIdentity()
        return context

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function is stopped, never less than 0."""
        return max(int((self._deadline - time.monotonic()) * 1000), 0)

    def log(self, msg: object) -> None:
        """Print `msg` as it is."""
        sys.stdout.write(str(msg))

    def __repr__(self) -> str:
        return f"LambdaContext({', '.join(f'{k}={v!r}' for k, v in vars(self).items() if not k.startswith('_'))})"


class RequestHandler(logging.StreamHandler):  # type: ignore[type-arg]  # it has none before Python 3.11
    """AWS's handler: a record has its `aws_request_id`, for any format, and stays one event of the log."""

    request_id = ""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        formatter = logging.Formatter(line, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def format(self, record: logging.LogRecord) -> str:
        """Return one record as one line."""
        record.aws_request_id = self.request_id
        return super().format(record).replace("\n", "\r")


def set_up_logging() -> RequestHandler:
    """Give the root logger AWS's handler; its level stays WARNING."""
    handler = RequestHandler()
    logging.getLogger().addHandler(handler)
    return handler


def settle(environment: dict[str, str], task: str, tmp: str) -> None:
    """Make the process look like the function's: its variables, its time zone, its folder, its import path."""
    os.environ.clear()
    os.environ.update(environment)
    os.environ["LAMBDA_TASK_ROOT"] = task
    if tmp:  # instead of /tmp, where there is no mount to make one
        os.environ["TMPDIR"] = tmp
    time.tzset()
    os.chdir(task)
    others = [entry for entry in sys.path if entry not in ("", os.path.dirname(os.path.abspath(__file__)), task)]
    own = [entry for entry in environment.get("PYTHONPATH", "").split(":") if entry]
    layers = "/opt/python" if task == "/var/task" else f"{task}/.opt/python"  # without a mount there is no /opt
    exact = f"{layers}/lib/{environment.get('AWS_EXECUTION_ENV', '').rpartition('_')[2]}/site-packages"
    sys.path[:] = [task, *filter(os.path.isdir, (exact, layers)), *own, *others]
    importlib.invalidate_caches()


def load(name: str) -> Handler:
    """Return the handler that `pkg/mod.function` names. Raises `LoadError`, or what the module itself raises."""
    module_name, dot, attribute = name.rpartition(".")
    if not dot:
        why = "not enough values to unpack (expected 2, got 1)"
        raise LoadError("Runtime.MalformedHandlerName", f"Bad handler '{name}': {why}")
    dotted = module_name.replace("/", ".")
    if dotted.rpartition(".")[2] in sys.builtin_module_names:
        why = f"Cannot use built-in module {module_name} as a handler module"
        raise LoadError("Runtime.BuiltInModuleConflict", why)
    try:
        module = importlib.import_module(dotted)
    except (ImportError, TypeError, ValueError) as error:
        if not isinstance(error, ImportError) and not dotted.startswith(".") and dotted:
            raise
        why = f"Unable to import module '{module_name}': {text_of(error)}"
        raise LoadError("Runtime.ImportModuleError", why) from error
    except SyntaxError as error:
        why = f"Syntax error in module '{module_name}': {error.msg} ({error.filename}, line {error.lineno})"
        raise LoadError("Runtime.UserCodeSyntaxError", why) from error
    found: object = getattr(module, attribute, None)
    if found is None:
        raise LoadError("Runtime.HandlerNotFound", f"Handler '{attribute}' missing on module '{module_name}'")
    if not callable(found):
        raise LoadError("Runtime.HandlerNotFound", f"Handler '{attribute}' on module '{module_name}' is not a function")
    return found


def described(error: BaseException) -> Document:
    """Return AWS's error document for whatever was raised."""
    if isinstance(error, LoadError):
        cause = error.__cause__
        return {"type": error.kind, "message": str(error), "trace": trace_of(cause.__traceback__ if cause else None)}
    return {"type": type(error).__name__, "message": text_of(error), "trace": trace_of(error.__traceback__)}


class Home:
    """One loaded function, and the loop that feeds it."""

    def __init__(self, control: Control, task: str, tmp: str) -> None:
        self._control = control
        self._task = task
        self._tmp = tmp

    def live(self) -> None:
        """Take the function, then run its events until nobody is left."""
        self._initialise()
        while True:
            header, body = self._control.receive()
            self._invoke(header, body)

    def _initialise(self) -> None:
        header, _ = self._control.receive()
        self._init = json.loads(header)["init"]
        try:
            settle(self._init["environment"], self._task, self._tmp)
            self._logging = set_up_logging()
            self._context = LambdaContext(self._init)
            self._serialise = Serialiser(self._init["runtime"])
            self._handler = load(self._init["handler"])
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001  # the function's code runs here
            document = described(error)
            print_error(document)
            send_error(self._control, self._init["id"], document, fatal=True)
            leave(1)
        sys.stdout.flush()
        send_result(self._control, self._init["id"], b"null")

    def _invoke(self, header: bytes, body: memoryview) -> None:
        message = json.loads(header)
        request_id, deadline = message["invoke"]["id"], time.monotonic() + message["invoke"]["remaining"] / 1000
        event = message["event"]
        data = None
        if body:
            data = base64.b64encode(body).decode("ascii")
            event["Records"][0]["cf"]["request"]["body"]["data"] = data
        body.release()
        self._logging.request_id = request_id
        context = self._context.of(request_id, deadline)
        self._control.waits = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        try:
            result = self._serialise(without_echo(self._handler(event, context), data))
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001  # the function's code runs here
            document = described(error)
            print_error(document)
            self._flush()
            send_error(self._control, request_id, document)
        else:
            self._flush()
            send_result(self._control, request_id, result)

    def _flush(self) -> None:
        """Let what was printed be read before the reply is."""
        try:
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError):
            return


def status_of(exit_: SystemExit) -> int:
    """Return the exit status that `sys.exit(...)` asks for."""
    match exit_.code:
        case None:
            return 0
        case int(status):
            return status & 0xFF
        case text:
            sys.stderr.write(f"{text}\n")
            return 1


def main(names: Sequence[str] = ("EDGEFN_FD", "EDGEFN_TASK", "EDGEFN_TMP")) -> None:
    """Say that the interpreter is up, then live until nobody is left."""
    fd, task, tmp = (os.environ.pop(name, "") for name in names)
    control = Control(int(fd))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    control.send('{"ready":true}')
    try:
        Home(control, task or "/var/task", tmp).live()
    except SystemExit as exit_:
        leave(status_of(exit_))
    except BaseException:  # noqa: BLE001  # nothing may run the interpreter's own shutdown: it waits for threads
        traceback.print_exc()
        leave(1)


main()
