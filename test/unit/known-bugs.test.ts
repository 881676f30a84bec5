// What Multus 4.3 gets wrong in a call, and polynic must not: each is named by a test that shows it, in the words that follow "BUG".
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");

/** By where Multus' sources and threads are summed up: 1 config, 2 annotations, 3 definitions, 4 commands, 5 status and events. */
const bugs = [
  ["1.2: Multus compares the pod's name", "system namespaces are compared with the pod's name"],
  ["1.2: Multus crashes", "an empty list of plugins ends it without an answer"],
  ["1.2: thin Multus forgets them", "logOptions have no effect in a process of its own"],
  ["1.3: Multus warns on every ADD", "a network found in confDir costs an event"],
  ["1.3: Multus crashes", "STATUS and GC with a clusterNetwork by name"],
  ["2.2: Multus panics over args that are no object", "cni-args for a config whose args are a text"],
  ["2.3: Multus gives two networks one device", "the default-network annotation counts devices for itself"],
  ["2.3: Multus does not look", "isolation and the default-network annotation"],
  ["2.4: Multus keeps eth0's route alone", "default-route on a network without a default route of its own"],
  ["2.4: Multus keeps both", "default-route on one with a default route of its own"],
  ["2.4: Multus never removes ::/0", "and of IPv6"],
  ["2.4: Multus looks for ::0/0", "also in the cached results"],
  ["2.4: Multus drops them too", "an empty default-route"],
  ["2.4: Multus leaves every interface", "a gateway out of reach"],
  ["2.5: Multus hands them to all", "what kubelet sends reaches every network"],
  ["3, I 755: Multus deletes with a part of it", "a list without cniVersion"],
  ["4.1: Multus gives up after 250 ms", "a slow API server"],
  ["4.1: Multus leaves every interface", "a status that can't be written"],
  ["4.2: Multus looks at the config only", "CHECK"],
  ["4.3: Multus says success and does nothing", "an empty or broken journal"],
  ["4.3: Multus panics", "a journal that is [] or null"],
  ["4.3: Multus keeps a part of a list", "the journal of a cluster network from a file"],
  ["4.3, I 1449: Multus leaks its own default network", "and the DEL by it"],
  ["4.3: Multus sends a part", "port mappings and bandwidth are missing at DEL"],
  ["4.3: Multus forgets", "the journal goes although a DEL has failed"],
  ["4.4: Multus never collects any", "GC"],
  ["4.4: Multus waits 45 s", "STATUS"],
  ["4.6: Multus fails, or succeeds without a result", "an executable that is being written"],
  ["5: Multus prints <nil>", "a default route without a gateway"],
] as const;

const titles = ["src", "test"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  )
  .filter((path) => path.endsWith(".test.ts") && !path.endsWith("known-bugs.test.ts"))
  .map((path) => readFileSync(join(root, path), "utf8"))
  .join("\n");

test.each(bugs)("%s (%s) has its test", (bug) => {
  expect(titles).toContain(`(BUG ${bug})`);
});

test("no test names a bug that is not listed", () => {
  const listed = bugs.map(([bug]) => bug.split(/[:,]/)[0]);
  const named = [...titles.matchAll(/BUG (\d+(?:\.\d+)?)\b/g)].map((match) => match[1]);
  expect(new Set(named.filter((each) => !listed.some((known) => known === each)))).toEqual(new Set(["10.7"]));
});
