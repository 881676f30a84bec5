import type { CniArgs } from "../cni/args.ts";
import type { JsonObject } from "../json/value.ts";
import type { NetworkSelectionElement } from "./selection.ts";

/** The annotation's key for a claim, by which delegates get it too: nobody has agreed on another name. */
export const ipamClaimKey = "ipam-claim-reference";

/** What a runtime says about the pod as a whole; all else that it sends is meant for the default network only (NPWG spec 7.5). */
const podWide = ["cgroupPath", "io.kubernetes.cri.pod-annotations"] as const;

/**
 * The capability arguments of one attachment, before each plugin's `capabilities` filter them: what its own selection element asks
 * for, over what the runtime sent. Of the latter the other networks get only what is about the whole pod: kubelet's port mappings must
 * not open on a second network too.
 */
export function capabilityArgs(
  runtimeConfig: JsonObject,
  element: NetworkSelectionElement | undefined,
  isDefault: boolean,
): JsonObject {
  const asked = [
    ["portMappings", element?.portMappings],
    ["bandwidth", element?.bandwidth],
    ["ips", element?.ips],
    ["mac", element?.mac],
    ["infinibandGUID", element?.infinibandGuid],
    ["deviceID", element?.deviceId],
    [ipamClaimKey, element?.ipamClaimReference],
  ] as const;
  const args: Record<string, unknown> = isDefault ? { ...runtimeConfig } : {};
  for (const key of podWide) if (runtimeConfig[key] !== undefined) args[key] = runtimeConfig[key];
  for (const [key, value] of asked) if (value !== undefined) args[key] = value;
  return args as JsonObject;
}

const podKeys = ["K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"] as const;

/**
 * CNI_ARGS for a delegate: IgnoreUnknown, the four pod keys (empty where the runtime gave none), the runtime's other pairs, and MAC and
 * IP from the selection element. A key appears once; the element's MAC and IP win over the runtime's.
 */
export function delegateArgs(args: CniArgs, element: NetworkSelectionElement | undefined): string {
  const pairs = new Map<string, string>([["IgnoreUnknown", "true"]]);
  for (const key of podKeys) pairs.set(key, "");
  for (const [key, value] of args.pairs) if (key !== "IgnoreUnknown") pairs.set(key, value);
  if (element?.mac !== undefined) pairs.set("MAC", element.mac);
  if (element?.ips !== undefined) pairs.set("IP", element.ips.join(","));
  let text = "";
  for (const [key, value] of pairs) text += `${text === "" ? "" : ";"}${key}=${value}`;
  return text;
}
