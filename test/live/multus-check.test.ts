// CHECK looks at all attachments of a container, and STATUS at what an ADD would need.
import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, type SitePod, useSite } from "../kit/multus-site.ts";

const site = useSite();

/** A pod with four networks, attached. */
async function attached(): Promise<SitePod> {
  const here = site();
  for (const index of [1, 2, 3]) here.network(`n${index}`, here.macvlan(`n${index}`, `10.${index + 1}.0.0/24`));
  const pod = here.pod([
    { name: "n1" },
    { name: "n2", "default-route": ["10.3.0.1"] },
    { name: "n3", interface: "lan0" },
  ]);
  await mustCallCni(here.cniCall("ADD", pod));
  return pod;
}

test.each<[string, readonly string[], readonly string[]]>([
  ["nothing", [], []],
  ["the default network's link", ["link del eth0"], ['network "default-net" (interface eth0)']],
  ["a pod's own network's link", ["link del net1"], ['network "default/n1" (interface net1)']],
  ["an address", ["addr flush dev lan0"], ['network "default/n3" (interface lan0)']],
  [
    "the default route that the annotation moved",
    ["route del default dev net2"],
    ['network "default/n2" (interface net2)'],
  ],
  [
    "two networks",
    ["link del net1", "addr flush dev net2"],
    ['network "default/n1" (interface net1)', 'network "default/n2" (interface net2)'],
  ],
])("CHECK after somebody took away %s", async (_, lines, wanted) => {
  const here = site();
  const pod = await attached();
  if (lines.length > 0) pod.netns.ip(...lines);
  const outcome = await here.call("CHECK", pod);
  if (wanted.length === 0) expect(outcome).toMatchObject({ exitCode: 0, stdout: "" });
  else {
    const { msg } = errorOf(outcome);
    expect(msg).toContain(`Multus: [default/${pod.name}/${pod.uid}]: `);
    expect(msg.match(/network "[^"]*" \(interface \w+\)/g)).toEqual(wanted);
  }
  await mustCallCni(here.cniCall("DEL", pod));
});

describe("CHECK of a container", () => {
  test("that is unknown is code 3", async () => {
    const here = site();
    const { code, msg } = errorOf(await here.call("CHECK", here.pod()));
    expect(code).toBe(3);
    expect(msg).toContain("there is no journal of it");
  });

  test("passes over networks whose version has no CHECK, and lists that disable it", async () => {
    const here = site();
    here.network("old", { ...here.macvlan("old", "10.6.0.0/24"), cniVersion: "0.3.1" });
    here.network("off", { cniVersion: "1.0.0", disableCheck: true, plugins: [here.macvlan("", "10.7.0.0/24")] });
    const pod = here.pod("old,off");
    await mustCallCni(here.cniCall("ADD", pod));
    pod.netns.ip("link del net1", "link del net2");
    expect(await here.call("CHECK", pod)).toMatchObject({ exitCode: 0 });
    await mustCallCni(here.cniCall("DEL", pod));
  });

  test("whose network was deleted since still knows it from the journal (BUG 4.2: Multus looks at the config only)", async () => {
    const here = site();
    const pod = await attached();
    rmSync(here.path("manifests/nad-default-n1.json"));
    expect(await here.call("CHECK", pod)).toMatchObject({ exitCode: 0 });
    pod.netns.ip("link del net1");
    expect((await here.call("CHECK", pod)).exitCode).toBe(1);
    await mustCallCni(here.cniCall("DEL", pod));
  });
});

describe("STATUS", () => {
  const status = async (conf: object) => {
    const here = site();
    return here.call("STATUS", here.pod(), { conf: { ...conf } });
  };

  test("succeeds when an ADD could be served, and leaves nothing", async () => {
    expect(await status({})).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(site().files("cni")).toEqual([]);
  });

  test("says at once that the readiness file is missing: code 50 (Multus waits 45 s)", async () => {
    const outcome = await status({ readinessindicatorfile: "/nowhere/ready" });
    expect(errorOf(outcome)).toMatchObject({ code: 50, msg: expect.stringContaining("/nowhere/ready") as unknown });
    expect(outcome.durationMs).toBeLessThan(30_000);
  });

  test("says that cniDir can't be written: code 50", async () => {
    expect(errorOf(await status({ cniDir: "/proc/nowhere" }))).toMatchObject({ code: 50 });
  });

  test("passes the default network's own code on", async () => {
    const here = site();
    here.script("sick", `echo '{"code": 51, "msg": "no uplink"}'`, "exit 1");
    const error = errorOf(await status({ delegates: [{ cniVersion: "1.1.0", name: "x", type: "sick" }] }));
    expect(error).toMatchObject({ code: 51, msg: "no uplink" });
  });

  test("resolves clusterNetwork by name without a pod (BUG 1.3: Multus crashes)", async () => {
    const here = site();
    here.folder.write("net.d/status.conf", here.macvlan("by-name", "10.8.0.0/24"));
    expect(await status({ delegates: undefined, clusterNetwork: "by-name" })).toMatchObject({ exitCode: 0 });
    expect(errorOf(await status({ delegates: undefined, clusterNetwork: "nowhere" })).msg).toContain(
      "failed to get clusterNetwork nowhere in namespace kube-system",
    );
  });

  test("tells a missing master before any pod finds out", async () => {
    const here = site();
    const error = errorOf(await status({ delegates: [{ ...here.macvlan("x", "10.9.0.0/24"), master: "eth9" }] }));
    expect(error).toMatchObject({ code: 50, msg: expect.stringContaining("eth9") as unknown });
  });
});

describe("the readiness file", () => {
  test("is waited for by ADD", async () => {
    const here = site();
    const ready = here.path("ready");
    const pod = here.pod();
    const conf = { readinessindicatorfile: ready };
    const adding = here.call("ADD", pod, { conf });
    await Bun.sleep(300);
    expect(here.files("cni")).toEqual([]);
    here.folder.write("ready", "");
    expect(await adding).toMatchObject({ exitCode: 0 });
    rmSync(ready);
    expect(await here.call("CHECK", pod, { conf })).toMatchObject({ exitCode: 0 });
    expect(await here.call("DEL", pod, { conf })).toMatchObject({ exitCode: 0 });
  });
});
