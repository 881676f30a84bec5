import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Attachment, hostAlias, hostName } from "./host-end.ts";

const one: Attachment = { network: "pods", containerId: "ctr0", ifName: "eth0" };
/** As the specification allows them. */
const word = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,299}$/);
const attachment = fc.record<Attachment>({
  network: word,
  containerId: word,
  ifName: fc.stringMatching(/^[^/:\s]{1,15}$/),
});
const bytesOf = (text: string) => new TextEncoder().encode(text).length;

describe("the name of the node's end", () => {
  test("is upstream's in form, and the same each time", () => {
    expect(hostName(one, 0)).toMatch(/^veth[0-9a-f]{8}$/);
    expect(hostName({ ...one }, 0)).toBe(hostName(one, 0));
  });

  test("is another for another attachment and another attempt", () => {
    const names = [
      hostName(one, 0),
      hostName(one, 1),
      hostName({ ...one, network: "other" }, 0),
      hostName({ ...one, containerId: "ctr1" }, 0),
      hostName({ ...one, ifName: "net1" }, 0),
      hostName({ network: "pod", containerId: "sctr0", ifName: "eth0" }, 0),
    ];
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("the alias of the node's end", () => {
  test("can be read", () => {
    expect(hostAlias(one)).toBe("cni:pods/ctr0/eth0");
  });

  test("fits the kernel's limit, with the network in front as long as that leaves room", () => {
    const network = "n".repeat(250);
    expect(hostAlias({ ...one, containerId: "c".repeat(300) })).toMatch(/^cni:pods\/[0-9a-f]{64}$/);
    expect(hostAlias({ ...one, network })).toMatch(/^cni:[0-9a-f]{64}\/ctr0\/eth0$/);
    fc.assert(fc.property(attachment, (any) => bytesOf(hostAlias(any)) <= 255));
  });

  test("of two attachments is the same only if they are", () => {
    fc.assert(
      fc.property(
        attachment,
        attachment,
        (a, b) => (hostAlias(a) === hostAlias(b)) === (JSON.stringify(a) === JSON.stringify(b)),
      ),
    );
  });
});
