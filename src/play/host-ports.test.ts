import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { HostPorts } from "./host-ports.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-ports-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(...pods: object[]): HostPorts {
  const path = join(folder, "pods.yaml");
  writeFileSync(path, pods.map((pod) => JSON.stringify({ kind: "Pod", ...pod })).join("\n---\n"));
  return new HostPorts([path]);
}

const web = { namespace: "default", name: "web" };
const pod = (...ports: unknown[]) => ({ metadata: { name: "web" }, spec: { containers: [{ ports }] } });

test.each<[string, unknown[], unknown[]]>([
  ["none", [], []],
  ["a port of the pod alone", [{ containerPort: 80 }], []],
  ["port 0, which stands for none", [{ containerPort: 80, hostPort: 0 }], []],
  [
    "TCP unless it says otherwise",
    [{ containerPort: 80, hostPort: 8080 }],
    [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
  ],
  [
    "one address of the node",
    [{ containerPort: 53, hostPort: 5353, protocol: "UDP", hostIP: "192.0.2.1", name: "dns" }],
    [{ hostPort: 5353, containerPort: 53, protocol: "udp", hostIP: "192.0.2.1" }],
  ],
  [
    "all addresses, said by an empty one",
    [{ containerPort: 1, hostPort: 65535, protocol: "SCTP", hostIP: "" }],
    [{ hostPort: 65535, containerPort: 1, protocol: "sctp" }],
  ],
])("a pod may ask for %s", (_, ports, want) => {
  expect(read(pod(...ports)).of(web)).toEqual(want);
});

test("the ports of all containers count, each pod's for itself, and the first of two pods with one name", () => {
  const port = (hostPort: number) => ({ ports: [{ hostPort, containerPort: 80 }] });
  const ports = read(
    { metadata: { name: "web" }, spec: { containers: [port(1), {}, port(2)] } },
    { metadata: { name: "web", namespace: "other" }, spec: { containers: [port(3)] } },
    { metadata: { name: "web" }, spec: { containers: [port(4)] } },
    { metadata: { name: "bare" } },
  );
  const numbers = (of: { namespace: string; name: string }) => ports.of(of).map(({ hostPort }) => hostPort);
  expect(numbers(web)).toEqual([1, 2]);
  expect(numbers({ namespace: "other", name: "web" })).toEqual([3]);
  expect(numbers({ namespace: "default", name: "bare" })).toEqual([]);
  expect(numbers({ namespace: "default", name: "unknown" })).toEqual([]);
});

test.each([
  { hostPort: 65536, containerPort: 80 },
  { hostPort: "8080", containerPort: 80 },
  { hostPort: 8080 },
  { hostPort: 8080, containerPort: 80, protocol: "tcp" },
  { hostPort: 8080, containerPort: 80, hostIP: 5 },
])("%j is bad input that names the document", (port) => {
  const make = () => read(pod(port));
  expect(make).toThrow(expect.objectContaining({ name: "InputError" }));
  expect(make).toThrow(
    /pods\.yaml line 1: the port \{.*\} can't be: expected hostPort and containerPort from 1 to 65535/,
  );
});
