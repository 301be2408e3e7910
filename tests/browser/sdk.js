// A page for scripts: the SDKs as they are, each of them behind the same few functions.

import axios from "axios";
import SuperTokens from "supertokens-web-js";
import EmailVerification, { EmailVerificationClaim } from "supertokens-web-js/recipe/emailverification";
import Session, { BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim } from "supertokens-web-js/recipe/session";
import { PermissionClaim, UserRoleClaim } from "supertokens-web-js/recipe/userroles";
import Website from "supertokens-website";

window.unwrappedFetch = window.fetch.bind(window);
window.events = [];

const onHandleEvent = (event) => window.events.push(event);

// Claims of the app's own, with what the documents do for their refresh.
const SecondFactorClaim = new BooleanClaim({ id: "2fa-completed", refresh: async () => {} });
const refresh = () => window.call("fetch", "POST", "/api/claims/refresh");
window.claims = {
  SecondFactorClaim,
  UserRoleClaim,
  PermissionClaim,
  EmailVerificationClaim,
  FetchedRoleClaim: new PrimitiveArrayClaim({ id: "st-role", refresh }),
  StatusClaim: new PrimitiveClaim({ id: "status", refresh: async () => {} }),
};

// What the documents override so that a validator counts for every call of validateClaims.
const withSecondFactor = {
  functions: (original) => ({
    ...original,
    getGlobalClaimValidators: ({ claimValidatorsAddedByOtherRecipes }) => [
      ...claimValidatorsAddedByOtherRecipes,
      SecondFactorClaim.validators.isTrue(),
    ],
  }),
};

// Start an SDK: "website" or "web-js".
window.start = (sdk, { apiDomain, needsSecondFactor, verifiesEmails, ...options }) => {
  window.apiDomain = apiDomain;
  if (needsSecondFactor) options.override = withSecondFactor;
  if (sdk === "website") {
    Website.init({ apiDomain, apiBasePath: "/auth", onHandleEvent, ...options });
    window.sdk = Website;
  } else {
    SuperTokens.init({
      appInfo: { appName: "bench", apiDomain, apiBasePath: "/auth" },
      recipeList: [
        Session.init({ onHandleEvent, ...options }),
        ...(verifiesEmails ? [EmailVerification.init()] : []),
      ],
    });
    window.sdk = Session;
  }
};

// Validate claims beside the global ones, as each of the SDKs is asked to.
window.validate = (...validators) => {
  const override = (globalValidators) => [...globalValidators, ...validators];
  return window.sdk.validateClaims(
    window.sdk === Website ? override : { overrideGlobalClaimValidators: override },
  );
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
    if (body) request.setRequestHeader("content-type", "application/json");
    // Not responseType "json": the SDK reads responseText of a 403, which XMLHttpRequest then refuses.
    request.onload = () => resolve({ status: request.status, body: JSON.parse(request.responseText) });
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
