// The page of the example. All that concerns sessions is in the first part; the rest shows it.

import SuperTokens from "supertokens-web-js";
import Session, { BooleanClaim } from "supertokens-web-js/recipe/session";
import { UserRoleClaim } from "supertokens-web-js/recipe/userroles";

const byId = (id) => document.getElementById(id);

// ---- Sessions --------------------------------------------------------------------------------------------

let apiDomain;
let transfer = localStorage.getItem("transfer") || "cookie";

// Nothing to fetch from the API: the value changes only with the step-up, whose response carries the new token.
const SecondFactorClaim = new BooleanClaim({ id: "2fa-completed", refresh: async () => {} });

// Read the claim as the API does; where it is too old or missing, have the API fetch it.
const isAdmin = () => ({
  ...UserRoleClaim.validators.includes("admin"),
  refresh: () => call("POST", "/api/claims/refresh"),
});

async function start() {
  apiDomain = (await (await fetch("/settings.json")).json()).apiDomain;
  SuperTokens.init({
    appInfo: { appName: "Harbour office", apiDomain, apiBasePath: "/auth" },
    recipeList: [Session.init({ tokenTransferMethod: transfer, onHandleEvent: happened })],
  });
  await show();
}

// The SDK has wrapped fetch: it sends the tokens, refreshes them and repeats the call.
async function call(method, path, body) {
  const response = await fetch(apiDomain + path, {
    method,
    headers: body && { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json().catch(() => ({})) };
}

async function happened(event) {
  note(event);
  if (event.action === "SIGN_OUT") others.postMessage("changed");
  if (event.action === "SIGN_OUT" || event.action === "UNAUTHORISED") await show();
  if (event.action === "UNAUTHORISED" && event.sessionExpiredOrRevoked) {
    tell("Your session has ended. Please sign in again.");
  }
}

// Tabs share the session; one that signs in or out tells the others.
const others = new BroadcastChannel("session");
others.addEventListener("message", () => show());

async function signIn(userId, password) {
  const { status, body } = await call("POST", "/api/login", { userId, password });
  if (status !== 200) return tell(body.message === "wrong password" ? "That password is wrong." : body.message);
  tell("");
  others.postMessage("changed");
  return show();
}

// ---- What the page shows ---------------------------------------------------------------------------------

async function show() {
  const isSignedIn = await Session.doesSessionExist();
  byId("signed-in").hidden = !isSignedIn;
  byId("signed-out").hidden = isSignedIn;
  if (!isSignedIn) {
    byId("secret").hidden = byId("step-up").hidden = true;
    byId("open").hidden = false;
    return;
  }
  const userId = await Session.getUserId();
  byId("user").textContent = userId;
  byId("avatar").textContent = userId.slice(0, 1).toUpperCase();
  await showReports();
  await showRole();
}

async function showReports() {
  const { status, body } = await call("GET", "/api/reports");
  if (status !== 200) return;
  byId("reports").replaceChildren(
    ...body.reports.map(({ title, month, amount }) => {
      const row = document.createElement("tr");
      for (const text of [title, month, amount]) row.insertCell().textContent = text;
      return row;
    }),
  );
}

async function showRole() {
  const failures = await Session.validateClaims({
    overrideGlobalClaimValidators: (validators) => [...validators, isAdmin()],
  });
  const isIt = failures.length === 0;
  byId("admin").checked = isIt;
  byId("publish").disabled = !isIt;
  byId("publish-hint").textContent = isIt ? "Open to you: your role is admin." : "Only for the role admin.";
}

function tell(text) {
  const isSignedIn = byId("signed-out").hidden;
  byId("toast").textContent = isSignedIn ? text : "";
  byId("notice").textContent = isSignedIn ? "" : text;
  byId("notice").hidden = isSignedIn || !text;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { byId("toast").textContent = ""; }, 8000);
}

const SAYS = {
  SESSION_CREATED: "A session was created.",
  REFRESH_SESSION: "The access token had expired; the session was refreshed and the call repeated.",
  SIGN_OUT: "Signed out.",
  ACCESS_TOKEN_PAYLOAD_UPDATED: "The API sent a new access token, with other claims in it.",
};

function note(event) {
  const entry = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = event.action;
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const words = document.createElement("span");
  words.textContent =
    event.action === "API_INVALID_CLAIM"
      ? `The API refused: ${event.claimValidationErrors.map(({ id }) => id).join(", ")}.`
      : event.action === "UNAUTHORISED"
        ? event.sessionExpiredOrRevoked
          ? "The session has expired or was ended."
          : "A call without a session."
        : SAYS[event.action];
  entry.append(name, words, time);
  byId("events").prepend(entry);
  while (byId("events").children.length > 30) byId("events").lastChild.remove();
}

async function tick() {
  if (byId("signed-in").hidden) return;
  // From the cookie that the SDK keeps: asking the SDK would refresh an expired token.
  const front = document.cookie.match(/(?:^|; )sFrontToken=([^;]+)/);
  if (!front) return;
  const bytes = Uint8Array.from(atob(front[1]), (character) => character.charCodeAt(0));
  const { ate, up } = JSON.parse(new TextDecoder().decode(bytes));
  const left = Math.max(0, ate - Date.now());
  byId("meter").style.width = `${Math.min(100, (100 * left) / Math.max(1, ate - up.iat * 1000))}%`;
  byId("age").textContent = left
    ? `The access token is valid for ${Math.ceil(left / 1000)} seconds; kept in ${transfer}s.`
    : "The access token has expired; the next call refreshes it.";
}

// ---- Buttons ---------------------------------------------------------------------------------------------

function on(id, event, action) {
  byId(id).addEventListener(event, async (occurred) => {
    occurred.preventDefault();
    try {
      await action(occurred.currentTarget ?? byId(id));
    } catch (error) {
      tell(error.message || "The app did not respond.");
    }
  });
}

for (const choice of document.getElementsByName("transfer")) {
  choice.checked = choice.value === transfer;
  choice.addEventListener("change", () => {
    localStorage.setItem("transfer", choice.value); // the SDK is told once, at the start of the page
    location.reload();
  });
}

on("login", "submit", () => signIn(byId("user-id").value, byId("password").value));
on("sign-out", "click", () => Session.signOut());
on("load", "click", showReports);
on("publish", "click", async () => tell((await call("POST", "/api/reports/publish")).body.message));
on("admin", "change", async () => {
  await call("POST", "/api/role", { admin: byId("admin").checked });
  await call("POST", "/api/claims/refresh");
  await showRole();
});
on("open", "click", async () => {
  const { status, body } = await call("GET", "/api/vault");
  byId("secret").hidden = status !== 200;
  byId("secret").textContent = body.secret ?? "";
  byId("open").hidden = status === 200;
  byId("step-up").hidden = status !== 403;
  if (status === 403) byId("code").focus();
});
on("step-up", "submit", async () => {
  const { status, body } = await call("POST", "/api/second-factor", { code: byId("code").value });
  if (status !== 200) return tell(body.message);
  if (await Session.getClaimValue({ claim: SecondFactorClaim })) byId("open").click();
});
on("burst", "click", async () => {
  const calls = Array.from({ length: 20 }, () => call("GET", "/api/me"));
  const good = (await Promise.all(calls)).filter(({ status }) => status === 200).length;
  tell(`${good} of 20 calls succeeded.`);
});
on("everywhere", "click", () => call("POST", "/api/sign-out-everywhere"));

setInterval(tick, 250);
start();
