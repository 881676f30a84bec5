import { join } from "node:path";

/**
 * Compiles a program that does nothing, with our own executable's options that a start depends on, into that folder; returns its path. What it
 * takes is what nothing that is written here can go below.
 */
export async function compileEmptyProgram(folder: string): Promise<string> {
  const source = join(folder, "empty.ts");
  const outfile = join(folder, "empty");
  await Bun.write(source, "export {};\n");
  await Bun.build({
    entrypoints: [source],
    target: "bun",
    format: "esm",
    minify: true,
    bytecode: true,
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  });
  return outfile;
}
