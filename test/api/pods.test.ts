// Which pod is meant, what of it can't be had, and what the pod is told then: on the compiled executable and a real API server.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { ApiProxy } from "../kit/api-proxy.ts";
import { errorOf, type SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
let proxy: ApiProxy;

beforeAll(async () => {
  proxy = await ApiProxy.open(inject("api"));
  await site().useAccount("polynic", proxy.url);
  for (const name of ["storage", "backup"])
    await site().network(name, site().local.macvlan(name, name === "storage" ? "10.91.0.0/16" : "10.92.0.0/16"));
});
afterAll(() => proxy[Symbol.dispose]());

const otherUid = "99999999-9999-4999-8999-999999999999";
const withUid = ({ namespace, name, containerId }: SitePod, uid: string | undefined): string =>
  `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${containerId}${uid === undefined ? "" : `;K8S_POD_UID=${uid}`}`;

describe("the pod's uid", () => {
  const source = (value: string) => ({ "kubernetes.io/config.source": value });
  test.each<[string, Readonly<Record<string, string>>, "own" | "other" | "none", boolean]>([
    ["is the runtime's", {}, "own", true],
    ["is another one: the pod was made again", {}, "other", false],
    ["is not known to the runtime", {}, "none", true],
    ["is another one, since the API server has the mirror of a static pod", source("file"), "other", true],
    ["is another one, of a pod from a URL", source("http"), "other", true],
    ["is another one, of a pod that came through the API", source("api"), "other", false],
  ])("%s", async (_, annotations, which, isRight) => {
    const here = site();
    const pod = await here.pod("storage", annotations);
    const before = here.local.kernel(pod);
    const uid = { own: pod.uid, other: otherUid, none: undefined }[which];
    const outcome = await here.call("ADD", pod, { args: withUid(pod, uid) });
    if (isRight) {
      expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await here.status(pod)).toHaveLength(2);
    } else {
      expect(errorOf(outcome).msg).toContain(`expected pod UID "${otherUid}" but got "${pod.uid}"`);
      expect(await here.status(pod)).toBeUndefined();
      expect(await here.events(pod)).toEqual([]);
    }
    expect(await here.call("DEL", pod, { args: withUid(pod, uid) })).toMatchObject({ exitCode: 0, stderr: "" });
    expect(here.local.remains(before, pod)).toEqual([]);
  });
});

describe("a pod that goes away", () => {
  test("before the ADD: a refusal that the runtime may repeat, and nothing attached", async () => {
    const here = site();
    const pod = await here.pod("storage");
    const before = here.local.kernel(pod);
    await here.deletePod(pod);
    const { code, msg, details } = errorOf(await here.call("ADD", pod));
    expect(code).toBe(11);
    expect(`${msg}; ${details}`).toContain(
      `pod ${pod.namespace}/${pod.name} does not exist; it may have been deleted meanwhile; nothing was attached`,
    );
    expect(here.local.remains(before, pod)).toEqual([]);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test.each([
    ["is deleted", false],
    ["is deleted and made again under the same name", true],
  ])("while it is being attached: it %s before the status is written", async (_, isReplaced) => {
    const here = site();
    const pod = await here.pod("storage,backup");
    const before = here.local.kernel(pod);
    // The answer waits until the pod is gone; what the server has then is what counts.
    let gone: Promise<void> | undefined;
    proxy.plan((step) => {
      if (step !== "patch pods/status") return { kind: "pass" };
      gone ??= (async () => {
        await here.deletePod(pod);
        if (isReplaced) await here.admin.create(here.podObject(pod.name));
      })();
      return { kind: "pass", until: gone };
    });
    const { code, msg } = errorOf(await here.call("ADD", pod));
    await gone;
    proxy.plan(() => ({ kind: "pass" }));
    expect(code).toBe(11);
    expect(msg).toContain("error setting the networks status: set network-status of pod ");
    expect(msg).toContain(isReplaced ? "the pod was replaced: its uid is" : "not found (404)");
    expect(here.local.remains(before, pod)).toEqual([]);
    if (isReplaced) expect(await here.annotations(pod)).toEqual({});
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    await here.deletePod(pod);
  });
});

describe("a network that is not there", () => {
  test("under a role that may list networks: what there is, and what looks alike", async () => {
    const here = site();
    const pod = await here.pod("storrage");
    await here.useAccount("multus", proxy.url);
    const { msg } = errorOf(await here.call("ADD", pod));
    await here.useAccount("polynic", proxy.url);
    expect(msg).toContain(`cannot find a network-attachment-definition (storrage) in namespace (${pod.namespace}): `);
    expect(msg).toContain(`not found; did you mean storage?; namespace ${pod.namespace} has backup, storage`);
    expect(await here.events(pod)).toEqual([expect.stringMatching(/^Warning NoNetworkFound cannot find /) as string]);
  });
  test("under our own role: how to find out", async () => {
    const here = site();
    const pod = await here.pod("storrage");
    const { msg } = errorOf(await here.call("ADD", pod));
    expect(msg).toContain(
      `not found; kubectl get network-attachment-definitions -n ${pod.namespace} shows what there is`,
    );
  });
  test.each([
    ["with an empty name", '[{"name": ""}]'],
    ["with a name that is a path", '[{"name": "x/../../pods/y"}]'],
    ["with a name that no object has", '[{"name": "Storage"}]'],
    ["of a namespace that is a path", '[{"name": "storage", "namespace": "../pods"}]'],
  ])("%s: nothing is asked of the server in its name", async (_, networks) => {
    const here = site();
    const pod = await here.pod(networks);
    proxy.plan(() => ({ kind: "pass" }));
    expect((await here.call("ADD", pod)).exitCode).toBe(1);
    expect(Object.keys(proxy.steps()).sort()).not.toContain("get network-attachment-definitions");
    expect(await here.status(pod)).toBeUndefined();
  });
});

test("the same failure twice is one event", async () => {
  const here = site();
  const pod = await here.pod("nowhere");
  for (let time = 0; time < 2; time++) expect((await here.call("ADD", pod)).exitCode).toBe(1);
  expect(await here.events(pod)).toHaveLength(1);
});

describe("under the role that Multus' manifest grants", () => {
  test("the status is written by GET and PUT, since that role may not patch pods", async () => {
    const here = site();
    await here.useAccount("multus", proxy.url);
    const pod = await here.pod("storage", { "example.com/kept": "yes" });
    proxy.plan(() => ({ kind: "pass" }));
    expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(proxy.steps()).toEqual({
      "get pods": 2,
      "get network-attachment-definitions": 1,
      "patch pods/status": 1,
      "update pods/status": 1,
      "create events": 2,
    });
    expect(await here.status(pod)).toHaveLength(2);
    expect(await here.annotations(pod)).toMatchObject({ "example.com/kept": "yes" });
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
    await here.useAccount("polynic", proxy.url);
  });
  test("somebody who writes in between is not overwritten", async () => {
    const here = site();
    await here.useAccount("multus", proxy.url);
    const pod = await here.pod("storage");
    const path = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`;
    let writing: Promise<unknown> | undefined;
    proxy.plan((step) => {
      if (step !== "update pods/status" || writing !== undefined) return { kind: "pass" };
      writing = here.admin.send("PATCH", path, { metadata: { annotations: { "example.com/late": "yes" } } });
      return { kind: "pass", until: writing };
    });
    expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    await writing;
    expect(proxy.steps()["update pods/status"]).toBe(2);
    proxy.plan(() => ({ kind: "pass" }));
    expect(await here.annotations(pod)).toMatchObject({ "example.com/late": "yes" });
    expect(await here.status(pod)).toHaveLength(2);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
    await here.useAccount("polynic", proxy.url);
  });
});

describe("without the rights that deploy/rbac.yaml grants", () => {
  test("every missing rule is spelled out", async () => {
    const here = site();
    const pod = await here.pod("storage");
    await here.useAccount("nobody", proxy.url);
    const { code, msg } = errorOf(await here.call("ADD", pod));
    await here.useAccount("polynic", proxy.url);
    expect(code).toBe(11);
    expect(msg).toContain(
      'user system:serviceaccount:kube-system:nobody may not (403 Forbidden); a role of that user needs the rule - {apiGroups: [""], resources: ["pods"], verbs: ["get"]}',
    );
  });
});
