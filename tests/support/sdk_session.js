// Go through the whole life of a session with the unmodified supertokens-node, on the core at argv[2].
// Prints one JSON object; any exception ends the process with an error.

const http = require("http");
const { middleware } = require("supertokens-node/framework/express");
const supertokens = require("supertokens-node");
const Session = require("supertokens-node/recipe/session");
const UserRoles = require("supertokens-node/recipe/userroles");
const EmailVerification = require("supertokens-node/recipe/emailverification");
const Multitenancy = require("supertokens-node/recipe/multitenancy");
const UserMetadata = require("supertokens-node/recipe/usermetadata");

const ADDRESS = "alice@example.com";

supertokens.init({
    framework: "express",
    supertokens: { connectionURI: process.argv[2], apiKey: process.argv[3] },
    appInfo: { appName: "test", apiDomain: "http://localhost:3001", websiteDomain: "http://localhost:3000" },
    telemetry: false,
    recipeList: [
        Session.init({ getTokenTransferMethod: () => "header", antiCsrf: "NONE" }),
        UserRoles.init(),
        EmailVerification.init({ mode: "REQUIRED", getEmailForRecipeUserId: async () => ({ status: "OK", email: ADDRESS }) }),
        Multitenancy.init(),
        UserMetadata.init(),
    ],
});

// What the frontend SDK asks before it shows a login form.
async function statusOfLoginMethods() {
    const server = require("express")().use(middleware()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${server.address().port}/auth/loginmethods?clientType=web`;
    const status = await new Promise((resolve, reject) =>
        http.get(url, (response) => resolve(response.resume().statusCode)).on("error", reject)
    );
    server.close();
    return status;
}

async function main() {
    const told = {};
    const user = supertokens.convertToRecipeUserId("alice");
    await UserRoles.createNewRoleOrAddPermissions("admin", ["read", "write"]);
    told.added = (await UserRoles.addRoleToUser("public", "alice", "admin")).didUserAlreadyHaveRole;
    const created = await Session.createNewSessionWithoutRequestResponse("public", user, { a: 1 }, { b: 2 });
    const first = created.getAllSessionTokensDangerously();
    told.user = created.getUserId();
    told.roles = await created.getClaimValue(UserRoles.UserRoleClaim);
    told.permissions = (await created.getClaimValue(UserRoles.PermissionClaim)).sort();
    told.verifiedAtFirst = await created.getClaimValue(EmailVerification.EmailVerificationClaim);

    const any = { overrideGlobalClaimValidators: async () => [] };
    const verified = await Session.getSessionWithoutRequestResponse(first.accessToken, undefined, any);
    await verified.mergeIntoAccessTokenPayload({ c: 3 });
    told.payload = [verified.getAccessTokenPayload().a, verified.getAccessTokenPayload().c];
    told.data = await verified.getSessionDataFromDatabase();

    const token = await EmailVerification.createEmailVerificationToken("public", user, ADDRESS);
    told.mail = (await EmailVerification.verifyEmailUsingToken("public", token.token)).status;
    told.isVerified = await EmailVerification.isEmailVerified(user, ADDRESS);

    const refreshed = await Session.refreshSessionWithoutRequestResponse(first.refreshToken, true);
    const second = refreshed.getAllSessionTokensDangerously();
    const after = await Session.getSessionWithoutRequestResponse(second.accessToken, undefined, {
        checkDatabase: true,
        ...any,
    });
    await after.fetchAndSetClaim(EmailVerification.EmailVerificationClaim);
    told.verifiedAfterwards = await after.getClaimValue(EmailVerification.EmailVerificationClaim);
    told.information = (await Session.getSessionInformation(after.getHandle())).userId;
    told.handles = (await Session.getAllSessionHandlesForUser("alice")).length;
    await Session.updateSessionDataInDatabase(after.getHandle(), { b: 4 });
    told.jwt = (await Session.createJWT({ d: 5 }, 60)).status;

    await Multitenancy.createOrUpdateTenant("acme", { firstFactors: ["thirdparty"] });
    told.tenant = (await Multitenancy.getTenant("acme")).firstFactors;
    told.tenants = (await Multitenancy.listAllTenants()).tenants.map((tenant) => tenant.tenantId).sort();
    told.loginMethods = await statusOfLoginMethods();
    const elsewhere = await Session.createNewSessionWithoutRequestResponse("acme", user);
    told.elsewhere = elsewhere.getTenantId();
    await UserMetadata.updateUserMetadata("alice", { e: 6 });
    told.metadata = (await UserMetadata.getUserMetadata("alice")).metadata;

    await after.revokeSession();
    told.ended = await Session.getSessionInformation(after.getHandle()).then((found) => found === undefined);
    told.revoked = (await Session.revokeAllSessionsForUser("alice")).length;
    try {
        await Session.refreshSessionWithoutRequestResponse(second.refreshToken, true);
    } catch (error) {
        told.refusal = error.type;
    }
    console.log(JSON.stringify(told));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
