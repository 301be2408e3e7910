// node measure.js CORE_URL: the way of SuperTokens' documentation for Node.js, measured as lambda_child.py
// measures the others. Reads an event from standard input, and prints JSON.
import { readFileSync } from "node:fs";

const BATCHES = 40;
const BATCH = 50;

const seconds = () => {
  const used = process.cpuUsage();
  return (used.user + used.system) / 1e6;
};

const event = JSON.parse(readFileSync(0, "utf8"));
const began = seconds();
const { default: supertokens } = await import("supertokens-node");
const { default: Session } = await import("supertokens-node/recipe/session/index.js");
const { verifySession } = await import("supertokens-node/recipe/session/framework/awsLambda/index.js");
const { default: middy } = await import("@middy/core");
const { default: cors } = await import("@middy/http-cors");
supertokens.init({
  framework: "awsLambda",
  supertokens: { connectionURI: process.argv[2] },
  appInfo: {
    appName: "benchmark",
    apiDomain: "https://api.example.com",
    websiteDomain: "https://example.com",
  },
  recipeList: [Session.init()],
});
const user = async (given) => ({ statusCode: 200, body: JSON.stringify({ userId: given.session.getUserId() }) });
const handler = middy(verifySession(user)).use(
  cors({
    origin: "https://example.com",
    credentials: true,
    headers: ["Content-Type", ...supertokens.getAllCORSHeaders()].join(", "),
  }),
);
const imported = seconds();
const response = await handler({ ...event }, {});
const first = seconds();
if (response.statusCode !== 200) {
  throw new Error(`supertokens-node responds ${JSON.stringify(response)}`);
}
let warm = Infinity;
for (let batch = 0; batch < BATCHES; batch++) {
  const started = seconds();
  for (let call = 0; call < BATCH; call++) {
    await handler({ ...event }, {});
  }
  warm = Math.min(warm, (seconds() - started) / BATCH);
}
const memory = Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
console.log(JSON.stringify({ import: imported - began, first: first - imported, warm, memory }));
process.exit(0);
