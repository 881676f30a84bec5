// Runs inside a pod: answers on TCP and UDP, over IPv4 and IPv6, with its name and the address that it was asked from. Ports are arguments.
import { createSocket, type Socket } from "node:dgram";
import { createServer } from "node:net";

const [name = "", ...ports] = process.argv.slice(2);

function once(emitter: { once(event: string, listener: (value: unknown) => void): unknown }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    emitter.once("listening", resolve);
    emitter.once("error", reject);
  });
}

const ready: Promise<unknown>[] = [];
const sockets: Socket[] = [];
for (const port of ports.map(Number)) {
  for (const [host, type] of [
    ["0.0.0.0", "udp4"],
    ["::", "udp6"],
  ] as const) {
    const tcp = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end(`${name} ${socket.remoteAddress}`);
    });
    ready.push(once(tcp));
    tcp.listen({ host, port, ipv6Only: true });
    const udp = createSocket({ type, ipv6Only: true });
    udp.on("message", (_, peer) => udp.send(`${name} ${peer.address}`, peer.port, peer.address));
    sockets.push(udp);
    ready.push(once(udp));
    udp.bind(port, host);
  }
}
await Promise.all(ready);
// An answer that nobody waits for any more comes back as an error of the socket.
for (const socket of sockets) socket.on("error", () => undefined);
process.stdout.write("ready\n");
