// Asks an agent as the executable does, with a build of the test's choice: `bun agent-caller.ts SOCKET NAME BUILD`. Says what is left to do.
import { handOver } from "../../src/agent/hand-over.ts";

const [path = "", name = "", build = ""] = process.argv.slice(2);
const mustAct = handOver(
  path,
  { readyTimeoutMs: 30_000, roundsWhileBusy: 0 },
  name,
  build,
  process.env["CNI_NETNS"] ?? "",
);
process.stdout.write(mustAct ? "not taken\n" : "lost\n");
