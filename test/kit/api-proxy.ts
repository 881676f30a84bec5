// Stands between a client and the API server, and does to requests what networks and servers do on bad days. Speaks HTTP/2 and 1.1.
import { readFileSync } from "node:fs";
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { addApiAddress } from "./api-link.ts";
import { apiAddress, type ApiServerFacts } from "./api-server.ts";
import type { KeyPair } from "./certificates.ts";

export interface ProxyOptions {
  /** In place of the API server's own. */
  readonly certificate?: KeyPair;
  /** One that is free otherwise. */
  readonly port?: number;
  /** Speaks HTTP/1.1 alone, as many load balancers do. */
  readonly isOld?: boolean;
}

/** A request in the words of RBAC: "get pods", "get network-attachment-definitions", "patch pods/status", "create events". */
export type Step = string;

/**
 * What becomes of a request. `reset` breaks the connection before the server has seen it, `reset-after` when it has done it; just before
 * it breaks, `onCut` is called.
 */
export type Mischief =
  | { readonly kind: "pass"; readonly delayMs?: number; readonly until?: Promise<unknown> }
  | { readonly kind: "answer"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: "hang" }
  | { readonly kind: "reset" | "reset-after"; readonly onCut?: () => void };

/** Chooses by the step, and by how often it came since the last `plan`, counted from 1. */
export type Plan = (step: Step, occurrence: number) => Mischief;

const pass: Mischief = { kind: "pass" };
const verbs: Readonly<Record<string, string>> = {
  GET: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
const hopHeaders = /^(:|host$|connection$|transfer-encoding$|content-length$|content-encoding$|keep-alive$)/;

export class ApiProxy implements Disposable {
  readonly #server: Http2SecureServer;
  readonly #upstream: string;
  readonly #session: Bun.FetchSession;
  readonly #sockets = new Set<{ destroy(): unknown }>();
  #plan: Plan = () => pass;
  #occurrences = new Map<Step, number>();
  #accepted = 0;

  private constructor(api: ApiServerFacts, { certificate, key }: KeyPair, isOld: boolean) {
    this.#upstream = `https://127.0.0.1:${api.port}`;
    this.#session = new Bun.FetchSession({ tls: { ca: api.ca, rejectUnauthorized: true }, proxy: false });
    const tls = { cert: readFileSync(certificate), key: readFileSync(key), allowHTTP1: true };
    const serve = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
      void this.#serve(request, response);
    };
    // The compatibility interface of node:http2 is that of node:https.
    this.#server = isOld
      ? (createHttpsServer(tls, serve as unknown as RequestListener) as unknown as Http2SecureServer)
      : createSecureServer(tls, serve);
    // Broken connections are the purpose: nothing is to be told of them.
    this.#server.on("sessionError", () => {});
    this.#server.on("secureConnection", (socket) => {
      this.#accepted += 1;
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** Listens. */
  static async open(
    api: ApiServerFacts,
    { certificate, port = 0, isOld = false }: ProxyOptions = {},
  ): Promise<ApiProxy> {
    addApiAddress();
    const own = { certificate: join(api.folder, "server.crt"), key: join(api.folder, "server.key") };
    const proxy = new ApiProxy(api, certificate ?? own, isOld);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(port, "0.0.0.0", () => resolve());
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Its address as nodes reach it. */
  get url(): string {
    return `https://${apiAddress}:${this.port}`;
  }

  /** From now on requests are treated like this. */
  plan(plan: Plan): void {
    this.#plan = plan;
    this.#occurrences = new Map();
  }

  /** How often each step came since the last `plan`. */
  steps(): Record<Step, number> {
    return Object.fromEntries(this.#occurrences);
  }

  /** How many connections clients have made. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Breaks all connections there are, as the end of a server does. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.breakConnections();
    this.#session.close();
  }

  async #serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const step = stepOf(request);
    const occurrence = (this.#occurrences.get(step) ?? 0) + 1;
    this.#occurrences.set(step, occurrence);
    const mischief = this.#plan(step, occurrence);
    try {
      switch (mischief.kind) {
        case "hang":
          return;
        case "reset":
        case "reset-after":
          if (mischief.kind === "reset-after") await this.#forward(request);
          mischief.onCut?.();
          return cut(request);
        case "answer":
          return refuse(response, mischief.status, mischief.headers ?? {});
        case "pass": {
          await mischief.until;
          await Bun.sleep(mischief.delayMs ?? 0);
          const answer = await this.#forward(request);
          response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
          // Piece by piece: the answer to a watch has no end.
          if (answer.body !== null) for await (const chunk of answer.body) response.write(chunk);
          response.end();
        }
      }
    } catch {
      // The client has left, as clients with a deadline do.
      cut(request);
    }
  }

  async #forward(request: Http2ServerRequest): Promise<Response> {
    const headers = Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
      typeof value === "string" && !hopHeaders.test(name) ? [[name, value]] : [],
    );
    const body = await bodyOf(request);
    return await this.#session.fetch(this.#upstream + request.url, {
      method: request.method,
      headers,
      ...(body.length === 0 ? {} : { body }),
    });
  }
}

function stepOf({ method, url }: Http2ServerRequest): Step {
  const parts = new URL(url, "https://api").pathname.split("/");
  const [resource = "", name, subresource] = parts.slice(parts.indexOf("namespaces") + 2);
  const verb = method === "GET" && name === undefined ? "list" : (verbs[method] ?? method);
  return `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}`;
}

function refuse(response: Http2ServerResponse, code: number, headers: Readonly<Record<string, string>>): void {
  const reasons: Readonly<Record<number, string>> = {
    401: "Unauthorized",
    403: "Forbidden",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
  };
  const status = {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    code,
    reason: reasons[code] ?? "",
    message: "by the test",
  };
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(status));
}

async function bodyOf(request: Http2ServerRequest): Promise<string> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return body;
}

/** The connection itself, not only the stream: what a server that dies does. */
function cut(request: Http2ServerRequest): void {
  if (request.httpVersion === "2.0") request.stream.session?.destroy();
  else request.socket.destroy();
}
