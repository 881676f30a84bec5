// What else connects to an agent: it does nothing for it, and goes on with calls.
import { chmodSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { headerBytes, lengthOffset, requestBytesMax, requestMark } from "../../src/agent/protocol.ts";
import { TestAgent } from "../kit/agent.ts";
import { mustCallCni } from "../kit/cni-caller.ts";
import { useSite } from "../kit/multus-site.ts";

const site = useSite();
const stranger = 12345;

/** Sends these bytes as soon as the worker is ready, and closes when the worker does, or at once. Returns what the worker said. */
function talk(path: string, bytes: Uint8Array, hangsUp: boolean): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const heard: number[] = [];
    const socket = connect(path);
    socket.once("data", () => {
      socket.write(bytes);
      if (hangsUp) socket.destroy();
    });
    socket.on("data", (data: Buffer) => heard.push(...data));
    socket.once("close", () => resolve(heard));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" || error.code === "EPIPE" ? resolve(heard) : reject(error),
    );
  });
}

/** The beginning of a request that says it has so many bytes. */
function begun(length: number, given: number): Uint8Array {
  const bytes = new Uint8Array(given);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, requestMark, true);
  view.setUint32(lengthOffset, length, true);
  return bytes;
}

async function expectServed(agent: TestAgent): Promise<void> {
  const here = site();
  const pod = here.pod();
  const before = here.kernel(pod);
  await mustCallCni(agent.through(here.cniCall("ADD", pod)));
  await mustCallCni(agent.through(here.cniCall("DEL", pod)));
  expect(here.remains(before, pod)).toEqual([]);
}

test.each<[string, Uint8Array, boolean]>([
  ["hangs up at once", new Uint8Array(0), true],
  ["says nothing", new Uint8Array(0), false],
  ["sends something else", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"), false],
  ["sends half a header", begun(headerBytes + 100, 40), false],
  ["sends half a request and hangs up", begun(headerBytes + 100, headerBytes + 50), true],
  ["claims to send more than any request has", begun(requestBytesMax + 1, headerBytes), false],
  ["sends a whole request without descriptors", begun(headerBytes + 10, headerBytes + 10), false],
  ["never stops", begun(requestBytesMax, 4 * requestBytesMax), false],
])("a peer that %s gets nothing done", async (_, bytes, hangsUp) => {
  await using agent = await TestAgent.start({ node: site().node, folder: site().folder.path, workers: 1 });
  const [worker] = agent.workers();
  const heard = await talk(agent.socket, bytes, hangsUp);
  expect(heard.slice(0, 1)).toEqual(heard.length === 0 ? [] : [1]);
  expect(heard.length).toBeLessThan(2);
  await expectServed(agent);
  await expect.poll(() => agent.calls(), { timeout: 60_000 }).toBe(2);
  expect(agent.workers()).toEqual([worker]);
});

/** False in a user namespace that has one user. */
const hasOtherUsers = readFileSync("/proc/self/uid_map", "utf8")
  .split("\n")
  .some((line) => Number(line.trim().split(/\s+/)[2] ?? 0) > stranger);

test.runIf(hasOtherUsers)("another user is refused, even where the socket would let it in", async () => {
  await using agent = await TestAgent.start({ node: site().node, folder: site().folder.path, workers: 1 });
  chmodSync(site().folder.path, 0o755);
  chmodSync(dirname(agent.socket), 0o755);
  chmodSync(agent.socket, 0o666);
  const program = `$s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; print "heard ", sysread($s, $_, 10), " bytes\\n"`;
  const command = [
    "setpriv",
    `--reuid=${stranger}`,
    "--clear-groups",
    "perl",
    "-MIO::Socket::UNIX",
    "-e",
    program,
    agent.socket,
  ];
  const asked = Bun.spawnSync(command, { stdout: "pipe" });
  expect(asked.stdout.toString()).toBe("heard 0 bytes\n");
  expect(agent.lines(`a process of user ${stranger} was refused`)).toHaveLength(1);
  await expectServed(agent);
});
