"""``python -m benchmarks.lambda_child CONTESTANT CORE_URL``: measure one way on Lambda in a process of its
own.

Reads an event from standard input, and prints JSON: the processor time (s) of importing, of the first event
and of a later one, all threads together, and the most memory used (bytes). Imports nothing else before that,
since an import is what it measures.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Handler = Callable[[dict[str, Any], Any], Any]

_BATCHES = 40
_BATCH = 50


def _dependencies(_core_url: str) -> Handler:
    import blinker  # noqa: F401
    import cachetools  # noqa: F401
    import cryptography.hazmat.primitives.asymmetric.rsa  # noqa: F401
    import jwt  # noqa: F401
    import requests  # noqa: F401
    import werkzeug.wrappers  # noqa: F401

    return _unguarded


def _ours(_core_url: str) -> Handler:
    from flask_stsession.aws_lambda import verify_session_event  # noqa: F401

    return _unguarded


def _unguarded(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    return {"statusCode": 200, "body": "ok"}


def _config(core_url: str) -> dict[str, Any]:
    return {
        "STSESSION_CONNECTION_URI": core_url,
        "STSESSION_API_DOMAIN": "https://api.example.com",
        "STSESSION_WEBSITE_DOMAIN": "https://example.com",
    }


def _without_flask(core_url: str) -> Handler:
    from flask_stsession.aws_lambda import verify_session_event

    @verify_session_event(_config(core_url))
    def handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
        event["session"].get_user_id()
        return {"statusCode": 200, "body": "ok"}

    return handler


def _with_flask(core_url: str, *, guarded: bool = True) -> Handler:
    from flask import Flask, g

    from flask_stsession import STSession, verify_session
    from flask_stsession.aws_lambda import make_handler

    app = Flask("benchmark")
    app.config.update(_config(core_url))
    STSession(app)

    def user() -> str:
        if guarded:
            g.session.get_user_id()
        return "ok"

    app.add_url_rule("/user", view_func=verify_session()(user) if guarded else user)
    return make_handler(app)


def _bare_flask(core_url: str) -> Handler:
    return _with_flask(core_url, guarded=False)


def _pyjwt(core_url: str) -> Handler:
    import jwt

    client = jwt.PyJWKClient(f"{core_url}/.well-known/jwks.json")

    def handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ARG001
        token = event["headers"]["authorization"].removeprefix("Bearer ")
        key = client.get_signing_key_from_jwt(token)
        jwt.decode(token, key.key, algorithms=["RS256"], options={"verify_aud": False})
        return {"statusCode": 200, "body": "ok"}

    return handler


def _mangum(core_url: str) -> Handler:
    """Return a handler made as SuperTokens' documentation for Python says."""
    import nest_asyncio  # type: ignore[import-not-found]

    nest_asyncio.apply()
    from fastapi import Depends, FastAPI  # type: ignore[import-not-found]
    from mangum import Mangum  # type: ignore[import-not-found]
    from starlette.middleware.cors import CORSMiddleware  # type: ignore[import-not-found]
    from supertokens_python import InputAppInfo, SupertokensConfig, get_all_cors_headers, init
    from supertokens_python.framework.fastapi import get_middleware
    from supertokens_python.recipe import session
    from supertokens_python.recipe.session.framework.fastapi import verify_session

    init(
        supertokens_config=SupertokensConfig(connection_uri=core_url),
        app_info=InputAppInfo(
            app_name="benchmark", api_domain="https://api.example.com", website_domain="https://example.com"
        ),
        framework="fastapi",
        recipe_list=[session.init()],
        mode="asgi",
    )
    app = FastAPI()

    @app.get("/user")  # type: ignore[untyped-decorator]
    def user(found: Any = Depends(verify_session())) -> str:  # noqa: B008
        found.get_user_id()
        return "ok"

    app.add_middleware(get_middleware())
    with_cors = CORSMiddleware(
        app=app,
        allow_origins=["https://example.com"],
        allow_credentials=True,
        allow_methods=["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"],
        allow_headers=["Content-Type", *get_all_cors_headers()],
    )
    handler: Handler = Mangum(with_cors)
    return handler


CONTESTANTS: dict[str, Callable[[str], Handler]] = {
    "dependencies": _dependencies,
    "flask_stsession.aws_lambda": _ours,
    "without Flask": _without_flask,
    "bare Flask app": _bare_flask,
    "Flask app": _with_flask,
    "PyJWT": _pyjwt,
    "Mangum": _mangum,
}


def main() -> None:
    """Measure the contestant that the command line names."""
    event: dict[str, Any] = json.load(sys.stdin)
    began = time.process_time()
    handler = CONTESTANTS[sys.argv[1]](sys.argv[2])
    imported = time.process_time()
    response = handler(dict(event), None)
    first = time.process_time()
    if response["statusCode"] != 200:
        raise RuntimeError(f"{sys.argv[1]} responds {response}")
    batches = []
    for _ in range(_BATCHES):
        started = time.process_time()
        for _ in range(_BATCH):
            handler(dict(event), None)
        batches.append((time.process_time() - started) / _BATCH)
    # getrusage() would count what the parent had in use at the fork.
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - nothing else is imported
        memory = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    figures = {"import": imported - began, "first": first - imported, "warm": min(batches), "memory": memory}
    print(json.dumps(figures), flush=True)
    os._exit(0)  # the threads of FastAPI's views would keep the process alive


if __name__ == "__main__":
    main()
