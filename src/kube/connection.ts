import { isErrno, SystemError } from "../libc/errno.ts";
import { readText, statusIfExists } from "../libc/file.ts";
import { type Access, isSameAccess } from "./access.ts";
import { KubeError } from "./error.ts";
import { dropSession, leaveSession, type Session, sessionTo } from "./session.ts";

/**
 * The connections to one API server with one set of credentials, which are read when first needed and again when they change. Requests
 * share a pool of connections as long as they don't.
 */
export class Connection implements Disposable {
  readonly #load: () => Access;
  #access: Access | undefined;
  #session: Session | undefined;
  #token: { readonly file: string; readonly stamp: string; readonly text: string } | undefined;

  /** `load` reads the access anew. */
  constructor(load: () => Access) {
    this.#load = load;
  }

  /** What is used now; the first call reads it. Throws `KubeError` "config". */
  access(): Access {
    this.#access ??= this.#load();
    return this.#access;
  }

  /** Reads the access again and says whether it is another one now: then the old connections are not used any more. */
  reload(): boolean {
    const before = this.#access;
    const token = this.#token?.text;
    this.#access = this.#load();
    this.#token = undefined;
    const isNew = before === undefined || !isSameAccess(before, this.#access);
    if (isNew) this.reconnect();
    return isNew || token !== this.#freshToken(this.#access);
  }

  /** Leaves the pool's connections behind: one of them may be dead without having said so. */
  reconnect(): void {
    if (this.#session !== undefined) dropSession(this.#session);
    this.#session = undefined;
  }

  /** The value of the Authorization header; undefined when the certificate says who we are, or nothing does. */
  authorization(): string | undefined {
    const token = this.#freshToken(this.access());
    return token === undefined ? undefined : `Bearer ${token}`;
  }

  /**
   * One exchange with the server; rejects as `fetch` does. HTTP/2 carries all of a pod's requests over one connection, with one TLS
   * handshake; a server, or something before it, that does not speak it is asked by HTTP/1.1. A redirect is an answer: no API
   * server sends any.
   */
  async fetch(path: string, init: BunFetchRequestInit): Promise<Response> {
    const { server, tls, proxyUrl } = this.access();
    const session = (this.#session ??= sessionTo(server, tls, proxyUrl));
    session.usedMs = performance.now();
    const url = server + path;
    const options: BunFetchRequestInit = { redirect: "manual", ...init };
    if (session.speaksHttp2 && proxyUrl === undefined && server.startsWith("https:")) {
      try {
        return await session.pool.fetch(url, { ...options, protocol: "http2" });
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "HTTP2Unsupported")) throw error;
        session.speaksHttp2 = false;
      }
    }
    return await session.pool.fetch(url, { ...options, protocol: "http1.1" });
  }

  [Symbol.dispose](): void {
    if (this.#session !== undefined) leaveSession(this.#session);
    this.#session = undefined;
  }

  #freshToken({ credential, origin }: Access): string | undefined {
    if (credential.kind === "token") return credential.token;
    if (credential.kind !== "token-file") return undefined;
    const { file } = credential;
    const stamp = stampOf(file);
    // Missing for a moment while it is replaced: what was read before is good for some time.
    if (stamp === "" && this.#token?.file === file) return this.#token.text;
    if (this.#token?.file !== file || this.#token.stamp !== stamp)
      this.#token = { file, stamp, text: readToken(file, origin) };
    return this.#token.text;
  }
}

/** Differs whenever the file was replaced or written. */
function stampOf(file: string): string {
  const status = statusIfExists(file);
  return status === undefined ? "" : `${status.device}:${status.inode}:${status.size}:${status.modifiedNs}`;
}

function readToken(file: string, origin: string): string {
  try {
    const token = readText(file).trim();
    if (token !== "") return token;
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    const hint = isErrno(cause, "ENOENT", "ENOTDIR") ? "kubelet, or an agent on this node, is to write it" : "";
    throw new KubeError("config", origin, `tokenFile: ${cause.message}`, { hint, cause });
  }
  throw new KubeError("config", origin, `tokenFile ${file} is empty`);
}
