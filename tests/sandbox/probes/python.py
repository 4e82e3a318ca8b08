"""A stand-in for the Python bootstrap: runs the code that the test sends and returns what it leaves in `result`."""

import json
import os
import socket

control = socket.socket(fileno=int(os.environ["EDGEFN_FD"]))
lines = control.makefile("r")
for line in lines:
    scope: dict[str, object] = {}
    try:
        exec(json.loads(line), scope)
        reply = {"result": scope.get("result")}
    except BaseException as error:  # noqa: BLE001 - the test is to see it
        reply = {"error": f"{type(error).__name__}: {error}"}
    control.sendall(json.dumps(reply).encode() + b"\n")
