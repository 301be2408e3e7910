"""A Flask app with sessions, and a page that shows how they work.

    python examples/quickstart.py [--host 127.0.0.1] [--port 5000]

Sign in under any name, call a protected API, watch the access token expire and be refreshed, give and remove
a role, and sign out; the page explains every request, and shows the view behind each button. It needs no
core: the embedded one keeps the sessions in the instance folder next to this file. Access tokens live 30
seconds here, so that you can watch them expire; the default is one hour.

More settings can come from the environment, in Flask's usual way: ``FLASK_STSESSION_ANTI_CSRF=VIA_TOKEN``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, request
from markupsafe import Markup, escape
from werkzeug.serving import make_server

from flask_stsession import STSession, create_new_session, userroles, verify_session

# --- The app: everything that sessions need -----------------------------------------------------------------


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """Return the app of this example.

    :param settings: override those of the example and of the environment.
    """
    # By default Flask would put the instance folder of a script below the working directory.
    app = Flask(__name__, instance_path=str(Path(__file__).resolve().with_name("instance")))
    app.config["STSESSION_CONNECTION_URI"] = "embedded:"
    app.config["STSESSION_EMBEDDED_CORE"] = {"access_token_validity": 30, "access_token_validity_jitter": 0}
    app.config.from_prefixed_env()
    app.config.from_mapping(settings or {})

    app.after_request(note_what_was_on_the_wire)  # registered first, called last: it sees the final response
    STSession(app)

    @app.post("/api/login")
    def login() -> Any:
        user_id = field_of_body("userId")
        if not is_name(user_id):
            return jsonify(message="userId must be a name of up to 60 characters"), 400
        create_new_session(user_id.strip())  # a real app checks a password first
        return jsonify(status="OK")

    @app.get("/api/me")
    @verify_session()
    def me() -> Any:
        return jsonify(
            userId=g.session.get_user_id(),
            sessionHandle=g.session.get_handle(),
            accessTokenPayload=g.session.get_access_token_payload(),
        )

    @app.get("/api/admin")
    @verify_session(roles="admin", max_age_in_sec=0)  # 0: ask the core for the roles, not the token
    def admin() -> Any:
        return jsonify(secret="Only an admin reads this.")

    @app.post("/api/role")
    @verify_session()
    def role() -> Any:
        user_id = g.session.get_user_id()
        userroles.create_new_role_or_add_permissions("admin", ["site:manage"])
        if field_of_body("admin") is True:
            userroles.add_role_to_user(user_id, "admin")
        else:
            userroles.remove_user_role(user_id, "admin")
        return jsonify(roles=userroles.get_roles_for_user(user_id))

    # Refresh and sign-out need no view: STSession(app) adds POST /auth/session/refresh
    # and POST /auth/signout.

    add_page(app)
    return app


def field_of_body(name: str) -> Any:
    """Return a field of the JSON object in the request body, or ``None``."""
    body = request.get_json(silent=True)
    return body.get(name) if isinstance(body, dict) else None


def is_name(value: Any) -> bool:
    """Return whether a value is a short line of text: the user id is in every token."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= 60


# --- Tell the page what was sent and received ---------------------------------------------------------------

SESSION_COOKIES = ("sAccessToken", "sRefreshToken")
SENT_HEADERS = ("Authorization", "anti-csrf", "rid", "st-auth-mode")
SET_HEADERS = ("anti-csrf", "front-token", "st-access-token", "st-refresh-token")


def note_what_was_on_the_wire(response: Response) -> Response:
    """Name the cookies and headers that were sent and set: the page cannot see HttpOnly cookies itself."""
    set_now: list[str] = []
    cleared: list[str] = []
    for cookie in response.headers.getlist("Set-Cookie"):
        name, _, value = cookie.split(";", 1)[0].partition("=")
        (set_now if value else cleared).append(f"cookie {name}")
    for name in SET_HEADERS:
        if name in response.headers:
            (cleared if response.headers[name] in ("", "remove") else set_now).append(f"header {name}")
    sent = [f"cookie {name}" for name in SESSION_COOKIES if name in request.cookies]
    sent += [f"header {name}" for name in SENT_HEADERS if name in request.headers]
    response.headers["X-Wire"] = json.dumps({"sent": sent, "set": set_now, "cleared": cleared})
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


# --- The page -----------------------------------------------------------------------------------------------


def add_page(app: Flask) -> None:
    """Add the page, its style, its script and the code of the views.

    None is cached, so that edits to this file take effect.
    """

    @app.get("/")
    def page() -> Response:
        return Response(PAGE, mimetype="text/html", headers={"Cache-Control": "no-store"})

    @app.get("/code")
    def code() -> Response:
        page = CODE_PAGE.format(code=linkable(inspect.getsource(create_app)))
        return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store"})

    @app.get("/style.css")
    def style() -> Response:
        return Response(STYLE, mimetype="text/css", headers={"Cache-Control": "no-store"})

    @app.get("/app.js")
    def script() -> Response:
        return Response(SCRIPT, mimetype="text/javascript", headers={"Cache-Control": "no-store"})


def linkable(source: str) -> Markup:
    """Return source code as HTML; a link to ``#name`` marks the function of that name, or ``#routes``."""
    parts = []
    for block in source.rstrip().split("\n\n"):
        defined = re.search(r"^    def (\w+)", block, re.MULTILINE)
        name = defined[1] if defined else "routes" if "need no view" in block else ""
        parts.append(Markup('<span id="{}">{}</span>').format(name, block) if name else escape(block))
    return Markup("\n\n").join(parts)


CODE_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The views of the quickstart</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header>
  <h1>The views <span>of the quickstart</span></h1>
  <p>The whole app, without this page: <code>create_app</code> in <code>examples/quickstart.py</code>.
    <a href="/">Back to the quickstart</a></p>
</header>
<main class="single"><pre class="card code" tabindex="0">{code}</pre></main>
</body>
</html>
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>flask-stsession quickstart</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'
 %3E%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%230d9488' stroke-width='4'/%3E%3C/svg%3E">
<link rel="stylesheet" href="/style.css">
<script src="/app.js" defer></script>
</head>
<body>
<header>
  <h1>flask-stsession <span>quickstart</span></h1>
  <p>Sign in, let the access token expire, and watch what this page and the app send each other.</p>
</header>
<noscript><p class="card">This page needs JavaScript: its script is the client in this example.</p></noscript>
<main>
  <div class="controls">
    <section class="card" id="signed-out" aria-labelledby="signed-out-title">
      <h2 id="signed-out-title">Sign in</h2>
      <form id="login">
        <label for="user-id">User id</label>
        <div class="row">
          <input id="user-id" value="alice" required maxlength="60" autocomplete="off" autocapitalize="none"
                 spellcheck="false" aria-describedby="user-hint">
          <span class="action"><button class="primary">Sign in</button>
            <a class="view" href="/code#login" aria-label="The view behind Sign in">view</a></span>
        </div>
        <p class="hint" id="user-hint">Any name will do; this example has no passwords.</p>
      </form>
    </section>

    <section class="card" id="signed-in" aria-labelledby="signed-in-title" hidden>
      <div class="who">
        <div>
          <p class="hint">Signed in as</p>
          <h2 id="signed-in-title" tabindex="-1"></h2>
          <p class="hint" id="age">&nbsp;</p>
        </div>
        <div class="ring">
          <svg viewBox="0 0 100 100" aria-hidden="true">
            <circle cx="50" cy="50" r="44"/><circle id="ring" cx="50" cy="50" r="44" pathLength="100"/>
          </svg>
          <p aria-hidden="true"><b id="seconds">0</b><span id="unit">seconds</span></p>
        </div>
      </div>
      <div class="buttons">
        <span class="action"><button class="primary" id="call">Call the API</button>
          <a class="view" href="/code#me" aria-label="The view behind Call the API">view</a></span>
        <span class="action"><button id="refresh">Refresh now</button>
          <a class="view" href="/code#routes" aria-label="The view behind Refresh now">view</a></span>
        <span class="action"><button id="signout">Sign out</button>
          <a class="view" href="/code#routes" aria-label="The view behind Sign out">view</a></span>
      </div>
      <label class="switch"><input type="checkbox" role="switch" id="keep">
        <span>Call the API every 5 seconds</span></label>
    </section>

    <section class="card" id="tries" aria-labelledby="tries-title" hidden>
      <h2 id="tries-title">What to try next</h2>
      <ol>
        <li id="try-call">Call the API: the token tells the app who you are.</li>
        <li id="try-expire">Wait until the token has expired, and call the API again: the page refreshes the
          session first.</li>
        <li id="try-denied">Call the admin API without the role.</li>
        <li id="try-admin">Give yourself the role, and call it again.</li>
        <li id="try-taken">Remove the role, and call it once more: the guard notices at once.</li>
        <li id="try-ended">Sign out in a second tab, then call the API in this one.</li>
      </ol>
    </section>

    <section class="card" id="roles" aria-labelledby="roles-title" hidden>
      <h2 id="roles-title">Roles</h2>
      <p class="hint">The access token contains <span id="token-roles">no role</span>.</p>
      <div class="buttons">
        <span class="action"><button id="give">Give <code>admin</code></button>
          <a class="view" href="/code#role" aria-label="The view behind Give admin">view</a></span>
        <span class="action"><button id="take">Remove it</button>
          <a class="view" href="/code#role" aria-label="The view behind Remove it">view</a></span>
        <span class="action"><button id="call-admin">Call the admin API</button>
          <a class="view" href="/code#admin" aria-label="The view behind Call the admin API">view</a></span>
      </div>
    </section>

    <section class="card" aria-labelledby="answer-title">
      <h2 id="answer-title">Last response <span class="status" id="answer-status" hidden></span></h2>
      <pre id="answer" tabindex="0" aria-labelledby="answer-title">Nothing yet.</pre>
    </section>
  </div>

  <section class="card wire" aria-labelledby="wire-title">
    <div class="title">
      <h2 id="wire-title">On the wire</h2>
      <button class="quiet" id="clear">Clear</button>
    </div>
    <div role="log" aria-live="polite" aria-labelledby="wire-title"><ol id="log"></ol></div>
    <p class="hint" id="empty">Every request of this page will appear here, newest first.</p>
  </section>
</main>
</body>
</html>
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #fff; --line: #e2e5ea; --text: #1b2129; --soft: #5b6573; --well: #f3f5f7;
  --accent: #0f766e; --on-accent: #fff; --track: #e2e8e8; --shadow: 0 1px 2px #1018280d, 0 4px 16px #1018280a;
  --good: #166534; --good-bg: #dcfce7; --warn: #854d0e; --warn-bg: #fef3c7; --bad: #9f1239; --bad-bg: #ffe4e6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1317; --card: #171c22; --line: #29313a; --text: #e7ebef; --soft: #9ca7b4; --well: #10151a;
    --accent: #2dd4bf; --on-accent: #06251f; --track: #29313a; --shadow: none;
    --good: #86efac; --good-bg: #12301f; --warn: #fcd34d; --warn-bg: #362a0c;
    --bad: #fda4af; --bad-bg: #3b1520;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 72rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1, h2, p, ol, pre { margin: 0; }
header { margin-bottom: 1.5rem; }
header p, .hint { color: var(--soft); }
h1 { font-size: 1.6rem; line-height: 1.25; letter-spacing: -.02em; }
h1 span { color: var(--soft); font-weight: 400; }
h2 { font-size: 1rem; line-height: 1.5; }
a { color: var(--accent); }
.hint { font-size: .875rem; }
code, pre, .path, .chip {
  font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
code { font-size: .9em; }

main {
  display: grid; grid-template-columns: minmax(0, 26rem) minmax(0, 1fr); gap: 1.25rem; align-items: start;
}
.controls { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem; }
.card {
  padding: 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  box-shadow: var(--shadow);
}
.card > * + *, form > * + * { margin-top: .75rem; }
label { font-size: .875rem; font-weight: 600; }
.row, .buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
input:not([type]) {
  flex: 1 1 10rem; min-width: 0; padding: .5rem .75rem; font: inherit; color: inherit;
  background: var(--page); border: 1px solid var(--soft); border-radius: 9px;
}
button {
  padding: .5rem .75rem; font: inherit; font-size: .875rem; font-weight: 600; color: inherit;
  background: none; border: 1px solid var(--line); border-radius: 9px; cursor: pointer;
}
button:hover { border-color: var(--soft); }
button:disabled { opacity: .55; cursor: default; }
button.primary { color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
button.primary:hover { filter: brightness(1.08); }
button.quiet { padding: .1rem .6rem; font-size: .8125rem; font-weight: 500; color: var(--soft); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
h2:focus { outline: none; }

.switch {
  display: flex; align-items: center; gap: .65rem; font-weight: 400; font-size: .9375rem; cursor: pointer;
}
.switch input {
  flex: none; appearance: none; width: 2.4rem; height: 1.4rem; margin: 0; padding: 2px; border-radius: 1rem;
  background: var(--soft); cursor: pointer; transition: background .15s;
}
.switch input::before {
  content: ""; display: block; width: calc(1.4rem - 4px); height: 100%; border-radius: 50%; background: #fff;
  transition: transform .15s;
}
.switch input:checked { background: var(--accent); }
.switch input:checked::before { transform: translateX(1rem); }

.who { display: flex; justify-content: space-between; align-items: center; gap: 1rem; }
.who h2 { font-size: 1.5rem; line-height: 1.3; letter-spacing: -.01em; overflow-wrap: anywhere; }
.ring { position: relative; flex: none; width: 6.5rem; height: 6.5rem; }
.ring svg { width: 100%; height: 100%; transform: rotate(-90deg); }
.ring circle { fill: none; stroke: var(--track); stroke-width: 7; }
#ring {
  stroke: var(--accent); stroke-linecap: round; stroke-dasharray: 100 200;
  transition: stroke-dashoffset .25s linear;
}
.ring p {
  position: absolute; inset: 0; display: grid; place-content: center; text-align: center; line-height: 1.1;
}
.ring b { font-size: 1.7rem; font-variant-numeric: tabular-nums; }
.ring span { font-size: .75rem; color: var(--soft); }
.expired #ring { stroke: none; }
.expired .ring circle:first-child { stroke: var(--warn); }
.expired .ring b { color: var(--warn); }

pre {
  max-height: 19rem; padding: .75rem; overflow: auto; font-size: .8125rem; line-height: 1.5;
  background: var(--well); border-radius: 9px; white-space: pre-wrap; overflow-wrap: anywhere;
}
.status { padding: .1rem .5rem; font-size: .8125rem; font-weight: 700; border-radius: 6px; }
.good { color: var(--good); background: var(--good-bg); }
.warn { color: var(--warn); background: var(--warn-bg); }
.bad { color: var(--bad); background: var(--bad-bg); }

.action { display: inline-flex; align-items: center; gap: .1rem; }
.view { padding: .5rem .4rem; font-size: .75rem; color: var(--soft); }
.view:hover { color: var(--accent); }

.single { grid-template-columns: minmax(0, 1fr); }
pre.code { max-height: none; white-space: pre; overflow-wrap: normal; }
pre.code span { display: block; margin: 0 -.75rem; padding: 0 .75rem; border-radius: 9px; }
pre.code span:target { background: var(--warn-bg); }

#tries ol { display: grid; gap: .5rem; font-size: .9375rem; counter-reset: try; }
#tries li { display: flex; gap: .6rem; padding: 0; border: 0; animation: none; counter-increment: try; }
#tries li::before {
  content: counter(try); flex: none; width: 1.5rem; height: 1.5rem; font-size: .8125rem; font-weight: 700;
  line-height: 1.5rem; text-align: center; color: var(--soft); background: var(--well); border-radius: 50%;
}
#tries li.done { color: var(--soft); }
#tries li.done::before { content: "\\2713"; color: var(--good); background: var(--good-bg); }
#tries li.next { font-weight: 600; }
#tries li.next::before { color: var(--on-accent); background: var(--accent); }

.title { display: flex; justify-content: space-between; align-items: center; }
ol { padding: 0; list-style: none; }
ol li { padding: .9rem 0; border-top: 1px solid var(--line); animation: arrive .3s ease-out; }
@keyframes arrive { from { opacity: 0; transform: translateY(-4px); } }
.line { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .6rem; }
.path { font-size: .875rem; overflow-wrap: anywhere; }
.path b { font-weight: 700; }
time { margin-left: auto; font-size: .8125rem; color: var(--soft); font-variant-numeric: tabular-nums; }
ol li > p { margin: .3rem 0 .45rem; font-size: .9375rem; }
dl {
  display: grid; grid-template-columns: 4rem minmax(0, 1fr); gap: .3rem .5rem; margin: 0; font-size: .8125rem;
}
dt { color: var(--soft); line-height: 1.5rem; }
dd { display: flex; flex-wrap: wrap; gap: .3rem; margin: 0; line-height: 1.5rem; }
.chip {
  padding: 0 .5rem; font-size: .75rem; background: var(--well); border: 1px solid var(--line);
  border-radius: 6px;
}

/* Where there is one column, the log stays in sight of whoever presses a button. */
@media (max-width: 60rem) {
  main { grid-template-columns: minmax(0, 1fr); }
  body { padding-bottom: 45vh; }
  .wire {
    position: fixed; inset: auto 0 0; z-index: 1; max-height: 40vh; overflow-y: auto; padding-top: 0;
    border-width: 1px 0 0; border-radius: 14px 14px 0 0; box-shadow: 0 -4px 24px #10182826;
  }
  .wire .title { position: sticky; top: 0; padding: .6rem 0; background: var(--card); }
  .wire > * + * { margin-top: 0; }
}
@media (max-width: 30rem) {
  body { padding: 1.25rem .9rem 45vh; }
  .card { padding: 1rem; }
  .wire { padding-top: 0; }
  pre { max-height: 9rem; }
  .ring { width: 5.5rem; height: 5.5rem; }
}
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
"""

SCRIPT = r"""
"use strict";
const byId = (id) => document.getElementById(id);
let token = null;        // {issued, expires}: when the access token was issued and expires, in ms
let refreshing = null;   // the refresh in flight: calls that fail together share it
const FRONT_TOKEN = "front-token"; // where it is remembered, for the next time this page is opened

// ---- What a frontend SDK does for you, in plain fetch ----------------------------------------------------

async function exchange(method, path, options = {}) {
  const headers = { ...options.headers };
  if (options.body) headers["Content-Type"] = "application/json";
  const body = options.body && JSON.stringify(options.body);
  let response;
  try {
    response = await fetch(path, { method, headers, body, cache: "no-store" });
  } catch {
    note(method, path, 0, {}, "The app did not respond. Is it still running?");
    return { status: 0, answer: null };
  }
  const answer = await response.json().catch(() => null);
  const wire = JSON.parse(response.headers.get("X-Wire") || "{}");
  note(method, path, response.status, wire, inWords(path, response.status, answer, wire, options));
  tickOff(path, response.status, options);
  learn(response.headers.get("front-token"));
  if (response.status === 401 && answer?.message !== "try refresh token") forget();
  return { status: response.status, answer };
}

async function call(method, path, options) {
  const first = await exchange(method, path, options);
  if (first.status !== 401 || first.answer?.message !== "try refresh token") return first;
  return await refresh("automatically") ? exchange(method, path, { ...options, again: true }) : first;
}

function refresh(how) {
  refreshing ??= exchange("POST", "/auth/session/refresh", { headers: { rid: "anti-csrf" }, how })
    .then((result) => {
      if (how !== "automatically") answered(result);
      return result.status === 200;
    })
    .finally(() => { refreshing = null; });
  return refreshing;
}

// front-token is base64 of JSON: "uid" (user), "ate" (expiry of the access token, ms) and "up" (its payload).
function learn(front) {
  if (front === "remove") return forget();
  if (!front) return;
  const bytes = Uint8Array.from(atob(front), (character) => character.charCodeAt(0));
  const { uid, ate, up } = JSON.parse(new TextDecoder().decode(bytes));
  localStorage.setItem(FRONT_TOKEN, front);
  know(uid, up, ate);
}

// Without a remembered front-token nobody is signed in, and no request is needed to find that out.
async function resume() {
  const front = localStorage.getItem(FRONT_TOKEN);
  if (!front) return;
  learn(front);
  if (token.expires > Date.now() || await refresh("as the page opened")) answered(await callProtected());
}

// ---- What happened, in words -----------------------------------------------------------------------------

const SAYS = {
  expired: "The access token has expired. The page now exchanges the refresh token for new tokens.",
  theft: "This refresh token had already been replaced, so somebody may hold a copy. The session was ended.",
  outage: "The core does not respond. The app signs nobody out for that: nothing was cleared.",
  crash: "Something went wrong in the app; see its log.",
  nobody: "The request had no access token, so the app does not know the user.",
  created: "The app created a session. Both tokens were set as cookies that no script can read. The "
    + "front-token tells this page who is signed in, and for how long.",
  refreshed: "Both tokens are new. If a stolen copy of the old refresh token is used, the app detects it.",
  gone: "There is no session left to refresh, so the app cleared the browser's tokens.",
  ended: "The app ended the session in the core and cleared the browser's tokens.",
  given: "The core has stored the role. The access token does not contain it yet; the next guard that checks "
    + "roles will fetch it.",
  taken: "The core has removed the role. The access token may still contain it, but a guard with "
    + "max_age_in_sec=0 asks the core.",
  lacking: "The session is valid, but the user does not have the role admin. The response names the check "
    + "that failed.",
  admin: "The guard asked the core for the user's roles and found admin.",
  proven: "The access token identifies the user.",
  again: "The page repeated the call with the new token.",
  local: "The app verified signature and expiry itself, without asking the core.",
};

function inWords(path, status, answer, wire, options) {
  if (status === 503) return SAYS.outage;
  if (status >= 500) return SAYS.crash;
  if (status === 403) return SAYS.lacking;
  if (answer?.message === "try refresh token") return SAYS.expired;
  if (answer?.message === "token theft detected") return SAYS.theft;
  if (status === 401) return path === "/auth/session/refresh" ? SAYS.gone : SAYS.nobody;
  if (status !== 200) return answer?.message || "";
  if (path === "/api/login") return SAYS.created;
  if (path === "/auth/session/refresh") return `Refreshed ${options.how}. ${SAYS.refreshed}`;
  if (path === "/auth/signout") return SAYS.ended;
  if (path === "/api/role") return options.body.admin ? SAYS.given : SAYS.taken;
  if (path === "/api/admin") return SAYS.admin + (wire.set?.length ? " A new access token contains it." : "");
  return `${options.again ? SAYS.again : SAYS.proven} ${SAYS.local}`;
}

// ---- What to try next ------------------------------------------------------------------------------------

let tried = new Set();

function tickOff(path, status, options) {
  if (path === "/api/login") tried = new Set();
  if (path === "/api/me" && status === 200 && !options.quiet) tried.add(options.again ? "expire" : "call");
  if (path === "/api/admin" && status === 200) tried.add("admin");
  if (path === "/api/admin" && status === 403) tried.add(tried.has("admin") ? "taken" : "denied");
  const items = [...document.querySelectorAll("#tries li")];
  const isDone = (item) => tried.has(item.id.slice("try-".length));
  const next = items.find((item) => !isDone(item));
  for (const item of items) {
    item.classList.toggle("done", isDone(item));
    item.classList.toggle("next", item === next);
  }
}

function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

const colour = (status) => (status === 200 ? "good" : status === 401 ? "warn" : "bad");

const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

function note(method, path, status, wire, words) {
  const facts = element("dl");
  for (const [label, names] of [["sent", wire.sent], ["set", wire.set], ["cleared", wire.cleared]]) {
    const chips = (names || []).map((name) => element("span", "chip", name));
    if (chips.length) facts.append(element("dt", "", label), element("dd", "", ...chips));
  }
  const line = element("div", "line");
  line.append(element("span", `status ${colour(status)}`, status ? String(status) : "no response"));
  line.append(element("span", "path", element("b", "", method), " ", path));
  line.append(element("time", "", clock(Date.now())));
  const entry = element("li", "", line, element("p", "", words));
  if (facts.children.length) entry.append(facts);
  byId("log").prepend(entry);
  while (byId("log").children.length > 60) byId("log").lastChild.remove();
  byId("empty").hidden = true;
}

// ---- What the page shows ---------------------------------------------------------------------------------

function know(user, payload, expires) {
  const isNew = token === null;
  token = { issued: payload.iat * 1000, expires };
  byId("signed-in-title").textContent = user;
  const roles = payload["st-role"]?.v;
  byId("token-roles").textContent = roles?.length ? `the role ${roles.join(", ")}` : "no role";
  if (isNew) show(true);
  tick();
}

function forget() {
  localStorage.removeItem(FRONT_TOKEN);
  if (token === null) return;
  token = null;
  byId("keep").checked = false;
  show(false);
}

function show(signedIn) {
  const hadFocus = document.activeElement !== document.body;
  byId("signed-in").hidden = byId("roles").hidden = byId("tries").hidden = !signedIn;
  byId("signed-out").hidden = signedIn;
  if (hadFocus) byId(signedIn ? "signed-in-title" : "user-id").focus();
}

function tick() {
  if (token === null) return;
  const left = Math.max(0, token.expires - Date.now());
  const seconds = Math.ceil(left / 1000);
  const span = Math.max(1, token.expires - token.issued);
  byId("signed-in").classList.toggle("expired", left === 0);
  byId("ring").style.strokeDashoffset = String(100 - Math.min(100, (100 * left) / span));
  byId("seconds").textContent = String(seconds);
  byId("unit").textContent = left ? "seconds" : "expired";
  byId("age").textContent = left
    ? `Access token valid until ${clock(token.expires)}`
    : "Access token expired; the next call refreshes it";
}

function answered({ status, answer }) {
  const pill = byId("answer-status");
  pill.hidden = !status;
  pill.textContent = String(status);
  pill.className = `status ${colour(status)}`;
  byId("answer").textContent = answer === null ? "No response." : JSON.stringify(answer, null, 2);
}

async function callProtected(options) {
  const result = await call("GET", "/api/me", options);
  if (result.status === 200) {
    const { userId, accessTokenPayload } = result.answer;
    know(userId, accessTokenPayload, accessTokenPayload.exp * 1000);
  }
  return result;
}

// ---- Buttons ---------------------------------------------------------------------------------------------

function on(id, event, action) {
  byId(id).addEventListener(event, async (happened) => {
    happened.preventDefault();
    const result = await action();
    if (result) answered(result);
  });
}

on("login", "submit", async () => {
  const result = await exchange("POST", "/api/login",
    { body: { userId: byId("user-id").value }, headers: { "st-auth-mode": "cookie", rid: "anti-csrf" } });
  return result.status === 200 ? callProtected({ quiet: true }) : result;
});
on("call", "click", () => callProtected());
on("refresh", "click", async () => { await refresh("on request"); });
on("signout", "click", () => call("POST", "/auth/signout"));
on("call-admin", "click", () => call("GET", "/api/admin"));
on("give", "click", () => call("POST", "/api/role", { body: { admin: true } }));
on("take", "click", () => call("POST", "/api/role", { body: { admin: false } }));
on("clear", "click", () => { byId("log").replaceChildren(); byId("empty").hidden = false; });

setInterval(tick, 250);
setInterval(async () => { if (token && byId("keep").checked) answered(await callProtected()); }, 5000);
resume();
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app until it is interrupted."""
    parser = argparse.ArgumentParser(
        description="A Flask app with sessions, and a page that shows how they work."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", default=5000, type=int, help="port to listen on; 0 takes a free one (default: 5000)"
    )
    options = parser.parse_args(arguments)
    app = create_app()
    server = make_server(options.host, options.port, app, threaded=True)
    print(f"Open http://{options.host}:{server.port} in a browser. Press Ctrl+C to stop.", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
