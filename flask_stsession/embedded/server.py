"""Serving an embedded core over HTTP, and the command that does so."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import logging
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from types import FrameType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

import click

from .app import EmbeddedCore
from .errors import EmbeddedCoreError
from .settings import MIN_API_KEY_LENGTH
from .storage.files import IN_MEMORY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger: logging.Logger = logging.getLogger("flask_stsession.embedded")

_MAX_BODY_BYTES: Final = 11 * 1024 * 1024
#: How long an idle connection is kept, seconds. Long: a client that sends just as it is closed
#: cannot tell whether its request was carried out.
_IDLE_SECONDS: Final = 300
#: How long a stopping server waits for requests that it has begun to answer, seconds.
_STOP_PATIENCE: Final = 10.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    # Head and body leave in one segment. Sent as two, the second waits some 40 ms for the client's
    # delayed acknowledgement of the first (RFC 896, RFC 1122 4.2.3.2).
    wbufsize = -1
    disable_nagle_algorithm = True

    def version_string(self) -> str:
        return "flask-stsession-core"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the lines would hold user ids and session handles."""

    def _answer(self) -> None:
        server = self._server()
        with server.answering():
            body = self._read_body()
            if body is None:
                return
            sent: list[tuple[int, list[tuple[str, str]]]] = []

            def start_response(status: str, headers: list[tuple[str, str]], _error: object = None, /) -> Any:
                sent.append((int(status.split(" ", 1)[0]), headers))

            try:
                content = b"".join(server.core(self._environ(body), start_response))
            except EmbeddedCoreError:
                logger.exception("the embedded core cannot answer")
                self.send_error(500, "Internal Error")
                return
            status, headers = sent[-1]
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _answer  # noqa: N815

    def _read_body(self) -> bytes | None:
        # Read whole, whatever the answer: what is left of it would be taken for the next request.
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self.send_error(411, "Length Required")
            return None
        if not (length.isascii() and length.isdigit()) or len(length) > 18 or int(length) > _MAX_BODY_BYTES:
            self.close_connection = True
            self.send_error(413 if length.isdigit() else 400)
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _server(self) -> CoreServer:
        assert isinstance(self.server, CoreServer)
        return self.server

    def _environ(self, body: bytes) -> WSGIEnvironment:
        path, _, query = self.path.partition("?")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": str(self._server().server_address[0]),
            "SERVER_PORT": str(self._server().server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            environ.setdefault("HTTP_" + name.upper().replace("-", "_"), value)
        return environ


class CoreServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves one embedded core over HTTP/1.1, a thread for each connection.

    It listens once it was made. The core stays the caller's.

    :param core: the core.
    :param host: the address to listen on.
    :param port: the port; 0: any free one.
    :raises OSError: it cannot listen there.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    address_family: int = socket.AF_INET

    def __init__(self, core: EmbeddedCore, host: str, port: int) -> None:
        self.core = core
        self._host = host
        self._changed = threading.Condition()
        self._answering = 0
        self._open: set[socket.socket] = set()
        self.address_family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        super().__init__((str(address[0]), int(address[1])), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_address[1]}"

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Mark a request as begun, so that stopping waits for it."""
        with self._changed:
            self._answering += 1
        try:
            yield
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """Accept nothing more, wait for the requests that were begun, and close every connection.

        Not to be called by the thread that serves while it does.
        """
        self.shutdown()
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: self._answering == 0, timeout=_STOP_PATIENCE)
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client may have gone
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=1)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin to serve a connection."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Note that a connection broke, which is the client's affair."""
        logger.debug("a connection to the embedded core ended early", exc_info=True)


@click.command("core", short_help="Run the embedded core over HTTP.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=3567,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--db",
    "database",
    default=IN_MEMORY,
    show_default=True,
    metavar="FILE|:memory:",
    help="Where to keep everything; made if it does not exist.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting, with the keys of a core's config.yaml; may be given several times.",
)
def core_command(host: str, port: int, database: str, assignments: tuple[str, ...]) -> None:
    """Run the embedded core over HTTP until SIGTERM or SIGINT.

    It serves the Core Driver Interface over SQLite to this and other applications, for development,
    tests and single hosts.
    """
    settings = dict(_split_assignment(assignment) for assignment in assignments)
    if not _is_loopback(host) and not settings.get("api_keys"):
        raise click.ClickException(
            f"--host {host} can be reached from other machines and there are no api_keys:"
            f" add --set api_keys=KEY (at least {MIN_API_KEY_LENGTH} characters), or use --host 127.0.0.1"
        )
    try:
        core = EmbeddedCore(database, settings)
    except EmbeddedCoreError as error:
        raise click.ClickException(str(error)) from error
    with core:
        try:
            server = CoreServer(core, host, port)
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on {host}, port {port} ({error.strerror}): choose another --host or --port;"
                " --port 0 takes a free one"
            ) from error
        if database == IN_MEMORY:
            click.echo(
                "Everything is kept in memory and ends with this process; --db FILE keeps it.", err=True
            )
        _serve_until_signalled(server)


def _serve_until_signalled(server: CoreServer) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        # This runs in the thread that serves, which cannot wait for itself.
        threading.Thread(target=server.shutdown).start()

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        # Flushed by click: whoever started this process waits for the line.
        click.echo(f"Listening on {server.url}")
        server.serve_forever(poll_interval=0.1)
    finally:
        server.stop()
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _split_assignment(assignment: str) -> tuple[str, str]:
    key, equals, value = assignment.partition("=")
    if not equals:
        raise click.BadParameter(
            f"{assignment!r} has no '=': write KEY=VALUE, for example access_token_validity=3600",
            param_hint="--set",
        )
    return key.strip(), value.strip()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
