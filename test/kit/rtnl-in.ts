import { open, O_RDONLY } from "../../src/libc/file.ts";
import { CLONE_NEWNET, setns } from "../../src/libc/namespace.ts";
import { Rtnl } from "../../src/rtnl/rtnl.ts";

/** Our own rtnetlink conversation with the network namespace at `path`; the thread is back in its own when this returns. */
export function rtnlIn(path: string): Rtnl {
  using home = open("/proc/thread-self/ns/net", O_RDONLY);
  using there = open(path, O_RDONLY);
  setns(there, CLONE_NEWNET);
  try {
    return Rtnl.open(path);
  } finally {
    setns(home, CLONE_NEWNET);
  }
}
