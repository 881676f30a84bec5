// What Go whereabouts is known for, and does not happen here: each bug and each complaint about correctness is named by a test that shows it, in
// the words that follow "WHEREABOUTS".
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");

/**
 * "loop" and a number are bugs of its storage loop in the order of a call, numbers alone its issues, "PR" its pull requests; other projects' issues
 * bear the project's name. What is only about speed or memory is not here: bench/ measures it.
 */
const bugs = [
  ["loop 1", "a failed write of the pool is forgotten when the reservation succeeds"],
  ["loop 2", "a second range gets no reservation after a repeated ADD of the first"],
  ["loop 3", "DEL stops at the first range that has nothing to give back"],
  ["loop 4", "an ADD whose second range is exhausted keeps the first one's address"],
  ["loop 5", "a failed ADD has the other pod's reservation deleted"],
  ["loop 6", "an entry of its own beside somebody else's reservation makes a pod spin"],
  ["loop 7", "an address is given out again before its link is gone"],
  ["cliff", "some 30 addresses of overlapping ranges ahead make every ADD fail"],
  ["97", "the same address on two pods"],
  ["103", "the same address on two nodes"],
  ["110", "duplicates at scale"],
  ["multus-cni 645", "the same net1 address on two nodes"],
  ["162", "the reconciler frees an address before the annotation appears"],
  ["176", "the reconciler frees a StatefulSet's new address in place of the stale one"],
  ["207", "a pod that is made while the reconciler lists loses its address"],
  ["305", "a pod has an address that is in no pool"],
  ["403", "keys beyond what its reader can parse"],
  ["409", "pool and reservations diverge when calls compete"],
  ["712", "the same, with the failure hidden"],
  ["75", "a node that crashes never frees its addresses"],
  ["546", "a pod that is deleted while the daemon is down keeps its address"],
  ["550", "pods that have ended keep their addresses"],
  ["483", "a scale-down leaves entries"],
  ["553", "and more with each cycle"],
  ["388", "the reconciler gives up when the server asks for fewer requests"],
  ["389", "and leaves a hundred entries of a large scale-down"],
  ["172", "the reconciler crashes when pools can't be listed"],
  ["396", "what the reconciler could not do is not told"],
  ["484", "after a crash of workers people clean up by hand"],
  ["291", "the restarted sandbox of a pod finds the pool full"],
  ["PR 296", "its attempt at a cure"],
  ["70", "after a failed ADD each DEL fails, too"],
  ["275", "the same"],
  ["303", "a Lease that nobody gives back, and an empty namespace"],
  ["332", "the daemon crashes without NODENAME"],
  ["558", "slices stall when many pods start"],
  ["518", "a conflist without a name gets no slices"],
  ["504", "slices need a network_name"],
  ["666", "exclusions are passed over in slices"],
  ["PR 703", "slices are not found by a name with a domain"],
  ["638", "the addresses of a default network are collected"],
  ["293", "an IPv6 address that ends with :: has a name that is none"],
  ["openshift 23", "it fails in clusters of IPv6 alone"],
  ["507", "missing or old definitions make ADD fail in a way that nobody understands"],
  ["network-operator 1685", "the same"],
  ["601", "host-local's spellings are passed over, so the gateway is given to a pod"],
  ["107", "the gateway is not told"],
  ["290", "or only with a second route"],
  ["288", "an address that was given back is given out at once"],
  ["621", "a pod can't ask for an address"],
  ["168", "the same"],
  ["500", "the same"],
  ["459", "the token in the kubeconfig expires"],
  ["465", "config file not found, although nothing of it is needed"],
  ["35", "range_end is not given out"],
  ["42", "the same"],
] as const;

const titles = ["src", "test"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  )
  .filter((path) => path.endsWith(".test.ts") && !path.endsWith("known-whereabouts-bugs.test.ts"))
  .map((path) => readFileSync(join(root, path), "utf8"))
  .join("\n");
const named = new Set([...titles.matchAll(/\(WHEREABOUTS ([^)\n]+)\)/g)].flatMap(([, list = ""]) => list.split(/, ?/)));

test.each(bugs)("%s (%s) has its test", (bug) => {
  expect(named).toContain(bug);
});

test("no test names a bug that is not listed", () => {
  expect([...named].filter((each) => !bugs.some(([bug]) => bug === each))).toEqual([]);
});
