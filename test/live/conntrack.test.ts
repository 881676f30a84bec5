import { beforeAll, expect, test } from "vitest";
import { type Ip, ipToBytes, parseIp } from "../../src/ip/address.ts";
import type { Fd } from "../../src/libc/fd.ts";
import { CLONE_NEWNET, unshare } from "../../src/libc/namespace.ts";
import { AF_INET, AF_INET6, connect, send, socket } from "../../src/libc/socket.ts";
import { Conntrack } from "../../src/nft/conntrack.ts";
import { runCommand } from "../kit/command.ts";
import { useDisposable } from "../kit/hooks.ts";

// This worker thread gets a network namespace of its own, which ends with it.
unshare(CLONE_NEWNET);
const opened = useDisposable(() => Conntrack.open("test"));

const SOCK_DGRAM = 2;
const IPPROTO_UDP = 17;

function ip(text: string): Ip {
  return parseIp(text) ?? expect.fail(text);
}

beforeAll(() => {
  runCommand(["ip", "link", "set", "lo", "up"]);
  const rules = [
    "add table inet t",
    "add chain inet t output { type nat hook output priority -100; }",
    "add rule inet t output udp dport 5300 dnat ip to 127.0.0.53:53",
    "add rule inet t output udp dport 5300 dnat ip6 to [::1]:53",
  ];
  runCommand(["nft", "-f", "-"], { stdin: rules.join("\n") });
});

/** One datagram, which makes an entry whether somebody listens or not; two by chance of one port make one, unless the first still has its socket. */
function sendUdp(to: string, port: number): Fd {
  const target = ip(to);
  const isV4 = target.family === 4;
  const address = new Uint8Array(isV4 ? 16 : 28);
  const view = new DataView(address.buffer);
  view.setUint16(0, isV4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  address.set(ipToBytes(target), isV4 ? 4 : 8);
  const fd = socket(isV4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, "UDP socket");
  connect(fd, address);
  send(fd, Uint8Array.of(1));
  return fd;
}

function ports(filter: Partial<Parameters<Conntrack["flows"]>[0]> = {}): number[] {
  const flows = opened().flows({ family: 4, protocol: IPPROTO_UDP, ...filter });
  return flows.map(({ destination }) => destination.port).sort((a, b) => a - b);
}

test("connections are found by family, protocol, port and the address that answers, and forgotten one by one", () => {
  using sockets = new DisposableStack();
  for (const port of [5300, 5300, 5301]) sockets.use(sendUdp("127.0.0.1", port));
  for (const port of [5300, 5302]) sockets.use(sendUdp("::1", port));
  expect(ports()).toEqual([5300, 5300, 5301]);
  expect(ports({ family: 6 })).toEqual([5300, 5302]);
  expect(ports({ protocol: 6 })).toEqual([]);
  expect(ports({ destinationPort: 5301 })).toEqual([5301]);
  expect(ports({ replySource: ip("127.0.0.53") })).toEqual([5300, 5300]);
  expect(ports({ replySource: ip("127.0.0.53"), destinationPort: 5301 })).toEqual([]);
  expect(ports({ family: 6, replySource: ip("::1") })).toEqual([5300, 5302]);

  const natted = opened().flows({ family: 4, protocol: IPPROTO_UDP, replySource: ip("127.0.0.53") });
  expect(natted[0]).toMatchObject({
    protocol: IPPROTO_UDP,
    source: { ip: ip("127.0.0.1") },
    destination: { ip: ip("127.0.0.1"), port: 5300 },
    replySource: { ip: ip("127.0.0.53"), port: 53 },
  });
  opened().delete(natted);
  opened().delete(natted);
  opened().delete([]);
  expect(ports()).toEqual([5301]);
  expect(ports({ family: 6 })).toEqual([5300, 5302]);
});

test("thousands are found and forgotten", () => {
  const count = 3000;
  for (let port = 10_000; port < 10_000 + count; port += 1) sendUdp("127.0.0.1", port)[Symbol.dispose]();
  const flows = opened().flows({ family: 4, protocol: IPPROTO_UDP, replySource: ip("127.0.0.1") });
  expect(flows.length).toBeGreaterThanOrEqual(count);
  opened().delete(flows);
  expect(ports()).toEqual([]);
});
