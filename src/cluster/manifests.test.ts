import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ManifestCluster } from "./manifests.ts";
import { stableUid } from "./manifest-objects.ts";
import { eventsPerPod } from "./pod-state.ts";
import type { Pod } from "./port.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "polynic-manifests-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

const podYaml = (name: string, more = ""): string => `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n${more}`;
const networkYaml = (name: string, more = ""): string =>
  `apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: ${name}\n${more}`;

async function findPod(name: string, namespace = "default"): Promise<Pod | undefined> {
  return new ManifestCluster(directory).getPod(namespace, name);
}

describe("a pod is found", () => {
  const forms: readonly [string, Record<string, string>][] = [
    ["alone in a file", { "a.yaml": podYaml("web") }],
    ["in a .yml file with Windows line ends", { "a.yml": podYaml("web").replaceAll("\n", "\r\n") }],
    ["behind another document", { "a.yaml": `${podYaml("other")}---\n${podYaml("web")}` }],
    ["behind a document that was ended with dots", { "a.yaml": `${podYaml("other")}...\n---\n${podYaml("web")}` }],
    [
      "behind a document of an unknown kind",
      { "a.yaml": `kind: Service\nmetadata: {name: web}\n--- # next\n${podYaml("web")}` },
    ],
    ["in a sub-directory", { "b/c/a.yaml": podYaml("web") }],
    ["in a JSON file", { "a.json": JSON.stringify({ kind: "Pod", apiVersion: "v1", metadata: { name: "web" } }) }],
    ["in a List", { "a.yaml": "kind: List\nitems:\n- kind: Pod\n  metadata: {name: web}\n" }],
    ["in a PodList, whose items need no kind", { "a.yaml": "kind: PodList\nitems:\n- metadata: {name: web}\n" }],
    ["under an escaped name", { "a.yaml": 'kind: Pod\nmetadata: {name: "w\\x65b"}\n' }],
    ["under a name behind an anchor", { "a.yaml": "x: &n web\nkind: Pod\nmetadata: {name: *n}\n" }],
    ["after a byte order mark", { "a.yaml": `\uFEFF${podYaml("web")}` }],
    ["though an earlier file is broken", { "a.yaml": "web: Pod: [", "b.yaml": podYaml("web") }],
    ["though a document of its file is broken", { "a.yaml": `Pod: web: {\n---\n${podYaml("web")}` }],
  ];
  test.each(forms)("%s", async (_, files) => {
    write(files);
    expect(await findPod("web")).toEqual({
      namespace: "default",
      name: "web",
      uid: stableUid("default", "web"),
      annotations: {},
      isStatic: false,
    });
  });
  test("through a symbolic link to a file, as a mounted ConfigMap has it", async () => {
    write({ "..2026/pods": podYaml("web") });
    symlinkSync("..2026/pods", join(directory, "pods.yaml"));
    expect(await findPod("web")).toBeDefined();
  });
});

describe("a pod is not found", () => {
  const forms: readonly [string, Record<string, string>][] = [
    ["in a hidden file", { ".a.yaml": podYaml("web") }],
    ["in a hidden directory", { ".git/a.yaml": podYaml("web") }],
    ["in what was written about it", { ".state/pods/default/web.yaml": podYaml("web") }],
    ["in a file of another kind", { "a.txt": podYaml("web") }],
    [
      "in a template of a Deployment",
      { "a.yaml": "kind: Deployment\nspec: {template: {kind: Pod, metadata: {name: web}}}" },
    ],
    ["under a number for a name", { "a.yaml": podYaml("1") }],
  ];
  test.each(forms)("%s", async (_, files) => {
    write(files);
    expect(await findPod("web")).toBeUndefined();
  });
});

describe("a mistake is named with file and line", () => {
  const forms: readonly [string, Record<string, string>, string][] = [
    [
      "a broken document that may hold the pod",
      { "a.yaml": `${podYaml("x")}---\n${podYaml("web", "spec: a: b\n")}` },
      "a.yaml line 10",
    ],
    ["a broken JSON file", { "a.json": '{"kind": "Pod", "name": "web"' }, "a.json line 1"],
    [
      "an annotation that is no string",
      { "b/a.yaml": podYaml("web", "  annotations:\n    k8s.v1.cni.cncf.io/networks: [{name: a}]\n") },
      "/b/a.yaml line 1: annotation k8s.v1.cni.cncf.io/networks must be a string",
    ],
    [
      "a namespace that is no string",
      { "a.yaml": podYaml("web", "  namespace: 12\n") },
      "metadata.namespace must be a string",
    ],
  ];
  test.each(forms)("%s", async (_, files, want) => {
    write(files);
    const error = await findPod("web").catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "ClusterError", code: "invalid" });
    expect((error as Error).message).toContain(want);
  });
  test("a network whose config is an object", async () => {
    write({ "a.yaml": networkYaml("net", "spec:\n  config: {type: macvlan}\n") });
    await expect(new ManifestCluster(directory).getNetwork("default", "net")).rejects.toThrow(
      "/a.yaml line 1: spec.config must be a string that holds JSON",
    );
  });
  test("a network of a version that does not exist", async () => {
    write({ "a.yaml": networkYaml("net").replace("/v1", "/v1beta1") });
    await expect(new ManifestCluster(directory).getNetwork("default", "net")).rejects.toThrow(
      "write k8s.cni.cncf.io/v1",
    );
  });
  test("a kind of the same name in another group is not meant", async () => {
    write({ "a.yaml": networkYaml("net").replace("k8s.cni.cncf.io", "example.com") });
    await expect(new ManifestCluster(directory).getNetwork("default", "net")).rejects.toMatchObject({
      code: "not-found",
    });
  });
  test("a broken file elsewhere is a warning", async () => {
    write({ "a.yaml": "Pod: web: [", "b.yaml": podYaml("web") });
    const warnings: string[] = [];
    await new ManifestCluster(directory, (message) => warnings.push(message)).getPod("default", "web");
    expect(warnings).toEqual([expect.stringContaining("a.yaml line 1")]);
  });
  test.each(["missing", "a.yaml"])("a directory that is none: %s", async (name) => {
    write({ "a.yaml": podYaml("web") });
    await expect(new ManifestCluster(join(directory, name)).getPod("default", "web")).rejects.toMatchObject({
      code: "unavailable",
      hint: '"manifests" must name a directory of Kubernetes YAML files',
    });
  });
});

describe("the list of pods", () => {
  test("has each pod once, in path order, the first of two namesakes", async () => {
    write({
      "b.yaml": podYaml("web", "  uid: second\n"),
      "a.yaml": `${podYaml("zoo")}---\n${podYaml("web", "  uid: first\n")}`,
      "nets.yaml": networkYaml("net"),
    });
    const pods = new ManifestCluster(directory).pods();
    expect(pods.map(({ name, uid }) => [name, uid])).toEqual([
      ["zoo", stableUid("default", "zoo")],
      ["web", "first"],
    ]);
  });
  test("is refused when a document is broken", () => {
    write({ "a.yaml": `${podYaml("web")}---\nkind: Pod\nmetadata: [` });
    expect(() => new ManifestCluster(directory).pods()).toThrow("a.yaml line 7 can't be read");
  });
  test("covers only the files and directories that were named, if any were", () => {
    write({ "a.yaml": podYaml("a"), "b/b.yaml": podYaml("b"), "c.template": podYaml("c") });
    const paths = ["c.template", "b/"].map((path) => join(directory, path));
    const cluster = new ManifestCluster(directory, () => {}, paths);
    expect(cluster.pods().map(({ name }) => name)).toEqual(["c", "b"]);
    expect(cluster.paths()).toEqual([join(directory, "c.template"), join(directory, "b", "b.yaml")]);
  });
});

describe("what is written", () => {
  async function webPod(): Promise<Pod> {
    const pod = await findPod("web");
    if (pod === undefined) throw new Error("no pod web");
    return pod;
  }

  test("is one readable YAML file per pod and nothing beside it", async () => {
    write({ "a.yaml": podYaml("web") });
    const cluster = new ManifestCluster(directory);
    const pod = await webPod();
    cluster.emit(pod, { type: "Normal", reason: "AddedInterface", message: "Add net1 from default/net" });
    await cluster.setNetworkStatus(pod, '[{\n    "name": "a"\n}]');
    await cluster.flush();
    expect(readdirSync(join(directory, ".state", "pods", "default"))).toEqual(["web.yaml"]);
    const text = readFileSync(join(directory, ".state", "pods", "default", "web.yaml"), "utf8");
    expect(text).toContain('    "k8s.v1.cni.cncf.io/network-status": |-\n      [{\n          "name": "a"\n      }]\n');
    expect(text).toContain("reason: AddedInterface");
    expect(readdirSync(directory).sort()).toEqual([".state", "a.yaml"]);
  });
  test("keeps no more events than the limit, the newest", async () => {
    write({ "a.yaml": podYaml("web") });
    const cluster = new ManifestCluster(directory);
    const pod = await webPod();
    for (let index = 0; index < eventsPerPod + 5; index++)
      cluster.emit(pod, { type: "Warning", reason: "Failed", message: `number ${index}` });
    await cluster.flush();
    const events = cluster.events(pod);
    expect(events).toHaveLength(eventsPerPod);
    expect(events[0]?.message).toBe("number 5");
  });
  test("is forgotten on demand", async () => {
    write({ "a.yaml": podYaml("web") });
    const cluster = new ManifestCluster(directory);
    await cluster.setNetworkStatus(await webPod(), "[]");
    expect(cluster.forget({ namespace: "default", name: "web" })).toBe(true);
    expect(cluster.forget({ namespace: "default", name: "web" })).toBe(false);
    expect((await webPod()).annotations).toEqual({});
  });
  test("is an error with a cure when someone damaged it", async () => {
    write({ "a.yaml": podYaml("web"), ".state/pods/default/web.yaml": "metadata: [" });
    await expect(findPod("web")).rejects.toMatchObject({ code: "invalid", hint: "remove the file" });
  });
  test("counts as nothing when a writer died before its first byte", async () => {
    write({ "a.yaml": podYaml("web"), ".state/pods/default/web.yaml": "" });
    expect((await findPod("web"))?.annotations).toEqual({});
  });
  test("survives writers that run at the same time", async () => {
    write({ "a.yaml": podYaml("web") });
    const script = join(directory, "writer.ts");
    writeFileSync(
      script,
      `import { ManifestCluster } from ${JSON.stringify(join(import.meta.dirname, "manifests.ts"))};
       const cluster = new ManifestCluster(${JSON.stringify(directory)});
       const pod = await cluster.getPod("default", "web");
       for (let index = 0; index < 20; index++) {
         cluster.emit(pod!, { type: "Normal", reason: "Same", message: "again" });
         await cluster.flush();
       }`,
    );
    const writers = Array.from({ length: 4 }, () => Bun.spawn([process.execPath, script], { stderr: "inherit" }));
    expect(await Promise.all(writers.map(({ exited }) => exited))).toEqual([0, 0, 0, 0]);
    expect(new ManifestCluster(directory).events(await webPod())).toMatchObject([{ reason: "Same", count: 80 }]);
  });
});
