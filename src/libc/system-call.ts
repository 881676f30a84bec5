/** The part of Bun's native foreign-function interface that this needs; see ffi.ts. */
interface NativeFfi {
  dlopen(library: string, signatures: object): { readonly symbols: unknown } | Error;
  ptr(memory: NodeJS.TypedArray): number;
}

/** Number and arguments; the result, -1 for a failure. */
export type SystemCall = (number: number, a: number, b: number, c: number, d: number, e: number) => number;

let opened: SystemCall | undefined;

/**
 * syscall(2), by the numbers of system-calls.ts: the one symbol that every call can be made by. Undefined where calls into the C library are
 * impossible. Apart from ffi.ts, and with nothing to be run when it is loaded, for the caller of an agent, which has no need of any other symbol.
 */
export function openSystemCall(): SystemCall | undefined {
  if (opened !== undefined) return opened;
  const long = "i64_fast";
  try {
    const library = native().dlopen("libc.so.6", {
      syscall: { args: [long, long, long, long, long, long], returns: long },
    });
    if (!(library instanceof Error)) opened = (library.symbols as { readonly syscall: SystemCall }).syscall;
  } catch {
    // Whoever needs more asks `libc` of ffi.ts, which says why.
  }
  return opened;
}

/** The address of an array's memory. That of a small one moves when its `buffer` is asked for: that comes first. */
export function addressOf(memory: NodeJS.TypedArray): number {
  return native().ptr(memory);
}

function native(): NativeFfi {
  return (Bun as unknown as { readonly FFI: NativeFfi }).FFI;
}
