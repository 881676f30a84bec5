import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile, temporaryOf } from "../libc/file.ts";

/** Whose account the plugin uses, and how it reaches the API server. */
export interface CredentialOptions {
  /** Where kubelet mounts the service account of the installing pod. */
  readonly account: string;
  /** KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; "" when this is no pod. */
  readonly host: string;
  readonly port: string;
  readonly skipsVerification: boolean;
}

/** Below the folder of CNI configs. */
export const credentialsFolder = "multus.d";
export const kubeconfigName = "multus.kubeconfig";
export const tokenName = "token";

/** True when there is a service account to pass on. */
export function hasAccount({ account, host }: CredentialOptions): boolean {
  return host !== "" && existsSync(join(account, "token"));
}

/**
 * Writes, for root only, the account's token and a kubeconfig that names that file: kubelet rotates the token, and only the small file has
 * to follow. Each is replaced in one step and only when it has changed; the token first, so that the kubeconfig never names a file that is
 * not there. Returns the names of what was written. Throws the file system's error when the account can't be read.
 */
export function writeCredentials(folder: string, options: CredentialOptions): string[] {
  const read = (name: string): string => readFileSync(join(options.account, name), "utf8");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files = { [tokenName]: read("token").trim(), [kubeconfigName]: kubeconfigText(options, read("ca.crt")) };
  const stale = Object.entries(files).filter(([name, text]) => textOf(join(folder, name)) !== text);
  for (const [name, text] of stale) replaceFile(join(folder, name), text, 0o600, temporaryOf(join(folder, name)));
  return stale.map(([name]) => name);
}

function textOf(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/** In the layout of Multus' own, so that going back to it needs no new one. */
function kubeconfigText({ host, port, skipsVerification }: CredentialOptions, ca: string): string {
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const trust = skipsVerification
    ? { "insecure-skip-tls-verify": true }
    : { "certificate-authority-data": Buffer.from(ca).toString("base64") };
  return `# Written by polynic install, which keeps it and the token beside it current.\n${Bun.YAML.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "local", cluster: { server, ...trust } }],
      users: [{ name: "multus", user: { tokenFile: tokenName } }],
      contexts: [{ name: "multus-context", context: { cluster: "local", user: "multus" } }],
      "current-context": "multus-context",
    },
    null,
    2,
  )}`;
}
