import { CniError, code } from "../src/cni/error.ts";
import { printError } from "../src/cni/print.ts";
import { processEdges } from "../src/cni/serve.ts";

/** Says, as a plugin says what went wrong, that a call was begun by the agent and never ended; returns the exit code. */
export async function sayLost(): Promise<number> {
  const error = new CniError(
    code.tryAgainLater,
    "the polynic agent's worker ended in the middle of this call; nobody has done the rest of it",
    "what it made is removed by DEL; the agent's log says why it ended, POLYNIC_AGENT=off does without it",
  );
  await processEdges().writeStdout(printError(error));
  return 1;
}
