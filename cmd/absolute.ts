/** The path from the root, without "." and ".." in it; a relative one counts from the working directory. */
export function absolute(path: string): string {
  return Bun.fileURLToPath(Bun.pathToFileURL(path));
}
