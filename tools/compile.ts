// Compiles the executable: `bun tools/compile.ts <version> <build id> <outfile> [<the Bun to put it into>]`.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * What nearly every call of a plugin runs. The bundler makes a chunk of each set of files that the same lazily loaded modules need, and one
 * call would load fifty of them at 20,000 instructions each; a function that is loaded and never called costs only 700. So each lazily
 * loaded module is made to need all of this, and it becomes one chunk.
 */
const core = [
  "cmd/plugin-call.ts",
  "src/cni/dispatcher-type.ts",
  "src/cni/serve.ts",
  "src/ip/range.ts",
  "src/log/open.ts",
  "src/plugins/common/check.ts",
  "src/plugins/common/child-link.ts",
  "src/plugins/common/child-plugin.ts",
  "src/plugins/common/complete-link.ts",
  "src/plugins/common/mac.ts",
  "src/plugins/common/master.ts",
  "src/plugins/common/netns-lock.ts",
];

const root = dirname(import.meta.dirname);
const [version, buildId, outfile, base] = process.argv.slice(2);
if (version === undefined || buildId === undefined || outfile === undefined)
  throw new TypeError("usage: compile.ts <version> <build id> <outfile> [<bun>]");

const entry = join(root, "cmd", "polynic.ts");

/**
 * Marks a copy of a file that the entry has for itself. Whatever the entry imports, others need too: it would load a chunk for each set of
 * them, and what a chunk gives to others costs 2,000 instructions a name. So it shares nothing, and VERSION, the caller of an agent and a DEL
 * that finds nothing run one small chunk. Files that it imports hold no state and no class that the rest of the program would have to share.
 */
const ofEntry = "?entry";

/** Files of constants: their numbers stand in the code of those who import them. */
const constantFiles = [
  "src/agent/protocol.ts",
  "src/libc/system-calls.ts",
  "src/netlink/constants.ts",
  "src/nft/constants.ts",
  "src/rtnl/constants.ts",
];
const constants = new Map<string, Readonly<Record<string, unknown>>>();
for (const file of constantFiles)
  constants.set(join(root, file), (await import(join(root, file))) as Record<string, unknown>);

const importsOfCore = core.map((file) => `import ${JSON.stringify(join(root, file))};`).join(" ");
const lazilyLoaded = new Set<string>();

const fewChunks: Bun.BunPlugin = {
  name: "few chunks, few names",
  setup(build) {
    build.onResolve({ filter: /^\./ }, ({ path, importer, kind }) => {
      const file = join(dirname(importer), path);
      if (kind === "dynamic-import") lazilyLoaded.add(file);
      else if (importer === entry || importer.endsWith(ofEntry)) return { path: file + ofEntry };
      return { path: file };
    });
    build.onLoad({ filter: /\.ts(?:\?entry)?$/ }, ({ path }) => {
      const file = path.replace(ofEntry, "");
      const text = constantsInPlace(file, readFileSync(file, "utf8"));
      return { contents: lazilyLoaded.has(path) ? `${text} ${importsOfCore}` : text, loader: "ts" };
    });
  },
};

/**
 * The text of a file with its constants where the bundler puts their values in place of their names, which is in front of all imports: these
 * come last. A constant that a chunk declares costs each start 2,000 instructions, and an ADD would meet three hundred. Lines stay where they
 * are, for the source maps.
 */
function constantsInPlace(file: string, text: string): string {
  let imports = "";
  const rest = text.replace(/^import\s[^;]*;$/gm, (statement) => {
    const [, list = "", from = ""] = /^import \{([^}]*)\} from "(\..*)";$/.exec(statement) ?? [];
    const values = constants.get(join(dirname(file), from)) ?? {};
    const names = list.split(",").map((name) => name.trim());
    const numbers = names.filter((name) => typeof values[name] === "number");
    const others = names.filter((name) => name !== "" && !numbers.includes(name));
    if (numbers.length === 0) imports += statement.replaceAll("\n", " ");
    else if (others.length > 0) imports += `import { ${others.join(", ")} } from "${from}";`;
    return numbers.map((name) => `const ${name} = ${Number(values[name])};`).join("") + statement.replace(/[^\n]/g, "");
  });
  return `${rest} ${imports}`;
}

await Bun.build({
  entrypoints: [entry],
  target: "bun",
  format: "esm",
  minify: true,
  bytecode: true,
  sourcemap: "external",
  splitting: true,
  // Small chunks without side effects ride along with others.
  minChunkSize: 4096,
  define: {
    BUILD_VERSION: JSON.stringify(version),
    BUILD_ID: JSON.stringify(buildId),
    "process.env.NODE_ENV": JSON.stringify("production"),
  },
  plugins: [fewChunks],
  compile: {
    outfile,
    ...(base === undefined ? {} : { executablePath: base }),
    autoloadDotenv: false,
    autoloadBunfig: false,
    // A process of a few milliseconds gains nothing from compiled code, and the thread that compiles costs it a start and an end: a hundred
    // times the calls before a function is compiled. The command line, which may run for long, takes that back.
    jitPolicy: 100,
    execArgv: ["--disallow-code-generation-from-strings=strict"],
  },
});
