"""A core in a process of its own that counts its calls.

``python -m benchmarks.core`` serves an embedded core, in memory, over HTTP on loopback, until its
input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flask_stsession.constants import CDI_VERSIONS
from flask_stsession.embedded.app import EmbeddedCore
from flask_stsession.embedded.server import CoreServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_CALLS = "/benchmark/calls"
#: The one version that supertokens-python speaks, and the newest that the core does.
CDI_VERSION_OF_PEERS = "5.4"
NEWEST_CDI_VERSION = CDI_VERSIONS[-1]


class _CountingCore(EmbeddedCore):
    """Count its calls, and return their number on request."""

    calls = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == _CALLS:
            body = str(self.calls).encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        self.calls += 1
        return super().__call__(environ, start_response)


@dataclass(frozen=True)
class Tokens:
    """The tokens of a new session."""

    access: str
    refresh: str


class Core:
    """A client of a running core: one kept-alive connection.

    :param url: of the core.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        split = urlsplit(url)
        self._connection = HTTPConnection(split.hostname or "", split.port, timeout=10)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def calls(self) -> int:
        """Return the number of calls so far."""
        return int(self._ask("GET", _CALLS))

    def create_session(self, **payload: Any) -> Tokens:
        """Return a new session's tokens; they hold the claim that the validators look for.

        :param payload: what else the access token holds.
        """
        answer = self._post(
            "/recipe/session",
            {
                "userId": "d1c40f3c-6c3a-4c9c-9d3f-5a0f8a1c7a11",
                "userDataInJWT": {"plan": {"v": "large", "t": 1_700_000_000_000}, **payload},
                "userDataInDatabase": {},
                "enableAntiCsrf": False,
                "useDynamicSigningKey": True,
            },
            CDI_VERSION_OF_PEERS,
        )
        return Tokens(answer["accessToken"]["token"], answer["refreshToken"]["token"])

    def public_key_of(self, access_token: str) -> str:
        """Return the key that signed a token, as PEM."""
        kid = jwt.get_unverified_header(access_token)["kid"]
        for jwk in json.loads(self._ask("GET", "/.well-known/jwks.json"))["keys"]:
            if jwk["kid"] == kid:
                key: Any = jwt.PyJWK(jwk).key
                pem: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                return pem.decode("ascii")
        raise LookupError(f"the core has no key {kid}")

    def _post(self, path: str, body: dict[str, Any], cdi_version: str) -> dict[str, Any]:
        headers = {"cdi-version": cdi_version, "rid": "session", "Content-Type": "application/json"}
        answer: dict[str, Any] = json.loads(self._ask("POST", path, json.dumps(body), headers))
        if answer["status"] != "OK":
            raise ValueError(f"the core responded {answer}")
        return answer

    def _ask(self, method: str, path: str, body: str | None = None, headers: Any = None) -> bytes:
        self._connection.request(method, path, body, headers or {})
        return self._connection.getresponse().read()


@contextmanager
def running_core() -> Iterator[Core]:
    """Run a core in another process, so that its work does not count as ours."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        core = Core(process.stdout.readline().strip())
        try:
            yield core
        finally:
            core.close()
            assert process.stdin is not None
            process.stdin.close()


def _serve() -> None:
    with _CountingCore(":memory:") as core:
        server = CoreServer(core, "127.0.0.1", 0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        print(server.url, flush=True)
        sys.stdin.read()
        server.stop()
        thread.join()


if __name__ == "__main__":
    _serve()
