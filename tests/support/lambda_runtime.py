"""A small Runtime API of AWS Lambda, and the real client of it running a handler.

Source: "Using the Lambda runtime API for custom runtimes" in the Lambda developer guide.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PREFIX = "/2018-06-01/runtime"
#: How long (s) a handler may take on a loaded machine.
_PATIENCE_SECONDS = 120
_ARN = "arn:aws:lambda:eu-west-1:111122223333:function:example"


@dataclass(frozen=True)
class Outcome:
    """What a handler made of an event: a result, or an error as the runtime reports it."""

    result: Any = None
    error: dict[str, Any] | None = None


class _RuntimeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeHandler)
        self.events: queue.Queue[bytes | None] = queue.Queue()
        self.outcomes: queue.Queue[Outcome] = queue.Queue()


class _RuntimeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _runtime(self) -> _RuntimeServer:
        assert isinstance(self.server, _RuntimeServer)
        return self.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        assert self.path == f"{_PREFIX}/invocation/next", self.path
        event = self._runtime.events.get()
        if event is None:
            self.close_connection = True
            return
        deadline = int((time.time() + _PATIENCE_SECONDS) * 1000)
        self._reply(
            200,
            event,
            {
                "Content-Type": "application/json",  # without it the client crashes
                "Lambda-Runtime-Aws-Request-Id": "one",
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": _ARN,
            },
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "null")
        is_result = self.path.endswith("/response")
        self._runtime.outcomes.put(Outcome(result=body) if is_result else Outcome(error=body))
        self._reply(202, b'{"status": "OK"}', {})

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class RunningFunction:
    """A handler in a process of its own, run by ``awslambdaric``."""

    def __init__(self, server: _RuntimeServer, process: subprocess.Popen[bytes]) -> None:
        self._server = server
        self._process = process

    def invoke(self, event: object) -> Outcome:
        """Send an event, and return what the handler made of it."""
        self._server.events.put(json.dumps(event).encode())
        return self.next_outcome()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process, as AWS Lambda does between two invocations."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def next_outcome(self) -> Outcome:
        """Return what the runtime reports next: also that the handler could not be imported."""
        end = time.monotonic() + _PATIENCE_SECONDS
        has_ended = False
        while time.monotonic() < end and not has_ended:
            has_ended = self._process.poll() is not None  # what it reported before is in the queue
            with contextlib.suppress(queue.Empty):
                return self._server.outcomes.get(timeout=0.2)
        raise AssertionError(f"no outcome; the runtime has the exit code {self._process.poll()}")


@contextlib.contextmanager
def running_function(
    handler: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[RunningFunction]:
    """Run a handler as AWS Lambda does.

    :param handler: ``module.function``.
    :param folder: with the module in it.
    :param environment: of the function.
    """
    server = _RuntimeServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    kept = {name: value for name, value in os.environ.items() if "STSESSION_" not in name}
    process = subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", handler],
        cwd=folder,
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "example",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/example",
            "AWS_LAMBDA_LOG_STREAM_NAME": "one",
            "AWS_REGION": "eu-west-1",
            **(environment or {}),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield RunningFunction(server, process)
    finally:
        process.kill()
        process.wait()
        server.events.put(None)
        server.shutdown()
        thread.join()
        server.server_close()
