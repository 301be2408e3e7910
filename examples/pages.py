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
        if request.method == "POST":
            name = request.form["name"].strip()
            if not name or len(name) > 60 or not name.isprintable():  # it is in every token
                return render_template("login.html", next=next_url()), 400
            create_new_session(name)  # a real app checks a password first
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
:root {
  color-scheme: light dark;
  --page: light-dark(#f4f6f9, #12161c); --card: light-dark(#fff, #1b2129);
  --line: light-dark(#dfe3e9, #303844);
  --text: light-dark(#1b2129, #e7ebef); --soft: light-dark(#5b6573, #9ca7b4);
  --accent: light-dark(#0b6bcb, #6cb2f7); --on-accent: light-dark(#fff, #0d1b2a);
}
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); }
.bar { background: var(--card); border-bottom: 1px solid var(--line); }
.bar > div, main { max-width: 40rem; margin: 0 auto; padding: 0.75rem 1rem; }
.bar > div { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: center; }
.bar strong { margin-right: auto; letter-spacing: -0.01em; }
.bar form { margin: 0; }
main { padding-top: 2rem; }
main.narrow { max-width: 26rem; padding-top: 12vh; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -0.02em;
     overflow-wrap: anywhere; }
.card { padding: 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.9rem;
        box-shadow: 0 1px 2px #1018280d, 0 6px 20px #1018280a; }
form.row { display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: end; margin: 0; }
label { flex: 1 1 12rem; font-size: 0.9rem; font-weight: 600; }
input { display: block; width: 100%; margin-top: 0.25rem; color: inherit; background: var(--page); }
input, button { font: inherit; padding: 0.55rem 0.8rem;
                border: 1px solid var(--line); border-radius: 0.6rem; }
button { font-weight: 600; color: var(--on-accent); background: var(--accent); border-color: var(--accent);
         cursor: pointer; }
button:hover { filter: brightness(1.08); }
button.quiet { padding: 0.3rem 0.7rem; color: inherit; background: none; border-color: var(--line); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
ul { display: grid; gap: 0.5rem; margin: 1rem 0; padding: 0; list-style: none; }
li { padding: 0.7rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.7rem;
     overflow-wrap: anywhere; }
li.empty { color: var(--soft); background: none; border-style: dashed; }
.hint { margin: 1rem 0 0; font-size: 0.875rem; color: var(--soft); }
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
<body>
{% block bar %}{% endblock %}
<main class="{% block width %}narrow{% endblock %}">{% block main %}{% endblock %}</main>
</body>
</html>
""",
    "home.html": """{% extends "base.html" %}
{% block bar %}
<header class="bar"><div>
  <strong>Notes</strong> <span>{{ current_session.get_user_id() }}</span>
  <form action="{{ url_for("stsession.signout") }}" method="post">
    <button class="quiet">Sign out</button>
  </form>
</div></header>
{% endblock %}
{% block width %}{% endblock %}
{% block main %}
<h1>Notes of {{ current_session.get_user_id() }}</h1>
<form class="row card" action="{{ url_for("add_note") }}" method="post">
  <label>A note <input name="text" required maxlength="500" autocomplete="off"></label> <button>Add</button>
</form>
<ul>{% for text in notes %}<li>{{ text }}</li>{% else %}<li class="empty">None yet.</li>{% endfor %}</ul>
<p class="hint">The access token lives {{ seconds }} seconds here. Wait longer, then add a note: the session
is refreshed on the way, and the note is kept.</p>
{% endblock %}
""",
    "login.html": """{% extends "base.html" %}
{% block title %}Sign in{% endblock %}
{% block main %}
<div class="card">
  <h1>Sign in</h1>
  <form class="row" method="post">
    <input type="hidden" name="next" value="{{ next }}">
    <label>Your name <input name="name" required maxlength="60" autofocus autocomplete="username"></label>
    <button>Sign in</button>
  </form>
  <p class="hint">Any name will do; this example has no passwords.</p>
</div>
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
