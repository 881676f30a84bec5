// The lanes of `npm test`: what each proves, what it needs of the machine, and how that is prepared.
import { isolationProblem } from "./kit/isolation.ts";
import { ensureExecutables } from "./kit/packages.ts";
import { buildPeers, goVersion } from "./kit/peer-tools.ts";

type Say = (line: string) => void;

export interface Lane {
  /** Also the name of the vitest project. */
  readonly name: string;
  readonly about: string;
  /** Runs in namespaces of its own (kit/isolation.ts). */
  readonly isolated: boolean;
  /** Gets ready what is missing. Returns why the lane can't run here, or undefined when it can. */
  readonly prepare: (say: Say) => Promise<string | undefined> | string | undefined;
}

const kernelTools = ["ip", "nft", "iptables", "strace", "nsenter"] as const;

export const lanes: readonly Lane[] = [
  { name: "unit", about: "pure code, byte tables, properties", isolated: false, prepare: () => undefined },
  {
    name: "live",
    about: "the executable in fresh network namespaces",
    isolated: true,
    prepare: (say) => ensureExecutables(kernelTools, say) ?? isolationProblem(),
  },
  {
    name: "kernel",
    about: "the executable on a User Mode Linux kernel",
    isolated: false,
    prepare: (say) => {
      if (process.arch !== "x64") return `user-mode-linux runs on x64 only, this machine is ${process.arch}`;
      return ensureExecutables(["linux.uml", "modprobe", "ip", "nft", "iptables"], say);
    },
  },
  {
    name: "peers",
    about: "the same calls to the Go plugins and to the executable",
    isolated: true,
    prepare: async (say) => {
      const problem = ensureExecutables(kernelTools, say) ?? isolationProblem();
      if (problem !== undefined) return problem;
      if (goVersion() === undefined) return "needs Go on the PATH (https://go.dev/dl or `apt-get install golang-go`)";
      return await buildPeers(say).then(
        () => undefined,
        (error: unknown) => `the Go peers did not build: ${error instanceof Error ? error.message : String(error)}`,
      );
    },
  },
];
