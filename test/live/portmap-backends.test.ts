// By what port mappings are made on a node, and what STATUS says of it.
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { callCni, polynicBin } from "../kit/cni-caller.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { dns, mappingCall, nowhere, useMappingSite, web } from "../kit/mapping-site.ts";
import { findExecutable, searchPath } from "../kit/packages.ts";

const site = useMappingSite();

describe("the back end", () => {
  const hidden = useTemporaryFolder();

  /** The executable where no iptables can be run, and where only the legacy one is found under the usual names. */
  const without = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount --bind /dev/null "$(readlink -f "$(command -v iptables)")"; exec "$@"',
    "sh",
  ];
  function legacy(): Record<string, string> {
    const folder = join(hidden().path, "legacy");
    mkdirSync(folder, { recursive: true });
    for (const name of ["iptables", "ip6tables"]) {
      for (const suffix of ["", "-restore"]) {
        symlinkSync(findExecutable(`${name}-legacy${suffix}`) ?? "", join(folder, `${name}${suffix}`));
      }
    }
    return { PATH: `${folder}:${searchPath}` };
  }

  function execute(command: string, config: object, more: object = {}) {
    return callCni({
      executable: join(polynicBin, "portmap"),
      command,
      containerId: "ctr1",
      ifName: "eth0",
      netns: nowhere,
      node: site().node,
      config: {
        cniVersion: "1.1.0",
        name: "net1",
        type: "portmap",
        runtimeConfig: { portMappings: [web, dns] },
        ...(["STATUS", "GC"].includes(command)
          ? {}
          : { prevResult: { cniVersion: "1.1.0", ips: [{ address: "10.1.2.2/24" }] } }),
        ...config,
      },
      ...more,
    });
  }

  test("is iptables by default, and the log says so", async () => {
    await site().add();
    expect(
      site()
        .present()
        .some((line) => line.includes("CNI-DN-")),
    ).toBe(true);
    expect(site().messages()).toContain("port mappings of eth0 by iptables (by default)");
    await site().caller.call(mappingCall("STATUS"));
    expect(site().messages()).toContain("port mappings by iptables (by default)");
    await site().add({ own: { conditionsV4: ["ip", "saddr", "10.0.0.0/8"] }, containerId: "ctr2" });
    expect(site().messages()).toContain("port mappings of eth0 by nftables (for the sake of conditionsV4)");
  });

  test("is nftables where iptables can't be run", async () => {
    expect((await execute("ADD", {}, { wrapper: without })).exitCode).toBe(0);
    expect(
      site()
        .present()
        .filter((line) => line.includes("dnat to")),
    ).toHaveLength(2);
    expect(await execute("CHECK", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(await execute("STATUS", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(await execute("DEL", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(site().present()).toEqual([]);
  });

  test("that is asked for and can't be is named by ADD, and code 50 of STATUS", async () => {
    const wish = { backend: "iptables" };
    expect((await execute("ADD", wish, { wrapper: without })).result).toMatchObject({
      code: 999,
      msg: expect.stringMatching(/^unable to set up port mappings of network net1: iptables.* is not on this host/),
    });
    expect((await execute("STATUS", wish, { wrapper: without })).result).toMatchObject({
      code: 50,
      msg: expect.stringMatching(/^port mappings can't be made here: iptables is not on this host/),
    });
    expect(await execute("STATUS", wish)).toMatchObject({ exitCode: 0, stdout: "" });
  });

  test("need not be there for DEL and GC of what iptables-nft has made", async () => {
    expect((await execute("ADD", {})).exitCode).toBe(0);
    expect(await execute("DEL", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(site().present()).toEqual([]);
    expect((await execute("ADD", {})).exitCode).toBe(0);
    expect(await execute("GC", { "cni.dev/valid-attachments": [] }, { wrapper: without })).toMatchObject({
      exitCode: 0,
    });
    expect(site().present()).toEqual([]);
  });

  test("may be the iptables of old", async () => {
    const old = { env: legacy() };
    for (const command of ["ADD", "CHECK", "ADD", "CHECK"]) {
      expect(await execute(command, {}, old)).toMatchObject({ exitCode: 0 });
    }
    const dnat = () =>
      site()
        .node.run("iptables-legacy-save", "-t", "nat")
        .split("\n")
        .filter((line) => line.includes("--to-destination"));
    expect(dnat()).toHaveLength(2);
    expect(site().node.run("nft", "list", "tables")).toBe("");
    expect(
      (
        await execute(
          "ADD",
          { prevResult: { cniVersion: "1.1.0", ips: [{ address: "10.1.2.3/24" }] } },
          { ...old, ifName: "eth1" },
        )
      ).exitCode,
    ).toBe(0);
    expect(dnat()).toHaveLength(4);
    expect(await execute("DEL", {}, old)).toMatchObject({ exitCode: 0, stdout: "" });
    expect(dnat()).toHaveLength(2);
    expect(
      await execute("GC", { "cni.dev/valid-attachments": [{ containerID: "ctr1", ifname: "eth1" }] }, old),
    ).toMatchObject({ exitCode: 0 });
    expect(dnat()).toHaveLength(2);
    expect(await execute("GC", { "cni.dev/valid-attachments": [] }, old)).toMatchObject({ exitCode: 0 });
    expect(site().present()).toEqual([]);
  });
});
