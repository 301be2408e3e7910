import { Component, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import * as router from "react-router-dom";
import { SuperTokensWrapper } from "supertokens-auth-react";
import { EmailVerificationClaim } from "supertokens-auth-react/recipe/emailverification";
import { EmailVerificationPreBuiltUI } from "supertokens-auth-react/recipe/emailverification/prebuiltui";
import Session, { SessionAuth, useClaimValue, useSessionContext } from "supertokens-auth-react/recipe/session";
import { AccessDeniedScreen } from "supertokens-auth-react/recipe/session/prebuiltui";
import { PermissionClaim, UserRoleClaim } from "supertokens-auth-react/recipe/userroles";
import { getSuperTokensRoutesForReactRouterDom } from "supertokens-auth-react/ui";

import { SecondFactorClaim, call, refreshClaims } from "./sessions.js";

const { BrowserRouter, NavLink, Route, Routes, useNavigate } = router;

// ---- What may go wrong -----------------------------------------------------------------------------------

const IS_AWAY = "The app does not respond. Try again in a while.";

// Return a function that does something, and a line that says why that failed.
function useAction(action) {
  const [problem, setProblem] = useState("");
  async function run(event) {
    event?.preventDefault();
    setProblem("");
    try {
      await action(event);
    } catch (error) {
      // fetch throws a TypeError if there is no response, the SDK a response that it has no use for.
      const isAway = error instanceof TypeError || !(error instanceof Error);
      if (isAway) console.error(error);
      setProblem(isAway ? IS_AWAY : error.message);
    }
  }
  return [run, problem && <p className="problem" role="alert">{problem}</p>];
}

// The SDK's components throw while the API is away.
class WhileAway extends Component {
  state = { failed: false };
  static getDerivedStateFromError = () => ({ failed: true });
  render() {
    if (!this.state.failed) return this.props.children;
    return (
      <Card title="The app does not respond">
        <button className="primary" onClick={() => location.reload()}>Try again</button>
      </Card>
    );
  }
}

// ---- Guards ----------------------------------------------------------------------------------------------

const isAdmin = UserRoleClaim.validators.includes("admin");

// The screen of the SDK instead of the page.
const AdminRoute = ({ children }) => (
  <SessionAuth
    accessDeniedScreen={AccessDeniedScreen}
    overrideGlobalClaimValidators={(globalValidators) => [...globalValidators, isAdmin]}
  >
    {children}
  </SessionAuth>
);

// Another page instead of it.
const FleetRoute = ({ children }) => (
  <SessionAuth
    overrideGlobalClaimValidators={(globalValidators) => [
      ...globalValidators,
      { ...isAdmin, onFailureRedirection: () => "/not-an-admin" },
    ]}
  >
    {children}
  </SessionAuth>
);

// A screen of the app's own instead of it.
const PublisherRoute = ({ children }) => (
  <SessionAuth
    accessDeniedScreen={({ validationError }) => (
      <Card title="Publishers only">
        <p>
          The check <code>{validationError.id}</code> failed: {validationError.reason.message}.
        </p>
      </Card>
    )}
    overrideGlobalClaimValidators={(globalValidators) => [
      ...globalValidators,
      PermissionClaim.validators.includes("report:publish"),
    ]}
  >
    {children}
  </SessionAuth>
);

// The page itself, which is told what failed.
const LoungeRoute = ({ children }) => (
  <SessionAuth
    accessDeniedScreen={AccessDeniedScreen}
    overrideGlobalClaimValidators={(globalValidators) => [
      ...globalValidators,
      { ...isAdmin, showAccessDeniedOnFailure: false },
    ]}
  >
    {children}
  </SessionAuth>
);

// The screen of the SDK that sends a link.
const MailRoute = ({ children }) => (
  <SessionAuth
    overrideGlobalClaimValidators={(globalValidators) => [
      ...globalValidators,
      { ...EmailVerificationClaim.validators.isVerified(), onFailureRedirection: () => "/auth/verify-email" },
    ]}
  >
    {children}
  </SessionAuth>
);

// ---- Pages -----------------------------------------------------------------------------------------------

const Card = ({ title, children }) => (
  <section className="card">
    <h2>{title}</h2>
    {children}
  </section>
);

function SignIn() {
  const navigate = useNavigate();
  const [signIn, problem] = useAction(async (event) => {
    await call("POST", "/api/login", Object.fromEntries(new FormData(event.target)));
    const target = new URLSearchParams(location.search).get("redirectToPath") ?? "";
    navigate(/^\/(?![\\/])/.test(target) ? target : "/"); // a page of this app: a link may bring anything along
  });
  return (
    <form className="card sign-in" onSubmit={signIn}>
      <h1>Harbour fleet</h1>
      {problem}
      <label>User id <input name="userId" defaultValue="alice" required autoComplete="username" /></label>
      <label>
        Password <input name="password" type="password" defaultValue="demo" required autoComplete="current-password" />
      </label>
      <p className="hint">Any name will do; the password is <code>demo</code>.</p>
      <button className="primary">Sign in</button>
    </form>
  );
}

function Overview() {
  const session = useSessionContext();
  if (session.loading) return null;
  const failed = session.invalidClaims.map(({ id }) => id);
  return (
    <>
      <Card title={`Welcome, ${session.userId}`}>
        <dl>
          <dt>Second factor</dt>
          <dd>{failed.includes(SecondFactorClaim.id) ? "missing" : "passed"}</dd>
          <dt>E-mail address</dt>
          <dd>{failed.includes(EmailVerificationClaim.id) ? "not verified" : "verified"}</dd>
          <dt>Roles</dt>
          <dd><Roles /></dd>
        </dl>
      </Card>
      {failed.includes(SecondFactorClaim.id) && <StepUp />}
      <RoleSwitch />
    </>
  );
}

function Roles() {
  const roles = useClaimValue(UserRoleClaim);
  if (roles.loading || !roles.doesSessionExist) return null;
  return roles.value?.length ? roles.value.join(", ") : "none";
}

function StepUp() {
  const [confirm, problem] = useAction((event) =>
    call("POST", "/api/second-factor", { code: new FormData(event.target).get("code") }),
  );
  return (
    <Card title="Second factor">
      <p className="hint">You have not completed it. The code is <code>123456</code>.</p>
      <form className="row" onSubmit={confirm}>
        <input name="code" aria-label="Code" inputMode="numeric" autoComplete="one-time-code" required />
        <button className="primary">Confirm</button>
      </form>
      {problem}
    </Card>
  );
}

function RoleSwitch() {
  const roles = useClaimValue(UserRoleClaim);
  const isOne = !roles.loading && Boolean(roles.value?.includes("admin"));
  const [change, problem] = useAction(async () => {
    await call("POST", "/api/role", { admin: !isOne });
    await refreshClaims();
  });
  return (
    <Card title="Role">
      <p className="hint">Admins see the harbour master's page and the fleet, and may publish.</p>
      <button onClick={change}>{isOne ? "Give up the role admin" : "Take the role admin"}</button>
      {problem}
    </Card>
  );
}

function Publish() {
  const [said, setSaid] = useState("");
  const [publish, problem] = useAction(async () => {
    setSaid("");
    setSaid((await call("POST", "/api/publish")).message);
  });
  return (
    <Card title="Publish the report">
      <button className="primary" onClick={publish}>Publish</button>
      <p role="status">{said}</p>
      {problem}
    </Card>
  );
}

function Lounge() {
  const session = useSessionContext();
  if (session.loading) return null;
  const isGuest = session.invalidClaims.some(({ id }) => id === UserRoleClaim.id);
  return <Card title="Lounge"><p>{isGuest ? "Welcome as a guest." : "Welcome, admin."}</p></Card>;
}

// Stands for the mailbox of the user.
function Mailbox() {
  const [link, setLink] = useState(null);
  const [refresh, problem] = useAction(async () => setLink((await call("GET", "/api/outbox")).link));
  useEffect(() => { refresh(); }, []);
  return (
    <Card title="Your mailbox">
      <button onClick={refresh}>Look for mail</button>
      {link && <p><a href={link}>Verify your address</a></p>}
      {problem}
    </Card>
  );
}

function SignOut() {
  const [signOut, problem] = useAction(() => Session.signOut().then(() => location.assign("/auth")));
  return (
    <>
      <button onClick={signOut}>Sign out</button>
      {problem}
    </>
  );
}

function Frame({ children }) {
  const { pathname } = router.useLocation();
  const session = useSessionContext();
  const isLogin = /^\/auth\/?$/.test(pathname);
  const isSignedIn = !isLogin && !session.loading && session.doesSessionExist;
  const pages = { "/": "Overview", "/admin": "Master", "/fleet": "Fleet", "/publish": "Publish", "/lounge": "Lounge",
    "/mail": "Mail" };
  return (
    <>
      {isSignedIn && (
        <header>
          <b>
            <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 10h12l-2 4H4zM7 8V1L3 8zM9 8V3l4 5z" /></svg>
            Harbour fleet
          </b>
          <SignOut key={pathname} />
          <nav>{Object.entries(pages).map(([to, name]) => <NavLink key={to} to={to} end>{name}</NavLink>)}</nav>
        </header>
      )}
      <main>
        <WhileAway key={pathname}>{children}</WhileAway>
        {isSignedIn && pathname === "/auth/verify-email" && <Mailbox />}
      </main>
    </>
  );
}

const App = () => (
  <SuperTokensWrapper>
    <BrowserRouter>
      <Frame>
        <Routes>
          {getSuperTokensRoutesForReactRouterDom(router, [EmailVerificationPreBuiltUI])}
          <Route path="/auth" element={<SignIn />} />
          <Route path="/" element={<SessionAuth><Overview /></SessionAuth>} />
          <Route path="/admin" element={<AdminRoute><Card title="Harbour master"><p>All berths are taken.</p></Card></AdminRoute>} />
          <Route path="/fleet" element={<FleetRoute><Card title="Fleet"><p>Three tugs, two pilots.</p></Card></FleetRoute>} />
          <Route path="/not-an-admin" element={<SessionAuth><Card title="Not an admin"><p>The fleet is for admins.</p></Card></SessionAuth>} />
          <Route path="/publish" element={<PublisherRoute><Publish /></PublisherRoute>} />
          <Route path="/lounge" element={<LoungeRoute><Lounge /></LoungeRoute>} />
          <Route path="/mail" element={<MailRoute><Card title="Mail"><p>Your address is verified.</p></Card></MailRoute>} />
        </Routes>
      </Frame>
    </BrowserRouter>
  </SuperTokensWrapper>
);

createRoot(document.getElementById("root")).render(<App />);
