// What `polynic check` says of credentials and of a cluster without definitions; test/api/preflight.test.ts asks a real one.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { ScriptedServer, statusAnswer } from "../kube/scripted-server.test-data.ts";
import { checkCluster } from "./cluster.ts";
import type { Finding } from "./finding.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-preflight-"));
afterAll(() => rmSync(folder, { recursive: true }));
const now = Math.floor(Date.now() / 1000);
const hour = 3600;
let server: ScriptedServer;
/** Whether the cluster knows the definitions. */
let isDefined = true;

beforeEach(() => {
  isDefined = true;
  server = new ScriptedServer(({ method }) => {
    if (method === "POST") return Response.json({ status: { allowed: true } });
    return statusAnswer(404, "NotFound", "not found", isDefined ? { name: "polynic-check" } : {});
  });
});
afterEach(() => server[Symbol.dispose]());

function token(claims: object): string {
  return [{ alg: "none" }, claims, "signature"]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
}

/** Findings by code, for a kubeconfig with this user. */
async function check(user: object, mode = 0o600): Promise<Map<string, Finding>> {
  const path = join(folder, "kubeconfig");
  const content = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: server.url } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  writeFileSync(path, JSON.stringify(content));
  chmodSync(path, mode);
  return new Map((await checkCluster(path)).map((finding) => [finding.code, finding]));
}

/** As `check`, for an account whose token stands in a file. */
function checkToken(claims: object): Promise<Map<string, Finding>> {
  writeFileSync(join(folder, "token"), token(claims));
  return check({ tokenFile: "token" });
}

test("a good account has no line that is not ok", async () => {
  const findings = await checkToken({ iat: now - 60, exp: now + hour });
  expect([...findings.values()].filter(({ verdict }) => verdict !== "ok")).toEqual([]);
  expect(findings.get("token-expiry")?.message).toBe(
    `the token expires at ${new Date((now + hour) * 1000).toISOString()}`,
  );
});

test.each<[string, object, string, string, string]>([
  ["expired", { exp: now - 1 }, "token-expiry", "failed", "the token expired at "],
  ["about to expire", { exp: now + 60 }, "token-expiry", "warning", "and was not renewed"],
  ["from the future", { iat: now + hour, exp: now + 2 * hour }, "system-clock", "failed", " s from now"],
  ["without an end", {}, "token-expiry", "ok", "does not say when it expires"],
])("a token %s", async (_, claims, code, verdict, message) => {
  const finding = (await checkToken(claims)).get(code);
  expect(finding).toMatchObject({ verdict, message: expect.stringContaining(message) });
  expect(finding?.cure === "").toBe(verdict === "ok");
});

test("a token in the kubeconfig itself is one that nobody renews", async () => {
  const finding = (await check({ token: token({ exp: now + hour }) })).get("token-expiry");
  expect(finding).toMatchObject({ verdict: "warning", message: expect.stringContaining("nobody renews it there") });
});

test("a token's file that is not there is a line of its own, with the rest looked at", async () => {
  const findings = await check({ tokenFile: "nowhere" });
  expect(findings.get("token-expiry")).toMatchObject({
    verdict: "failed",
    message: expect.stringContaining("the token can't be read: "),
  });
  expect(findings.has("api-reachable")).toBe(true);
});

test("credentials that others may read are a warning", async () => {
  const finding = (await check({ token: token({}) }, 0o644)).get("kubeconfig");
  expect(finding).toMatchObject({ verdict: "warning", cure: expect.stringMatching(/^chmod 600 /) });
});

test("a cluster that does not know the definitions is told from one without such an object", async () => {
  isDefined = false;
  expect((await checkToken({})).get("crd-networks")).toMatchObject({
    verdict: "failed",
    cure: "kubectl apply -f deploy/crds/",
  });
});

test("without a kubeconfig there is nothing to look at", async () => {
  expect(await checkCluster("")).toMatchObject([{ code: "kubeconfig", verdict: "skipped" }]);
});
