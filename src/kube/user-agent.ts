declare const BUILD_VERSION: string | undefined;

/** "polynic/<version> (<verb>)", so that an audit log tells which program asked, and what for. */
export function userAgent(verb: string): string {
  return `polynic/${typeof BUILD_VERSION === "string" ? BUILD_VERSION : "development"} (${verb})`;
}
