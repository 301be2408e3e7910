"""AWS Lambda: import, first event and warm event of each way, by processor time.

Each contestant runs in processes of its own (:mod:`.lambda_child`). The versions that were compared are
pinned in ``benchmarks/requirements-lambda.txt`` and ``benchmarks/lambda_node/package.json`` (``npm install``
there); peers that are not installed are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .core import running_core
from .lambda_child import CONTESTANTS
from .report import Part, Row, microseconds, milliseconds

_HEADINGS = ("AWS Lambda", "import", "first event", "warm event", "memory", "aim")
_ROUNDS = 15
#: The packages of a contestant beyond ours.
_NEEDS = {"Mangum": ("mangum", "fastapi", "nest_asyncio", "supertokens-python")}
#: The contestant that is no Python, and its folder.
_NODE = "supertokens-node"
_NODE_FOLDER = Path(__file__).with_name("lambda_node")
_MOST_OF_DEPENDENCIES = 1.2
_MOST_WITHOUT_FLASK = 60e-6
_MOST_ABOVE_BARE = 40e-6


def measure() -> Part:
    """Measure every contestant that is installed."""
    with running_core() as core, tempfile.TemporaryDirectory() as bytecode:
        event = _event(core.create_session().access)
        names = list(filter(_is_there, (*CONTESTANTS, _NODE)))
        # They take turns, as the machine is not always equally fast. The first round compiles everything, as
        # an installation does.
        rounds = [
            {name: _run(name, core.url, event, bytecode) for name in names} for _ in range(_ROUNDS + 1)
        ][1:]
        figures = {
            name: {key: min(each[name][key] for each in rounds) for key in rounds[0][name]} for name in names
        }
    return Part(_HEADINGS, [_row(name, figures) for name in figures])


def _row(name: str, figures: dict[str, dict[str, float]]) -> Row:
    mine = figures[name]
    aim, met = "", None
    if name == "flask_stsession.aws_lambda":
        ratio = mine["import"] / figures["dependencies"]["import"]
        aim = f"import at most 1.2 times that of the dependencies ({ratio:.2f})"
        met = ratio <= _MOST_OF_DEPENDENCIES
    elif name == "without Flask":
        aim, met = "warm below 60 µs", mine["warm"] < _MOST_WITHOUT_FLASK
    elif name == "Flask app":
        above = mine["warm"] - figures["bare Flask app"]["warm"]
        aim = f"warm below 40 µs above the bare app ({microseconds(above)})"
        met = above < _MOST_ABOVE_BARE
    cells = (
        milliseconds(mine["import"], signed=False),
        milliseconds(mine["first"], signed=False),
        microseconds(mine["warm"], signed=False),
        f"{mine['memory'] / 1e6:.0f} MB",
    )
    return Row((name, *cells, aim), met)


def _run(name: str, core_url: str, event: str, bytecode: str) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "benchmarks.lambda_child", name, core_url]
    if name == _NODE:
        command = ["node", str(_NODE_FOLDER / "measure.js"), core_url]
    ran = subprocess.run(command, input=event, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    measured: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return measured


def _event(token: str) -> str:
    """Return the event of an HTTP API (payload 2.0) with a token by header, as JSON."""
    host = "hij456klmn.execute-api.eu-west-1.amazonaws.com"
    http: dict[str, Any] = {
        "method": "GET",
        "path": "/user",
        "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.9",
    }
    headers = {
        "accept": "*/*",
        "accept-encoding": "gzip, deflate, br",
        "authorization": f"Bearer {token}",
        "content-length": "0",
        "host": host,
        "origin": "https://example.com",
        "rid": "session",
        "user-agent": "Mozilla/5.0",
        "x-amzn-trace-id": "Root=1-5e9f0c65-1de4d666d4dd26aced652b6c",
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    context = {"http": http, "domainName": host, "stage": "$default", "apiId": "hij456klmn", "requestId": "x"}
    return json.dumps(
        {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/user",
            "rawQueryString": "",
            "headers": headers,
            "requestContext": context,
            "isBase64Encoded": False,
        }
    )


def _is_there(name: str) -> bool:
    if name == _NODE:
        return shutil.which("node") is not None and (_NODE_FOLDER / "node_modules").exists()
    return all(map(_is_installed, _NEEDS.get(name, ())))


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
