import type { Pointer } from "bun:ffi";

/**
 * The native object behind the module bun:ffi, which is JavaScript around it: running that module costs each process 0.3 ms, and all that
 * it would add for us is to throw the Error that `dlopen` returns. Not documented, so an update of Bun may need a change here.
 */
interface NativeFfi {
  dlopen(library: string, signatures: Signatures): { readonly symbols: unknown } | Error;
  ptr(memory: Uint8Array): number;
  readonly read: { i32(address: Pointer, offset: number): number };
}

type Signatures = Readonly<Record<string, { readonly args: readonly string[]; readonly returns: string }>>;

const native = (Bun as unknown as { readonly FFI: NativeFfi }).FFI;

/** One buffer argument of a system call: the view's own memory is read or written in place; null is the NULL pointer. */
type Memory = Uint8Array | null;

/**
 * What making and deleting an attachment takes. Each symbol costs every process 20,000 instructions, so what is not called again and again
 * goes through syscall(2), by the numbers of system-calls.ts, and what is rare is apart.
 */
interface Symbols {
  __errno_location(): Pointer;
  open(path: Memory, flags: number, mode: number): number;
  close(fd: number): number;
  read(fd: number, memory: Memory, bytes: number): number;
  write(fd: number, memory: Memory, bytes: number): number;
  send(fd: number, memory: Memory, bytes: number, flags: number): number;
  recv(fd: number, memory: Memory, bytes: number, flags: number): number;
  syscall(number: number, a: number, b: number, c: number, d: number, e: number): number;
}

interface RareSymbols {
  symlink(target: Memory, path: Memory): number;
  rmdir(path: Memory): number;
  unshare(flags: number): number;
  mount(source: Memory, target: Memory, type: Memory, flags: number, data: Memory): number;
  umount2(target: Memory, flags: number): number;
  kill(pid: number, signal: number): number;
  poll(memory: Memory, count: number, timeoutMs: number): number;
  geteuid(): number;
  nanosleep(request: Memory, remaining: Memory): number;
}

// Functions, so that a table is only made where it is opened.
const signatures = (): Signatures => ({
  __errno_location: { args: [], returns: "ptr" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i64_fast" },
  write: { args: ["i32", "ptr", "u64"], returns: "i64_fast" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64_fast" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64_fast" },
  syscall: { args: ["i64_fast", "i64_fast", "i64_fast", "i64_fast", "i64_fast", "i64_fast"], returns: "i64_fast" },
});

const rareSignatures = (): Signatures => ({
  symlink: { args: ["ptr", "ptr"], returns: "i32" },
  rmdir: { args: ["ptr"], returns: "i32" },
  unshare: { args: ["i32"], returns: "i32" },
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  kill: { args: ["i32", "i32"], returns: "i32" },
  geteuid: { args: [], returns: "u32" },
  nanosleep: { args: ["ptr", "ptr"], returns: "i32" },
});

/** Why system calls can't be made at all; its message is the one sentence a user needs. */
export class FfiUnavailable extends Error {
  override readonly name = "FfiUnavailable";
}

function load(table: Signatures): unknown {
  const library = tryOpen(table);
  if (!(library instanceof Error)) return library.symbols;
  throw new FfiUnavailable(
    "polynic cannot make system calls: the just-in-time compiler is not allowed to run here " +
      "(check BUN_JSC_useJIT, an address-space limit below 4 GiB, MemoryDenyWriteExecute= or SELinux execmem)",
    { cause: library },
  );
}

function tryOpen(table: Signatures): { readonly symbols: unknown } | Error {
  try {
    // glibc's name. musl's loader knows it too: to it every "libc." is itself (ldso/dynlink.c).
    return native.dlopen("libc.so.6", table);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

let loaded: Symbols | undefined;
let errnoLocation: Pointer | undefined;
let loadedRare: RareSymbols | undefined;

/** The C library, opened on first use; throws `FfiUnavailable` where calls into it are impossible. */
export function libc(): Symbols {
  if (loaded === undefined) {
    loaded = load(signatures()) as Symbols;
    // Before any call fails: between that and the reading of its errno the runtime should do as little as possible.
    errnoLocation = loaded.__errno_location();
  }
  return loaded;
}

/** As `libc`, the calls that a CNI call makes only in passing. */
export function rareLibc(): RareSymbols {
  loadedRare ??= load(rareSignatures()) as RareSymbols;
  return loadedRare;
}

/** The calling thread's errno; meaningful only right after a call that returned its failure value. */
export function errno(): number {
  errnoLocation ??= libc().__errno_location();
  return native.read.i32(errnoLocation, 0);
}

const encoder = new TextEncoder();

/** A path or name as the zero-terminated bytes a system call takes; a NUL inside is refused, since the kernel would cut there. */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) throw new RangeError(`${JSON.stringify(text)} contains a NUL byte`);
  return encoder.encode(`${text}\0`);
}

/** The address of a view's memory, for syscall(2); the caller keeps the view alive across the call. */
export function addressOf(memory: Uint8Array): number {
  return native.ptr(memory);
}
