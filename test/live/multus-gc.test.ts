// GC: what the runtime no longer lists is taken down on all networks, and nothing else.
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, type Json, type MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";

const site = useSite();

async function attached(networks: unknown = "one", conf: Json = {}): Promise<SitePod> {
  const here = site();
  here.network("one", here.macvlan("one", "10.2.0.0/24"));
  here.network("two", { cniVersion: "1.1.0", plugins: [here.macvlan("", "10.3.0.0/24")] });
  const pod = here.pod(networks);
  await mustCallCni(here.cniCall("ADD", pod, { conf }));
  return pod;
}

function gc(living: readonly SitePod[], conf: Json = {}) {
  const here = site();
  const valid = living.map(({ containerId }) => ({ containerID: containerId, ifname: "eth0" }));
  return here.call("GC", here.pod(), { conf: { "cni.dev/valid-attachments": valid, ...conf } });
}

/** Everything there is of a pod: kernel state, journal, results, leases. */
function everything(here: MultusSite, pod: SitePod): unknown {
  return [
    here.kernel(pod)[pod.name],
    here.journal(pod),
    here.files("cni").filter((path) => path.includes(pod.containerId)),
  ];
}

test("takes down containers that are gone, on all networks, and leaves the living ones whole", async () => {
  const here = site();
  const [lives, died, vanished] = [await attached("one,two"), await attached("one,two"), await attached("two")];
  const before = everything(here, lives);
  vanished.netns[Symbol.dispose]();
  expect(await gc([lives])).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  expect(everything(here, lives)).toEqual(before);
  expect(Object.keys(here.kernel(died)[died.name]?.links ?? {})).toEqual(["lo"]);
  expect(here.files("cni").every((path) => path.includes(lives.containerId))).toBe(true);
  expect(here.leases()).toHaveLength(3);
  expect(await here.call("CHECK", lives)).toMatchObject({ exitCode: 0 });
  await mustCallCni(here.cniCall("DEL", lives));
  expect([here.files("cni"), here.leases()]).toEqual([[], []]);
});

test("an empty list makes every container stale (BUG 4.4: Multus never collects any)", async () => {
  const here = site();
  await attached("one,two");
  await attached();
  expect(await gc([])).toMatchObject({ exitCode: 0 });
  expect([here.files("cni"), here.files("leases")]).toEqual([[], []]);
  // Not even that they are gone is remembered any more.
  const marks = here.path("cni", ".settled");
  expect(existsSync(marks) ? readdirSync(marks) : []).toEqual([]);
});

test("without a list nothing is removed", async () => {
  const here = site();
  const pod = await attached();
  const before = everything(here, pod);
  expect(await gc([], { "cni.dev/valid-attachments": undefined })).toMatchObject({ exitCode: 0 });
  expect(everything(here, pod)).toEqual(before);
  await mustCallCni(here.cniCall("DEL", pod));
});

test("a container that is gone loses its leases, but not the namespace that a living one has at the same path", async () => {
  const here = site();
  const dead = await attached();
  rmSync(here.path("cni", dead.containerId));
  const reused = { ...here.pod("two"), netns: dead.netns };
  // The runtime lost its DEL, and made the next namespace under the same path.
  for (const name of ["eth0", "net1"]) dead.netns.ip(`link del ${name}`);
  await mustCallCni(here.cniCall("ADD", reused));
  const before = everything(here, reused);
  expect(await gc([reused])).toMatchObject({ exitCode: 0 });
  expect(everything(here, reused)).toEqual(before);
  expect(here.leases().map((path) => path.split("/")[0])).toEqual(["default-net", "two"]);
  await mustCallCni(here.cniCall("DEL", reused));
});

test("leases that no journal tells of any more are collected too", async () => {
  const here = site();
  const lives = await attached();
  const lost = await attached();
  lost.netns[Symbol.dispose]();
  rmSync(here.path("cni", lost.containerId));
  for (const path of here.files("cni").filter((name) => name.includes(lost.containerId)))
    rmSync(here.path("cni", path));
  expect(here.leases()).toHaveLength(4);
  expect(await gc([lives])).toMatchObject({ exitCode: 0 });
  expect(here.leases()).toHaveLength(2);
  await mustCallCni(here.cniCall("DEL", lives));
});

test("a living container that nothing is known of keeps what it may have on the pods' networks", async () => {
  const here = site();
  const unknown = await attached();
  rmSync(here.path("cni"), { recursive: true });
  const gone = await attached();
  const outcome = await gc([unknown]);
  expect(outcome).toMatchObject({ exitCode: 0 });
  expect(outcome.stderr).toContain("GC leaves the pods' networks alone: nothing is known of 1 living containers");
  expect(here.leases()).toHaveLength(2);
  expect(Object.keys(here.kernel(unknown)[unknown.name]?.links ?? {}).sort()).toEqual(["eth0", "lo", "net1"]);
  expect(here.journal(gone)).toBeUndefined();
  await mustCallCni(here.cniCall("DEL", unknown));
});

test("containers of another network of the runtime are left alone, with their leases", async () => {
  const here = site();
  const conf = { name: "second", delegates: [here.macvlan("other-default", "10.4.0.0/24")] };
  const other = await attached("one", conf);
  const gone = await attached();
  const before = everything(here, other);
  expect(await gc([])).toMatchObject({ exitCode: 0 });
  expect(everything(here, other)).toEqual(before);
  expect(here.journal(gone)).toBeUndefined();
  expect(here.leases()).toEqual(["one/10.2.0.2", "other-default/10.4.0.2"]);
  await mustCallCni(here.cniCall("DEL", other, { conf }));
});

test("works on behind what fails, and reports it", async () => {
  const here = site();
  here.script("stuck", '[ "$CNI_COMMAND" = DEL ] && exit 7', `echo '{"cniVersion":"1.1.0"}'`);
  here.network("stuck", { cniVersion: "1.1.0", name: "stuck", type: "stuck" });
  const [first, second] = [await attached("stuck,one"), await attached()];
  const { msg } = errorOf(await gc([]));
  expect(msg).toContain(
    `container ${first.containerId}: error deleting container from network "default/stuck" (interface net1)`,
  );
  expect(here.journal(first)).toHaveLength(3);
  expect([here.journal(second), here.leases()]).toEqual([undefined, []]);
  here.script("stuck", "exit 0");
  expect(await gc([])).toMatchObject({ exitCode: 0 });
  expect(here.files("cni")).toEqual([]);
});

test("what kills left is collected: a lock, a torn journal, temporary files", async () => {
  const here = site();
  here.folder.write("cni/locks/killed", "");
  here.folder.write("cni/.killed.tmp", "[");
  here.folder.write("cni/torn", "[{");
  expect(await gc([])).toMatchObject({ exitCode: 0 });
  expect(here.files("cni")).toEqual([]);
});

test("a container that is being worked on is not touched, whatever the list says", async () => {
  const here = site();
  const pod = await attached();
  const before = everything(here, pod);
  const lock = here.folder.write(`cni/locks/${pod.containerId}`, "");
  const script = `exec 9<>${lock}; flock 9; echo held; exec sleep 60`;
  const holder = Bun.spawn(["sh", "-c", script], { stdout: "pipe" });
  await holder.stdout.getReader().read();
  const outcome = await gc([]);
  holder.kill();
  await holder.exited;
  expect(outcome).toMatchObject({ exitCode: 0 });
  rmSync(lock);
  expect(everything(here, pod)).toEqual(before);
  await mustCallCni(here.cniCall("DEL", pod));
});

test("a config that does not fit any more still collects by the journals", async () => {
  const here = site();
  await attached("one,two");
  const outcome = await gc([], { confDir: 5, delegates: 6 });
  expect(outcome).toMatchObject({ exitCode: 0 });
  expect([here.files("cni"), here.leases()]).toEqual([[], []]);
});

test("a clusterNetwork by name needs no pod (BUG 1.3: Multus crashes)", async () => {
  const here = site();
  writeFileSync(here.folder.write("net.d/x.conf", ""), JSON.stringify(here.macvlan("by-name", "10.5.0.0/24")));
  const conf = { delegates: undefined, clusterNetwork: "by-name" };
  await attached("one", conf);
  expect(await gc([], conf)).toMatchObject({ exitCode: 0 });
  expect([here.files("cni"), here.leases()]).toEqual([[], []]);
});
