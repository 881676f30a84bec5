import { processEdges } from "../src/cni/serve.ts";
import { FfiUnavailable } from "../src/libc/ffi.ts";
import { isTerminal } from "../src/libc/standard.ts";

/** Where a verb writes to. */
export interface Terminal {
  /** Standard output, for what was asked for. */
  out(text: string): Promise<void>;
  /** Standard error, for what went wrong and for progress. */
  error(text: string): Promise<void>;
  /** For `out`. */
  readonly colours: Colours;
  /** For `error`: either may go to a file while the other is on a terminal. */
  readonly errorColours: Colours;
}

/** Wraps a text in an escape sequence, or returns it as it is. */
export type Colour = (text: string) => string;

/** What is set off on a terminal, and how. */
export interface Colours {
  readonly heading: Colour;
  readonly bad: Colour;
  readonly faint: Colour;
}

const escapes = { heading: "1", bad: "31", faint: "2" };
const stdoutFd = 1;
const stderrFd = 2;

/** This process's own terminal: colours only where a stream is one and NO_COLOR (https://no-color.org) is empty. */
export function processTerminal(): Terminal {
  const { NO_COLOR = "", TERM = "" } = process.env;
  const coloursOf = (fd: 1 | 2): Colours => colours(NO_COLOR === "" && TERM !== "dumb" && isColourful(fd));
  // Not Bun.write: nothing written to a file empties it, and so would lose what `>> FILE` or `2>&1` has there already.
  const { writeStdout, writeStderr } = processEdges();
  return {
    async out(text) {
      if (text !== "") await writeStdout(text);
    },
    async error(text) {
      if (text !== "") await writeStderr(text);
    },
    colours: coloursOf(stdoutFd),
    errorColours: coloursOf(stderrFd),
  };
}

/** Where no system call can be made, one line will say so, and without colours. */
function isColourful(fd: 1 | 2): boolean {
  try {
    return isTerminal(fd);
  } catch (error) {
    if (error instanceof FfiUnavailable) return false;
    throw error;
  }
}

/** The colours, or no change at all. */
export function colours(isOn: boolean): Colours {
  const colour =
    (escape: string): Colour =>
    (text) =>
      isOn ? `\x1b[${escape}m${text}\x1b[0m` : text;
  return { heading: colour(escapes.heading), bad: colour(escapes.bad), faint: colour(escapes.faint) };
}
