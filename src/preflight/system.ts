import { rareLibc } from "../libc/ffi.ts";
import { hostLibc } from "../libc/host-libc.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

/** Before this nothing of polynic was there: a clock behind it is wrong. */
const earliest = Date.UTC(2026, 0, 1);

/** What the executable itself needs of the system. `root` is the folder at which the node's / is seen. */
export function checkSystem(root: string): Finding[] {
  return [checkLoader(root), checkCalls(), checkUser(), checkClock()];
}

function checkLoader(root: string): Finding {
  const { name, loader, missing } = hostLibc(root);
  if (name === undefined) {
    const cure = "run polynic on a node whose system has glibc or musl (docs/operations.md lists systems)";
    return failed("system-libc", `the node has no ${loader}: its system can't start polynic`, cure);
  }
  if (missing === "") return ok("system-libc", `the node has ${loader}: its system can start the ${name} build`);
  const cure = "install it on the node (Alpine: apk add libstdc++)";
  return failed("system-libc", `the node has ${loader}, but no ${missing}, which the ${name} build needs`, cure);
}

/** System calls go through code that is made at run time, which hardened systems may forbid. */
function checkCalls(): Finding {
  try {
    rareLibc().geteuid();
    return ok("system-jit", "code may be made at run time, so system calls work");
  } catch (error) {
    return failed("system-jit", reasonOf(error), "allow it for CNI plugins: they run as the container runtime does");
  }
}

function checkUser(): Finding {
  if (process.getuid?.() === 0) return ok("system-user", "running as root");
  return warning("system-user", "not running as root: much can't be looked at", "run polynic check as root");
}

function checkClock(): Finding {
  const now = new Date();
  if (now.getTime() >= earliest) return ok("system-clock", `the clock says ${now.toISOString()}`);
  return failed(
    "system-clock",
    `the clock says ${now.toISOString()}`,
    "set the clock: certificates and tokens go by it",
  );
}
