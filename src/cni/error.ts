import { JsonError } from "../json/error.ts";
import { withPosition } from "../json/locate.ts";
import { NetnsError } from "../netns/error.ts";
import { messageOf } from "../words/message.ts";
import { oneLine } from "../words/one-line.ts";

/** Error codes of the CNI specification 1.1.0 ("Error"), and 999, which the Go library gives to everything untyped. */
export const code = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  io: 5,
  decoding: 6,
  invalidConfig: 7,
  invalidNetns: 8,
  tryAgainLater: 11,
  notAvailable: 50,
  limitedConnectivity: 51,
  internal: 999,
} as const;

/**
 * What a runtime is told on stdout when a verb fails: a code of the specification (or one a delegate chose), one line of text, and
 * optionally details.
 */
export class CniError extends Error {
  override readonly name = "CniError";
  constructor(
    readonly code: number,
    message: string,
    readonly details = "",
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /**
   * The error as `CniError`: itself; a config value that does not fit with code 7, an unusable namespace with code 8; any other thrown
   * value under `fallback`'s code. Messages are kept.
   */
  static from(error: unknown, fallback: number = code.internal): CniError {
    if (error instanceof CniError) return error;
    const message = messageOf(error);
    if (error instanceof JsonError) return new CniError(code.invalidConfig, message, "", { cause: error });
    if (error instanceof NetnsError) {
      const text = `failed to open netns ${JSON.stringify(error.path)}: ${message}`;
      return new CniError(code.invalidNetns, text, "", { cause: error });
    }
    return new CniError(fallback, message, "", { cause: error });
  }

  /** Message and details as one line, for logs and events, where there is no second field. */
  get text(): string {
    return oneLine(this.details === "" ? this.message : `${this.message}; ${this.details}`);
  }

  /** What is wrong with a config, with the line and column in `text`, which it was read from; itself when there is no more to tell. */
  locatedIn(text: string): CniError {
    const message = this.code === code.invalidConfig ? withPosition(this.message, text) : this.message;
    return message === this.message ? this : new CniError(this.code, message, this.details, { cause: this });
  }

  /** A copy with `prefix` before the message; code and details stay (upstream loses the code here). */
  within(prefix: string): CniError {
    return new CniError(this.code, `${prefix}${this.message}`, this.details, { cause: this });
  }
}

/**
 * An ADD that came to nothing, its own or its delegate's: the executable was not found or could not be started, or the config was refused
 * before the first step. There is nothing to take back any more, and a DEL would only meet the same obstacle.
 */
export class NotBegunError extends CniError {}

/**
 * A failed ADD whose own undoing failed too: something of the attachment may be left, and a DEL has to try again. Without such a failure
 * a plain `CniError` says that nothing is left.
 */
export class HalfUndoneError extends CniError {}
