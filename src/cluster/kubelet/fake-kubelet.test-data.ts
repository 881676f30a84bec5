// What the dispatcher sees of a kubelet: the pod-resources API on a unix socket and the checkpoint file of the device manager.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { join } from "node:path";

/** A container as kubelet lists it. */
export interface KubeletContainer {
  /** Ids by resource, in order. */
  readonly devices?: readonly (readonly [resource: string, ids: readonly string[]])[];
  readonly claims?: readonly KubeletClaim[];
}

export interface KubeletClaim {
  readonly name: string;
  readonly driver: string;
  /** Names as CDI has them: "vendor.com/class=device". */
  readonly cdiDevices: readonly string[];
}

export interface KubeletPod {
  readonly namespace: string;
  readonly name: string;
  readonly containers: readonly KubeletContainer[];
}

/** How a server that is asked answers: a gRPC message with status 0 is the good one. */
export type Answer = (stream: ServerHttp2Stream) => void;

const encoder = new TextEncoder();

/** A kubelet with this root directory; the socket exists from `listen` to `close`. */
export class FakeKubelet implements Disposable {
  readonly socket: string;
  /** How many calls came. */
  calls = 0;
  #server: Http2Server | undefined;

  constructor(readonly path: string) {
    this.socket = join(this.path, "pod-resources", "kubelet.sock");
  }

  /** Serves these pods, or whatever `answer` makes of a call. */
  async listen(served: readonly KubeletPod[] | Answer): Promise<void> {
    await this.close();
    mkdirSync(join(this.path, "pod-resources"), { recursive: true });
    const answer = typeof served === "function" ? served : answerWith(frame(encodeList(served)));
    const server = createServer();
    server.on("stream", (stream, headers) => {
      this.calls += 1;
      stream.on("error", () => {});
      const isList = headers[":path"] === "/v1.PodResourcesLister/List";
      const answerThis = isList ? answer : answerWith(new Uint8Array(0), "12", "unknown method");
      // The types of Bun say less than what the event brings.
      answerThis(stream as ServerHttp2Stream);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.socket, resolve));
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
    rmSync(this.socket, { force: true });
  }

  /** Writes the checkpoint file. */
  checkpoint(entries: readonly { PodUID: string; ResourceName: string; DeviceIDs: unknown }[] | string): void {
    const folder = join(this.path, "device-plugins");
    mkdirSync(folder, { recursive: true });
    const whole = { Data: { PodDeviceEntries: entries, RegisteredDevices: {} }, Checksum: 1 };
    writeFileSync(
      join(folder, "kubelet_internal_checkpoint"),
      typeof entries === "string" ? entries : JSON.stringify(whole),
    );
  }

  [Symbol.dispose](): void {
    this.#server?.close();
  }
}

/** A body, then the status in the trailers, as a gRPC server sends it. */
export function answerWith(body: Uint8Array, status = "0", message = ""): Answer {
  return (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status, "grpc-message": message }));
    stream.end(body);
  };
}

/** A message in gRPC's frame. */
export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(5 + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, 5);
  return framed;
}

/** A ListPodResourcesResponse. */
export function encodeList(pods: readonly KubeletPod[]): Uint8Array {
  return joined(pods.map((pod) => field(1, encodePod(pod))));
}

function encodePod({ name, namespace, containers }: KubeletPod): Uint8Array {
  return joined([field(1, name), field(2, namespace), ...containers.map((each) => field(3, encodeContainer(each)))]);
}

function encodeContainer({ devices = [], claims = [] }: KubeletContainer): Uint8Array {
  return joined([
    field(1, "app"),
    ...devices.map(([resource, ids]) => field(2, joined([field(1, resource), ...ids.map((id) => field(2, id))]))),
    ...claims.map((claim) => field(5, encodeClaim(claim))),
  ]);
}

function encodeClaim({ name, driver, cdiDevices }: KubeletClaim): Uint8Array {
  const devices = cdiDevices.map((device) => field(1, field(1, device)));
  return joined([field(2, name), field(3, "default"), field(4, joined([...devices, field(2, driver)]))]);
}

/** A length-delimited field. */
function field(number: number, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  return joined([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, value]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
