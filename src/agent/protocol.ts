// A conversation: the worker says `ready`, the caller sends its request, the worker says `declined`, or `begun` and later `done` with the exit
// code. What ends before `begun` was not begun.

/** Where the agent of a node listens. */
export const agentSocket = "/run/polynic/agent.sock";

/** First byte of each thing that a worker says; `done` has a second, the exit code. */
export const ready = 1;
export const declined = 2;
export const begun = 3;
export const done = 4;

/** "PLY" and the number of this protocol: the first four bytes of a request. */
export const requestMark = 0x03_594c50;

/**
 * A request: u32 mark, u32 length of all of it, u32 umask, u32 length of the environment; struct stat of the caller's network namespace, of its
 * root folder, and of CNI_NETNS (zeros where there is nothing), of which st_dev and st_ino count, the first 16 bytes on every 64-bit kernel; the
 * environment as the kernel has it (NAME=VALUE, each with a NUL behind it); the build, NUL, the program's name, NUL; what the caller has read of
 * standard input. With it travel five descriptors: standard input, from where the rest is to be read, output, error, the working directory, and
 * the reading end of a pipe into which nobody writes and whose other end goes with the caller.
 */
export const lengthOffset = 4;
export const umaskOffset = 8;
export const environmentLengthOffset = 12;
export const namespaceOffset = 16;
export const rootOffset = namespaceOffset + 144;
export const podOffset = rootOffset + 144;
export const headerBytes = podOffset + 144;
export const descriptorCount = 5;

/** Above this a caller does its call itself: no runtime's environment comes near. */
export const requestBytesMax = 64 * 1024;
