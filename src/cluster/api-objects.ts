import { anyObject, flag, type Infer, mapOf, optional, struct, text } from "../json/struct.ts";
import { claimsOf } from "./pod-claims.ts";
import { isStaticPod, type NetworkAttachmentDefinition, type Pod } from "./port.ts";

const metadata = {
  namespace: optional(text(), ""),
  name: text(),
  annotations: optional(mapOf(text()), {}),
};

/** What is read of a pod (core/v1). */
export const podSchema = struct({
  metadata: struct({ ...metadata, uid: text() }),
  spec: optional(struct({ nodeName: optional(text(), ""), hostNetwork: optional(flag(), false) }), {}),
  status: optional(anyObject(), {}),
});

/** What is read of a NetworkAttachmentDefinition (k8s.cni.cncf.io/v1). */
export const networkSchema = struct({
  metadata: struct(metadata),
  spec: optional(struct({ config: optional(text(), "") }), {}),
});

/** An object of which only the name matters. */
export const namedSchema = struct({ metadata: struct({ namespace: optional(text(), ""), name: text() }) });

/** As the port gives a pod. */
export function podOf({ metadata: { namespace, name, uid, annotations }, spec, status }: Infer<typeof podSchema>): Pod {
  const claims = claimsOf(status);
  return {
    namespace,
    name,
    uid,
    annotations,
    isStatic: isStaticPod(annotations),
    ...(spec.nodeName === "" ? {} : { nodeName: spec.nodeName }),
    ...(claims.length === 0 ? {} : { claims }),
    ...(spec.hostNetwork ? { usesHostNetwork: true } : {}),
  };
}

/** As the port gives a network. */
export function networkOf({ metadata, spec }: Infer<typeof networkSchema>): NetworkAttachmentDefinition {
  const { namespace, name, annotations } = metadata;
  return { namespace, name, config: spec.config, annotations };
}
