import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { connect as connectSocket } from "node:net";

/** What a gRPC call over a unix socket needs. */
export interface GrpcCall {
  /** Path of the socket. */
  readonly socket: string;
  /** "/package.Service/Method". */
  readonly method: string;
  /** The encoded request message; an empty one is a message too. */
  readonly request: Uint8Array;
  /** From connecting to the last byte. */
  readonly timeoutMs: number;
  /** A larger answer is refused. */
  readonly answerBytesMax: number;
}

const prefixBytes = 5;

/**
 * One unary call by the gRPC protocol over HTTP/2 (grpc.io, "PROTOCOL-HTTP2"); returns the encoded answer. Node's HTTP/2, since that is
 * slow to load and large: to be imported only when needed. Throws an `Error` in one line for a socket that can't be reached, a status
 * other than 0, a late answer, and what is no gRPC.
 */
export async function callUnary(call: GrpcCall): Promise<Uint8Array> {
  const session = connect("http://localhost", { createConnection: () => connectSocket(call.socket) });
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const timer = setTimeout(
    () => reject(new Error(`no answer from ${call.socket} within ${call.timeoutMs / 1000} s`)),
    call.timeoutMs,
  );
  try {
    session.on("error", reject);
    session.on("close", () => reject(new Error(`${call.socket}: the connection was closed before the answer`)));
    receive(openStream(session, call), call).then(resolve, reject);
    return await promise;
  } finally {
    clearTimeout(timer);
    // A connection that ends now has nothing to say any more.
    session.on("error", () => {});
    session.destroy();
  }
}

function openStream(session: ClientHttp2Session, { method, request }: GrpcCall): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": method,
    "content-type": "application/grpc",
    "user-agent": "polynic",
    te: "trailers",
  });
  const message = new Uint8Array(prefixBytes + request.length);
  new DataView(message.buffer).setUint32(1, request.length);
  message.set(request, prefixBytes);
  stream.end(message);
  return stream;
}

function receive(stream: ClientHttp2Stream, { method, answerBytesMax }: GrpcCall): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  let headers: IncomingHttpHeaders = {};
  return new Promise((resolve, reject) => {
    stream.on("error", reject);
    // A failing call may have no body, and its status then stands in the headers ("Trailers-Only").
    stream.on("response", (received) => (headers = { ...received, ...headers }));
    stream.on("trailers", (received) => (headers = { ...headers, ...received }));
    stream.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > answerBytesMax + prefixBytes)
        reject(new Error(`${method}: more than ${answerBytesMax} bytes of answer`));
      else chunks.push(chunk);
    });
    stream.on("end", () => {
      try {
        refuseFailure(method, headers);
        resolve(unframe(method, new Uint8Array(Buffer.concat(chunks))));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

function refuseFailure(method: string, headers: IncomingHttpHeaders): void {
  const status = headers["grpc-status"];
  if (status === "0") return;
  const message = headers["grpc-message"];
  const detail = typeof message === "string" && message !== "" ? `: ${percentDecode(message)}` : "";
  if (status === undefined) throw new Error(`${method}: HTTP status ${String(headers[":status"])} and no gRPC status`);
  throw new Error(`${method}: gRPC status ${String(status)}${detail}`);
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A server that does not encode as the protocol demands still says something.
    return text;
  }
}

/** The message of a body: a byte for compression, the length in four bytes, the message. */
function unframe(method: string, body: Uint8Array): Uint8Array {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (body.length < prefixBytes || body[0] !== 0 || view.getUint32(1) !== body.length - prefixBytes) {
    throw new Error(`${method}: expected one uncompressed message, found ${body.length} bytes of something else`);
  }
  return body.subarray(prefixBytes);
}
