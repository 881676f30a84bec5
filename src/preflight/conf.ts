import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { isDispatcherType, namesDispatcher } from "../cni/dispatcher-type.ts";
import { loadNetworkFile } from "../cni/network-folder.ts";
import { isGeneratedConf, runtimeConfs } from "../cni/runtime-folder.ts";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/value.ts";
import { failed, type Finding, ok, reasonOf, skipped, warning } from "./finding.ts";

/** What the runtime loads: the first config by file name, and who is its default delegate. Returns the dispatcher's own config with it. */
export function checkConf(folder: string): {
  readonly findings: Finding[];
  readonly dispatcher: JsonObject | undefined;
} {
  const names = isFolder(folder) ? runtimeConfs(folder) : [];
  const first = names[0];
  if (first === undefined) {
    const missing = failed("conf-order", `there is no CNI config in ${folder}`, "install the cluster's network plugin");
    return { findings: [missing], dispatcher: undefined };
  }
  const read = readFirst(join(folder, first));
  if ("code" in read) return { findings: [read], dispatcher: undefined };
  const { dispatcher } = read;
  if (dispatcher === undefined) return { findings: [notFirst(folder, names)], dispatcher };
  const order = ok("conf-order", `runtimes take ${join(folder, first)}, the dispatcher's`);
  return {
    findings: [order, twice(names), delegate(dispatcher), itself(dispatcher), readiness(dispatcher)],
    dispatcher,
  };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function readFirst(path: string): Finding | { readonly dispatcher: JsonObject | undefined } {
  try {
    const { plugins } = loadNetworkFile(path);
    return { dispatcher: plugins.find(({ type }) => isDispatcherType(type))?.config };
  } catch (error) {
    const cure = "correct or remove it: runtimes stop at the first file, or pass over it without a word";
    return failed("conf-order", `the first config can't be read: ${reasonOf(error)}`, cure);
  }
}

function notFirst(folder: string, names: readonly string[]): Finding {
  const ours = names.find(isGeneratedConf);
  const first = join(folder, names[0] ?? "");
  if (ours === undefined)
    return failed("conf-order", `runtimes take ${first}, and polynic is not in it`, "run polynic install");
  return failed(
    "conf-order",
    `runtimes take ${first} before ${ours}`,
    `rename ${first} so that it sorts behind ${ours}`,
  );
}

function twice(names: readonly string[]): Finding {
  const ours = names.filter(isGeneratedConf);
  if (ours.length < 2) return ok("conf-single", "there is one config of the dispatcher");
  return warning(
    "conf-single",
    `${ours.join(" and ")} are both there`,
    "remove the one that is not current: the first counts",
  );
}

function delegate(dispatcher: JsonObject): Finding {
  const code = "conf-delegate";
  const clusterNetwork = getField(dispatcher, "clusterNetwork");
  if (typeof clusterNetwork === "string" && clusterNetwork !== "")
    return ok(code, `the default network is clusterNetwork ${clusterNetwork}`);
  const [first] = delegatesOf(dispatcher);
  if (!isJsonObject(first))
    return failed(code, "the dispatcher's config has no delegates and no clusterNetwork", "run polynic install");
  const plugins = getField(first, "plugins");
  const types = (Array.isArray(plugins) ? plugins : [first]).map((each: JsonValue) => typeOf(each)).join("+");
  return ok(code, `the default network is ${JSON.stringify(getField(first, "name") ?? "")} (${types})`);
}

function itself(dispatcher: JsonObject): Finding {
  const code = "conf-self";
  if (!Object.values(dispatcher).some(namesDispatcher)) return ok(code, "no delegate leads back to the dispatcher");
  return failed(
    code,
    "a delegate of the dispatcher is a dispatcher again",
    "run polynic install once the primary's own config is in place",
  );
}

function readiness(dispatcher: JsonObject): Finding {
  const code = "conf-readiness";
  const path = getField(dispatcher, "readinessindicatorfile");
  if (typeof path !== "string" || path === "") return skipped(code, "no readinessindicatorfile is named");
  if (existsSync(path)) return ok(code, `readinessindicatorfile ${path} is there`);
  return failed(
    code,
    `readinessindicatorfile ${path} is not there: no pod gets a network`,
    "look at the default network's own agent on this node",
  );
}

function typeOf(config: JsonValue): string {
  const type = isJsonObject(config) ? getField(config, "type") : undefined;
  return typeof type === "string" ? type : "";
}

function delegatesOf(dispatcher: JsonObject): readonly JsonValue[] {
  const delegates = getField(dispatcher, "delegates");
  return Array.isArray(delegates) ? (delegates as readonly JsonValue[]) : [];
}
