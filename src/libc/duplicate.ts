import { systemCall } from "./call.ts";
import { Fd } from "./fd.ts";
import { libc } from "./ffi.ts";
import { SYS_dup3, SYS_fcntl } from "./system-calls.ts";

// include/uapi/linux/fcntl.h
const F_DUPFD_CLOEXEC = 1030;
/** Above the standard streams. */
const lowest = 3;

/** A second, close-on-exec descriptor of what descriptor `number` is. */
export function duplicate(number: number, subject: string): Fd {
  return new Fd(
    systemCall("fcntl", subject, () => libc().syscall(SYS_fcntl, number, F_DUPFD_CLOEXEC, lowest, 0, 0)),
    subject,
  );
}

/** dup3(2): `number`, which programs that are started inherit, becomes what `fd` is. */
export function duplicateOnto(fd: Fd, number: number): void {
  systemCall("dup3", fd.subject, () => libc().syscall(SYS_dup3, fd.number, number, 0, 0, 0));
}
