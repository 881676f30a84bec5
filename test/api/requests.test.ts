// What a pod costs the API server, counted by the server itself.
import { beforeAll, describe, expect, test } from "vitest";
import { inWords } from "../kit/audit-log.ts";
import { newAccount, rulesOf } from "../kit/cluster.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();

/** A user whom nobody else is, so that everything counts that a call asks for; with deploy/rbac.yaml and no other right. */
const user = "counted";
const fullName = `system:serviceaccount:kube-system:${user}`;

beforeAll(async () => {
  site().useUser(await newAccount(site().admin, user, rulesOf("rbac.yaml")));
  for (let index = 0; index < 10; index++)
    await site().network(`n${index}`, site().local.macvlan(`net-${index}`, `10.${60 + index}.0.0/16`));
});

/** The requests of a call by how often each was made. */
function counted(): Record<string, number> {
  const entries = site().audit.takeOf(fullName);
  expect(entries.every(({ userAgent }) => userAgent.startsWith("polynic/"))).toBe(true);
  return Object.fromEntries([...Map.groupBy(entries, inWords)].map(([what, all]) => [what, all.length]));
}

describe.each([0, 1, 5, 10])("a pod with %i networks", (networks) => {
  const names = Array.from({ length: networks }, (_, index) => `n${index}`);

  test("costs one GET, one for each network, one PATCH and an event for each interface; and its DEL costs nothing", async () => {
    const pod = await site().pod(names.join(","));
    site().audit.takeOf(fullName);
    expect(await site().call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(counted()).toEqual({
      "get pods": 1,
      ...(networks === 0 ? {} : { "get network-attachment-definitions": networks }),
      "patch pods/status": 1,
      "create events": networks + 1,
    });
    expect(await site().events(pod)).toHaveLength(networks + 1);
    expect(await site().status(pod)).toHaveLength(networks + 1);
    expect(await site().call("CHECK", pod)).toMatchObject({ exitCode: 0 });
    // Runtimes call DEL two to four times for each pod.
    for (let time = 0; time < 3; time++) expect(await site().call("DEL", pod)).toMatchObject({ exitCode: 0 });
    expect(counted()).toEqual({});
  });
});

test("the same network named three times is read once", async () => {
  const pod = await site().pod("n1,n1,n1");
  site().audit.take(site().namespace);
  expect(await site().call("ADD", pod)).toMatchObject({ exitCode: 0 });
  expect(counted()).toMatchObject({ "get pods": 1, "get network-attachment-definitions": 1 });
  expect(await site().call("DEL", pod)).toMatchObject({ exitCode: 0 });
});

test("requests name the program, its version and the verb", async () => {
  const pod = await site().pod("n1");
  site().audit.take(site().namespace);
  await site().call("ADD", pod);
  const [first] = site().audit.take(site().namespace);
  expect(first?.userAgent).toMatch(/^polynic\/\d+\.\d+\.\d+\S* \(ADD\)$/);
  expect(first?.user).toBe(fullName);
  await site().call("DEL", pod);
});
