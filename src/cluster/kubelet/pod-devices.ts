import { readTextIfExists, statusIfExists } from "../../libc/file.ts";
import type { Logger } from "../../log/logger.ts";
import { messageOf } from "../../words/message.ts";
import { ClusterError, type PodIdentity } from "../port.ts";
import { checkpointedDevices } from "./checkpoint.ts";
import type { PodDevices } from "./device-list.ts";

/**
 * The devices that kubelet on this node has assigned to a pod, by resource: from its pod-resources socket, else, where that is missing or
 * does not answer, from the checkpoint file of its device manager. `folder` is kubelet's root directory; `pod.uid` is the uid that
 * kubelet goes by, which for a static pod is not that of its mirror in the API. Undefined for a pod that kubelet does not know. Throws
 * `ClusterError` "unavailable" when neither can be read: whether the pod has devices is unknown then.
 */
export async function readPodDevices(
  folder: string,
  pod: Required<PodIdentity>,
  log: Logger,
): Promise<PodDevices | undefined> {
  const socket = `${folder}/pod-resources/kubelet.sock`;
  const checkpoint = `${folder}/device-plugins/kubelet_internal_checkpoint`;
  const problems: string[] = [];
  try {
    // HTTP/2 costs more to load than all of the dispatcher.
    if (statusIfExists(socket) !== undefined)
      return await (await import("./pod-resources.ts")).listedDevices(socket, pod);
    problems.push(`there is no ${socket}`);
  } catch (error) {
    problems.push(messageOf(error));
  }
  try {
    const content = readTextIfExists(checkpoint);
    if (content !== undefined) {
      const devices = checkpointedDevices(content, pod.uid);
      log.verbose(`devices of pod ${pod.namespace}/${pod.name} are from ${checkpoint}: ${problems.join("; ")}`);
      return devices;
    }
    problems.push(`there is no ${checkpoint}`);
  } catch (error) {
    problems.push(`${checkpoint}: ${messageOf(error)}`);
  }
  throw new ClusterError(
    "unavailable",
    `ask kubelet for the devices of pod ${pod.namespace}/${pod.name}`,
    problems.join("; "),
    "kubelet must run on this node, and kubeletDir must name its root directory",
  );
}
