import { JsonError } from "../json/error.ts";
import {
  anyObject,
  anyValue,
  array,
  decode,
  flag,
  type Infer,
  optional,
  type Schema,
  struct,
  text,
} from "../json/struct.ts";
import { isErrno, SystemError } from "../libc/errno.ts";
import { readText } from "../libc/file.ts";
import { messageOf } from "../words/message.ts";
import type { Access, AccessTls, Credential } from "./access.ts";
import { KubeError } from "./error.ts";

const clusterSchema = struct({
  server: optional(text(), ""),
  "certificate-authority": optional(text(), ""),
  "certificate-authority-data": optional(text(), ""),
  "insecure-skip-tls-verify": optional(flag(), false),
  "tls-server-name": optional(text(), ""),
  "proxy-url": optional(text(), ""),
});

const userSchema = struct({
  token: optional(text(), ""),
  tokenFile: optional(text(), ""),
  "client-certificate": optional(text(), ""),
  "client-certificate-data": optional(text(), ""),
  "client-key": optional(text(), ""),
  "client-key-data": optional(text(), ""),
  username: optional(text(), ""),
  as: optional(text(), ""),
  exec: optional(anyObject()),
  "auth-provider": optional(anyObject()),
});

const contextSchema = struct({
  cluster: optional(text(), ""),
  user: optional(text(), ""),
  namespace: optional(text(), ""),
});

// What a context does not point at is not looked into: a file with a broken cluster still serves the others.
const fileSchema = struct({
  "current-context": optional(text(), ""),
  clusters: optional(array(struct({ name: text(), cluster: optional(anyValue(), {}) })), []),
  users: optional(array(struct({ name: text(), user: optional(anyValue(), {}) })), []),
  contexts: optional(array(struct({ name: text(), context: optional(anyValue(), {}) })), []),
});

/**
 * The access that a kubeconfig file (client-go's clientcmd/api/v1, YAML or JSON) gives through its current context, or through `context`.
 * Files that it names count from its own folder. Throws `KubeError` "config" that names the file and the place in it: also for
 * credentials that need another program to be run, which a CNI plugin must not wait for.
 */
export function readKubeconfig(path: string, context?: string): Access {
  const file = new Kubeconfig(path);
  const wanted = context ?? file.content["current-context"];
  if (wanted === "") throw file.error("no current-context", "name one of its contexts there");
  const chosen = file.entry("contexts", "context", wanted, contextSchema);
  const cluster = file.entry("clusters", "cluster", chosen.cluster, clusterSchema);
  // As in client-go, a context without a user asks anonymously.
  const user = chosen.user === "" ? decode(userSchema, {}) : file.entry("users", "user", chosen.user, userSchema);
  const proxyUrl = cluster["proxy-url"];
  return {
    server: serverOf(file, cluster.server),
    tls: tlsOf(file, cluster, user),
    credential: credentialOf(file, user),
    ...(proxyUrl === "" ? {} : { proxyUrl: proxyOf(file, proxyUrl) }),
    namespace: chosen.namespace || "default",
    ...(chosen.namespace === "" ? {} : { statedNamespace: chosen.namespace }),
    origin: file.origin,
  };
}

/** A file that has been read, and how to complain about it. */
class Kubeconfig {
  readonly origin: string;
  readonly content: Infer<typeof fileSchema>;

  constructor(readonly path: string) {
    this.origin = `kubeconfig ${path}`;
    this.content = this.decoded(fileSchema, this.#parsed(), "$");
  }

  /** The entry of a list by its name, decoded; a name that is not there, or there twice, is an error. */
  entry<T>(
    list: "clusters" | "users" | "contexts",
    key: "cluster" | "user" | "context",
    name: string,
    schema: Schema<T>,
  ): T {
    const all = this.content[list] as readonly { readonly name: string; readonly [key: string]: unknown }[];
    let index = -1;
    for (const [position, each] of all.entries()) {
      if (each.name !== name) continue;
      if (index !== -1)
        throw this.error(`$.${list}: the name ${JSON.stringify(name)} is there twice`, "remove one of the two");
      index = position;
    }
    if (index === -1) {
      const names = all.map((each) => each.name).join(", ") || "none";
      throw this.error(`$.${list}: there is no ${key} ${JSON.stringify(name)}`, `it has ${names}`);
    }
    return this.decoded(schema, all[index]?.[key], `$.${list}[${index}].${key}`);
  }

  decoded<T>(schema: Schema<T>, value: unknown, path: string): T {
    try {
      return decode(schema, value, path);
    } catch (cause) {
      if (!(cause instanceof JsonError)) throw cause;
      throw this.error(cause.message, "", cause);
    }
  }

  /** The PEM text of a `…-data` entry, or of the file that the entry without "-data" names; undefined when neither says anything. */
  pem(data: string, dataKey: string, name: string): string | undefined {
    if (data !== "") {
      return this.#checkedPem(this.#fromBase64(data, dataKey), dataKey);
    }
    if (name === "") return undefined;
    const path = this.resolve(name);
    return this.#checkedPem(readAccessFile(path, this.origin), path);
  }

  /** The path of a file that is named relative to this one. */
  resolve(name: string): string {
    return name.startsWith("/") ? name : `${this.path.replace(/[^/]*$/, "")}${name}`;
  }

  error(problem: string, hint = "", cause?: unknown): KubeError {
    return new KubeError("config", this.origin, problem, { hint, cause });
  }

  #fromBase64(data: string, key: string): string {
    try {
      return new TextDecoder().decode(Uint8Array.fromBase64(data));
    } catch (cause) {
      throw this.error(`${key}: expected base64`, "it holds a PEM text in base64, all in one line", cause);
    }
  }

  /** Told here, since all that a connection would say of it is that it could not be opened. */
  #checkedPem(content: string, where: string): string {
    if (/-----BEGIN [A-Z ]+-----/.test(content)) return content;
    throw this.error(
      `${where}: expected a PEM text`,
      "it begins with -----BEGIN CERTIFICATE----- or a key's like line",
    );
  }

  #parsed(): unknown {
    const content = readAccessFile(this.path, this.origin);
    try {
      return Bun.YAML.parse(content) ?? {};
    } catch (cause) {
      throw this.error(`no YAML: ${messageOf(cause)}`, "", cause);
    }
  }
}

/** The text of a file that says where the server is or who we are. Throws `KubeError` "config" that names it. */
export function readAccessFile(path: string, origin: string): string {
  try {
    return readText(path);
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    const hint = isErrno(cause, "ENOENT", "ENOTDIR")
      ? "the DaemonSet that installs the network plugin writes it: is its pod running on this node?"
      : "";
    throw new KubeError("config", origin, cause.message, { hint, cause });
  }
}

function serverOf(file: Kubeconfig, server: string): string {
  // Go accepts an IPv4 address in brackets, and older entry points of Multus wrote it so.
  const text = server.replace(/\/\/\[(\d+\.\d+\.\d+\.\d+)\]/, "//$1");
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (server !== "" && url !== null && (url.protocol === "https:" || url.protocol === "http:"))
    return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
  throw file.error(
    `server: expected an address such as https://10.96.0.1:443, found ${JSON.stringify(server)}`,
    "an IPv6 address stands in brackets: https://[fd00::1]:6443",
  );
}

function proxyOf(file: Kubeconfig, proxy: string): string {
  if (/^https?:/.test(URL.parse(proxy)?.protocol ?? "")) return proxy;
  throw file.error(`proxy-url: expected an http or https address, found ${JSON.stringify(proxy)}`);
}

function tlsOf(file: Kubeconfig, cluster: Infer<typeof clusterSchema>, user: Infer<typeof userSchema>): AccessTls {
  const skipsVerification = cluster["insecure-skip-tls-verify"];
  const ca = file.pem(
    cluster["certificate-authority-data"],
    "certificate-authority-data",
    cluster["certificate-authority"],
  );
  if (ca !== undefined && skipsVerification)
    throw file.error(
      "insecure-skip-tls-verify together with a certificate authority",
      "remove one of the two: only one can be meant",
    );
  const certificate = file.pem(user["client-certificate-data"], "client-certificate-data", user["client-certificate"]);
  const key = file.pem(user["client-key-data"], "client-key-data", user["client-key"]);
  if ((certificate === undefined) !== (key === undefined))
    throw file.error(
      certificate === undefined ? "client-key without client-certificate" : "client-certificate without client-key",
      "a client certificate needs both",
    );
  const serverName = cluster["tls-server-name"];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined || key === undefined ? {} : { certificate, key }),
    ...(serverName === "" ? {} : { serverName }),
    skipsVerification,
  };
}

/** A token file wins over a token, as in client-go: the token is what the file held once. */
function credentialOf(file: Kubeconfig, user: Infer<typeof userSchema>): Credential {
  const refused =
    user.exec !== undefined
      ? "exec: credential plugins are not run"
      : user["auth-provider"] !== undefined
        ? "auth-provider: these were removed from Kubernetes in 1.26"
        : user.username !== ""
          ? "username: API servers take no passwords since Kubernetes 1.19"
          : user.as !== ""
            ? "as: impersonation is not supported"
            : undefined;
  if (refused !== undefined)
    throw file.error(refused, "use a service account's token (tokenFile), or a client certificate");
  const token = user.token.trim();
  if (user.tokenFile !== "") return { kind: "token-file", file: file.resolve(user.tokenFile) };
  if (token !== "") return { kind: "token", token };
  return { kind: user["client-certificate"] + user["client-certificate-data"] === "" ? "anonymous" : "certificate" };
}
