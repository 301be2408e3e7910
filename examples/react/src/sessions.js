// All that concerns sessions: the SDK, its claims, and the calls of the API.

import SuperTokens from "supertokens-auth-react";
import EmailVerification, { EmailVerificationClaim } from "supertokens-auth-react/recipe/emailverification";
import Session, { BooleanClaim } from "supertokens-auth-react/recipe/session";

// Nothing to fetch from the API: the value changes only with the step-up, whose response carries the new token.
export const SecondFactorClaim = new BooleanClaim({
  id: "2fa-completed",
  refresh: async () => {},
  showAccessDeniedOnFailure: false,
});

// The SDK has wrapped fetch: it sends the session, refreshes it and repeats the call. A refusal is an error.
export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body && { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw response.status < 500 ? new Error(answer.message) : response;
  return answer;
}

// The refresh of claims that the SDK brings does nothing for roles and permissions: the API has to fetch them.
export const refreshClaims = () => call("POST", "/api/claims/refresh");

// The recipe adds its validator twice (0.51.3): once as supertokens-auth-react has it, which in the mode OPTIONAL
// leaves a failure to the page, and once as supertokens-web-js has it, which would deny access.
const isNoDouble = ({ id, showAccessDeniedOnFailure }) =>
  id !== EmailVerificationClaim.id || showAccessDeniedOnFailure === false;

// Tabs share the session; one that signs out tells the others, whose guards then lead to the login.
const others = new BroadcastChannel("session");
others.addEventListener("message", () => location.reload());
const tellOthers = ({ action }) => { if (action === "SIGN_OUT") others.postMessage("signed out"); };

SuperTokens.init({
  appInfo: {
    appName: "Harbour fleet",
    apiDomain: location.origin,
    websiteDomain: location.origin,
    apiBasePath: "/auth",
    websiteBasePath: "/auth",
  },
  recipeList: [
    EmailVerification.init({ mode: "OPTIONAL" }),
    Session.init({
      onHandleEvent: tellOthers,
      tokenTransferMethod: localStorage.getItem("transfer") ?? "cookie",
      override: {
        functions: (original) => ({
          ...original,
          // For all routes: whoever has not passed the second factor is told so.
          getGlobalClaimValidators: (input) => [
            ...input.claimValidatorsAddedByOtherRecipes.filter(isNoDouble),
            SecondFactorClaim.validators.isTrue(),
          ],
        }),
      },
    }),
  ],
});
