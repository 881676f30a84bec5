// An HTTP server on loopback that answers as a test says, and remembers what it was asked.
import { Connection } from "./connection.ts";
import { type ClientOptions, KubeClient } from "./client.ts";
import { silentLogger } from "../log/logger.ts";

export interface Asked {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

export type Answerer = (request: Asked, number: number) => Response | Promise<Response>;

export class ScriptedServer implements Disposable {
  readonly asked: Asked[] = [];
  readonly url: string;
  readonly #server: Bun.Server<undefined>;

  constructor(answer: Answerer) {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        const { method, headers } = request;
        const asked = { method, path: pathname + search, headers, body: await request.text() };
        this.asked.push(asked);
        return await answer(asked, this.asked.length);
      },
    });
    this.url = `http://127.0.0.1:${this.#server.port}`;
  }

  /** A client of this server; `token` is asked for before each request. */
  client(timeoutMs = 5000, token?: () => string, more: Pick<ClientOptions, "cure" | "end"> = {}): KubeClient {
    const connection = new Connection(() => ({
      server: this.url,
      tls: { skipsVerification: false },
      credential: token === undefined ? { kind: "anonymous" } : { kind: "token", token: token() },
      namespace: "default",
      origin: "kubeconfig of the test",
    }));
    return new KubeClient(connection, { timeoutMs, userAgent: "polynic/test (unit)", log: silentLogger, ...more });
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

/** A Status object as API servers answer failures. */
export function statusAnswer(code: number, reason: string, message = "", details: object = {}, headers = {}): Response {
  const status = { kind: "Status", apiVersion: "v1", status: "Failure", message, reason, details, code };
  return Response.json(status, { status: code, headers });
}
