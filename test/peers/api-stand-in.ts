// An API server as far as Go Multus needs one: it serves pods and networks from a folder of manifests, and writes down what it is told.
// A process of its own, started in a node's network namespace: `bun api-stand-in.ts FOLDER`; its first line is its address.
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inNetns } from "../kit/command.ts";

/** What was written about a pod: a line of JSON in FOLDER/told.jsonl. */
export interface Told {
  readonly kind: "status" | "event";
  readonly pod: string;
  readonly text: string;
}

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string; readonly name: string; annotations?: Record<string, string> };
}

/** A running stand-in. */
export class ApiStandIn implements Disposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;

  private constructor(
    readonly folder: string,
    /** http://127.0.0.1:PORT, of the node's loopback. */
    readonly url: string,
    child: Bun.Subprocess<"ignore", "pipe", "inherit">,
  ) {
    this.#child = child;
  }

  /** Starts one in the network namespace at `netns`, over the manifests in `folder`. */
  static async start(netns: string, folder: string): Promise<ApiStandIn> {
    const command = inNetns(netns, [process.execPath, join(import.meta.dirname, "api-stand-in.ts"), folder]);
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    const { value } = await child.stdout.getReader().read();
    return new ApiStandIn(folder, new TextDecoder().decode(value).trim(), child);
  }

  /** What it was told so far, in order. */
  told(): Told[] {
    const path = join(this.folder, toldFile);
    if (!existsSync(path)) return [];
    return readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Told);
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

const toldFile = "told.jsonl";
const statusKey = "k8s.v1.cni.cncf.io/network-status";
const decoder = new TextDecoder("latin1");

function serve(folder: string): void {
  const statuses = new Map<string, string>();
  const tell = (told: Told): void => appendFileSync(join(folder, toldFile), `${JSON.stringify(told)}\n`);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const [, namespace = "", kind = "", name = ""] = /\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?/.exec(path) ?? [];
      const pod = `${namespace}/${name}`;
      const body = new Uint8Array(await request.arrayBuffer());
      if (kind === "events") {
        tell({ kind: "event", pod: namespace, text: eventOf(body) });
        return Response.json({ kind: "Event", apiVersion: "v1", metadata: { name: "e", namespace } }, { status: 201 });
      }
      const wanted = kind === "pods" ? "Pod" : "NetworkAttachmentDefinition";
      const object = objects(folder).find(
        (each) => each.kind === wanted && each.metadata.name === name && each.metadata.namespace === namespace,
      );
      if (object === undefined) return missing(kind, name);
      if (request.method === "PUT") {
        const text = annotationOf(body, statusKey);
        statuses.set(pod, text);
        tell({ kind: "status", pod, text });
      }
      const status = statuses.get(pod);
      if (status !== undefined && kind === "pods")
        object.metadata.annotations = { ...object.metadata.annotations, [statusKey]: status };
      return Response.json(object);
    },
  });
  process.stdout.write(`http://127.0.0.1:${server.port}\n`);
}

function objects(folder: string): KubernetesObject[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as KubernetesObject);
}

function missing(kind: string, name: string): Response {
  const message = `${kind} "${name}" not found`;
  const status = {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    reason: "NotFound",
    message,
    details: { name, kind },
    code: 404,
  };
  return Response.json(status, { status: 404 });
}

/** The value of an annotation in a pod's protobuf encoding: a map entry is the key, and behind it field 2 with a length and the text. */
function annotationOf(body: Uint8Array, key: string): string {
  const at = decoder.decode(body).indexOf(key);
  if (at < 0) return "";
  let index = at + key.length + 1;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = body[index++] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return new TextDecoder().decode(body.subarray(index, index + length));
}

/** Reason and message of an event in its protobuf encoding, "Reason message"; both are texts between bytes that are none. */
function eventOf(body: Uint8Array): string {
  const text = decoder.decode(body);
  const reason = /AddedInterface|NoNetworkFound/.exec(text)?.[0] ?? "?";
  // The byte behind the text, the tag of the next field, is a star.
  const message = /(?:Add |cannot find )[\x20-\x7e]*(?=\*)/.exec(text)?.[0] ?? "?";
  return `${reason} ${message}`;
}

if (import.meta.main) serve(Bun.argv[2] ?? "");
