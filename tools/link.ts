// Links dist/bin/<plugin> to dist/polynic for every name the executable answers to.
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { pluginNames } from "../cmd/builtins.ts";

const bin = join(import.meta.dirname, "..", "dist", "bin");
rmSync(bin, { recursive: true, force: true });
mkdirSync(bin, { recursive: true });
for (const name of ["polynic", "ip-control-loop", ...pluginNames()]) symlinkSync("../polynic", join(bin, name));
