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
  refresh: () => ask("POST", "/api/claims/refresh"),
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

// Return what the API answers; where it refuses, throw a sentence for the user.
async function ask(method, path, body) {
  const { status, body: answer } = await call(method, path, body);
  if (status !== 200) throw new Error(SAYS_NO[answer.message] ?? answer.message ?? IS_AWAY);
  return answer;
}

async function happened(event) {
  note(event);
  const hasEnded = event.action === "UNAUTHORISED" && event.sessionExpiredOrRevoked;
  if (event.action === "SIGN_OUT" || hasEnded) others.postMessage("changed");
  if (event.action === "SIGN_OUT" || event.action === "UNAUTHORISED") await attempt(show);
  if (event.action === "API_INVALID_CLAIM") await attempt(showRole);
  if (hasEnded) tell("Your session has ended. Please sign in again.");
}

// Tabs share the session; one in which it begins or ends tells the others.
const others = new BroadcastChannel("session");
others.addEventListener("message", () => attempt(show));

async function signIn(userId, password) {
  await ask("POST", "/api/login", { userId, password });
  others.postMessage("changed");
  return show();
}

// ---- What the page shows ---------------------------------------------------------------------------------

let shown; // the session whose data are on the page

async function show() {
  const isSignedIn = await Session.doesSessionExist();
  // The SDK also says no if it could not refresh an expired session; it forgets one that has ended.
  if (!isSignedIn && document.cookie.includes("sFrontToken=")) throw new Error(IS_AWAY);
  const session = isSignedIn ? (await Session.getAccessTokenPayloadSecurely()).sessionHandle : null;
  byId("away").hidden = true;
  byId("signed-in").hidden = !isSignedIn;
  byId("signed-out").hidden = isSignedIn;
  if (session !== shown) {
    closeVault();
    byId("admin").disabled = byId("publish").disabled = true; // until the role is known
  }
  shown = session;
  if (!isSignedIn) return;
  const userId = await Session.getUserId();
  byId("user").textContent = userId;
  byId("avatar").textContent = userId.slice(0, 1).toUpperCase();
  await showReports();
  await showRole();
}

function closeVault() {
  byId("secret").hidden = byId("step-up").hidden = true;
  byId("secret").textContent = byId("code").value = "";
  byId("open").hidden = false;
}

async function showReports() {
  const { reports } = await ask("GET", "/api/reports");
  byId("reports").replaceChildren(
    ...reports.map(({ title, month, amount }) => {
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
  byId("admin").disabled = false;
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

const IS_AWAY = "The app does not respond. Try again in a while.";
const SAYS_NO = {
  "wrong password": "That password is wrong.",
  "userId is missing": "Enter a user id.",
  "invalid claim": "You may no longer do that.",
  unauthorised: "", // the event says more
  "session service unavailable": IS_AWAY,
};

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

// Do something; say what went wrong, whether the API, the SDK or the network said so.
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    const isAway = error instanceof TypeError || !(error instanceof Error); // as fetch and the SDK throw
    if (isAway) console.error(error);
    if (isAway || error.message) tell(isAway ? IS_AWAY : error.message);
    byId("away").hidden = !(byId("signed-in").hidden && byId("signed-out").hidden);
  }
}

function on(id, event, action) {
  byId(id).addEventListener(event, (occurred) => {
    occurred.preventDefault();
    tell("");
    return attempt(action);
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
on("publish", "click", async () => tell((await ask("POST", "/api/reports/publish")).message));
on("admin", "change", async () => {
  try {
    await ask("POST", "/api/role", { admin: byId("admin").checked });
    await ask("POST", "/api/claims/refresh");
  } catch (error) {
    byId("admin").checked = !byId("admin").checked;
    throw error;
  }
  await showRole();
});
on("open", "click", async () => {
  const { status, body } = await call("GET", "/api/vault");
  byId("secret").hidden = status !== 200;
  byId("secret").textContent = body.secret ?? "";
  byId("open").hidden = status === 200;
  byId("step-up").hidden = status !== 403;
  if (status === 403) byId("code").focus();
  if (status >= 500) throw new Error(IS_AWAY);
});
on("step-up", "submit", async () => {
  await ask("POST", "/api/second-factor", { code: byId("code").value });
  if (await Session.getClaimValue({ claim: SecondFactorClaim })) byId("open").click();
});
on("burst", "click", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask("GET", "/api/me")));
  tell(`${answers.length} of 20 calls succeeded.`);
});
on("everywhere", "click", () => ask("POST", "/api/sign-out-everywhere"));
on("again", "click", () => location.reload());

setInterval(tick, 250);
attempt(start);
