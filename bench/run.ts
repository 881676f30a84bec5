// `npm run bench`: polynic, without and with an agent, beside the Go originals in one run; writes docs/performance.md.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureProgram, etcd } from "../test/kit/debian-program.ts";
import { buildPeers } from "../test/kit/peer-tools.ts";
import { isolated } from "../test/kit/isolation.ts";
import { apiCases } from "./api-cases.ts";
import { cases } from "./cases.ts";
import { describeMachine } from "./machine.ts";
import { portCases } from "./port-cases.ts";
import { renderFloor, renderTable, type Row } from "./table.ts";

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
  const table = `${renderTable(rows)}\n\n${renderFloor(rows)}`;
  process.stdout.write(table);
  if (only.length === 0) {
    const path = join(import.meta.dirname, "..", "docs", "performance.md");
    writeFileSync(path, `${header()}\n${table}\n${reasons}`);
    say("wrote docs/performance.md");
  }
  return 0;
}

function header(): string {
  return `# Performance

\`npm run bench\` wrote this page. Every row is one run of all sides in turn (theirs, ours, ours with an [agent](agent.md), theirs …) on one machine, so
only the ratio travels to other machines; it is the median of the ratios run by run.

Machine: ${describeMachine()}
`;
}

/** What stands below the table whatever the run says: where the time goes. */
const reasons = `## Where targets are missed, and why

- **Without the agent it is JavaScript that runs for the first time.** A process lives for ten to thirty milliseconds and runs nearly everything once: the first call of
  a function costs about 10,000 instructions (its bytecode is decoded and linked), a class 8,000 to 14,000, a loaded chunk 21,000, a constant that a chunk
  declares 2,000, the first use of a builtin that is itself written in JavaScript 80,000 to 400,000. An empty compiled program takes about 3.4 million
  instructions, VERSION 3.8, a DEL that finds nothing 4.2, ADD of macvlan with host-local 15. The kernel's own work is about a millisecond of an ADD.
- **A part of every start is glibc asking the processor what it is.** Each CPUID instruction is a trap into the hypervisor in a virtual machine. By
  \`perf record\` over 200 starts of each they are half of the 0.9 ms of processor time that a C program takes that does nothing, linked statically (0.8 ms) too,
  where one without a C library takes 0.05, and 8 % of a start of ours. Go's programs, which have no glibc in them, do without.
- **With the agent it is the start of the caller.** The runtime executes the plugin as ever; that process hands the call over and waits. It takes 4.5 ms of
  processor time, as much as one that answers VERSION, where Go's processes start in two; nothing that is written here can make the start of a compiled
  program shorter. A warm worker then takes 1 ms for an ADD of host-local and 3 to 4 for macvlan with host-local, the kernel's millisecond included. The
  first call of each worker takes about as long as one without an agent, and after half a dozen an ADD still takes about a millisecond more than
  after fifty: the rows begin when the agent has served a hundred pods.
- **A plugin alone** is up against two Go processes that start in two milliseconds each. What polynic saves, the process for the IPAM plugin, is less than what
  its own start costs, and about as much with the agent. Within the dispatcher, where each plugin is a function, an attachment more costs about two milliseconds against Go's seven.
- **DEL** waits for one grace period of the kernel's RCU, 15 to 30 ms here, as Go does for each link; what differs is the start.
- **With an API server** the floor is the requests, one after the other: the pod, its networks, then the status and the events. Without the agent each call
  opens a connection for them: a compiled program that does nothing but GET the pod and then PATCH and POST took 16 ms at its best, half of
  it TLS and the runtime's HTTP client; a client of our own on raw sockets would save 0.2 to 0.5 ms. A worker keeps its connection, and
  delivers events when the caller has its answer, so that what remains is the caller's start and the server's own time for the other three.
- **Requests**: a GET of the pod, one of each definition, a PATCH, and an event for each interface, which is what people look for: three less than Multus at
  every size, not a third of its.
- **Port mappings by nftables**: Go needs four calls of \`nft\` for ten ports, and the rest of both sides is start-up; by iptables it needs fifty.
- **The chains** are called by hand: \`polynic add\` does the whole list in one process and asks no agent, hence the dashes.
`;

process.exit(await main());
