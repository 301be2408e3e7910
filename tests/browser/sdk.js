// A page for scripts: the SDKs as they are, each of them behind the same few functions.

import axios from "axios";
import SuperTokens from "supertokens-web-js";
import EmailVerification, { EmailVerificationClaim } from "supertokens-web-js/recipe/emailverification";
import Session, { BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim } from "supertokens-web-js/recipe/session";
import { PermissionClaim, UserRoleClaim } from "supertokens-web-js/recipe/userroles";
import Website from "supertokens-website";

window.unwrappedFetch = window.fetch.bind(window);
window.events = [];
window.claims = {
  BooleanClaim, EmailVerificationClaim, PermissionClaim, PrimitiveArrayClaim, PrimitiveClaim, UserRoleClaim,
};

const onHandleEvent = (event) => window.events.push(event);

// Start an SDK: "website" or "web-js".
window.start = (sdk, { apiDomain, ...options }) => {
  window.apiDomain = apiDomain;
  if (sdk === "website") {
    Website.init({ apiDomain, apiBasePath: "/auth", onHandleEvent, ...options });
    window.sdk = Website;
  } else {
    SuperTokens.init({
      appInfo: { appName: "bench", apiDomain, apiBasePath: "/auth" },
      recipeList: [Session.init({ onHandleEvent, ...options }), EmailVerification.init()],
    });
    window.sdk = Session;
  }
};

const byFetch = async (method, url, body) => {
  const headers = body && { "content-type": "application/json" };
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, body: await response.json().catch(() => null) };
};

const byXMLHttpRequest = (method, url, body) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = "json";
    if (body) request.setRequestHeader("content-type", "application/json");
    request.onload = () => resolve({ status: request.status, body: request.response });
    request.onerror = () => reject(new Error("no response"));
    request.send(body && JSON.stringify(body));
  });

const byAxios = async (instance, method, url, body) => {
  const answer = await instance.request({ method, url, data: body }).catch((error) => {
    if (!error.response) throw error;
    return error.response;
  });
  return { status: answer.status, body: answer.data };
};

let intercepted;
const clients = {
  fetch: byFetch,
  XMLHttpRequest: byXMLHttpRequest,
  axios: (...call) => byAxios(axios.create(), ...call),
  "axios with interceptors": (...call) => {
    if (!intercepted) {
      intercepted = axios.create();
      window.sdk.addAxiosInterceptors(intercepted);
    }
    return byAxios(intercepted, ...call);
  },
};

window.call = (client, method, path, body) => clients[client](method, window.apiDomain + path, body ?? undefined);
