import { describe, expect, test } from "vitest";
import { describeTarget, events, isObjectName, networks, pathOf, pods, ruleFor, type Target } from "./resource.ts";

describe("a request's path, its words and the rule that allows it", () => {
  test.each<[Target, string, string, string]>([
    [
      { verb: "get", resource: pods, namespace: "default", name: "web" },
      "/api/v1/namespaces/default/pods/web",
      "get pod default/web",
      '- {apiGroups: [""], resources: ["pods"], verbs: ["get"]}',
    ],
    [
      { verb: "patch", resource: pods, subresource: "status", namespace: "default", name: "web" },
      "/api/v1/namespaces/default/pods/web/status",
      "patch status of pod default/web",
      '- {apiGroups: [""], resources: ["pods/status"], verbs: ["patch"]}',
    ],
    [
      { verb: "create", resource: events, namespace: "default" },
      "/api/v1/namespaces/default/events",
      "create event in default",
      '- {apiGroups: [""], resources: ["events"], verbs: ["create"]}',
    ],
    [
      { verb: "list", resource: networks, namespace: "shop" },
      "/apis/k8s.cni.cncf.io/v1/namespaces/shop/network-attachment-definitions",
      "list network-attachment-definitions in shop",
      '- {apiGroups: ["k8s.cni.cncf.io"], resources: ["network-attachment-definitions"], verbs: ["list"]}',
    ],
    [
      { verb: "watch", resource: networks },
      "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions",
      "watch network-attachment-definitions of all namespaces",
      '- {apiGroups: ["k8s.cni.cncf.io"], resources: ["network-attachment-definitions"], verbs: ["watch"]}',
    ],
  ])("%j", (target, path, words, rule) => {
    expect(pathOf(target)).toBe(path);
    expect(describeTarget(target)).toBe(words);
    expect(ruleFor(target)).toBe(rule);
  });
});

test.each([
  ["web", true],
  ["web.example-1", true],
  ["a".repeat(253), true],
  ["a".repeat(254), false],
  ["", false],
  ["..", false],
  ["-web", false],
  ["web-", false],
  ["Web", false],
  ["web/status", false],
  ["web%2fstatus", false],
  ["web?x", false],
])("%j is the name of an object: %s", (name, want) => {
  expect(isObjectName(name)).toBe(want);
});

test("a path of a name that is none is never made", () => {
  expect(() => pathOf({ verb: "get", resource: pods, namespace: "default", name: "../x" })).toThrow(TypeError);
});
