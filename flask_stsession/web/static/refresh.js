/* Renews the session of the page that has this script, then loads the page again.
 *
 * data-continue: the URL that renews it. POST returns 204 when done, 200 to be asked again.
 * data-link: the URL that renews it and redirects to the target.
 * data-login: the login page, for sessions that cannot be renewed; absent on the login page itself.
 */
(() => {
  "use strict";

  const { continue: continueUrl, link: linkUrl, login: loginUrl } = document.currentScript.dataset;
  const NAME = "stsession-refresh";
  const LOOP_MS = 10000; // a second page of ours for one URL within this time: renewing did not help
  const LEASE_MS = 15000; // a tab that holds the lock for longer has been closed
  const DOWNLOAD_MS = 2000; // a page that is still here so long after it was loaded again may be a download
  // Translations are attributes of #message: data-renewing="...", and so on.
  const TEXTS = {
    renewing: "Your session is being renewed.",
    renewed: "Your session has been renewed. If a file was downloaded, you may leave this page.",
    ended: "Your session could not be renewed.",
    unreachable: "The service cannot be reached at the moment.",
  };
  const marker = `${NAME}:${location.pathname}${location.search}`;

  const element = (selector) => document.querySelector(selector);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // A Content-Security-Policy may forbid fetch().
  let isFetchBlocked = false;
  document.addEventListener("securitypolicyviolation", () => { isFetchBlocked = true; });

  function say(what) {
    const message = element("#message");
    if (message) message.textContent = message.dataset[what] ?? TEXTS[what];
  }

  function show(selector, isShown) {
    const found = element(selector);
    if (found) found.hidden = !isShown;
  }

  function cameBack() {
    try {
      const before = Number(sessionStorage.getItem(marker));
      sessionStorage.setItem(marker, String(Date.now()));
      return Date.now() - before < LOOP_MS;
    } catch { // storage is blocked; this script leaves by a reload, so that is how it comes back
      const [navigation] = performance.getEntriesByType("navigation");
      return navigation !== undefined && navigation.type === "reload";
    }
  }

  function forgetVisit() {
    try { sessionStorage.removeItem(marker); } catch { /* nothing was kept */ }
  }

  // One tab at a time: the server renews for the first, and the others find it done.
  async function exclusively(action) {
    if (navigator.locks) return navigator.locks.request(NAME, action);
    const release = await takeLease(); // plain http has no Web Locks
    try { return await action(); } finally { release(); }
  }

  async function takeLease() {
    const mine = String(Math.random());
    try {
      for (;;) {
        const [owner, since] = (localStorage.getItem(NAME) || "").split(" ");
        if (owner === mine) {
          return () => { if (localStorage.getItem(NAME)?.startsWith(mine)) localStorage.removeItem(NAME); };
        }
        if (!owner || Date.now() - Number(since) > LEASE_MS) localStorage.setItem(NAME, `${mine} ${Date.now()}`);
        await pause(50 + 50 * Math.random()); // of those that wrote at once, the last one holds it
      }
    } catch {
      return () => {};
    }
  }

  async function renew() {
    // keepalive: the response has the new tokens, and must arrive even if this page is left meanwhile.
    const ask = () => fetch(continueUrl, {
      method: "POST",
      credentials: "same-origin",
      keepalive: true,
      headers: { rid: "anti-csrf", accept: "application/json" },
    });
    const response = await ask();
    return response.status === 200 ? ask() : response;
  }

  function signIn() {
    if (loginUrl) location.replace(loginUrl);
    else offerRetry("ended");
  }

  function offerRetry(why) {
    forgetVisit();
    say(why);
    show("#retry", true);
  }

  async function reload() {
    location.reload(); // rather than replace(): that would stay where the URL has a #
    // A download leaves this page in place, and raises no event.
    await pause(DOWNLOAD_MS);
    forgetVisit();
    say("renewed");
    show("#back", history.length > 1);
  }

  async function carry() {
    say("renewing");
    show("#retry", false);
    let status = 0;
    try {
      status = (await exclusively(renew)).status;
    } catch { // no response at all
      await pause(0); // the event of a blocked fetch() comes after its error
    }
    if (status === 204) reload();
    else if (status === 401) signIn();
    else if (isFetchBlocked) location.replace(linkUrl);
    else offerRetry("unreachable");
  }

  show("#carry", false); // the link for browsers that run no script
  element("#retry button")?.addEventListener("click", carry);
  element("#back button")?.addEventListener("click", () => history.back());
  if (cameBack()) signIn();
  else carry();
})();
