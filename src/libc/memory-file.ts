import { systemCall } from "./call.ts";
import { Fd } from "./fd.ts";
import { addressOf, cString, libc } from "./ffi.ts";
import { readAll } from "./file.ts";
import { SYS_lseek, SYS_memfd_create } from "./system-calls.ts";

// include/uapi/linux/memfd.h
const MFD_CLOEXEC = 1;
const SEEK_SET = 0;

/** An empty file that is nowhere but in memory, and gone with its last descriptor (memfd_create(2)); /proc shows `name`. Throws `SystemError`. */
export function openMemoryFile(name: string): Fd {
  const text = cString(name);
  return new Fd(
    systemCall("memfd_create", name, () => libc().syscall(SYS_memfd_create, addressOf(text), MFD_CLOEXEC, 0, 0, 0)),
    name,
  );
}

/** All that was written into the file, by whomever, as UTF-8 text; who writes next does so behind it. Throws `SystemError`. */
export function contentOf(fd: Fd): string {
  systemCall("lseek", fd.subject, () => libc().syscall(SYS_lseek, fd.number, 0, SEEK_SET, 0, 0));
  return new TextDecoder().decode(readAll(fd));
}
