// Numbers of the system calls that go through syscall(2): arch/x86/entry/syscalls/syscall_64.tbl, and for arm64 scripts/syscall.tbl.
export const isArm64 = process.arch === "arm64";

export const SYS_ioctl = isArm64 ? 29 : 16;
export const SYS_flock = isArm64 ? 32 : 73;
export const SYS_mkdirat = isArm64 ? 34 : 258;
export const SYS_unlinkat = isArm64 ? 35 : 263;
export const SYS_linkat = isArm64 ? 37 : 265;
export const SYS_renameat = isArm64 ? 38 : 264;
export const SYS_fstatfs = isArm64 ? 44 : 138;
export const SYS_fchmod = isArm64 ? 52 : 91;
export const SYS_getdents64 = isArm64 ? 61 : 217;
export const SYS_newfstatat = isArm64 ? 79 : 262;
export const SYS_fdatasync = isArm64 ? 83 : 75;
export const SYS_utimensat = isArm64 ? 88 : 280;
export const SYS_exit_group = isArm64 ? 94 : 231;
export const SYS_socket = isArm64 ? 198 : 41;
export const SYS_connect = isArm64 ? 203 : 42;
export const SYS_setsockopt = isArm64 ? 208 : 54;
export const SYS_setns = isArm64 ? 268 : 308;
