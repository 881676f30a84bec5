import { assert, property, stringMatching } from "fast-check";
import { describe, expect, test } from "vitest";
import * as words from "./words.ts";

const owner = { network: "pnet", containerId: "ctr1", ifName: "eth0" };
const bytesOf = (text: string) => new TextEncoder().encode(text).length;
const longId = "c".repeat(200);
const longNetwork = "n".repeat(200);

describe("nftables rules", () => {
  test("have the container as comment, without quotes, as upstream's DEL compares it", () => {
    expect(words.nftCommentOf("ctr1")).toBe("ctr1");
    expect(words.nftCommentOf('a"b')).toBe("ab");
    expect(words.nftCommentOf(longId)).toBe("c".repeat(128));
  });

  test.each<[string, object, string]>([
    ["an interface", {}, "pnet/eth0"],
    ["another interface", { ifName: "net1" }, "pnet/net1"],
    // The first digits of the name's SHA-512.
    ["a network with a long name", { network: longNetwork }, "8a59181277a22cf5/eth0"],
  ])("of %s tell its network and its name", (_, own, want) => {
    const one = { ...owner, ...own };
    expect(words.tagOf(one)).toBe(want);
    expect(words.interfaceOfTag(want, one.network)).toBe(one.ifName);
    expect(words.interfaceOfTag(want, "other")).toBeUndefined();
  });
});

describe("iptables rules", () => {
  test("are in the chain that upstream's are in", () => {
    expect(words.mappingChain(owner)).toBe("CNI-DN-d5afdba067c67065c2f03");
    expect(words.mappingChain(owner, "SN-")).toBe("CNI-SN-d5afdba067c67065c2f03");
    const names = ["CNI-DN-d5afdba067c67065c2f03", "CNI-d5afdba067c67065c2f03b7e", "CNI-HOSTPORT-DNAT", "CNI-DN-xyz"];
    expect(names.map(words.isMappingChain)).toEqual([true, false, false, false]);
  });

  test("say whose they are", () => {
    expect(words.entryComment(owner)).toBe('dnat name: "pnet" id: "ctr1" if: "eth0"');
    expect(words.ruleComment(owner)).toBe('if: "eth0"');
    expect(words.ruleComment({ ifName: String.raw`e"t\h` })).toBe('if: "eth"');
  });

  test("whose words would be too long say it by a hash, and still by which interface", () => {
    const one = { network: longNetwork, containerId: longId, ifName: "eth0" };
    const comment = words.entryComment(one);
    expect(comment).toMatch(/^dnat if: "eth0" hash: "[0-9a-f]{16}-[0-9a-f]{16}" id: "c+$/);
    expect(bytesOf(comment)).toBe(255);
    expect(words.parseEntryComment(comment)).toBeUndefined();
    expect(words.isUpstreamEntry(comment)).toBe(false);
  });

  test.each<[string, words.EntryWords | undefined]>([
    ['dnat name: "n" id: "c" if: "eth0"', { network: "n", containerId: "c", ifName: "eth0" }],
    // Upstream's.
    ['dnat name: "n" id: "c"', { network: "n", containerId: "c", ifName: undefined }],
    ['name: "n" id: "c"', undefined],
    ['dnat name: "n" id: "c" if: "eth0" more', undefined],
    ["", undefined],
  ])("with comment %j are read", (comment, want) => {
    expect(words.parseEntryComment(comment)).toEqual(want);
    expect(words.isUpstreamEntry(comment)).toBe(want?.ifName === undefined && !comment.includes(" if: "));
  });
});

test("what can be written can be read back, and fits", () => {
  const name = stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,80}$/);
  assert(
    property(name, name, name, (network, containerId, ifName) => {
      const one = { network, containerId, ifName: ifName.slice(0, 15) };
      const comment = words.entryComment(one);
      expect(bytesOf(comment)).toBeLessThanOrEqual(255);
      expect(words.parseEntryComment(comment)).toEqual(one);
      expect(words.interfaceOfTag(words.tagOf(one), network)).toBe(one.ifName);
      expect(words.interfaceOfTag(words.tagOf(one), `${network}x`)).toBeUndefined();
      expect(words.isMappingChain(words.mappingChain(one))).toBe(true);
    }),
  );
});
