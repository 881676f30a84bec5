// What `polynic check` says of credentials, rights and definitions: on a real API server.
import { chmodSync } from "node:fs";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { neededRights } from "../../src/preflight/cluster.ts";
import type { Finding } from "../../src/preflight/finding.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { expiredToken } from "../kit/cluster.ts";
import { searchPath } from "../kit/packages.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
let kubeconfig: string;

beforeAll(() => {
  kubeconfig = site().kubeconfigPath;
  chmodSync(kubeconfig, 0o600);
});

/** The verdicts about the cluster, by code. */
function check(): Map<string, Finding> {
  const here = site();
  const command = [join(polynicBin, "polynic"), "check", "--pre", "-o", "json", "--kubeconfig", kubeconfig];
  const done = Bun.spawnSync(["nsenter", `--net=${here.local.node.path}`, "--", ...command], {
    env: { PATH: searchPath },
  });
  const findings = JSON.parse(done.stdout.toString()) as Finding[];
  return new Map(findings.map((finding) => [finding.code, finding]));
}

const rights = [
  "rbac-get-network-attachment-definitions",
  "rbac-get-pods",
  "rbac-patch-pods-status",
  "rbac-create-events",
];

test("with our own role everything is well, but for a token that nobody renews", async () => {
  await site().useAccount("polynic");
  const findings = check();
  for (const code of [...rights, "api-reachable", "crd-networks"]) expect(findings.get(code)?.verdict, code).toBe("ok");
  expect(findings.get("token-expiry")).toMatchObject({
    verdict: "warning",
    message: expect.stringContaining("nobody renews it"),
  });
});

test("without rights every rule that is missing is a line", async () => {
  await site().useAccount("nobody");
  const findings = check();
  for (const code of rights)
    expect(findings.get(code), code).toMatchObject({ verdict: "failed", cure: "kubectl apply -f deploy/rbac.yaml" });
});

test("an expired token is told from one that the server refuses", () => {
  site().useUser({ token: expiredToken() });
  const findings = check();
  expect(findings.get("token-expiry")).toMatchObject({
    verdict: "failed",
    message: expect.stringContaining("expired at 2020-01-01"),
  });
  expect(findings.get("api-reachable")?.verdict).toBe("failed");
});

test("no server and no file are told apart", async () => {
  await site().useAccount("polynic", "https://169.254.77.1:1");
  expect(check().get("api-reachable")?.message).toContain("connection refused");
  const before = kubeconfig;
  kubeconfig = "/nowhere/kubeconfig";
  expect(check().get("kubeconfig")).toMatchObject({
    verdict: "failed",
    message: expect.stringContaining("/nowhere/kubeconfig"),
  });
  kubeconfig = before;
});

test("the rights that are asked for are those that deploy/rbac.yaml grants", () => {
  const objects = Bun.YAML.parse(readFileSync(join(import.meta.dirname, "../../deploy/rbac.yaml"), "utf8")) as {
    readonly rules?: readonly { apiGroups: string[]; resources: string[]; verbs: string[] }[];
  }[];
  const granted = objects
    .flatMap(({ rules = [] }) => rules)
    .map(({ apiGroups, resources, verbs }) => [apiGroups, resources, verbs].join(" "));
  const asked = neededRights.map(({ verb, resource, subresource }) =>
    [resource.group, [resource.plural, subresource].filter((part) => part !== undefined).join("/"), verb].join(" "),
  );
  expect(granted.sort()).toEqual(asked.sort());
});
