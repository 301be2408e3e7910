"""A server-rendered app: a login form, a protected page with a form, and a sign-out button. No JavaScript.

    python examples/pages.py [--host 127.0.0.1] [--port 5000]

The setting ``STSESSION_LOGIN_URL`` does all of this. A browser without a session is redirected to the login
page and back. If its access token has expired (here after 30 seconds), the session is refreshed on the way,
and a form that was being submitted keeps its fields.
The refresh page looks like the rest of the app: the app has a template ``stsession/refresh.html``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, redirect, render_template, request, url_for
from jinja2 import DictLoader
from werkzeug.serving import make_server

from flask_stsession import STSession, create_new_session, current_session, next_url

#: The life of an access token (s); the default is an hour.
TOKEN_SECONDS = 30


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """Return the app of this example.

    :param settings: override those of the example and of the environment.
    """
    app = Flask(__name__, instance_path=str(Path(__file__).resolve().with_name("instance")))
    app.config["STSESSION_CONNECTION_URI"] = "embedded:"
    app.config["STSESSION_EMBEDDED_CORE"] = {
        "access_token_validity": TOKEN_SECONDS,
        "access_token_validity_jitter": 0,
    }
    app.config["STSESSION_LOGIN_URL"] = "login"  # the endpoint of the view below
    app.config.from_prefixed_env()
    app.config.from_mapping(settings or {})

    app.jinja_env.loader = DictLoader(TEMPLATES)

    stsession = STSession(app)
    stsession.protect(app, exempt=["style"])  # and the login page, which is always open

    @app.after_request
    def forbid_inline_code(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return response

    notes: list[tuple[str, str]] = []

    @app.get("/")
    def home() -> str:
        own = [text for user, text in notes if user == user_id()]
        return render_template("home.html", notes=own, seconds=TOKEN_SECONDS)

    @app.post("/notes")
    def add_note() -> Any:
        notes.append((user_id(), request.form["text"]))
        return redirect(url_for("home"), 303)

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method == "POST" and request.form["name"].strip():
            create_new_session(request.form["name"].strip())  # a real app checks a password first
            return redirect(next_url(), 303)  # the page that was asked for, if it is on this site
        return redirect(next_url()) if current_session else render_template("login.html", next=next_url())

    @app.get("/style.css")
    def style() -> Response:
        return Response(STYLE, mimetype="text/css")

    # Sign-out needs no view: the extension adds POST /auth/signout, which redirects to the login page.
    return app


def user_id() -> str:
    """Return the id of the signed-in user."""
    name: str = g.session.get_user_id()
    return name


STYLE = """
:root { color-scheme: light dark;
        --accent: light-dark(#0b6bcb, #6cb2f7); --line: light-dark(#d5d9e0, #3a4250); }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; background: light-dark(#f4f6f9, #14181f); }
main { max-width: 34rem; margin: 8vh auto; padding: 1.5rem; background: light-dark(#fff, #1d232c);
       border: 1px solid var(--line); border-radius: 0.75rem; }
h1 { margin-top: 0; font-size: 1.4rem; }
form { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: end; margin: 1rem 0; }
label { flex: 1 1 12rem; }
input { display: block; width: 100%; }
input, button { font: inherit; padding: 0.5rem 0.75rem;
                border: 1px solid var(--line); border-radius: 0.5rem; }
button { color: light-dark(#fff, #14181f); background: var(--accent); border-color: var(--accent); }
button.quiet { color: inherit; background: none; border-color: var(--line); }
ul { padding-left: 1.2rem; }
small { opacity: 0.75; }
a { color: var(--accent); }
"""

TEMPLATES = {
    "base.html": """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}Notes{% endblock %}</title>
<link rel="stylesheet" href="{{ url_for("style") }}">
{% block head %}{% endblock %}
</head>
<body><main>{% block main %}{% endblock %}</main></body>
</html>
""",
    "home.html": """{% extends "base.html" %}
{% block main %}
<h1>Notes of {{ current_session.get_user_id() }}</h1>
<ul>{% for text in notes %}<li>{{ text }}</li>{% else %}<li>None yet.</li>{% endfor %}</ul>
<form action="{{ url_for("add_note") }}" method="post">
  <label>A note <input name="text" required></label> <button>Add</button>
</form>
<p><small>The access token lives {{ seconds }} seconds here. Wait longer, then add a note: the session is
refreshed on the way, and the note is kept.</small></p>
<form action="{{ url_for("stsession.signout") }}" method="post"><button class="quiet">Sign out</button></form>
{% endblock %}
""",
    "login.html": """{% extends "base.html" %}
{% block title %}Sign in{% endblock %}
{% block main %}
<h1>Sign in</h1>
<form method="post">
  <input type="hidden" name="next" value="{{ next }}">
  <label>Your name <input name="name" required autofocus></label> <button>Sign in</button>
</form>
{% endblock %}
""",
    # What is shown for a moment while an expired session is refreshed.
    "stsession/refresh.html": """{% extends "base.html" %}
{% block title %}One moment{% endblock %}
{% block head %}{{ stsession_head }}{% endblock %}
{% block main %}
<p id="message" role="status" data-renewing="One moment, please."></p>
<p id="retry" hidden><button type="button">Try again</button></p>
<p id="back" hidden><button type="button" class="quiet">Back</button></p>
<p id="carry"><a href="{{ continue_url }}">Continue</a></p>
{% endblock %}
""",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app until it is interrupted."""
    parser = argparse.ArgumentParser(description="A server-rendered app with sessions.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", default=5000, type=int, help="port to listen on; 0 takes a free one (default: 5000)"
    )
    options = parser.parse_args(arguments)
    server = make_server(options.host, options.port, create_app(), threaded=True)
    print(f"Open http://{options.host}:{server.port} in a browser. Press Ctrl+C to stop.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
