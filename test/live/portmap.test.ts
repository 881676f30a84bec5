// Ports of a node that lead to pods: real TCP and UDP conversations over both IP versions, with the rules of either back end.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { addresses, both, type Mapping, PortSite, type SitePod } from "../kit/port-site.ts";
import { ask, Asker, type Protocol } from "../kit/traffic.ts";

const { node4, node6, other4, client4, client6, gateway4, gateway6, stranger4, stranger6 } = addresses;
const protocols: readonly Protocol[] = ["tcp", "udp"];
const backends = ["iptables", "nftables"] as const;

let site: PortSite;
let a: SitePod;
let b: SitePod;

beforeAll(async () => {
  site = new PortSite();
  a = await site.pod("a", 80, 81);
  b = await site.pod("b", 80, 81);
  await site.serve(site.stranger, "stranger", 8086, 8088);
});
afterAll(() => site[Symbol.dispose]());

/** The answers over TCP and over UDP; one text when they are the same. */
function asked(from: PinnedNetns, address: string, port: number, attempts?: number): string {
  const answers = protocols.map((protocol) => ask(from, { protocol, address, port }, attempts));
  return answers[0] === answers[1] ? (answers[0] ?? "") : answers.join(", ");
}

describe.each(backends)("a mapped port, by %s,", (backend) => {
  const own = { backend };

  /** The mapping is there while `body` looks at it. */
  async function mapped(
    mappings: ReturnType<typeof both>,
    more: object,
    body: () => void | Promise<void>,
  ): Promise<void> {
    await site.map(a, mappings, { ...own, ...more });
    try {
      await body();
    } finally {
      await site.unmap(a, mappings, { ...own, ...more });
    }
  }

  test("answers other hosts, the node itself, other pods and the pod, and nobody after DEL", async () => {
    expect(asked(site.client, node4, 8080)).toBe("refused");
    await mapped(both(8080, 80), {}, async () => {
      expect(asked(site.client, node4, 8080)).toBe(`a ${client4}`);
      expect(asked(site.client, node6, 8080)).toBe(`a ${client6}`);
      expect(asked(site.client, other4, 8080)).toBe(`a ${client4}`);
      expect(asked(site.node, node4, 8080)).toBe(`a ${node4}`);
      expect(asked(site.node, node6, 8080)).toBe(`a ${node6}`);
      expect(asked(site.node, "127.0.0.1", 8080)).toBe(`a ${gateway4}`);
      expect(asked(b.netns, node4, 8080)).toBe(`a ${gateway4}`);
      expect(asked(b.netns, node6, 8080)).toBe(`a ${gateway6}`);
      expect(asked(b.netns, gateway4, 8080)).toBe(`a ${gateway4}`);
      expect(asked(a.netns, node4, 8080)).toBe(`a ${gateway4}`);
      expect(asked(a.netns, node6, 8080)).toBe(`a ${gateway6}`);
      expect(await site.check(a, both(8080, 80), own)).toBe("");
    });
    for (const from of [site.client, site.node, a.netns, b.netns]) {
      expect([asked(from, node4, 8080), asked(from, node6, 8080)]).toEqual(["refused", "refused"]);
    }
    expect(asked(site.node, "127.0.0.1", 8080)).toBe("refused");
  });

  test("goes where the mapping says, by port, protocol and address of the node", async () => {
    const mappings: Mapping[] = [
      { hostPort: 8081, containerPort: 80, protocol: "tcp" },
      { hostPort: 8081, containerPort: 81, protocol: "UDP" },
      { hostPort: 8082, containerPort: 81 },
      ...both(8083, 80, other4),
      ...both(8084, 80, "0.0.0.0"),
      ...both(8085, 80, node6),
    ];
    await mapped(mappings, {}, () => {
      expect(asked(site.client, node4, 8081)).toBe(`a ${client4}`);
      expect(asked(site.client, node4, 8082)).toBe(`a ${client4}, refused`);
      expect([asked(site.client, node4, 8083), asked(site.client, other4, 8083)]).toEqual(["refused", `a ${client4}`]);
      expect(asked(site.client, node6, 8083)).toBe("refused");
      expect([asked(site.client, node4, 8084), asked(site.client, node6, 8084)]).toEqual([`a ${client4}`, "refused"]);
      expect([asked(site.client, node4, 8085), asked(site.client, node6, 8085)]).toEqual(["refused", `a ${client6}`]);
      expect(asked(b.netns, other4, 8083)).toBe(`a ${gateway4}`);
    });
  });

  test("of another host is none of it, whichever way the packets take", async () => {
    await mapped(both(8086, 80), {}, () => {
      expect(asked(b.netns, stranger4, 8086)).toMatch(/^stranger /);
      expect(asked(b.netns, stranger6, 8086)).toMatch(/^stranger /);
      expect(asked(a.netns, stranger4, 8086)).toMatch(/^stranger /);
      expect(asked(site.node, stranger4, 8086)).toBe(`stranger ${node4}`);
      // What the client sends to the pod's own address with that port is not for the node either.
      expect(asked(site.client, b.ip4, 8086)).toBe("refused");
    });
  });

  test("of a pod belongs to the first that has it, and to the next when that is gone", async () => {
    using asker = new Asker(site.client, { protocol: "udp", address: node4, port: 8087 });
    using asker6 = new Asker(site.client, { protocol: "udp", address: node6, port: 8087 });
    const all = () => [asked(site.client, node4, 8087), asker.ask(), asked(site.client, node6, 8087), asker6.ask()];
    await mapped(both(8087, 80), {}, async () => {
      expect(all()).toEqual([`a ${client4}`, `a ${client4}`, `a ${client6}`, `a ${client6}`]);
      await site.map(b, both(8087, 80), own);
      expect(all()).toEqual([`a ${client4}`, `a ${client4}`, `a ${client6}`, `a ${client6}`]);
    });
    // One that kept sending is served by the new pod as well: its connection was forgotten.
    expect(all()).toEqual([`b ${client4}`, `b ${client4}`, `b ${client6}`, `b ${client6}`]);
    await site.unmap(b);
    expect(all()).toEqual(["refused", "refused", "refused", "refused"]);
    await site.map(b, both(8087, 81), own);
    expect(all()).toEqual([`b ${client4}`, `b ${client4}`, `b ${client6}`, `b ${client6}`]);
    await site.unmap(b, both(8087, 81), own);
  });

  test("leaves UDP connections alone that are not its own", async () => {
    const others = [
      { from: b.netns, address: stranger4, answer: /^stranger / },
      { from: site.node, address: stranger6, answer: /^stranger / },
    ];
    const entries = () =>
      site.node
        .run("sh", "-c", "grep 'dport=8088' /proc/net/nf_conntrack || true")
        .match(/sport=\d+ dport=8088/g)
        ?.sort();
    await site.map(b, [{ hostPort: 8089, containerPort: 80, protocol: "udp" }], own);
    for (const { from, address, answer } of others)
      expect(ask(from, { protocol: "udp", address, port: 8088 })).toMatch(answer);
    expect(ask(site.client, { protocol: "udp", address: node4, port: 8089 })).toBe(`b ${client4}`);
    const before = entries();
    expect(before?.length).toBeGreaterThanOrEqual(2);
    await mapped(both(8088, 80), {}, () => expect(entries()).toEqual(before));
    expect(entries()).toEqual(before);
    expect(site.node.run("cat", "/proc/net/nf_conntrack")).toContain("dport=8089");
    await site.unmap(b, undefined, own);
    expect(site.node.run("cat", "/proc/net/nf_conntrack")).not.toContain("dport=8089");
  });

  test("without snat is reached from outside only, and by its own address", async () => {
    await mapped(both(8090, 80), { snat: false }, async () => {
      expect(asked(site.client, node4, 8090)).toBe(`a ${client4}`);
      expect(asked(site.client, node6, 8090)).toBe(`a ${client6}`);
      expect(asked(a.netns, node4, 8090, 1)).toBe("nothing");
      expect(asked(site.node, "127.0.0.1", 8090, 1)).toBe("nothing");
      expect(await site.check(a, both(8090, 80), { ...own, snat: false })).toBe("");
    });
  });

  test("with masqAll sees the node's address whoever asks, but not when the pod's own port is asked", async () => {
    await mapped(both(8091, 80), { masqAll: true, markMasqBit: 17 }, async () => {
      expect(asked(site.client, node4, 8091)).toBe(`a ${gateway4}`);
      expect(asked(site.client, node6, 8091)).toBe(`a ${gateway6}`);
      expect(asked(a.netns, node4, 8091)).toBe(`a ${gateway4}`);
      expect(asked(site.node, "127.0.0.1", 8091)).toBe(`a ${gateway4}`);
      expect(asked(site.client, a.ip4, 80)).toBe(`a ${client4}`);
      expect(asked(b.netns, a.ip4, 80)).toBe(`a ${b.ip4}`);
      expect(await site.check(a, both(8091, 80), { ...own, masqAll: true, markMasqBit: 17 })).toBe("");
    });
  });

  const conditions =
    backend === "iptables"
      ? { conditionsV4: ["!", "-s", stranger4], conditionsV6: ["-s", client6] }
      : { conditionsV4: ["ip", "saddr", "!=", stranger4], conditionsV6: ["ip6 saddr", client6] };

  test("with conditions answers those that meet them, and other pods' ports are not bound by them", async () => {
    await site.map(b, both(8093, 81), own);
    await mapped(both(8092, 80), conditions, async () => {
      const answers = (port: number) =>
        [site.client, site.stranger].flatMap((from) => [asked(from, node4, port), asked(from, node6, port)]);
      expect(answers(8092)).toEqual([`a ${client4}`, `a ${client6}`, "refused", "refused"]);
      expect(answers(8093)).toEqual([`b ${client4}`, `b ${client6}`, `b ${stranger4}`, `b ${stranger6}`]);
      expect(await site.check(a, both(8092, 80), { ...own, ...conditions })).toBe("");
    });
    await site.unmap(b);
  });

  test("of twenty are all there, in one call of DEL none is", async () => {
    const mappings = Array.from({ length: 20 }, (_, index) => both(8100 + index, 80 + (index % 2))).flat();
    const answers = () => Array.from({ length: 20 }, (_, index) => asked(site.client, node4, 8100 + index));
    await mapped(mappings, {}, () => expect(new Set(answers())).toEqual(new Set([`a ${client4}`])));
    expect(new Set(answers())).toEqual(new Set(["refused"]));
  });

  test("that a repeated ADD no longer has is gone, and what stays is there once", async () => {
    const first = [...both(8130, 80), ...both(8131, 80)];
    const second = [...both(8131, 81), ...both(8132, 81)];
    await site.map(a, first, own);
    await mapped(second, {}, async () => {
      const ports = [8130, 8131, 8132].map((port) => [
        asked(site.client, node4, port),
        asked(site.client, node6, port),
      ]);
      expect(ports.map(([v4]) => v4)).toEqual(["refused", `a ${client4}`, `a ${client4}`]);
      expect(ports.map(([, v6]) => v6)).toEqual(["refused", `a ${client6}`, `a ${client6}`]);
      expect(await site.check(a, second, own)).toBe("");
      expect(await site.check(a, first, own)).toContain("8130");
    });
  });
});

test("a chain of somebody else can set the mark", async () => {
  const script = [
    "*nat",
    "-N THEIR-MARK",
    "-A THEIR-MARK -j MARK --set-xmark 0x4000/0x4000",
    "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
    "COMMIT",
    "",
  ];
  site.node.run(
    "sh",
    "-c",
    `printf '%s\n' ${script.map((line) => `'${line}'`).join(" ")} | tee /dev/null | iptables-restore -n`,
  );
  const own = { externalSetMarkChain: "THEIR-MARK" };
  const mappings = both(8140, 80, "0.0.0.0");
  await site.map(a, mappings, own);
  expect(asked(a.netns, node4, 8140)).toBe(`a ${gateway4}`);
  expect(asked(site.client, node4, 8140)).toBe(`a ${client4}`);
  expect(await site.check(a, mappings, own)).toBe("");
  await site.unmap(a, mappings, own);
  expect(asked(site.client, node4, 8140)).toBe("refused");
});
