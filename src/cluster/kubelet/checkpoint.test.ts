import { expect, test } from "vitest";
import { checkpointedDevices } from "./checkpoint.ts";

const entry = (PodUID: string, ResourceName: string, DeviceIDs: unknown) => ({
  PodUID,
  ContainerName: "app",
  ResourceName,
  DeviceIDs,
  AllocResp: "CgA=",
});
const checkpoint = (...entries: object[]): string =>
  JSON.stringify({ Data: { PodDeviceEntries: entries, RegisteredDevices: { r: ["x"] } }, Checksum: 4_294_967_295 });

const cases: readonly [name: string, content: string, want: [string, string[]][] | undefined][] = [
  ["no entries", '{"Data":{"PodDeviceEntries":null},"Checksum":0}', undefined],
  ["entries of other pods", checkpoint(entry("v", "r", { "0": ["a"] })), undefined],
  ["ids by NUMA node", checkpoint(entry("u", "r", { "1": ["c"], "-1": ["a"], "0": ["b"] })), [["r", ["a", "b", "c"]]]],
  ["nodes of two digits", checkpoint(entry("u", "r", { "10": ["b"], "9": ["a"] })), [["r", ["a", "b"]]]],
  ["ids in one list, as before Kubernetes 1.20", checkpoint(entry("u", "r", ["b", "a"])), [["r", ["b", "a"]]]],
  [
    "several containers and resources",
    checkpoint(
      entry("u", "r", { "-1": ["b"] }),
      entry("u", "s", { "-1": ["c"] }),
      entry("u", "r", { "-1": ["a", "b"] }),
    ),
    [
      ["r", ["b", "a"]],
      ["s", ["c"]],
    ],
  ],
];

test.each(cases)("%s", (_, content, want) => {
  expect(checkpointedDevices(content, "u")).toEqual(want && new Map(want));
});

test.each([
  ["an empty file", "", "line 1"],
  ["a torn file", '{"Data":{"PodDev', "line 1"],
  [
    "another shape",
    '{"Data":{"PodDeviceEntries":[{"PodUID":1}]}}',
    "$.Data.PodDeviceEntries[0].PodUID: expected a string",
  ],
])("%s is refused", (_, content, want) => {
  expect(() => checkpointedDevices(content, "u")).toThrow(want);
});
