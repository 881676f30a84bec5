// What a cluster's administrator does with kubectl, for tests: objects made, read and deleted with all rights.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiServerFacts } from "./api-server.ts";

/** A Kubernetes object as JSON. */
export interface KubeJson {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** Kinds that tests make, by what paths call them. */
const plurals: Readonly<Record<string, string>> = {
  Pod: "pods",
  Namespace: "namespaces",
  ServiceAccount: "serviceaccounts",
  ConfigMap: "configmaps",
  ResourceClaim: "resourceclaims",
  ResourceSlice: "resourceslices",
  NetworkAttachmentDefinition: "network-attachment-definitions",
  CustomResourceDefinition: "customresourcedefinitions",
  ClusterRole: "clusterroles",
  ClusterRoleBinding: "clusterrolebindings",
  Role: "roles",
  RoleBinding: "rolebindings",
  Node: "nodes",
  Lease: "leases",
  IPPool: "ippools",
  OverlappingRangeIPReservation: "overlappingrangeipreservations",
  NodeSlicePool: "nodeslicepools",
};

/** What somebody may do, in the words of RBAC. */
export interface AccountRight {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly name?: string;
  readonly namespace?: string;
}

const establishedTimeoutMs = 60_000;

export class KubeAdmin {
  readonly server: string;
  readonly #session: Bun.FetchSession;

  constructor(readonly api: ApiServerFacts) {
    const read = (name: string) => readFileSync(join(api.folder, name), "utf8");
    this.server = `https://127.0.0.1:${api.port}`;
    this.#session = new Bun.FetchSession({
      tls: { ca: api.ca, cert: read("admin.crt"), key: read("admin.key"), rejectUnauthorized: true },
      proxy: false,
    });
  }

  /** Sends a request to a path; throws with the server's words unless it succeeds or fails with one of `allowed`. */
  async send(method: string, path: string, body?: object, allowed: readonly number[] = []): Promise<KubeJson> {
    const response = await this.#session.fetch(this.server + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": contentTypeOf(method) } }),
    });
    const text = await response.text();
    if (!response.ok && !allowed.includes(response.status)) throw new Error(`${method} ${path}: ${text}`);
    return JSON.parse(text) as KubeJson;
  }

  /** Creates an object and returns it as the server has it; throws when there is one of that name. */
  async create(object: KubeJson): Promise<KubeJson> {
    return await this.send("POST", folderOf(object), object);
  }

  /** As `create`, for what somebody else may have made: one that exists stays as it is. */
  async ensure(object: KubeJson): Promise<void> {
    await this.send("POST", folderOf(object), object, [409]);
  }

  async get(object: KubeJson): Promise<KubeJson> {
    return await this.send("GET", pathOf(object));
  }

  /** Deletes an object at once, without the grace that pods are given; one that is gone is all right. */
  async delete(object: KubeJson): Promise<void> {
    await this.send("DELETE", pathOf(object), { gracePeriodSeconds: 0 }, [404]);
  }

  /** Creates the objects of a YAML file, in order; returns when definitions among them are served. */
  async apply(path: string): Promise<void> {
    const content = Bun.YAML.parse(readFileSync(path, "utf8")) as KubeJson | KubeJson[];
    for (const object of [content].flat()) {
      await this.create(object);
      if (object.kind === "CustomResourceDefinition") await this.#waitUntilServed(object);
    }
  }

  /** A token of a service account, as kubelet gets them; signed by the server, for an hour unless said otherwise. */
  async token(namespace: string, name: string, expirationSeconds = 3600): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds } };
    const answer = await this.send("POST", path, body);
    return (answer["status"] as { token: string }).token;
  }

  /**
   * True when the server's authorizer lets a service account of kube-system do that: it learns of roles some time after they were made. `resource` is
   * "pods/status", "ippools"; `name` and `namespace` are "" for any, and for all of the cluster.
   */
  async allows(account: string, { verb, group, resource, name = "", namespace = "" }: AccountRight): Promise<boolean> {
    const [plural, subresource = ""] = resource.split("/");
    const answer = await this.send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: `system:serviceaccount:kube-system:${account}`,
        resourceAttributes: { verb, group, resource: plural, subresource, name, namespace },
      },
    });
    return (answer["status"] as { allowed: boolean }).allowed;
  }

  async #waitUntilServed(definition: KubeJson): Promise<void> {
    const { group, names, versions } = definition["spec"] as {
      group: string;
      names: { plural: string };
      versions: readonly { name: string }[];
    };
    const deadline = performance.now() + establishedTimeoutMs;
    while (performance.now() < deadline) {
      const answer = await this.send(
        "GET",
        `/apis/${group}/${versions[0]?.name}/${names.plural}`,
        undefined,
        [404],
      ).catch(() => undefined);
      if (answer !== undefined && answer.kind !== "Status") return;
      await Bun.sleep(20);
    }
    throw new Error(`${names.plural}.${group} is not served after ${establishedTimeoutMs / 1000} s`);
  }
}

function contentTypeOf(method: string): string {
  return method === "PATCH" ? "application/merge-patch+json" : "application/json";
}

function folderOf({ apiVersion, kind, metadata }: KubeJson): string {
  const plural = plurals[kind];
  if (plural === undefined) throw new TypeError(`tests make no ${kind}`);
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}${metadata.namespace === undefined ? "" : `/namespaces/${metadata.namespace}`}/${plural}`;
}

function pathOf(object: KubeJson): string {
  return `${folderOf(object)}/${object.metadata.name ?? ""}`;
}
