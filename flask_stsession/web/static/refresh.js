/* Renews the session of the page that carries this script, then shows what was asked for.
 *
 * data-continue: where to renew it; POST answers 204 when done, 200 to be asked again.
 * data-login: where to go when there is nothing to renew; absent on the login page itself.
 */
(() => {
  "use strict";

  const { continue: continueUrl, login: loginUrl } = document.currentScript.dataset;
  const NAME = "stsession-refresh";
  const LOOP_MS = 10000; // a second page of ours for one URL within this time: renewing did not help
  const LEASE_MS = 15000; // a tab that holds the lock for longer has been closed
  const marker = `${NAME}:${location.pathname}${location.search}`;

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  function cameBack() {
    try {
      const before = Number(sessionStorage.getItem(marker));
      sessionStorage.setItem(marker, String(Date.now()));
      return Date.now() - before < LOOP_MS;
    } catch { // storage is blocked: we leave by a reload, so that is how we come back
      const [navigation] = performance.getEntriesByType("navigation");
      return navigation !== undefined && navigation.type === "reload";
    }
  }

  function forgetVisit() {
    try { sessionStorage.removeItem(marker); } catch { /* nothing was kept */ }
  }

  // One tab at a time: the server renews for the first, and tells the others that it is done.
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
    // keepalive: the answer has the new tokens, and must arrive even if this page is left meanwhile.
    const ask = () => fetch(continueUrl, {
      method: "POST",
      credentials: "same-origin",
      keepalive: true,
      headers: { rid: "anti-csrf", accept: "application/json" },
    });
    const answer = await ask();
    return answer.status === 200 ? ask() : answer;
  }

  function signIn() {
    if (loginUrl) location.replace(loginUrl);
    else showRetry("Your session could not be renewed.");
  }

  function showRetry(text) {
    forgetVisit();
    document.getElementById("message").textContent = text;
    document.getElementById("retry").hidden = false;
  }

  async function carry() {
    document.getElementById("message").textContent = "Your session is being renewed.";
    document.getElementById("retry").hidden = true;
    let status = 0;
    try {
      status = (await exclusively(renew)).status;
    } catch { /* no answer at all */ }
    if (status === 204) location.reload(); // rather than replace(): that would stay where the URL has a #
    else if (status === 401) signIn();
    else showRetry("The service cannot be reached at the moment.");
  }

  document.getElementById("carry").hidden = true; // the link for those who run no script
  document.querySelector("#retry button").addEventListener("click", carry);
  if (cameBack()) signIn();
  else carry();
})();
