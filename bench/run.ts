// `npm run bench`: polynic beside the Go originals, pair by pair in one run; writes docs/performance.md.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureProgram, etcd } from "../test/kit/debian-program.ts";
import { buildPeers } from "../test/kit/peer-tools.ts";
import { isolated } from "../test/kit/isolation.ts";
import { apiCases } from "./api-cases.ts";
import { cases } from "./cases.ts";
import { describeMachine } from "./machine.ts";
import { portCases } from "./port-cases.ts";
import { renderTable, type Row } from "./table.ts";

/** A bench of its own, since it takes minutes: `npm run bench -- whereabouts`. */
const whereabouts = "whereabouts";
const insideMark = "POLYNIC_BENCH_INSIDE";

function say(line: string): void {
  process.stderr.write(`polynic: ${line}\n`);
}

/** Outside: prepares, then starts itself again in namespaces of its own. Inside: measures. */
async function main(): Promise<number> {
  const { bin } = await buildPeers(say);
  await buildPeers(say, "kubernetes");
  if (process.argv[2] === whereabouts) await buildPeers(say, "whereabouts");
  const problem = ensureProgram(etcd, say);
  if (problem !== undefined) throw new Error(problem);
  if (process.env[insideMark] === undefined) {
    const child = Bun.spawn(isolated([process.execPath, import.meta.filename, ...process.argv.slice(2)]), {
      env: { ...process.env, [insideMark]: "1" },
      stdio: ["ignore", "inherit", "inherit"],
    });
    return await child.exited;
  }
  const only = process.argv.slice(2);
  if (only[0] === whereabouts) {
    const { ipamBench } = await import("./ipam.ts");
    await ipamBench(only.slice(1), say);
    return 0;
  }
  const rows: Row[] = [];
  for (const measure of [...cases(bin), ...portCases(bin), ...apiCases(bin)]) {
    if (only.length > 0 && !only.some((word) => measure.name.includes(word))) continue;
    say(`measuring ${measure.name}`);
    rows.push(...(await measure.run()));
  }
  const table = renderTable(rows);
  process.stdout.write(`${table}\n`);
  if (only.length === 0) {
    const path = join(import.meta.dirname, "..", "docs", "performance.md");
    writeFileSync(path, `${header()}\n${table}\n`);
    say("wrote docs/performance.md");
  }
  return 0;
}

function header(): string {
  return `# Performance

\`npm run bench\` wrote this page. Every row is one run of both programs in turn (theirs, ours, theirs, ours …) on one machine, so only the ratio
travels to other machines; it is the median of the ratios pair by pair.

Machine: ${describeMachine()}
`;
}

process.exit(await main());
