import type { UndoScope } from "../undo/undo.ts";
import type { ValidAttachment } from "./net-conf.ts";
import type { Result } from "./result.ts";

/**
 * The IPAM side of a plugin's call (spec "Delegated plugins"): the plugin named by `ipam.type` gets the whole config and the same
 * container, namespace and interface name.
 */
export interface Ipam {
  /** `ipam.type`; "" when the config names none, and then every verb here does nothing. */
  readonly type: string;
  /**
   * Allocates. Its release is pushed on `undo` before the delegate runs, since the specification wants a DEL also after a failed
   * delegate ADD. Throws the delegate's `CniError` with its code. The result has no interfaces.
   */
  add(undo: UndoScope): Promise<Result>;
  del(): Promise<void>;
  check(): Promise<void>;
  status(): Promise<void>;
  gc(valid: readonly ValidAttachment[]): Promise<void>;
}
