import type { AccessTls } from "./access.ts";

/** A pool of connections to one server, as one user where a certificate says who that is. */
export interface Session {
  readonly pool: Bun.FetchSession;
  /** False once the server, or something before it, has said that it does not. */
  speaksHttp2: boolean;
  /** When it was last asked for something, on the clock of performance.now(). */
  usedMs: number;
}

/**
 * A connection that was idle for longer may be dead without having said so: load balancers and address translation forget it. Every server
 * keeps one for longer.
 */
const idleLimitMs = 30_000;
/** A node has one or two kubeconfigs; more are those that were replaced. */
const keptMost = 4;

let kept: Map<string, Session> | undefined;

/**
 * From now on sessions are kept when their `Connection` goes: for a process that does one call after the other. Each call reads its access
 * anew, and finds the session only if it would make the very same one.
 */
export function keepSessions(): void {
  kept ??= new Map();
}

/** A session of these facts: one that was kept, or else a new one. */
export function sessionTo(server: string, tls: AccessTls, proxyUrl: string | undefined): Session {
  if (kept === undefined) return open(tls, proxyUrl);
  const key = JSON.stringify([server, tls, proxyUrl]);
  const oldestMs = performance.now() - idleLimitMs;
  for (const session of kept.values()) if (session.usedMs < oldestMs) dropSession(session);
  const found = kept.get(key) ?? open(tls, proxyUrl);
  kept.set(key, found);
  const [first] = kept.values();
  if (kept.size > keptMost && first !== undefined) dropSession(first);
  return found;
}

/** What a `Connection` that goes does with its session: closes it unless sessions are kept. */
export function leaveSession(session: Session): void {
  if (kept === undefined) dropSession(session);
}

/** Closes its connections; the next session is a new one. */
export function dropSession(session: Session): void {
  session.pool.close();
  for (const [key, one] of kept ?? []) if (one === session) kept?.delete(key);
}

function open(tls: AccessTls, proxyUrl: string | undefined): Session {
  return { pool: openPool(tls, proxyUrl), speaksHttp2: true, usedMs: performance.now() };
}

function openPool(tls: AccessTls, proxyUrl: string | undefined): Bun.FetchSession {
  return new Bun.FetchSession({
    tls: {
      // Said outright: the environment could switch it off otherwise.
      rejectUnauthorized: !tls.skipsVerification,
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
      ...(tls.serverName === undefined ? {} : { serverName: tls.serverName }),
    },
    proxy: proxyUrl ?? false,
  });
}
