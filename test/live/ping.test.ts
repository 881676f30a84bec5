import { expect, test } from "vitest";
import { useLan } from "../kit/hooks.ts";
import { ping } from "../kit/ping.ts";

const lan = useLan({ nodes: 2 });

test.each([
  ["10.9.0.1/24", "10.9.0.2/24"],
  ["fd00:9::1/64", "fd00:9::2/64"],
])("two hosts of a LAN with the addresses %s and %s answer each other", (first, second) => {
  lan()
    .node(0)
    .ip(`address add ${first} dev eth0 ${first.includes(":") ? "nodad" : ""}`);
  lan()
    .node(1)
    .ip(`address add ${second} dev eth0 ${second.includes(":") ? "nodad" : ""}`);
  expect(ping(lan().node(0).path, second.split("/")[0] ?? "")).toBeGreaterThan(0);
  expect(ping(lan().node(1).path, first.split("/")[0] ?? "")).toBeGreaterThan(0);
  expect(ping(lan().node(1).path, second.split("/")[0] ?? "")).toBeGreaterThan(0);
});

test("an address that nobody has is an error that names it", () => {
  expect(() => ping(lan().node(0).path, "10.9.0.77", { timeoutMs: 300 })).toThrow("10.9.0.77 does not answer from");
});

test("an address that there is no route to is an error with the reason", () => {
  expect(() => ping(lan().node(0).path, "203.0.113.1", { timeoutMs: 100 })).toThrow("network is unreachable");
});
