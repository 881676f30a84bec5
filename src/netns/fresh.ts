import { CLONE_NEWNET, setns, unshare } from "../libc/namespace.ts";
import { Netns } from "./netns.ts";

/** A new network namespace that nobody else can find: it ends with the object. Throws `SystemError` (EPERM) where none may be made. */
export function freshNetns(): Netns {
  using home = Netns.current();
  unshare(CLONE_NEWNET);
  try {
    return Netns.current();
  } finally {
    setns(home.fd, CLONE_NEWNET);
  }
}
