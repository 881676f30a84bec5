import { describe, expect, test } from "vitest";
import { struct, text } from "../json/struct.ts";
import {
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isInvalidField,
  isNotFound,
  isUnauthorized,
  isUnavailable,
  isUnknownResource,
  KubeError,
} from "./error.ts";
import { list } from "./list.ts";
import { events, networks, pods, type Target } from "./resource.ts";
import { ScriptedServer, statusAnswer } from "./scripted-server.test-data.ts";

const target: Target = { verb: "get", resource: pods, namespace: "default", name: "web" };
const schema = struct({ metadata: struct({ name: text() }) });
const web = { metadata: { name: "web", uid: "1" } };
const good = (): Response => Response.json(web);

async function failureOf(promise: Promise<unknown>): Promise<KubeError> {
  const reason = await promise.then(
    () => new Error("it succeeded"),
    (error: unknown) => error,
  );
  if (reason instanceof KubeError) return reason;
  throw reason;
}

describe("a request", () => {
  test("says who asks, what for, and with which credentials", async () => {
    using server = new ScriptedServer(good);
    expect(await server.client(5000, () => "secret").request(target, schema)).toEqual({ metadata: { name: "web" } });
    const [{ method, path, headers } = { method: "", path: "", headers: new Headers() }] = server.asked;
    expect([method, path]).toEqual(["GET", "/api/v1/namespaces/default/pods/web"]);
    expect(
      Object.fromEntries(["user-agent", "authorization", "accept"].map((name) => [name, headers.get(name)])),
    ).toEqual({
      "user-agent": "polynic/test (unit)",
      authorization: "Bearer secret",
      accept: "application/json",
    });
  });
  test("carries a body with its type", async () => {
    using server = new ScriptedServer(good);
    const patch = { ...target, verb: "patch", subresource: "status" } as const;
    await server.client().request(patch, schema, { body: { a: "<&>" }, contentType: "application/merge-patch+json" });
    const [{ method, path, headers, body } = { method: "", path: "", headers: new Headers(), body: "" }] = server.asked;
    expect([method, path, headers.get("content-type")]).toEqual([
      "PATCH",
      "/api/v1/namespaces/default/pods/web/status",
      "application/merge-patch+json",
    ]);
    expect(JSON.parse(body)).toEqual({ a: "<&>" });
  });
  test("follows no redirect: no API server sends any", async () => {
    using server = new ScriptedServer(() => Response.redirect("http://127.0.0.1:1/"));
    const { message } = await failureOf(server.client().request(target, schema));
    expect(message).toContain("answered 302");
    expect(server.asked).toHaveLength(1);
  });
});

describe("trouble that passes is tried again", () => {
  test.each<[string, () => Response]>([
    ["429", () => statusAnswer(429, "TooManyRequests")],
    ["500", () => statusAnswer(500, "InternalError", "etcdserver: leader changed")],
    ["502 of something before the server", () => new Response("<html>Bad Gateway</html>", { status: 502 })],
    ["503", () => statusAnswer(503, "ServiceUnavailable")],
    ["504", () => statusAnswer(504, "Timeout")],
  ])("%s", async (_, bad) => {
    using server = new ScriptedServer((_request, number) => (number < 3 ? bad() : good()));
    expect(await server.client().request(target, schema)).toMatchObject({ metadata: { name: "web" } });
    expect(server.asked).toHaveLength(3);
  });
  test("not when the server asks for more time than there is", async () => {
    using server = new ScriptedServer(() => statusAnswer(503, "ServiceUnavailable", "", { retryAfterSeconds: 60 }));
    const error = await failureOf(server.client(2000).request(target, schema));
    expect(server.asked).toHaveLength(1);
    expect(isUnavailable(error)).toBe(true);
  });
  test("until the time is up", async () => {
    using server = new ScriptedServer(() => statusAnswer(500, "InternalError", "no"));
    const error = await failureOf(server.client(2000).request(target, schema));
    expect(error.message).toMatch(
      /^get pod default\/web: the API server answered 500 InternalError: no \(\d+ attempts in [\d.]+ m?s\); is the API server up/,
    );
    expect(server.asked.length).toBeGreaterThan(2);
  });
  test("what the attempts met is told, also when the time ends in the middle of one", async () => {
    using server = new ScriptedServer(async (_request, number) => {
      if (number > 1) await Bun.sleep(20_000);
      return statusAnswer(500, "InternalError", "no");
    });
    const error = await failureOf(server.client(1900).request(target, schema));
    expect(error.kind).toBe("timeout");
    expect(error.message).toContain("answered 500 InternalError: no (2 attempts in ");
  });
  test("a hung attempt leaves time for another", async () => {
    using server = new ScriptedServer(async (_request, number) => {
      if (number === 1) await Bun.sleep(20_000);
      return good();
    });
    expect(await server.client(4000).request(target, schema)).toMatchObject({ metadata: { name: "web" } });
    expect(server.asked).toHaveLength(2);
  });
  test("nobody there", async () => {
    using server = new ScriptedServer(good);
    const client = server.client(2000);
    server[Symbol.dispose]();
    const error = await failureOf(client.request(target, schema));
    expect(error.kind).toBe("unreachable");
    expect(error.message).toContain("connection refused");
    expect(error.message).toMatch(
      /; is the API server up, and reachable from this node\? "apiTimeout" gives it longer$/,
    );
  });
  test("nobody there, and a caller who knows what to do", async () => {
    using server = new ScriptedServer(good);
    const client = server.client(2000, undefined, { cure: "is it up?" });
    server[Symbol.dispose]();
    expect((await failureOf(client.request(target, schema))).message).toMatch(/connection refused.*; is it up\?$/);
  });
});

test("after one request has waited in vain the next does not wait as long, until there is an answer again", async () => {
  let isHanging = true;
  using server = new ScriptedServer(async () => {
    if (isHanging) await Bun.sleep(20_000);
    return good();
  });
  const client = server.client(2500);
  expect((await failureOf(client.request(target, schema))).kind).toBe("timeout");
  expect((await failureOf(client.request(target, schema))).message).toContain("within 1 s");
  isHanging = false;
  await client.request(target, schema);
});

describe("failures and their predicates", () => {
  const all = { isAlreadyExists, isConflict, isExpired, isForbidden, isNotFound, isUnauthorized, isUnknownResource };
  test.each<[string, () => Response, (keyof typeof all)[], string]>([
    [
      "404",
      () => statusAnswer(404, "NotFound", 'pods "web" not found', { name: "web" }),
      ["isNotFound"],
      "not found (404)",
    ],
    [
      "404 of an unknown resource",
      () => new Response("404 page not found\n", { status: 404 }),
      ["isNotFound", "isUnknownResource"],
      "the API server knows no pods (404); is this the address of a Kubernetes API server?",
    ],
    [
      "409 of an object that exists",
      () => statusAnswer(409, "AlreadyExists"),
      ["isAlreadyExists"],
      "409 AlreadyExists",
    ],
    ["409 of another version", () => statusAnswer(409, "Conflict", "changed"), ["isConflict"], "409 Conflict: changed"],
    ["410", () => statusAnswer(410, "Expired"), ["isExpired"], "410 Expired"],
    [
      "403 of RBAC",
      () =>
        statusAnswer(
          403,
          "Forbidden",
          'pods "web" is forbidden: User "system:serviceaccount:a:b" cannot get resource "pods" in API group ""',
        ),
      ["isForbidden"],
      'user system:serviceaccount:a:b may not (403 Forbidden); a role of that user needs the rule - {apiGroups: [""], resources: ["pods"], verbs: ["get"]}; deploy/rbac*.yaml have all that polynic needs',
    ],
    [
      "403 of an admission plugin",
      () =>
        statusAnswer(403, "Forbidden", "unable to create new content in namespace x because it is being terminated"),
      ["isForbidden"],
      "forbidden (403): unable to create new content in namespace x because it is being terminated",
    ],
    [
      "401",
      () => statusAnswer(401, "Unauthorized", "Unauthorized"),
      ["isUnauthorized"],
      "does not accept the credentials of kubeconfig of the test (401 Unauthorized)",
    ],
  ])("%s", async (_, answer, names, message) => {
    using server = new ScriptedServer(answer);
    const error = await failureOf(server.client().request(target, schema));
    expect(Object.entries(all).flatMap(([name, predicate]) => (predicate(error) ? [name] : []))).toEqual(names);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain("\n");
    expect(isUnavailable(error)).toBe(false);
    expect(server.asked).toHaveLength(1);
  });
  test("a definition that is not installed says how to install it", async () => {
    using server = new ScriptedServer(() => new Response("404 page not found", { status: 404 }));
    const nad: Target = { verb: "get", resource: networks, namespace: "default", name: "x" };
    expect((await failureOf(server.client().request(nad, schema))).message).toContain(
      "the API server knows no network-attachment-definitions.k8s.cni.cncf.io (404); install their definition: kubectl apply -f deploy/crds/",
    );
  });
  test("a field that is refused", async () => {
    const details = { causes: [{ reason: "FieldValueInvalid", field: "metadata.uid" }] };
    using server = new ScriptedServer(() => statusAnswer(422, "Invalid", "immutable", details));
    const error = await failureOf(server.client().request(target, schema));
    expect([isInvalidField(error, "metadata.uid"), isInvalidField(error, "metadata.name")]).toEqual([true, false]);
  });
  test.each<[string, () => Response, string]>([
    ["no JSON", () => new Response("<html>"), "did not answer as expected: no JSON"],
    ["another object", () => Response.json({ metadata: {} }), "$.metadata.name: expected this key, found nothing"],
  ])("an answer that is %s", async (_, answer, message) => {
    using server = new ScriptedServer(answer);
    const error = await failureOf(server.client().request(target, schema));
    expect(error.kind).toBe("protocol");
    expect(error.message).toContain(message);
  });
});

describe("credentials that are refused", () => {
  test("are read again, and the request is repeated when they have changed", async () => {
    const tokens = ["old", "new"];
    using server = new ScriptedServer(({ headers }) =>
      headers.get("authorization") === "Bearer new" ? good() : statusAnswer(401, "Unauthorized"),
    );
    await server.client(5000, () => tokens.shift() ?? "new").request(target, schema);
    expect(server.asked).toHaveLength(2);
  });
  test("once: a server that refuses these too is not asked for ever", async () => {
    let number = 0;
    using server = new ScriptedServer(() => statusAnswer(401, "Unauthorized"));
    const error = await failureOf(server.client(5000, () => `token-${number++}`).request(target, schema));
    expect(isUnauthorized(error)).toBe(true);
    expect(server.asked).toHaveLength(2);
  });
});

test("what may have been done by an attempt whose answer was lost is told", async () => {
  using server = new ScriptedServer((_request, number) =>
    number === 1 ? statusAnswer(500, "InternalError") : statusAnswer(409, "AlreadyExists"),
  );
  const create: Target = { verb: "create", resource: events, namespace: "default" };
  const error = await failureOf(server.client().request(create, schema, { body: {} }));
  expect([isAlreadyExists(error), error.wasRepeated]).toEqual([true, true]);
});

describe("a list", () => {
  const page = (names: readonly string[], next = ""): Response =>
    Response.json({
      metadata: { resourceVersion: "7", continue: next },
      items: names.map((name) => ({ metadata: { name } })),
    });

  test("is put together from its pages", async () => {
    using server = new ScriptedServer(({ path }) =>
      path.includes("continue=more") ? page(["c"]) : page(["a", "b"], "more"),
    );
    const { items, resourceVersion, isComplete } = await list(server.client(), pods, schema, {
      namespace: "shop",
      limit: 2,
    });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["a", "b", "c"]);
    expect([resourceVersion, isComplete]).toEqual(["7", true]);
    expect(server.asked.map(({ path }) => path)).toEqual([
      "/api/v1/namespaces/shop/pods?limit=2",
      "/api/v1/namespaces/shop/pods?limit=2&continue=more",
    ]);
  });
  test("is asked for in one piece when the server has forgotten the pages", async () => {
    using server = new ScriptedServer(({ path }) => {
      if (path.includes("continue")) return statusAnswer(410, "Expired");
      return path.includes("limit") ? page(["a"], "more") : page(["a", "b"]);
    });
    const { items } = await list(server.client(), pods, schema, {});
    expect(items).toHaveLength(2);
    expect(server.asked).toHaveLength(3);
  });
  test("ends early for those who do not need all of it", async () => {
    using server = new ScriptedServer(() => page(["a", "b"], "more"));
    const { items, isComplete } = await list(server.client(), pods, schema, { atMost: 3, onlyMetadata: true });
    expect([items.length, isComplete]).toEqual([4, false]);
    expect(server.asked[0]?.headers.get("accept")).toContain("as=PartialObjectMetadataList");
  });
  test("of nothing is empty, and selectors are passed on", async () => {
    using server = new ScriptedServer(() => Response.json({ metadata: {}, items: null }));
    const options = { labelSelector: "a=b,c", fieldSelector: "spec.nodeName=n1" };
    expect((await list(server.client(), pods, schema, options)).items).toEqual([]);
    expect(server.asked[0]?.path).toContain("labelSelector=a%3Db%2Cc&fieldSelector=spec.nodeName%3Dn1");
  });
  test("with an item that does not fit is an error that says which", async () => {
    using server = new ScriptedServer(() => Response.json({ metadata: {}, items: [web, { metadata: {} }] }));
    expect((await failureOf(list(server.client(), pods, schema, {}))).message).toContain("$.items[1].metadata.name");
  });
});
