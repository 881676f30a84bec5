import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requireAllowed } from "./sysctl-allowlist.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-allowlist-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function ask(list: string | undefined, keys: readonly string[], isRequired = false): void {
  const path = join(folder, "allowlist.conf");
  if (list !== undefined) writeFileSync(path, list);
  requireAllowed(keys, isRequired, path);
}

const key = "net.ipv4.conf.IFNAME.arp_filter";

describe("sysctls are", () => {
  test.each<[string, string | undefined, readonly string[], boolean]>([
    ["all allowed where there is no list", undefined, [key], false],
    ["no question where there are none", "", [], true],
    ["allowed by a line that matches the whole key", `^${key}$\n`, [key], true],
    ["allowed by a line that matches a part", "ipv4.conf", [key], false],
    [
      "allowed by any line, blanks around it apart",
      "\n  ^net.core.\n\t^net.ipv4.\n",
      [key, "net.core.somaxconn"],
      false,
    ],
    ["allowed by the key as it is written", "conf/IFNAME", ["net/ipv4/conf/IFNAME/arp_filter"], false],
  ])("%s", (_, list, keys, isRequired) => {
    ask(list, keys, isRequired);
  });

  test.each<[string, string | undefined, readonly string[], boolean, string, string]>([
    ["that no line matches", "^net.core\n^net.unix", [key], false, "[^net.core ^net.unix]", "the list is"],
    ["by an empty list", "\n\n", [key], false, "[]", "the list is"],
    ["the second of which no line matches", "arp_filter", [key, "net.x"], false, "[arp_filter]", "the list is"],
    ["without a list where it is required", undefined, [key], true, "[]", "the network wants a list, and there is no"],
  ])("refused %s", (_, list, keys, isRequired, said, details) => {
    expect(() => ask(list, keys, isRequired)).toThrow(
      expect.objectContaining({
        code: 7,
        message: `Sysctl ${keys.at(-1)} is not allowed. Only the following sysctls are allowed: ${said}`,
        details: expect.stringContaining(details) as string,
      }) as Error,
    );
  });

  test.each(["net.(", "[[:alpha:]]+", "net\\Zx", "a{,2}"])("refused by a list with the line %s", (line) => {
    expect(() => ask(`${line}\n`, [key])).toThrow("is no regular expression");
  });
});
