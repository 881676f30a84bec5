// The client on a real API server: what its unit tests only suppose that servers do.
import { beforeAll, describe, expect, inject, test } from "vitest";
import { struct, text } from "../../src/json/struct.ts";
import { KubeClient } from "../../src/kube/client.ts";
import { Connection } from "../../src/kube/connection.ts";
import { isConflict, isForbidden, isNotFound, isUnknownResource } from "../../src/kube/error.ts";
import { readKubeconfig } from "../../src/kube/kubeconfig.ts";
import { list } from "../../src/kube/list.ts";
import { networks, pods, type Resource } from "../../src/kube/resource.ts";
import { watch } from "../../src/kube/watch.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { kubeconfig } from "../kit/cluster.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { KubeAdmin, type KubeJson } from "../kit/kube-admin.ts";

const folder = useTemporaryFolder();
const namespace = "client-test";
const schema = struct({ metadata: struct({ name: text(), resourceVersion: text() }) });
let admin: KubeAdmin;
let client: KubeClient;

const podJson = (name: string): KubeJson => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace, name },
  spec: { containers: [{ name: "main", image: "none" }] },
});

beforeAll(async () => {
  const api = inject("api");
  admin = new KubeAdmin(api);
  await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const user = { "client-certificate": `${api.folder}/admin.crt`, "client-key": `${api.folder}/admin.key` };
  const file = folder().write("kubeconfig", kubeconfig({ server: admin.server, ca: api.ca, user }));
  const connection = new Connection(() => readKubeconfig(file));
  client = new KubeClient(connection, { timeoutMs: 10_000, userAgent: "polynic/test (test)", log: silentLogger });
  for (const name of ["a", "b", "c", "d", "e"]) await admin.create(podJson(name));
});

const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  await promise.then(
    () => expect.unreachable(),
    (error: unknown) => error,
  );

describe("what the server says of", () => {
  const nowhere: Resource = { group: "nowhere.example.com", version: "v1", plural: "things", singular: "thing" };
  const other: Resource = { ...networks, plural: "other-definitions" };

  test("an object that is not there", async () => {
    const error = await failure(client.request({ verb: "get", resource: pods, namespace, name: "z" }, schema));
    expect([isNotFound(error), isUnknownResource(error)]).toEqual([true, false]);
  });
  test("an object of a namespace that is not there", async () => {
    const target = { verb: "get", resource: networks, namespace: "nowhere", name: "z" } as const;
    const error = await failure(client.request(target, schema));
    expect([isNotFound(error), isUnknownResource(error)]).toEqual([true, false]);
  });
  test.each([nowhere, other])("a resource that is not installed: %j", async (resource) => {
    const error = await failure(client.request({ verb: "get", resource, namespace, name: "z" }, schema));
    expect([isNotFound(error), isUnknownResource(error)]).toEqual([true, true]);
    expect(String(error)).toContain("kubectl apply -f deploy/crds/");
  });
  test("a patch of another version", async () => {
    const target = { verb: "patch", resource: pods, namespace, name: "a" } as const;
    const body = { metadata: { resourceVersion: "1", labels: { x: "y" } } };
    const error = await failure(client.request(target, schema, { body, contentType: "application/merge-patch+json" }));
    expect(isConflict(error)).toBe(true);
  });
  test("a new object in a namespace that is going", async () => {
    const name = "going";
    await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    // Nobody finishes it here: there is no controller manager.
    await admin.send("DELETE", `/api/v1/namespaces/${name}`);
    const target = { verb: "create", resource: pods, namespace: name } as const;
    const body = { apiVersion: "v1", kind: "Pod", metadata: { name: "x" }, spec: { containers: [] } };
    const error = await failure(client.request(target, schema, { body }));
    expect(isForbidden(error)).toBe(true);
    expect(String(error)).toContain("because it is being terminated");
    expect(String(error)).not.toContain("role of that user");
  });
});

describe("lists", () => {
  test("come in pages", async () => {
    const { items, resourceVersion, isComplete } = await list(client, pods, schema, { namespace, limit: 2 });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["a", "b", "c", "d", "e"]);
    expect([Number(resourceVersion) > 0, isComplete]).toEqual([true, true]);
  });
  test("come as metadata only", async () => {
    const options = { namespace, onlyMetadata: true, fieldSelector: "metadata.name=c" };
    expect((await list(client, pods, schema, options)).items).toMatchObject([{ metadata: { name: "c" } }]);
  });
});

describe("watches", () => {
  test("tell what happens after a list, over several streams", async () => {
    const { resourceVersion } = await list(client, pods, schema, { namespace });
    const controller = new AbortController();
    const seen: string[] = [];
    const options = { namespace, resourceVersion, signal: controller.signal, streamSeconds: 1 };
    const watching = (async () => {
      for await (const { type, object } of watch(client, pods, schema, options)) {
        seen.push(`${type} ${object.metadata.name}`);
        if (seen.at(-1) === "DELETED w2") controller.abort();
      }
    })();
    for (const name of ["w1", "w2"]) {
      await admin.create(podJson(name));
      // Longer than a stream lasts, so that the next change comes by another one.
      await Bun.sleep(1500);
    }
    for (const name of ["w1", "w2"]) await admin.delete(podJson(name));
    await watching;
    expect(seen.filter((line) => !line.startsWith("MODIFIED"))).toEqual([
      "ADDED w1",
      "ADDED w2",
      "DELETED w1",
      "DELETED w2",
    ]);
  });
});
