// Asks an agent as the executable does, with a build of the test's choice: `bun agent-caller.ts SOCKET NAME BUILD [MS ROUNDS]`.
// Says what is left to do.
import { handOver } from "../../src/agent/hand-over.ts";

const [path = "", name = "", build = "", readyTimeoutMs = "30000", roundsWhileBusy = "0"] = process.argv.slice(2);
const patience = { readyTimeoutMs: Number(readyTimeoutMs), roundsWhileBusy: Number(roundsWhileBusy) };
const mustAct = handOver(path, patience, name, build, process.env["CNI_NETNS"] ?? "");
process.stdout.write(mustAct ? "not taken\n" : "lost\n");
