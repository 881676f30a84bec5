// Where the runtime may not compile machine code, no system call can be made: what is left is to say so.
import { join } from "node:path";
import { expect, test } from "vitest";
import { callCni, polynicBin } from "../kit/cni-caller.ts";
import { errorOf } from "../kit/multus-site.ts";

test.each(["multus", "macvlan", "host-local"])("%s says why in one sentence, as a CNI error", async (name) => {
  const outcome = await callCni({
    executable: join(polynicBin, name),
    command: "ADD",
    config: { cniVersion: "1.0.0", name: "net", type: name },
    containerId: "c",
    netns: "/run/netns/none",
    ifName: "eth0",
    env: { BUN_JSC_useJIT: "0" },
  });
  expect(outcome.exitCode).toBe(1);
  const { msg } = errorOf(outcome);
  expect(msg).toMatch(
    /^polynic cannot make system calls: the just-in-time compiler is not allowed to run here \(check BUN_JSC_useJIT, .* or SELinux execmem\)$/,
  );
  expect(msg).not.toContain("\n");
});
