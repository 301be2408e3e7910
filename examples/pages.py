"""A server-rendered app: a login form, a protected page with a form, and a button to sign out. No JavaScript.

    python examples/pages.py [--host 127.0.0.1] [--port 5000]

``STSESSION_LOGIN_URL`` is all that makes it so: whoever is not signed in is sent to the login page and back,
and whoever comes with an expired access token (they live 30 seconds here) is carried through the refresh,
what was typed into the form included.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, redirect, render_template_string, request, url_for
from werkzeug.serving import make_server

from flask_stsession import STSession, create_new_session, current_session, next_url


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """The app of this example.

    :param settings: go before those of the example.
    """
    app = Flask(__name__, instance_path=str(Path(__file__).resolve().with_name("instance")))
    app.config["STSESSION_CONNECTION_URI"] = "embedded:"
    app.config["STSESSION_EMBEDDED_CORE"] = {"access_token_validity": 30, "access_token_validity_jitter": 0}
    app.config["STSESSION_LOGIN_URL"] = "login"  # the endpoint of the view below
    app.config.from_prefixed_env()
    app.config.from_mapping(settings or {})

    stsession = STSession(app)
    stsession.protect(app)  # every view but the login page

    @app.after_request
    def forbid_inline_code(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        return response

    notes: list[tuple[str, str]] = []

    @app.get("/")
    def home() -> str:
        return render_template_string(HOME, notes=[text for user, text in notes if user == user_id()])

    @app.post("/notes")
    def add_note() -> Any:
        notes.append((user_id(), request.form["text"]))
        return redirect(url_for("home"), 303)

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method == "POST" and request.form["name"].strip():
            create_new_session(request.form["name"].strip())  # a real app checks a password first
            return redirect(next_url(), 303)  # where the person wanted to go, if that is on this site
        return redirect(next_url()) if current_session else render_template_string(LOGIN, next=next_url())

    # Signing out needs no view: POST /auth/signout is there, and leads to the login page.
    return app


def user_id() -> str:
    """Whose request this is."""
    name: str = g.session.get_user_id()
    return name


HOME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notes</title>
<h1>Notes of {{ current_session.get_user_id() }}</h1>
<ul>{% for text in notes %}<li>{{ text }}</li>{% else %}<li>None yet.</li>{% endfor %}</ul>
<form action="{{ url_for("add_note") }}" method="post">
  <label>A note <input name="text" required></label> <button>Add</button>
</form>
<form action="{{ url_for("stsession.signout") }}" method="post"><button>Sign out</button></form>
</html>
"""

LOGIN = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
<h1>Sign in</h1>
<form method="post">
  <input type="hidden" name="next" value="{{ next }}">
  <label>Your name <input name="name" required autofocus></label> <button>Sign in</button>
</form>
</html>
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app until it is interrupted."""
    parser = argparse.ArgumentParser(description="A server-rendered app with sessions.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", default=5000, type=int, help="port to listen on; 0 takes a free one (default: 5000)"
    )
    options = parser.parse_args(arguments)
    server = make_server(options.host, options.port, create_app(), threaded=True)
    print(f"Open http://{options.host}:{server.port} in a browser. Ctrl+C ends it.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
