import { addressOf, cString, systemCalls } from "../libc/ffi.ts";
import { messageOf, setDescriptor } from "../libc/message.ts";
import {
  isArm64,
  SYS_close,
  SYS_connect,
  SYS_faccessat,
  SYS_fcntl,
  SYS_newfstatat,
  SYS_openat,
  SYS_ppoll,
  SYS_recvfrom,
  SYS_sendmsg,
  SYS_socket,
  SYS_umask,
} from "../libc/system-calls.ts";
import { AF_UNIX, SOCK_STREAM, unixAddress } from "../libc/unix-address.ts";
import {
  begun,
  descriptorCount,
  done,
  namespaceOffset,
  podOffset,
  ready,
  requestBytesMax,
  requestMark,
  rootOffset,
  textOffset,
} from "./protocol.ts";

/** How long a caller waits for a worker before it does the call itself: about what the call takes then. */
const readyTimeoutMs = 20;

const AT_FDCWD = -100;
// include/uapi/asm-generic/fcntl.h, include/linux/net.h
const O_PATH = 0o10000000;
const O_DIRECTORY = isArm64 ? 0o40000 : 0o200000;
const O_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const F_SETFL = 4;
const MSG_WAITALL = 0x100;
const MSG_NOSIGNAL = 0x4000;
const POLLIN = 1;

/** What became of a call that an agent was asked to do. */
export type HandedOver =
  /** Nothing was begun: the process is to do the call itself. */
  | "not taken"
  /** It was begun, and its worker ended without saying how far it came: nobody may begin it a second time. */
  | "lost"
  /** It was done, its output written; this is its exit code. */
  | number;

/**
 * Hands this process's CNI call to the agent that listens at `path`, with all that makes a call: environment, standard input and output,
 * working directory, umask. `name` is what the program was called as, `build` what it was built from. Reads nothing from standard input. Whatever
 * stands in the way before the call is begun (no agent, none that has time, one of another build, of another namespace or root) makes it
 * "not taken". Throws `FfiUnavailable`.
 *
 * Plain calls of syscall(2) in one function: this is all that a caller does, once, and every layer would cost it a part of its time.
 */
export function handOver(
  path: string,
  name: string,
  build: string,
  environment: Readonly<Record<string, string | undefined>>,
): HandedOver {
  const { syscall } = systemCalls();
  const address = unixAddress(path);
  // All that a node without an agent pays.
  if (address === undefined || syscall(SYS_faccessat, AT_FDCWD, addressOf(address) + 2, 0, 0, 0) !== 0)
    return "not taken";
  // Not to wait while others wait already: connect(2) fails then.
  const socket = syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | O_CLOEXEC, 0, 0, 0);
  if (socket < 0) return "not taken";
  const answer = new Uint8Array(3);
  const isReady =
    syscall(SYS_connect, socket, addressOf(address), address.length, 0, 0) === 0 &&
    isReadable(socket) &&
    syscall(SYS_recvfrom, socket, addressOf(answer), 1, 0, 0) === 1 &&
    answer[0] === ready;
  if (isReady && sendRequest(socket, name, build, environment)) {
    // Blocking from here on.
    syscall(SYS_fcntl, socket, F_SETFL, 0, 0, 0);
    let length;
    // Begun, done, exit code. A reset is told once, then it is the end; any other failure is an interruption.
    do length = syscall(SYS_recvfrom, socket, addressOf(answer), 3, MSG_WAITALL, 0);
    while (length === -1);
    if (answer[0] === begun) return length === 3 && answer[1] === done ? (answer[2] ?? 1) : "lost";
  }
  syscall(SYS_close, socket, 0, 0, 0, 0);
  return "not taken";
}

/** True when there is something to read in time. */
function isReadable(socket: number): boolean {
  // struct pollfd: s32 fd, s16 events, s16 revents; behind it a struct timespec: s64 tv_sec, s64 tv_nsec
  const memory = new Int32Array([socket, POLLIN, 0, 0, readyTimeoutMs * 1_000_000, 0]);
  const bytes = new Uint8Array(memory.buffer);
  return systemCalls().syscall(SYS_ppoll, addressOf(bytes), 1, addressOf(bytes) + 8, 0, 0) === 1;
}

/** True when the whole request is on its way, with its descriptors; of a part of one a worker does nothing. */
function sendRequest(
  socket: number,
  name: string,
  build: string,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  const { syscall } = systemCalls();
  const text = new TextEncoder().encode(JSON.stringify([build, name, environment]));
  const length = textOffset + text.length;
  if (length > requestBytesMax) return false;
  const request = new Uint8Array(length);
  // First of all: a small array's memory moves when its buffer is asked for, and addresses are taken below.
  const header = new Uint32Array(request.buffer, 0, 4);
  request.set(text, textOffset);
  const message = messageOf(request, descriptorCount);
  const start = addressOf(request);
  const [namespace, root, folder] = [cString("/proc/self/ns/net"), cString("/"), cString(".")];
  if (syscall(SYS_newfstatat, AT_FDCWD, addressOf(namespace), start + namespaceOffset, 0, 0) !== 0) return false;
  if (syscall(SYS_newfstatat, AT_FDCWD, addressOf(root), start + rootOffset, 0, 0) !== 0) return false;
  // A pod's namespace may be mounted for this process and not for the agent: it compares. A path that can't be is no path.
  const pod = new TextEncoder().encode(`${environment["CNI_NETNS"] ?? ""}\0`);
  syscall(SYS_newfstatat, AT_FDCWD, addressOf(pod), start + podOffset, 0, 0);
  const umask = syscall(SYS_umask, 0, 0, 0, 0, 0);
  syscall(SYS_umask, umask, 0, 0, 0, 0);
  const directory = syscall(SYS_openat, AT_FDCWD, addressOf(folder), O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
  header[0] = requestMark;
  header[1] = length;
  header[2] = umask;
  for (let descriptor = 0; descriptor < 3; descriptor++) setDescriptor(message, descriptor, descriptor);
  setDescriptor(message, 3, directory);
  return syscall(SYS_sendmsg, socket, addressOf(message), MSG_NOSIGNAL, 0, 0) === length;
}
