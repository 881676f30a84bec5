import { parseArgs } from "../cni/args.ts";
import { requestConfig } from "../cni/chain.ts";
import { CniError } from "../cni/error.ts";
import { notIpam } from "../cni/ipam-delegate.ts";
import { type NetConf, parseNetConf } from "../cni/net-conf.ts";
import type { PluginEntry } from "../cni/network-list.ts";
import type { ConfigReview, Plugin } from "../cni/plugin.ts";
import { UnreadKeys } from "../cni/unread-keys.ts";
import { JsonError } from "../json/error.ts";
import type { Pod } from "../cluster/port.ts";
import { builtin } from "../plugins/table.ts";
import type { Attachment } from "./attachment.ts";
import type { MultusConf } from "./config.ts";
import { defaultNetworkAnnotation, networksAnnotation, parseSelection, SelectionError } from "./selection.ts";

/**
 * What the built-in plugins of an attachment would say of their configs at ADD, as far as that takes no node: the first plugin's own keys and
 * what each of them has in `ipam`. Plugins further down the chain read theirs beside a result that is not there yet. Each line names the
 * network, the interface, the plugin and the JSON path; an ADD ends at the refusal. Plugins that are executed are not asked. Warned of is
 * also a key that none of them reads and that is a slip away from one that is read.
 */
export async function reviewConfigs({ execPlugins }: MultusConf, attachment: Attachment): Promise<ConfigReview> {
  const warnings: string[] = [];
  const own = (type: string) => (execPlugins.includes(type) ? undefined : builtin(type));
  for (const entry of attachment.list.plugins) {
    const plugin = await own(entry.type);
    if (plugin === undefined) continue;
    const where = `network ${attachment.name} (interface ${attachment.ifName}): ${entry.type}`;
    const keys = new UnreadKeys();
    try {
      const conf = confOf(attachment, entry, plugin);
      const parse = (): unknown => plugin.parse(conf, parseArgs(attachment.args), "ADD");
      if (entry === attachment.list.plugins[0]) keys.watch(parse);
      else watchChained(keys, parse);
      if (conf.ipamType === "") continue;
      const ipam = await own(conf.ipamType);
      if (ipam === undefined) continue;
      if (ipam.isIpam !== true) throw notIpam(conf.ipamType);
      // Any other plugin hands the section on to nobody.
      if (plugin.ownsLink !== true) continue;
      const { refusal, warnings: doubts } = review(ipam, confOf(attachment, entry, ipam), attachment, keys);
      for (const doubt of doubts) warnings.push(`${where}/${ipam.name}: ${doubt}`);
      if (refusal !== "") return { refusal: `${where}/${ipam.name}: ${refusal}`, warnings };
    } catch (error) {
      return { refusal: `${where}: ${CniError.from(error).text}`, warnings };
    } finally {
      for (const hint of keys.hints())
        if (!warnings.some((each) => isOfSameKey(each, hint))) warnings.push(`${where}: ${hint}`);
    }
  }
  return { refusal: "", warnings };
}

/** Further down the chain a config is read beside a result that is not there yet: what is refused may be for want of it, the keys are the same. */
function watchChained(keys: UnreadKeys, parse: () => unknown): void {
  try {
    keys.watch(parse);
  } catch (error) {
    if (!(error instanceof CniError || error instanceof JsonError)) throw error;
  }
}

/** Keys of the pod's annotations that nobody reads and that come near one that is read, a line each. */
export function reviewAnnotations({ annotations, namespace }: Pod): string[] {
  return [networksAnnotation, defaultNetworkAnnotation].flatMap((annotation) => {
    const keys = new UnreadKeys();
    try {
      keys.watch(() => parseSelection(annotations[annotation] ?? "", namespace));
    } catch (error) {
      // What can't be read is told by whoever needs it.
      if (!(error instanceof SelectionError)) throw error;
    }
    return keys.hints().map((hint) => `annotation ${annotation}: ${hint}`);
  });
}

/** A plugin may know its own keys better, and say so under the same path. */
function isOfSameKey(warning: string, hint: string): boolean {
  return warning.includes(` ${hint.slice(0, hint.indexOf(": "))}: `);
}

function review(ipam: Plugin, conf: NetConf, { args }: Attachment, keys: UnreadKeys): ConfigReview {
  try {
    const config = keys.watch(() => ipam.parse(conf, parseArgs(args), "ADD"));
    return ipam.review?.(config) ?? { refusal: "", warnings: [] };
  } catch (error) {
    return { refusal: CniError.from(error).text, warnings: [] };
  }
}

/** What the plugin would be given. Throws `CniError`. */
function confOf({ list, capabilityArgs }: Attachment, entry: PluginEntry, { since }: Plugin): NetConf {
  return parseNetConf(requestConfig(list, entry, capabilityArgs), "ADD", since).conf;
}
