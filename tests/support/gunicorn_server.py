"""An app of this folder under a real server: gunicorn with any worker class, or eventlet's own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

SUPPORT = Path(__file__).parent

GUNICORN = (sys.executable, "-m", "gunicorn", "--log-level", "error", "--graceful-timeout", "2")
#: Gunicorn has no eventlet workers any more; eventlet brings a server of its own.
EVENTLET = """
import eventlet
eventlet.monkey_patch()
import socket, sys
import eventlet.wsgi
sys.path.insert(0, sys.argv[1])
from worker_app import app
eventlet.wsgi.server(socket.socket(fileno=int(sys.argv[2])), app, log_output=False)
"""


@contextlib.contextmanager
def serving(
    database: Path, *options: str, keys_at_once: bool = False, app: str = "worker_app"
) -> Iterator[str]:
    """Serve an app on a free port of this host, under gunicorn, or ``worker_app`` under eventlet.

    :param app: the module of this folder that has the ``app``.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        listener.set_inheritable(True)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        descriptor = listener.fileno()
        command = [
            *GUNICORN,
            "--chdir",
            str(SUPPORT),
            "--bind",
            f"fd://{descriptor}",
            *options,
            f"{app}:app",
        ]
        if options == ("eventlet",):
            command = [sys.executable, "-c", EVENTLET, str(SUPPORT), str(descriptor)]
        environ = {
            **os.environ,
            "FLASK_STSESSION_CONNECTION_URI": f"embedded:{database}",
            "WORKER_APP_ASKS_FOR_KEYS_AT_ONCE": "1" if keys_at_once else "",
        }
        process = subprocess.Popen(command, env=environ, pass_fds=[descriptor])
        try:
            _wait_for(address)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            requests.get(f"{address}/auth/jwt/jwks.json", timeout=10).raise_for_status()
            return
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
