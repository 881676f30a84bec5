// The lanes of `npm test`: what each proves, what it needs of the machine, and how that is prepared.
import { messageOf } from "../src/words/message.ts";
import { busybox, containerd, type DebianProgram, ensureProgram, etcd, runc } from "./kit/debian-program.ts";
import { type Isolation, isolationProblem } from "./kit/isolation.ts";
import { ensureMuslRoot } from "./kit/musl-root.ts";
import { ensureExecutables } from "./kit/packages.ts";
import { buildPeers, goVersion, type PeerGroup } from "./kit/peer-tools.ts";

type Say = (line: string) => void;

export interface Lane {
  /** Also the name of the vitest project. */
  readonly name: string;
  readonly about: string;
  /** Into how many its files are divided, each part with namespaces (and servers) of its own; the longer it takes the more. */
  readonly parts: number;
  /** Runs in namespaces of its own (kit/isolation.ts). */
  readonly isolated: false | Isolation;
  /** Gets ready what is missing. Returns why the lane can't run here, or undefined when it can. */
  readonly prepare: (say: Say) => Promise<string | undefined> | string | undefined;
}

/** Builds programs to compare with or to run against. Returns why they can't be built, or undefined. */
async function goPrograms(groups: readonly PeerGroup[], say: Say): Promise<string | undefined> {
  if (goVersion() === undefined) return "needs Go on the PATH (https://go.dev/dl or `apt-get install golang-go`)";
  for (const group of groups) {
    try {
      await buildPeers(say, group);
    } catch (error) {
      return `the Go programs of group ${group} did not build: ${messageOf(error)}`;
    }
  }
  return undefined;
}

/** Unpacks what is missing of them. Returns why one can't be had, or undefined. */
function debianPrograms(programs: readonly DebianProgram[], say: Say): string | undefined {
  for (const program of programs) {
    const problem = ensureProgram(program, say);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** A container runtime mounts file systems and makes control groups, which a user namespace does not allow it. */
function rootProblem(): string | undefined {
  return process.getuid?.() === 0 ? undefined : "needs root: containerd mounts file systems and makes control groups";
}

const kernelTools = ["ip", "nft", "iptables", "strace", "nsenter"] as const;

export const lanes: readonly Lane[] = [
  { name: "unit", about: "pure code, byte tables, properties", parts: 1, isolated: false, prepare: () => undefined },
  {
    name: "live",
    about: "the executable in fresh network namespaces",
    parts: 4,
    isolated: "network",
    prepare: (say) => ensureExecutables(kernelTools, say) ?? isolationProblem(),
  },
  {
    name: "kernel",
    about: "the executable, and the Go plugins beside it, on a User Mode Linux kernel",
    parts: 4,
    isolated: false,
    prepare: async (say) => {
      if (process.arch !== "x64") return `user-mode-linux runs on x64 only, this machine is ${process.arch}`;
      const problem = ensureExecutables([...kernelTools, "linux.uml", "modprobe"], say);
      return problem ?? (await goPrograms(["plugins"], say));
    },
  },
  {
    name: "peers",
    about: "the same calls to the Go plugins and to the executable",
    parts: 3,
    isolated: "network",
    prepare: async (say) => {
      const problem = ensureExecutables(kernelTools, say) ?? isolationProblem();
      if (problem !== undefined) return problem;
      return await goPrograms(["plugins"], say);
    },
  },
  {
    name: "api",
    about: "a real kube-apiserver: requests, faults, credentials, Go Multus and Go whereabouts beside the executable",
    parts: 4,
    isolated: "network",
    prepare: async (say) => {
      const problem = ensureExecutables([...kernelTools, "openssl", "setpriv"], say) ?? isolationProblem();
      return problem ?? ensureProgram(etcd, say) ?? (await goPrograms(["plugins", "kubernetes", "whereabouts"], say));
    },
  },
  {
    name: "cri",
    about: "pods on a real containerd and runc, through the container runtime interface",
    parts: 1,
    isolated: "node",
    prepare: async (say) => {
      const tools = [...kernelTools, "setpriv", "g++", "make"] as const;
      const problem = rootProblem() ?? ensureExecutables(tools, say) ?? isolationProblem();
      const files = problem ?? debianPrograms([containerd, runc, busybox], say) ?? ensureMuslRoot(say);
      return files ?? (await goPrograms(["plugins", "cri", "containerd"], say));
    },
  },
  {
    name: "node",
    about: "a whole node: kubelet, containerd and runc, with a real kube-apiserver and etcd",
    parts: 3,
    isolated: "node",
    prepare: async (say) => {
      // What the machine's own kernel may lack is walked through in a guest, where there can be one.
      const guest = process.arch === "x64" ? (["linux.uml", "modprobe"] as const) : [];
      const problem =
        rootProblem() ?? ensureExecutables([...kernelTools, "openssl", "setpriv", ...guest], say) ?? isolationProblem();
      const programs = [etcd, containerd, runc, busybox];
      return problem ?? debianPrograms(programs, say) ?? (await goPrograms(["plugins", "kubernetes", "cri"], say));
    },
  },
];
