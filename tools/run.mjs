// Entry of the npm scripts: `node tools/run.mjs build|check|fmt|test|demo|image|bench`.
import { join } from "node:path";
import { build, bunPath, check, prepareModules, root, run } from "./steps.mjs";

const [verb, ...rest] = process.argv.slice(2);
const verbs = {
  build,
  check,
  fmt() {
    prepareModules();
    run(bunPath(), [
      "fmt",
      "--no-script",
      "--print-width=120",
      "cmd",
      "src",
      "test",
      "bench",
      "tools",
      "vitest.config.ts",
    ]);
  },
  test() {
    build();
    run(bunPath(), [join(root, "test", "run.ts"), ...rest]);
  },
  demo() {
    build();
    run(bunPath(), [join(root, "test", "demo.ts"), ...rest]);
  },
  image() {
    build();
    run(bunPath(), [join(root, "tools", "image.ts"), ...rest]);
  },
  bench() {
    build();
    const [first, ...more] = rest;
    if (first === "node") run(bunPath(), [join(root, "bench", "node.ts"), ...more]);
    else run(bunPath(), [join(root, "bench", "run.ts"), ...rest]);
  },
};
const action = verbs[verb];
if (action === undefined) {
  process.stderr.write(`polynic: expected one of ${Object.keys(verbs).join(", ")}; got ${verb ?? "nothing"}\n`);
  process.exit(2);
}
action();
