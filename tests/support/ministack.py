"""MiniStack, an emulator of AWS by others, with the stack of the examples deployed to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import websocket

from support.authority import Authority
from support.example_modules import EXAMPLES
from support.ports import free_port
from support.required import missing

_ROOT = Path(__file__).parents[2]
PYTHON = _ROOT / ".venv-ministack" / "bin" / "python"
_PATIENCE_SECONDS = 120
#: Only a name with a dot is a custom domain there, and this one resolves everywhere.
_DOMAIN = "127.0.0.1"


@dataclass(frozen=True)
class Gateways:
    """Gateways with the examples behind them.

    :param origin: scheme, host and port of MiniStack.
    :param api_domain: those of the HTTP API's custom domain.
    :param ca: the certificate that signs for both.
    :param ids: of the stack's resources, by their names in the template.
    """

    origin: str
    api_domain: str
    ca: str
    ids: Mapping[str, str]

    def root(self, gateway: str) -> str:
        """Return the address of the app's root behind a gateway."""
        return {
            "rest": f"{self.origin}/_aws/execute-api/{self.ids['RestApi']}/prod",
            "http-2.0": f"{self.origin}/_aws/execute-api/{self.ids['HttpApi']}/$default",
            "custom-domain": self.api_domain,
            "function-url": f"{self.origin}/_aws/lambda-url/{self.ids['url']}",
            "alb": f"{self.origin}/_alb/alb",
            "alb-multi-value": f"{self.origin}/_alb/alb-multi-value",
        }[gateway]

    def send(self, method: str, gateway: str, path: str, **options: Any) -> requests.Response:
        """Send a request through a gateway."""
        # Cookies are the caller's: their paths are not those that MiniStack puts the APIs at.
        return requests.request(
            method, self.root(gateway) + path, verify=self.ca, timeout=_PATIENCE_SECONDS, **options
        )

    def calls_of(self, function: str) -> int:
        """Return how often a function ran, by its log in CloudWatch."""
        found = requests.post(
            self.origin,
            json={"logGroupName": f"/aws/lambda/{self.ids[function]}", "filterPattern": "START"},
            headers={
                "X-Amz-Target": "Logs_20140328.FilterLogEvents",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/logs/aws4_request",
            },
            verify=self.ca,
            timeout=_PATIENCE_SECONDS,
        )
        if found.status_code == requests.codes.bad_request:
            assert found.json()["__type"].endswith("ResourceNotFoundException"), found.text
            return 0
        return len(found.json()["events"])

    def connect(self, cookie: str, origin: str) -> websocket.WebSocket:
        """Open a WebSocket, as a page of a website does.

        :raises websocket.WebSocketBadStatusException: the gateway refuses.
        """
        address = f"{self.origin}/_aws/execute-api/{self.ids['WebSocketApi']}/prod"
        return websocket.create_connection(
            address.replace("https", "wss"),
            cookie=cookie,
            origin=origin,
            sslopt={"ca_certs": self.ca},
            timeout=_PATIENCE_SECONDS,
        )


@contextlib.contextmanager
def running_gateways(folder: Path, parameters: Mapping[str, str]) -> Iterator[Gateways]:
    """Start MiniStack and deploy the examples; skips where it is not installed.

    :param folder: where it may write.
    :param parameters: of the template.
    """
    if not PYTHON.exists():
        missing(
            "MiniStack is missing: python3 -m venv .venv-ministack && "
            ".venv-ministack/bin/pip install ministack aws-sam-translator cryptography"
        )
    port = free_port()
    origin = f"https://localhost:{port}"
    authority = Authority(folder)
    certificate = str(authority.certificate_for("localhost", _DOMAIN))
    ca = str(authority.file)
    kept = {name: value for name, value in os.environ.items() if "STSESSION_" not in name}
    environment = {
        **{name: value for name, value in kept.items() if name not in ("PYTHONPATH", "PYTHONHOME")},
        "GATEWAY_PORT": str(port),
        "USE_SSL": "1",
        "SSL_CERT_FILE": ca,  # the JWT authorizer asks the custom domain
        "MINISTACK_REGION": "eu-west-1",
        "TMPDIR": str(folder),
    }
    command = ["-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"]
    with (folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            [str(PYTHON), *command, "--certfile", certificate, "--keyfile", certificate],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(origin, ca, process)
        api_domain = f"https://{_DOMAIN}:{port}"
        given = {
            "endpoint": origin,
            "ca": ca,
            "port": port,
            "folder": str(EXAMPLES / "aws_lambda"),
            "functions": str(Path(__file__).with_name("gateway_functions.py")),
            # An editable installation is found by a hook of this Python's, not by its path.
            "pythonpath": os.pathsep.join([str(_ROOT), *filter(None, sys.path)]),
            "domain": _DOMAIN,
            "api_domain": api_domain,
            # The service behind the REST API is any that answers.
            "parameters": {"UpstreamUrl": f"{api_domain}/auth/jwt/jwks.json", **parameters},
        }
        script = Path(__file__).with_name("ministack_stack.py")
        deployed = subprocess.run(
            [str(PYTHON), str(script)],
            input=json.dumps(given),
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert deployed.returncode == 0, deployed.stderr
        yield Gateways(origin, api_domain, ca, json.loads(deployed.stdout.splitlines()[-1]))
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the processes of the functions as well
        process.wait()


def _wait_until_healthy(origin: str, ca: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(f"{origin}/_ministack/health", verify=ca, timeout=5).raise_for_status()
            return
        assert process.poll() is None, "MiniStack ended"
        assert time.monotonic() < end, "MiniStack does not respond"
        time.sleep(0.05)
