import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Access } from "./access.ts";
import { KubeError } from "./error.ts";
import { readInCluster } from "./in-cluster.ts";
import { readKubeconfig } from "./kubeconfig.ts";

const ca = "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n";
const key = "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n";
const base64 = (text: string): string => Buffer.from(text).toString("base64");
let folder = "";
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-kubeconfig-"));
  writeFileSync(join(folder, "ca.crt"), ca);
  writeFileSync(join(folder, "user.key"), key);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function write(content: string): string {
  const path = join(folder, `config-${count++}`);
  writeFileSync(path, content);
  return path;
}

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly file?: object;
}

function configWith({ cluster = {}, user = {}, context = {}, file = {} }: Parts): string {
  return write(
    JSON.stringify({
      clusters: [{ name: "c", cluster: { server: "https://10.96.0.1:443", ...cluster } }],
      users: [{ name: "u", user: { token: "secret", ...user } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u", ...context } }],
      "current-context": "x",
      ...file,
    }),
  );
}

function failure(read: () => Access): KubeError {
  try {
    read();
  } catch (error) {
    if (error instanceof KubeError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test("the file that Multus' entry point writes", () => {
  const path = write(`# Kubeconfig file for Multus CNI plugin.
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: https://10.96.0.1:443
    certificate-authority-data: ${base64(ca)}
users:
- name: multus
  user:
    token: "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
contexts:
- name: multus-context
  context:
    cluster: local
    user: multus
current-context: multus-context
`);
  expect(readKubeconfig(path)).toEqual({
    server: "https://10.96.0.1:443".replace(":443", ""),
    tls: { ca, skipsVerification: false },
    credential: { kind: "token", token: "eyJhbGciOiJSUzI1NiJ9.e30.c2ln" },
    namespace: "default",
    origin: `kubeconfig ${path}`,
  });
});

describe("server", () => {
  test.each([
    ["https://10.96.0.1:6443", "https://10.96.0.1:6443"],
    ["https://[10.96.0.1]:6443", "https://10.96.0.1:6443"],
    ["https://[fd00::1]:6443", "https://[fd00::1]:6443"],
    ["https://api.example.com", "https://api.example.com"],
    ["https://rancher.example.com/k8s/clusters/c-1/", "https://rancher.example.com/k8s/clusters/c-1"],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080"],
    ["127.0.0.1:8080", "http://127.0.0.1:8080"],
  ])("%s", (server, want) => {
    expect(readKubeconfig(configWith({ cluster: { server } })).server).toBe(want);
  });
  test.each(["", "https://", "ftp://10.0.0.1", "https://fd00::1:6443"])("%j is refused", (server) => {
    const { message } = failure(() => readKubeconfig(configWith({ cluster: { server } })));
    expect(message).toContain("server: expected an address such as https://10.96.0.1:443");
  });
});

describe("credentials", () => {
  test.each<[string, object, object]>([
    ["a token", { token: "t" }, { kind: "token", token: "t" }],
    ["a token with a line's end", { token: "t\n" }, { kind: "token", token: "t" }],
    [
      "a token file, before the token",
      { token: "t", tokenFile: "/run/token" },
      { kind: "token-file", file: "/run/token" },
    ],
    ["nothing", { token: "" }, { kind: "anonymous" }],
    [
      "a client certificate",
      { token: "", "client-certificate": "ca.crt", "client-key": "user.key" },
      { kind: "certificate" },
    ],
  ])("%s", (_, user, want) => {
    expect(readKubeconfig(configWith({ user })).credential).toEqual(want);
  });
  test("a context without a user is anonymous", () => {
    expect(readKubeconfig(configWith({ context: { user: "" } })).credential).toEqual({ kind: "anonymous" });
  });
  test("files count from the kubeconfig's folder, and data win over files", () => {
    const named = { tokenFile: "token", "client-certificate": "ca.crt", "client-key": "user.key" };
    const { credential, tls } = readKubeconfig(
      configWith({ user: named, cluster: { "certificate-authority": "ca.crt" } }),
    );
    expect(credential).toEqual({ kind: "token-file", file: join(folder, "token") });
    expect(tls).toEqual({ ca, certificate: ca, key, skipsVerification: false });
    const other = ca.replace("Q0E=", "QQ==");
    const data = readKubeconfig(
      configWith({ cluster: { "certificate-authority": "ca.crt", "certificate-authority-data": base64(other) } }),
    );
    expect(data.tls.ca).toBe(other);
  });
});

describe("TLS and proxies", () => {
  test("what the cluster says", () => {
    const access = readKubeconfig(
      configWith({ cluster: { "tls-server-name": "kubernetes", "proxy-url": "http://proxy:3128" } }),
    );
    expect(access.tls).toEqual({ serverName: "kubernetes", skipsVerification: false });
    expect(access.proxyUrl).toBe("http://proxy:3128");
  });
  test("no verification", () => {
    const { tls } = readKubeconfig(configWith({ cluster: { "insecure-skip-tls-verify": true } }));
    expect(tls).toEqual({ skipsVerification: true });
  });
});

test("another context than the current one", () => {
  const contexts = [
    { name: "x", context: { cluster: "c", user: "u" } },
    { name: "y", context: { cluster: "c", user: "u", namespace: "shop" } },
  ];
  expect(readKubeconfig(configWith({ file: { contexts } }), "y").namespace).toBe("shop");
});

describe("refused in one line that names the file", () => {
  test.each<[string, Parts, string]>([
    ["no current-context", { file: { "current-context": "" } }, "no current-context"],
    ["an unknown context", { file: { "current-context": "z" } }, '$.contexts: there is no context "z"; it has x'],
    ["an unknown cluster", { context: { cluster: "d" } }, '$.clusters: there is no cluster "d"; it has c'],
    ["an unknown user", { context: { user: "v" } }, '$.users: there is no user "v"; it has u'],
    ["no users at all", { file: { users: null } }, '$.users: there is no user "u"; it has none'],
    [
      "a name that is there twice",
      { file: { users: [{ name: "u" }, { name: "u" }] } },
      '$.users: the name "u" is there twice',
    ],
    ["a token that is a number", { user: { token: 5 } }, "$.users[0].user.token: expected a string, found 5"],
    [
      "a credential plugin",
      { user: { exec: { command: "aws" } } },
      "exec: credential plugins are not run; use a service",
    ],
    ["an auth provider", { user: { "auth-provider": { name: "oidc" } } }, "auth-provider: these were removed"],
    ["a password", { user: { username: "admin" } }, "username: API servers take no passwords"],
    ["impersonation", { user: { as: "admin" } }, "as: impersonation is not supported"],
    [
      "a certificate without a key",
      { user: { "client-certificate": "ca.crt" } },
      "client-certificate without client-key",
    ],
    ["a key without a certificate", { user: { "client-key": "user.key" } }, "client-key without client-certificate"],
    ["data that are no base64", { cluster: { "certificate-authority-data": "%" } }, "expected base64"],
    [
      "data that are no PEM",
      { cluster: { "certificate-authority-data": base64("hello") } },
      "certificate-authority-data: expected a PEM text",
    ],
    ["a file that is not there", { cluster: { "certificate-authority": "none.crt" } }, "none.crt: no such file"],
    [
      "an authority and no verification",
      { cluster: { "certificate-authority": "ca.crt", "insecure-skip-tls-verify": true } },
      "remove one of the two",
    ],
    [
      "a proxy of another kind",
      { cluster: { "proxy-url": "socks5://p:1" } },
      "proxy-url: expected an http or https address",
    ],
  ])("%s", (_, parts, want) => {
    const path = configWith(parts);
    const { kind, message } = failure(() => readKubeconfig(path));
    expect(kind).toBe("config");
    expect(message).toContain(`kubeconfig ${path}: `);
    expect(message).toContain(want);
    expect(message).not.toContain("\n");
  });
  test.each([
    ["no YAML", "a: [", "no YAML"],
    ["a list", "- a", "expected an object, found an array"],
    ["an empty file", "", "no current-context"],
  ])("%s", (_, content, want) => {
    const path = write(content);
    expect(failure(() => readKubeconfig(path)).message).toContain(want);
  });
  test("a missing file says who should have written it", () => {
    const { message } = failure(() => readKubeconfig("/nowhere/kubeconfig"));
    expect(message).toBe(
      "kubeconfig /nowhere/kubeconfig: open /nowhere/kubeconfig: no such file or directory; the DaemonSet that installs the network plugin writes it: is its pod running on this node?",
    );
  });
});

describe("in a pod", () => {
  test.each([
    ["10.96.0.1", "https://10.96.0.1:6443"],
    ["fd00::1", "https://[fd00::1]:6443"],
  ])("the service at %s", (host, want) => {
    writeFileSync(join(folder, "namespace"), "kube-system");
    const environment = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "6443" };
    expect(readInCluster(environment, folder)).toEqual({
      server: want,
      tls: { ca, skipsVerification: false },
      credential: { kind: "token-file", file: join(folder, "token") },
      namespace: "kube-system",
      origin: `service account in ${folder}`,
    });
  });
  test("a missing file is refused", () => {
    const environment = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };
    expect(failure(() => readInCluster(environment, "/nowhere")).message).toContain(
      "open /nowhere/ca.crt: no such file",
    );
  });
});
