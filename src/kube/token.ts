/**
 * What can be told about a service account's token (a JSON Web Token, RFC 7519) without its key: whose it is and when it expires. `what` is
 * how the sentence calls it. For any other token just that it may have expired.
 */
export function describeExpiry(token: string, what: string, now = Date.now()): string {
  const { exp, sub } = claimsOf(token);
  const name = typeof sub === "string" ? `${what} of ${sub}` : what;
  if (typeof exp !== "number") return `${name} may have expired or been revoked`;
  const at = new Date(exp * 1000).toISOString().replace(".000Z", "Z");
  if (exp * 1000 <= now) return `${name} expired at ${at}`;
  return `${name} is valid until ${at} by its own words, so it was revoked (its pod or service account is gone) or is for another cluster`;
}

/** When a service account's token was issued and when it expires, in milliseconds since the epoch; undefined where it does not say. */
export function tokenTimes(token: string): {
  readonly issued: number | undefined;
  readonly expires: number | undefined;
} {
  const { iat, exp } = claimsOf(token);
  const time = (value: unknown): number | undefined => (typeof value === "number" ? value * 1000 : undefined);
  return { issued: time(iat), expires: time(exp) };
}

function claimsOf(token: string): Readonly<Record<string, unknown>> {
  try {
    const bytes = Uint8Array.fromBase64(token.split(".")[1] ?? "", { alphabet: "base64url" });
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
