import { messageOf } from "../words/message.ts";
import type { Access } from "./access.ts";
import { KubeError, type StatusDetails } from "./error.ts";
import { describeExpiry } from "./token.ts";
import { describeTarget, ruleFor, type Target } from "./resource.ts";

const longestMessage = 400;

/** What to do when something else than an API server seems to answer. */
export const addressHint = "is this the address of a Kubernetes API server?";

/** What is wrong with the server's certificate, by OpenSSL's names as `fetch` gives them, and what to do. */
const certificateProblems: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "its certificate is for other names",
    "use an address that the certificate names, or set tls-server-name",
  ],
  CERT_HAS_EXPIRED: ["its certificate has expired", "renew the API server's certificate; is this node's clock right?"],
  CERT_NOT_YET_VALID: ["its certificate is not valid yet", "is this node's clock right?"],
  EPROTO: ["the TLS handshake failed", "does the server speak TLS on this port?"],
};

const untrusted: readonly [string, string] = [
  "its certificate is not signed by the authority that is trusted",
  "the cluster's CA was replaced, or another server answers at this address: certificate-authority-data has to be written anew",
];

const untrustedCodes = /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|INVALID_CA|ERR_TLS)/;

/**
 * A rejection of `fetch`: no answer, or not a whole one. `limitMs` is how long it was waited for, where there was a limit. Anything else that was thrown is thrown
 * again: it is no trouble of the network's.
 */
export function fromRejection(target: Target, access: Access, cause: unknown, limitMs?: number): KubeError {
  const operation = describeTarget(target);
  const { server, origin } = access;
  const code = codeOf(cause);
  if (code === "TimeoutError" || code === "AbortError") {
    return new KubeError(
      "timeout",
      operation,
      `no answer from ${server} ${limitMs === undefined ? "in time" : `within ${seconds(limitMs)}`}`,
      { cause },
    );
  }
  if (code === "") throw cause;
  if (code === "FailedToOpenSocket") {
    const problem = "a certificate or key is no PEM text that can be used";
    return new KubeError("config", operation, `${origin}: ${problem}`, { hint: "write the file anew", cause });
  }
  const trouble = certificateProblems[code] ?? (untrustedCodes.test(code) ? untrusted : undefined);
  if (trouble !== undefined) {
    const [problem, hint] = trouble;
    return new KubeError("tls", operation, `${server}: ${problem} (${origin})`, { hint, cause });
  }
  return new KubeError("unreachable", operation, `${server}: ${connectionProblem(code, cause)}`, { cause });
}

/** An answer that says no. */
export function fromAnswer(target: Target, access: Access, response: Response, body: string): KubeError {
  const answer = parseStatus(body);
  const details: StatusDetails = {
    code: response.status,
    reason: answer.reason,
    objectName: answer.objectName,
    fields: answer.fields,
    ...retryAfter(response, answer.retryAfterSeconds),
  };
  const [problem, hint] = describe(target, access, details, answer.message);
  return new KubeError("status", describeTarget(target), problem, { hint, status: details });
}

/** "10 s", "250 ms". */
export function seconds(milliseconds: number): string {
  return milliseconds >= 999.5 ? `${Number((milliseconds / 1000).toFixed(1))} s` : `${Math.round(milliseconds)} ms`;
}

function describe(
  target: Target,
  access: Access,
  { code, reason, objectName }: StatusDetails,
  message: string,
): readonly [problem: string, hint: string] {
  if (code === 401)
    return [
      `${access.server} does not accept the credentials of ${access.origin} (401 Unauthorized)`,
      expiryHint(access),
    ];
  if (code === 403) return describeForbidden(target, access, message);
  if (code === 404 && objectName === "" && reason !== "NotFound") return describeUnknown(target);
  if (code === 404) return ["not found (404)", ""];
  if (code === 429) return ["the API server asks for fewer requests (429 Too Many Requests)", ""];
  const said = message === "" ? "" : `: ${message}`;
  return [`the API server answered ${code}${reason === "" ? "" : ` ${reason}`}${said}`, ""];
}

function describeUnknown({ resource: { plural, group } }: Target): readonly [problem: string, hint: string] {
  if (group === "") return [`the API server knows no ${plural} (404)`, addressHint];
  return [
    `the API server knows no ${plural}.${group} (404)`,
    group.startsWith("resource.")
      ? "Kubernetes 1.34 and newer have them"
      : "install their definition: kubectl apply -f deploy/crds/",
  ];
}

/** RBAC's own refusals name the user; others (a namespace that is going, an admission plugin) say in their own words why. */
function describeForbidden(target: Target, access: Access, message: string): readonly [problem: string, hint: string] {
  const user = /User "([^"]*)" cannot /.exec(message)?.[1];
  if (user === undefined) return [`forbidden (403): ${message}`, ""];
  if (user === "system:anonymous")
    return [`${access.server} does not know who asks (403 Forbidden)`, expiryHint(access)];
  return [
    `user ${user} may not (403 Forbidden)`,
    `a role of that user needs the rule ${ruleFor(target)}; deploy/rbac*.yaml have all that polynic needs`,
  ];
}

function expiryHint({ credential, origin }: Access): string {
  const written = `${origin} has to be written anew`;
  if (credential.kind === "token")
    return `${describeExpiry(credential.token, "the token")}; ${written}, or name a tokenFile there`;
  if (credential.kind === "token-file") return `kubelet or an agent has to keep the token in ${credential.file} fresh`;
  if (credential.kind === "certificate")
    return `the client certificate has expired, or another authority signed it; ${written}`;
  return `${origin} names no token and no client certificate`;
}

interface Answer {
  readonly message: string;
  readonly reason: string;
  readonly objectName: string;
  readonly fields: readonly string[];
  readonly retryAfterSeconds: number | undefined;
}

/** What a Status object says; a text of something between us and the server counts as its message. */
function parseStatus(body: string): Answer {
  const nothing = { reason: "", objectName: "", fields: [], retryAfterSeconds: undefined };
  try {
    const status: unknown = JSON.parse(body);
    if (!isRecord(status) || status["kind"] !== "Status") return { ...nothing, message: oneLine(body) };
    const details = isRecord(status["details"]) ? status["details"] : {};
    const after = details["retryAfterSeconds"];
    return {
      message: oneLine(textOf(status["message"])),
      reason: textOf(status["reason"]),
      objectName: textOf(details["name"]),
      fields: fieldsOf(details["causes"]),
      retryAfterSeconds: typeof after === "number" ? after : undefined,
    };
  } catch {
    return { ...nothing, message: oneLine(body) };
  }
}

function fieldsOf(causes: unknown): string[] {
  if (!Array.isArray(causes)) return [];
  return causes.flatMap((cause: unknown) =>
    isRecord(cause) && cause["field"] !== undefined ? [textOf(cause["field"])] : [],
  );
}

function retryAfter(response: Response, fromStatus: number | undefined): Pick<StatusDetails, "retryAfterMs"> {
  const header = /^\d+$/.exec(response.headers.get("retry-after") ?? "")?.[0];
  const asked = header === undefined ? fromStatus : Number(header);
  return asked === undefined ? {} : { retryAfterMs: asked * 1000 };
}

function connectionProblem(code: string, cause: unknown): string {
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: "connection refused",
    ECONNRESET: "the connection broke",
    HTTP2ProtocolError: "the connection broke",
    ENOTFOUND: "the name is not known",
    EHOSTUNREACH: "no route to host",
    ENETUNREACH: "network is unreachable",
    ETIMEDOUT: "connection timed out",
  };
  return known[code] ?? oneLine(messageOf(cause)).replace(/ For more information,.*/, "");
}

function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "";
  if (cause.name === "TimeoutError" || cause.name === "AbortError") return cause.name;
  return "code" in cause && typeof cause.code === "string" ? cause.code : "";
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > longestMessage ? `${line.slice(0, longestMessage)}…` : line;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
