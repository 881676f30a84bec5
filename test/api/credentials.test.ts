// How the API server is reached and convinced: every kind of credential, on the compiled executable; and what changes under a client that runs.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ApiCluster } from "../../src/cluster/api.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { ApiProxy } from "../kit/api-proxy.ts";
import { type CertificateRequest, type KeyPair, makeAuthority, makeCertificate } from "../kit/certificates.ts";
import { expiredToken, kubeconfig } from "../kit/cluster.ts";
import { callCni, type CniOutcome } from "../kit/cni-caller.ts";
import { eventually } from "../kit/ipam-world.ts";
import { errorOf, type SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
/** What is refused at once is refused within any time; a busy server takes some for what it grants. */
const apiTimeout = 5;
let pod: SitePod;
let folder = "";
let token = "";
let user: KeyPair;
let strangers: KeyPair;

const authority = (): KeyPair => {
  const { folder } = site().api;
  return { certificate: join(folder, "ca.crt"), key: join(folder, "ca.key") };
};

beforeAll(async () => {
  folder = site().local.path("pki");
  mkdirSync(folder);
  pod = await site().pod();
  token = await site().admin.token("kube-system", "polynic");
  user = makeCertificate(folder, authority(), { name: "a-node", groups: ["system:masters"] });
  strangers = makeAuthority(folder, "strangers");
});

/** ADD with whatever the kubeconfig says now; what was attached is detached again. */
async function add(env: Readonly<Record<string, string>> = {}): Promise<CniOutcome> {
  const outcome = await callCni({ ...site().cniCall("ADD", pod, { conf: { apiTimeout } }), env });
  expect(await site().call("DEL", pod)).toMatchObject({ exitCode: 0 });
  return outcome;
}

/** True when the server knows whose token it is. */
async function isAccepted(text: string): Promise<boolean> {
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: text } };
  const { status } = await site().admin.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review);
  return (status as { authenticated?: boolean }).authenticated === true;
}

const base64 = (path: string): string => readFileSync(path).toString("base64");

describe("what convinces the server", () => {
  test.each<[string, () => Readonly<Record<string, unknown>>, string]>([
    ["a token", () => ({ token }), "system:serviceaccount:kube-system:polynic"],
    ["a token file beside the kubeconfig", () => ({ tokenFile: "token" }), "system:serviceaccount:kube-system:polynic"],
    [
      "a client certificate in files",
      () => ({ "client-certificate": user.certificate, "client-key": user.key }),
      "a-node",
    ],
    [
      "a client certificate in the kubeconfig itself",
      () => ({ "client-certificate-data": base64(user.certificate), "client-key-data": base64(user.key) }),
      "a-node",
    ],
  ])("%s", async (_, entry, name) => {
    site().local.folder.write("token", `${token}\n`);
    site().useUser(entry());
    site().audit.take(site().namespace);
    expect(await add()).toMatchObject({ exitCode: 0, stderr: "" });
    expect(
      new Set(
        site()
          .audit.take(site().namespace)
          .map((entry) => entry.user),
      ),
    ).toEqual(new Set([name]));
  });
});

describe("what does not", () => {
  test.each<[string, () => Readonly<Record<string, unknown>>, string]>([
    [
      "a token that has expired",
      () => ({ token: expiredToken() }),
      "(401 Unauthorized); the token of system:serviceaccount:kube-system:multus expired at 2020-01-01T00:00:00Z; kubeconfig ",
    ],
    ["no token at all", () => ({}), "names no token and no client certificate"],
    ["a token that is none", () => ({ token: "x" }), "the token may have expired or been revoked"],
    [
      "a client certificate of a stranger",
      () => {
        const own = makeCertificate(folder, strangers, { name: "stranger", groups: ["system:masters"] });
        return { "client-certificate": own.certificate, "client-key": own.key };
      },
      "the client certificate has expired, or another authority signed it",
    ],
    ["a token file that is not there", () => ({ tokenFile: "none" }), "tokenFile: open "],
    ["a credential plugin", () => ({ exec: { command: "aws" } }), "exec: credential plugins are not run"],
  ])("%s", async (_, entry, words) => {
    site().useUser(entry());
    const { code, msg, details = "" } = errorOf(await add());
    expect(code).toBe(11);
    expect(`${msg}; ${details}`).toContain(words);
    expect(msg).not.toContain("\n");
  });

  test("a token of an account that is gone", async () => {
    const name = "gone";
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: "kube-system", name } };
    await site().admin.create(account);
    const revoked = await site().admin.token("kube-system", name);
    await site().admin.delete(account);
    // The server hears of it as of any other object.
    expect(await eventually(() => isAccepted(revoked), false)).toBe(false);
    site().useUser({ token: revoked });
    const { msg } = errorOf(await add());
    expect(msg).toContain("so it was revoked (its pod or service account is gone) or is for another cluster");
  });
});

describe("how the server is reached and trusted", () => {
  const write = (server: string, cluster: Readonly<Record<string, unknown>>, ca?: string): void => {
    const text = kubeconfig({ server, user: { token }, cluster, ...(ca === undefined ? {} : { ca }) });
    site().local.folder.write("kubeconfig", text);
  };

  test("without verification, where the kubeconfig says so", async () => {
    write(site().server, { "insecure-skip-tls-verify": true });
    expect(await add()).toMatchObject({ exitCode: 0, stderr: "" });
  });
  test("under another name, where the kubeconfig gives one", async () => {
    // The address of the node's own end is in no certificate.
    write(site().server, { "tls-server-name": "kubernetes" }, site().api.ca);
    expect(await add()).toMatchObject({ exitCode: 0, stderr: "" });
  });
  test("not under a name that the certificate lacks", async () => {
    write(site().server, { "tls-server-name": "elsewhere" }, site().api.ca);
    expect(errorOf(await add()).msg).toContain("its certificate is for other names");
  });
  test("not when another authority signed its certificate", async () => {
    write(site().server, {}, readFileSync(strangers.certificate, "utf8"));
    const { msg } = errorOf(await add());
    expect(msg).toContain("its certificate is not signed by the authority that is trusted (kubeconfig ");
    expect(msg).toContain("certificate-authority-data has to be written anew");
  });
  test("not by the machine's authorities when none is given", async () => {
    write(site().server, {});
    expect(errorOf(await add()).msg).toContain("is not signed by the authority that is trusted");
  });
  test("not when the environment says that certificates don't matter", async () => {
    write(site().server, {}, readFileSync(strangers.certificate, "utf8"));
    const outcome = await add({ NODE_TLS_REJECT_UNAUTHORIZED: "0" });
    expect(errorOf(outcome).msg).toContain("is not signed by the authority that is trusted");
  });
  test("not through a proxy that only the environment knows", async () => {
    write(site().server, {}, site().api.ca);
    const proxy = "http://127.0.0.1:1";
    expect(await add({ HTTPS_PROXY: proxy, https_proxy: proxy, ALL_PROXY: proxy })).toMatchObject({ exitCode: 0 });
  });
  test("through the proxy that the kubeconfig names", async () => {
    write(site().server, { "proxy-url": "http://127.0.0.1:1" }, site().api.ca);
    expect(errorOf(await add()).msg).toContain("connection refused");
  });
  test("by HTTP/1.1, where something before the server speaks nothing newer", async () => {
    using old = await ApiProxy.open(site().api, { isOld: true });
    await site().network("n1", site().local.macvlan("n1", "10.95.0.0/16"));
    write(old.url, {}, site().api.ca);
    const many = await site().pod("n1,n1");
    const outcome = await site().call("ADD", many);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    expect(old.steps()).toEqual({
      "get pods": 1,
      "get network-attachment-definitions": 1,
      "patch pods/status": 1,
      "create events": 3,
    });
    expect(await site().call("DEL", many)).toMatchObject({ exitCode: 0 });
  });
  test("by TLS only where the server speaks it", async () => {
    write(site().server.replace("https", "http"), {}, site().api.ca);
    expect(errorOf(await add()).code).toBe(11);
  });
});

describe("in a pod", () => {
  test("by the service account, when the config names no kubeconfig", async () => {
    const files = "/run/secrets/kubernetes.io/serviceaccount";
    mkdirSync(files, { recursive: true });
    for (const [name, content] of Object.entries({ token, namespace: "kube-system", "ca.crt": site().api.ca }))
      await Bun.write(join(files, name), content);
    const call = site().cniCall("ADD", pod, { conf: { kubeconfig: undefined } });
    const [, host = "", port = ""] = /\/\/(.*):(\d+)$/.exec(site().server) ?? [];
    const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port };
    site().audit.take(site().namespace);
    expect(await callCni({ ...call, env })).toMatchObject({ exitCode: 0, stderr: "" });
    expect(site().audit.take(site().namespace).length).toBeGreaterThan(1);
    expect(await site().call("DEL", pod)).toMatchObject({ exitCode: 0 });
    rmSync("/run/secrets", { recursive: true });
  });
});

describe("under a client that runs on", () => {
  let proxy: ApiProxy | undefined;
  afterAll(() => proxy?.[Symbol.dispose]());

  /** A client in this process, which reaches the server on loopback. */
  const connect = (): ApiCluster =>
    new ApiCluster({
      kubeconfig: site().kubeconfigPath,
      timeoutMs: 5000,
      verb: "test",
      environment: {},
      log: silentLogger,
    });
  const local = (): string => `https://127.0.0.1:${site().api.port}`;
  const asks = async (cluster: ApiCluster): Promise<string> => {
    site().audit.take(site().namespace);
    expect(await cluster.getPod(pod.namespace, pod.name)).toMatchObject({ uid: pod.uid });
    return site().audit.take(site().namespace).at(-1)?.user ?? "";
  };

  test("the token file is replaced", async () => {
    site().local.folder.write("token", token);
    site().useUser({ tokenFile: "token" }, local());
    using cluster = connect();
    expect(await asks(cluster)).toContain(":polynic");
    site().local.folder.write("token", await site().admin.token("kube-system", "multus"));
    expect(await asks(cluster)).toContain(":multus");
    // Gone for a moment, as while it is being replaced.
    rmSync(site().local.path("token"));
    expect(await asks(cluster)).toContain(":multus");
  });

  test("the token in the kubeconfig is replaced after the server has refused the old one (WHEREABOUTS 459)", async () => {
    site().useUser({ token: expiredToken() }, local());
    using cluster = connect();
    await expect(cluster.getPod(pod.namespace, pod.name)).rejects.toMatchObject({ code: "unauthorized" });
    site().useUser({ token }, local());
    expect(await asks(cluster)).toContain(":polynic");
  });

  test("IPv6 serves as well", async () => {
    site().useUser({ token }, `https://[::1]:${site().api.port}`);
    using cluster = connect();
    expect(await asks(cluster)).toContain(":polynic");
  });

  test("the server gets a certificate of another authority, and the kubeconfig follows", async () => {
    const request: CertificateRequest = { name: "renewed", alternativeNames: ["IP:127.0.0.1"] };
    const renewed = makeCertificate(folder, strangers, request);
    proxy = await ApiProxy.open(site().api);
    const { port } = proxy;
    const server = `https://127.0.0.1:${port}`;
    site().useUser({ token }, server);
    using cluster = connect();
    expect(await asks(cluster)).toContain(":polynic");
    proxy[Symbol.dispose]();
    proxy = await ApiProxy.open(site().api, { certificate: renewed, port });
    await expect(cluster.getPod(pod.namespace, pod.name)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("is not signed by the authority that is trusted") as string,
    });
    site().useUser({ token }, server, readFileSync(strangers.certificate, "utf8"));
    expect(await asks(cluster)).toContain(":polynic");
  });

  test("an account without rights is told the rule that it lacks", async () => {
    await site().useAccount("nobody", local());
    using cluster = connect();
    await expect(cluster.getPod(pod.namespace, pod.name)).rejects.toMatchObject({
      code: "forbidden",
      message: `get pod ${pod.namespace}/${pod.name}: user system:serviceaccount:kube-system:nobody may not (403 Forbidden); a role of that user needs the rule - {apiGroups: [""], resources: ["pods"], verbs: ["get"]}; deploy/rbac*.yaml have all that polynic needs`,
    });
  });
});
