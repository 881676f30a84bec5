// cnitool, and with it libcni as every container runtime embeds it, drives our executables through their whole life.
import { describe, expect, test } from "vitest";
import { polynicBin } from "../kit/cni-caller.ts";
import { argsOf, type Json, type MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";
import { cnitool, type CnitoolCall } from "./cnitool.ts";

const site = useSite();

/** The networks that cnitool finds, and the interfaces that a pod gets of each. */
function networks(here: MultusSite): Record<string, { plugins: Json[]; interfaces: string[] }> {
  const hostLocal = (subnet: string) => ({ type: "host-local", dataDir: here.path("leases"), ranges: [[{ subnet }]] });
  return {
    macvlan: { plugins: [here.macvlan("", "10.2.0.0/24")], interfaces: ["eth0"] },
    bridge: {
      plugins: [{ type: "bridge", bridge: "cbr0", isGateway: true, ipam: hostLocal("10.3.0.0/24") }],
      interfaces: ["eth0"],
    },
    multus: { plugins: [here.conf()], interfaces: ["eth0", "net1", "x0"] },
    "multus over bridge": {
      plugins: [
        here.conf({
          delegates: [
            {
              cniVersion: "1.1.0",
              name: "cluster",
              type: "bridge",
              bridge: "cbr1",
              isDefaultGateway: true,
              ipam: hostLocal("10.4.0.0/24"),
            },
          ],
        }),
      ],
      interfaces: ["eth0", "net1", "x0"],
    },
  };
}

function prepare(
  name: string,
  cniVersion: string,
): {
  pod: SitePod;
  call: (verb: CnitoolCall["verb"], of?: SitePod) => ReturnType<typeof cnitool>;
  interfaces: string[];
} {
  const here = site();
  const { plugins, interfaces } = networks(here)[name]!;
  here.network("one", here.macvlan("one", "10.5.0.0/24"));
  here.network("two", here.macvlan("two", "10.6.0.0/24"));
  const network = name.replaceAll(" ", "-");
  here.folder.write(`conf/10-${network}.conflist`, { cniVersion, name: network, plugins });
  const pod = here.pod("one,two@x0");
  const call = (verb: CnitoolCall["verb"], of = pod) =>
    cnitool({
      verb,
      network,
      netns: of.netns.path,
      node: here.node,
      confDir: here.path("conf"),
      path: polynicBin,
      args: argsOf(of).replace("IgnoreUnknown=1;", "IgnoreUnknown=true;"),
    });
  return { pod, call, interfaces };
}

const linksOf = (here: MultusSite, pod: SitePod) =>
  Object.keys(here.kernel(pod)[pod.name]!.links)
    .filter((link) => link !== "lo")
    .sort();

describe.each(["macvlan", "bridge", "multus", "multus over bridge"])("%s", (name) => {
  test("status, add, check, a second check after tampering, del, del", async () => {
    const here = site();
    const { pod, call, interfaces } = prepare(name, "1.1.0");
    const succeeds = { exitCode: 0, stderr: "" };
    expect(await call("status")).toMatchObject(succeeds);
    const added = await call("add");
    expect(added).toMatchObject({
      ...succeeds,
      result: {
        cniVersion: "1.1.0",
        interfaces: expect.arrayContaining([
          expect.objectContaining({ name: "eth0", sandbox: pod.netns.path }),
        ]) as unknown,
      },
    });
    expect(linksOf(here, pod)).toEqual(interfaces);
    expect(await call("check")).toMatchObject(succeeds);
    pod.netns.ip(`link set ${interfaces.at(-1)} down`, `addr flush dev ${interfaces.at(-1)}`);
    expect((await call("check")).exitCode).not.toBe(0);
    expect(await call("del")).toMatchObject(succeeds);
    expect([linksOf(here, pod), here.leases(), here.files("cni")]).toEqual([[], [], []]);
    expect(await call("del")).toMatchObject(succeeds);
  });

  test("gc takes down what cnitool remembers", async () => {
    const here = site();
    const { pod, call } = prepare(name, "1.1.0");
    const gone = here.pod("one");
    expect(await call("add")).toMatchObject({ exitCode: 0 });
    expect(await call("add", gone)).toMatchObject({ exitCode: 0 });
    gone.netns[Symbol.dispose]();
    // cnitool deletes each attachment itself, and sends null for the list of those that stay: that removes nothing more.
    const collected = await call("gc");
    expect(collected).toMatchObject({ exitCode: 0 });
    expect(collected.stderr).toMatch(
      /^\S+ \[error\] GC of network \S+ lists no cni.dev\/valid-attachments; nothing is removed\n$/,
    );
    expect([linksOf(here, pod), here.leases(), here.files("cni")]).toEqual([[], [], []]);
  });

  test.each(["0.3.1", "0.4.0", "1.0.0"])("adds and deletes with a list of version %s", async (cniVersion) => {
    const here = site();
    const { pod, call, interfaces } = prepare(name, cniVersion);
    const { result, exitCode } = await call("add");
    expect([exitCode, (result as { cniVersion: string }).cniVersion]).toEqual([0, cniVersion]);
    expect(linksOf(here, pod)).toEqual(interfaces);
    expect(await call("del")).toMatchObject({ exitCode: 0, stderr: "" });
    expect([linksOf(here, pod), here.leases(), here.files("cni")]).toEqual([[], [], []]);
  });
});

test("our multus may be followed by other plugins of a chain, which see its result", async () => {
  const here = site();
  here.script(
    "sees",
    `[ "$CNI_COMMAND" = ADD ] && cat > ${here.path("seen.json")}`,
    `echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0"}]}'`,
  );
  here.folder.write("conf/10-chain.conflist", {
    cniVersion: "1.0.0",
    name: "chain",
    plugins: [here.conf(), { type: "sees" }],
  });
  const pod = here.pod();
  const call = (verb: CnitoolCall["verb"]) =>
    cnitool({
      verb,
      network: "chain",
      netns: pod.netns.path,
      node: here.node,
      confDir: here.path("conf"),
      path: `${polynicBin}:${here.path("bin")}`,
      args: argsOf(pod).replace("IgnoreUnknown=1;", "IgnoreUnknown=true;"),
    });
  expect(await call("add")).toMatchObject({ exitCode: 0 });
  expect(await Bun.file(here.path("seen.json")).json()).toMatchObject({
    prevResult: { cniVersion: "1.0.0", ips: [{ address: "10.1.0.2/16" }] },
  });
  expect(await call("del")).toMatchObject({ exitCode: 0, stderr: "" });
});
