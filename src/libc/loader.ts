/** Where glibc's dynamic loader lies, by architecture. */
const loaders: Readonly<Record<string, string>> = {
  x64: "/lib64/ld-linux-x86-64.so.2",
  arm64: "/lib/ld-linux-aarch64.so.1",
};

/** The dynamic loader that the executable names: a system without it can't start it at all. "" for an architecture that is not built for. */
export function loaderPath(): string {
  return loaders[process.arch] ?? "";
}
