import { readFileSync, statSync } from "node:fs";
import { anyObject, getField } from "../json/struct.ts";
import { isJsonObject } from "../json/value.ts";
import type { Access } from "../kube/access.ts";
import { KubeClient } from "../kube/client.ts";
import { Connection } from "../kube/connection.ts";
import { KubeError } from "../kube/error.ts";
import { readKubeconfig } from "../kube/kubeconfig.ts";
import { events, networks, pods, type RbacVerb, type Resource } from "../kube/resource.ts";
import { tokenTimes } from "../kube/token.ts";
import { userAgent } from "../kube/user-agent.ts";
import { silentLogger } from "../log/logger.ts";
import { failed, type Finding, ok, reasonOf, skipped, warning } from "./finding.ts";

/** What the plugin asks for, and nothing else: the rules of deploy/rbac.yaml. */
export const neededRights: readonly {
  readonly verb: RbacVerb;
  readonly resource: Resource;
  readonly subresource?: string;
}[] = [
  { verb: "get", resource: networks },
  { verb: "get", resource: pods },
  { verb: "patch", resource: pods, subresource: "status" },
  { verb: "create", resource: events },
];

const accessReviews: Resource = {
  group: "authorization.k8s.io",
  version: "v1",
  plural: "selfsubjectaccessreviews",
  singular: "selfsubjectaccessreview",
};

const requestTimeoutMs = 5000;
/** Kubelet replaces a token when a fifth of its life is left; one with less than this was forgotten. */
const shortLifeMs = 300_000;

/** The credentials that the dispatcher's config names, the server that they are for, and what they allow. "" is no kubeconfig. */
export async function checkCluster(kubeconfig: string): Promise<Finding[]> {
  if (kubeconfig === "")
    return [skipped("kubeconfig", "the config names no kubeconfig: pods and networks come from elsewhere")];
  let access: Access;
  try {
    access = readKubeconfig(kubeconfig);
  } catch (error) {
    return [
      failed(
        "kubeconfig",
        reasonOf(error),
        "is the DaemonSet's pod running on this node? polynic install --watch writes the file",
      ),
    ];
  }
  const findings = [checkMode(kubeconfig), ...checkToken(access)];
  using connection = new Connection(() => readKubeconfig(kubeconfig));
  const client = new KubeClient(connection, {
    timeoutMs: requestTimeoutMs,
    userAgent: userAgent("check"),
    log: silentLogger,
  });
  const rights = await Promise.all(neededRights.map((right) => checkRight(client, right)));
  const unreached = rights.find(({ code }) => code === "api-reachable");
  if (unreached !== undefined) return [...findings, unreached];
  return [...findings, ok("api-reachable", `${access.server} answers`), ...rights, await checkDefinitions(client)];
}

function checkMode(path: string): Finding {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return ok("kubeconfig", `${path} is readable by its owner only`);
  return warning(
    "kubeconfig",
    `${path} has mode 0${mode.toString(8)}: others may read the credentials`,
    `chmod 600 ${path}`,
  );
}

function checkToken({ credential }: Access): Finding[] {
  const code = "token-expiry";
  if (credential.kind !== "token" && credential.kind !== "token-file")
    return [skipped(code, `no token: ${credential.kind}`)];
  const token = tokenOf(credential);
  if (typeof token !== "string") return [token];
  const { expires, issued } = tokenTimes(token);
  const now = Date.now();
  const clock = issued !== undefined && issued > now + 60_000 ? [behind(issued, now)] : [];
  if (expires === undefined) return [...clock, ok(code, "the token does not say when it expires")];
  const at = new Date(expires).toISOString();
  const cure = "restart the DaemonSet's pod on this node, and let it watch (polynic install --watch)";
  if (expires <= now) return [...clock, failed(code, `the token expired at ${at}`, cure)];
  if (expires - now < shortLifeMs)
    return [...clock, warning(code, `the token expires at ${at} and was not renewed`, cure)];
  if (credential.kind === "token")
    return [
      ...clock,
      warning(
        code,
        `the token stands in the kubeconfig, and nobody renews it there; it expires at ${at}`,
        "run polynic install, which names a file",
      ),
    ];
  return [...clock, ok(code, `the token expires at ${at}`)];
}

/** The token, or that there is none. */
function tokenOf(credential: Extract<Access["credential"], { kind: "token" | "token-file" }>): string | Finding {
  if (credential.kind === "token") return credential.token;
  try {
    return readFileSync(credential.file, "utf8").trim();
  } catch (error) {
    return failed(
      "token-expiry",
      `the token can't be read: ${reasonOf(error)}`,
      "is the DaemonSet's pod running on this node? polynic install --watch writes the file",
    );
  }
}

function behind(issued: number, now: number): Finding {
  const seconds = Math.round((issued - now) / 1000);
  return failed(
    "system-clock",
    `the token was issued ${seconds} s from now`,
    "set this node's clock, or the API server's",
  );
}

async function checkRight(client: KubeClient, right: (typeof neededRights)[number]): Promise<Finding> {
  const { verb, resource, subresource } = right;
  const what = `${verb} ${resource.plural}${subresource === undefined ? "" : `/${subresource}`}`;
  const code = `rbac-${what.replaceAll(/[ /]/g, "-")}`;
  const attributes = {
    verb,
    group: resource.group,
    resource: resource.plural,
    ...(subresource === undefined ? {} : { subresource }),
  };
  try {
    const body = {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: attributes },
    };
    const review = await client.request({ verb: "create", resource: accessReviews }, anyObject(), { body });
    const status = getField(review, "status");
    if (isJsonObject(status) && getField(status, "allowed") === true)
      return ok(code, `may ${what}, in every namespace`);
    return failed(code, `may not ${what} in every namespace`, "kubectl apply -f deploy/rbac.yaml");
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    return failed(
      "api-reachable",
      reasonOf(error),
      "docs/kubernetes.md has every error of the API server with its cure",
    );
  }
}

/** Asked for a name that nobody uses: a server that does not know the kind answers otherwise than one that has no such object. */
async function checkDefinitions(client: KubeClient): Promise<Finding> {
  const code = "crd-networks";
  const name = "polynic-check";
  try {
    await client.request({ verb: "get", resource: networks, namespace: "kube-system", name }, anyObject());
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    const { status } = error;
    if (status?.code === 404 && status.objectName === "")
      return failed(code, `the cluster knows no ${networks.plural}.${networks.group}`, "kubectl apply -f deploy/crds/");
    if (status?.code !== 404) return skipped(code, reasonOf(error));
  }
  return ok(code, `the cluster knows ${networks.plural}.${networks.group}`);
}
