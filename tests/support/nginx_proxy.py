"""Debian's nginx as a proxy before an app, with its own defaults.

Skipped where there is none, unless ``STSESSION_REQUIRE_EVERYTHING`` is set.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from flask import Flask
from werkzeug.serving import make_server

from support.ports import free_port
from support.required import missing

_CONFIG: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {server}
        location {location} {{
            proxy_pass http://127.0.0.1:{upstream}{path};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
}}
"""


@contextlib.contextmanager
def behind_nginx(
    app: Flask, folder: Path, *, location: str = "/", path: str = "", server: str = ""
) -> Iterator[int]:
    """Serve an app behind nginx, and give the port of nginx.

    :param folder: for files of nginx.
    :param location: the paths that go to the app.
    :param path: what ``proxy_pass`` puts in the place of the location: ``/`` strips it.
    :param server: further lines of its configuration.
    """
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        missing("there is no nginx: apt-get install nginx-light")
    upstream = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=upstream.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder, port=port, upstream=upstream.port, location=location, path=path, server=server
        )
    )
    process = subprocess.Popen(
        [binary, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)
        upstream.shutdown()
        thread.join()
        upstream.server_close()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "nginx has ended"
        time.sleep(0.02)
    raise AssertionError("nginx does not listen")
