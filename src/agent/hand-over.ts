import { addressOf, openSystemCall, type SystemCall } from "../libc/system-call.ts";
import {
  isArm64,
  SYS_close,
  SYS_connect,
  SYS_exit_group,
  SYS_faccessat,
  SYS_fcntl,
  SYS_newfstatat,
  SYS_openat,
  SYS_pipe2,
  SYS_ppoll,
  SYS_read,
  SYS_recvfrom,
  SYS_sendmsg,
  SYS_socket,
  SYS_umask,
} from "../libc/system-calls.ts";
import {
  begun,
  done,
  headerBytes,
  namespaceOffset,
  podOffset,
  ready,
  requestBytesMax,
  requestMark,
  rootOffset,
} from "./protocol.ts";

const AT_FDCWD = -100;
// include/uapi/asm-generic/fcntl.h, include/linux/net.h, include/linux/socket.h
const O_PATH = 0o10000000;
const O_DIRECTORY = isArm64 ? 0o40000 : 0o200000;
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const F_SETFL = 4;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const MSG_WAITALL = 0x100;
const MSG_NOSIGNAL = 0x4000;
const POLLIN = 1;

/** The paths that are looked at, a NUL behind each, and where they begin; the last, empty one is AF_UNIX of a struct sockaddr_un. */
const paths = "/proc/self/ns/net\0/\0.\0/proc/self/environ\0/proc/loadavg\0\u0001\0";
const namespacePath = 0;
const rootPath = 18;
const folderPath = 20;
const environPath = 22;
const loadPath = 41;
const socketAddress = 55;
const socketPath = 57;

// In 32-bit words: struct msghdr, three struct iovec, struct cmsghdr with its descriptors, of which the last is the first of a pipe's two, struct
// pollfd, struct timespec, the answer; the request.
const vectorWord = 14;
const controlWord = 26;
const pipeWord = 34;
const pollWord = 36;
const timeWord = 38;
const answerWord = 42;
const requestWord = 44;
const vectorCount = 3;
const controlBytes = 36;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/** "0.20 0.18 0.12 3/1030 11206": how many tasks run or could, before the slash (proc_loadavg(5)). */
const loadBytes = 64;
const space = 0x20;
const digitZero = 0x30;
const spacesBeforeRunning = 3;

/** How long a worker is waited for. */
export interface Patience {
  readonly readyTimeoutMs: number;
  /** How often it is waited for again, twice as long each time, while more wants to run on this node than there are processors. */
  readonly roundsWhileBusy: number;
}

/**
 * Hands this process's CNI call to the agent that listens at `path`, with all that makes a call: environment, standard input and output, working
 * directory, umask. `name` is what the program was called as, `build` what it was built from, `netns` is CNI_NETNS, `input` what was read of
 * standard input before. When the agent has done it, its output written, this process ends with its exit code. Otherwise comes back with true when nothing was
 * begun, whatever stood in the way, and the process is to do the call itself (no agent, none that has time, one of another build, namespace or
 * root); with false when the call was begun and its worker ended without saying how far it came: nobody may begin it a second time.
 *
 * Plain system calls on one piece of memory, by few functions and few builtins of the runtime: this is nearly all that a caller's process does,
 * each thing once, and each would cost it some 10 µs more.
 */
export function handOver(
  path: string,
  patience: Patience,
  name: string,
  build: string,
  netns: string,
  input?: Uint8Array,
): boolean {
  const syscall = openSystemCall();
  if (syscall === undefined) return true;
  const text = `${paths}${path}\0${netns}\0${build}\0${name}\0`;
  const strings = new TextEncoder().encode(text);
  const at = addressOf(strings);
  // All that a node without an agent pays. Anything but ASCII would stand elsewhere than it is looked for.
  if (strings.length !== text.length || syscall(SYS_faccessat, AT_FDCWD, at + socketPath, 0, 0, 0) !== 0) return true;
  // Not to wait where others wait already: connect(2) fails then.
  const socket = syscall(SYS_socket, AF_UNIX, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0, 0, 0);
  const memory = new Uint32Array(requestWord + requestBytesMax / 4);
  const start = addressOf(memory);
  const answer = start + 4 * answerWord;
  const request = start + 4 * requestWord;
  memory[pollWord] = socket;
  memory[pollWord + 1] = POLLIN;
  let isBegun = false;
  if (
    syscall(SYS_connect, socket, at + socketAddress, 2 + path.length + 1, 0, 0) === 0 &&
    isReady(syscall, memory, start, at, patience) &&
    syscall(SYS_recvfrom, socket, answer, 1, 0, 0) === 1 &&
    memory[answerWord] === ready
  ) {
    const pod = socketPath + path.length + 1;
    syscall(SYS_newfstatat, AT_FDCWD, at + namespacePath, request + namespaceOffset, 0, 0);
    syscall(SYS_newfstatat, AT_FDCWD, at + rootPath, request + rootOffset, 0, 0);
    // It may be mounted for this process and not for the agent, which compares.
    syscall(SYS_newfstatat, AT_FDCWD, at + pod, request + podOffset, 0, 0);
    const umask = syscall(SYS_umask, 0, 0, 0, 0, 0);
    syscall(SYS_umask, umask, 0, 0, 0, 0);
    const folder = syscall(SYS_openat, AT_FDCWD, at + folderPath, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
    const file = syscall(SYS_openat, AT_FDCWD, at + environPath, O_CLOEXEC, 0, 0);
    const names = pod + netns.length + 1;
    const inputBytes = input?.length ?? 0;
    const room = requestBytesMax - headerBytes - (strings.length - names) - inputBytes;
    const environmentBytes = syscall(SYS_read, file, request + headerBytes, room, 0, 0);
    const length = headerBytes + environmentBytes + strings.length - names + inputBytes;
    memory[requestWord] = requestMark;
    memory[requestWord + 1] = length;
    memory[requestWord + 2] = umask;
    memory[requestWord + 3] = environmentBytes;
    setAddress(memory, 4, start + 4 * vectorWord);
    memory[6] = vectorCount;
    setAddress(memory, 8, start + 4 * controlWord);
    memory[10] = controlBytes;
    setAddress(memory, vectorWord, request);
    memory[vectorWord + 2] = headerBytes + environmentBytes;
    setAddress(memory, vectorWord + 4, at + names);
    memory[vectorWord + 6] = strings.length - names;
    if (input !== undefined) setAddress(memory, vectorWord + 8, addressOf(input));
    memory[vectorWord + 10] = inputBytes;
    memory[controlWord] = controlBytes;
    memory[controlWord + 2] = SOL_SOCKET;
    memory[controlWord + 3] = SCM_RIGHTS;
    memory[controlWord + 5] = 1;
    memory[controlWord + 6] = 2;
    memory[controlWord + 7] = folder;
    const pipe = syscall(SYS_pipe2, start + 4 * pipeWord, O_CLOEXEC, 0, 0, 0);
    // One that may have been cut off is not handed over; of a request that is not whole a worker does nothing.
    if (
      pipe === 0 &&
      environmentBytes > 0 &&
      environmentBytes < room &&
      syscall(SYS_sendmsg, socket, start, MSG_NOSIGNAL, 0, 0) === length
    ) {
      // Blocking from here on.
      syscall(SYS_fcntl, socket, F_SETFL, 0, 0, 0);
      memory[answerWord] = 0;
      // Begun, done, exit code. A reset is told once, then it is the end; any other failure is an interruption.
      while (syscall(SYS_recvfrom, socket, answer, 3, MSG_WAITALL, 0) === -1);
      const said = memory[answerWord];
      isBegun = (said & 0xff) === begun;
      if (isBegun && ((said >> 8) & 0xff) === done) syscall(SYS_exit_group, said >> 16, 0, 0, 0, 0);
    }
    if (pipe === 0) {
      syscall(SYS_close, memory[pipeWord] ?? -1, 0, 0, 0, 0);
      syscall(SYS_close, memory[pipeWord + 1] ?? -1, 0, 0, 0, 0);
    }
    syscall(SYS_close, folder, 0, 0, 0, 0);
    syscall(SYS_close, file, 0, 0, 0, 0);
  }
  syscall(SYS_close, socket, 0, 0, 0, 0);
  return !isBegun;
}

/**
 * Waits for a worker's word. Where no processor is idle, the call done here would take its time from the workers, which need a third of it: so
 * their turn is waited for. Where one is idle, they are waiting for something themselves, and the caller had better begin.
 */
function isReady(
  syscall: SystemCall,
  memory: Uint32Array,
  start: number,
  at: number,
  { readyTimeoutMs, roundsWhileBusy }: Patience,
): boolean {
  for (let round = 0, waitMs = readyTimeoutMs; ; round++, waitMs *= 2) {
    memory[timeWord] = waitMs / 1000;
    memory[timeWord + 2] = (waitMs % 1000) * 1_000_000;
    const ready = syscall(SYS_ppoll, start + 4 * pollWord, 1, start + 4 * timeWord, 0, 0);
    if (ready !== 0 || round >= roundsWhileBusy || !isBusy(syscall, at)) return ready === 1;
  }
}

function isBusy(syscall: SystemCall, at: number): boolean {
  const text = new Uint8Array(loadBytes);
  const file = syscall(SYS_openat, AT_FDCWD, at + loadPath, O_CLOEXEC, 0, 0);
  syscall(SYS_read, file, addressOf(text), loadBytes, 0, 0);
  syscall(SYS_close, file, 0, 0, 0, 0);
  let spaces = 0;
  let running = 0;
  for (const byte of text) {
    if (byte === space) spaces += 1;
    else if (spaces === spacesBeforeRunning && byte < digitZero) break;
    else if (spaces === spacesBeforeRunning) running = running * 10 + byte - digitZero;
  }
  return running > navigator.hardwareConcurrency;
}

/** Sets two words to a 64-bit address; the array takes the lower 32 bits of each value. */
function setAddress(memory: Uint32Array, word: number, address: number): void {
  memory[word] = address;
  memory[word + 1] = address / 2 ** 32;
}
