import { Command } from "commander";
import { callNetwork, type NetworkVerb } from "./network-call.ts";
import type { Terminal } from "./terminal.ts";

/** The environment that the verbs of networks read, for their help. */
export const networkHelp = `
Environment, as for cnitool:
  NETCONFPATH   folder of the network configurations (/etc/cni/net.d)
  CNI_PATH      folders with plugins that are not built in, joined by ":"
  CNI_IFNAME    name of the interface (eth0)
  CNI_ARGS      KEY=VALUE pairs joined by ";", such as K8S_POD_NAMESPACE=default;K8S_POD_NAME=web
  CAP_ARGS      capability arguments as a JSON object, such as {"ips":["10.1.2.3/24"]}
`;

/** The command of one verb; gc and status may leave NETNS out, since they are not about one. */
export function networkCommand(verb: NetworkVerb, description: string, terminal: Terminal): Command {
  const isAboutNetns = verb !== "gc" && verb !== "status";
  return new Command(verb)
    .description(description)
    .argument("<network>", "name of a network in NETCONFPATH")
    .argument(isAboutNetns ? "<netns>" : "[netns]", "path of a network namespace")
    .addHelpText("after", `${networkHelp}\nExample:\n  polynic ${verb} multi${isAboutNetns ? " /run/netns/x" : ""}`)
    .action(async (network: string, netns: string | undefined) => {
      await callNetwork(verb, network, netns ?? "", process.env, terminal);
    });
}
