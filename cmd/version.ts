declare const BUILD_VERSION: string | undefined;
declare const BUILD_ID: string | undefined;

/** "0.1.0+<commit>" as the build put it in; "development" when the sources run without one. */
export const version = typeof BUILD_VERSION === "string" ? BUILD_VERSION : "development";

/** Differs whenever any source does, committed or not. */
export const buildId = typeof BUILD_ID === "string" ? BUILD_ID : version;
