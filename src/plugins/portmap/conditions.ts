import { CniError, code } from "../../cni/error.ts";
import { parseIp } from "../../ip/address.ts";
import { hostPrefix, parsePrefix } from "../../ip/prefix.ts";
import { type IpRange, rangeBetween, rangeOfPrefix } from "../../ip/range.ts";
import {
  addressAmong,
  connectionStateAmong,
  connectionStates,
  interfaceAmong,
  markIs,
  portAmong,
  type PortRange,
  transportAmong,
} from "../../nft/match.ts";
import { counter, type Equality, type PortProtocol, type Statement, toThisHost } from "../../nft/statement.ts";

// Conditions in nft's language. Upstream hands them to nft(8) as they are; we write nf_tables ourselves, and so know the part of the
// language that people narrow port mappings with. Anything else is refused by name instead of being left out.

const grammar =
  "known are ip|ip6 saddr|daddr, tcp|udp|sctp sport|dport, iifname, oifname, [meta] mark [& MASK], meta l4proto, ct state, fib daddr type local " +
  "and counter, with != and { sets }";
const protocols: readonly string[] = ["tcp", "udp", "sctp"] satisfies PortProtocol[];
/** Words, quoted words and the signs that stand by themselves. */
const tokenPattern = /"[^"]*"|[{},]|!=|==|&|[^\s{},"&!=]+/g;
const markMax = 0xffff_ffff;

/** What a packet has to be like. */
export interface Conditions {
  readonly statements: readonly Statement[];
  /** The one transport protocol that they can hold for; undefined for any. */
  readonly transport: PortProtocol | undefined;
}

/**
 * Reads the conditions of one IP version (`conditionsV4` or `conditionsV6`, the words joined as upstream joins them). None gives none. Throws
 * `CniError` code 7 that quotes the first word that is not known here.
 */
export function parseConditions(words: readonly string[], family: 4 | 6): Conditions {
  const text = words.join(" ").trim();
  return text === "" ? { statements: [], transport: undefined } : new Parser(text, family).all();
}

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  #transport: PortProtocol | undefined;

  constructor(
    readonly text: string,
    readonly family: 4 | 6,
  ) {
    const tokens = text.match(tokenPattern) ?? [];
    this.#tokens = tokens;
    // What no token took: a lone quotation mark, "!" or "=".
    const rest = text.replaceAll(tokenPattern, "").trim();
    if (rest !== "") this.#refuse(rest);
  }

  all(): Conditions {
    const statements: Statement[] = [];
    while (this.#at < this.#tokens.length) statements.push(this.#one());
    return { statements, transport: this.#transport };
  }

  #one(): Statement {
    const word = this.#next();
    switch (word) {
      case "ip":
      case "ip6":
        return this.#address(word === "ip" ? 4 : 6);
      case "tcp":
      case "udp":
      case "sctp":
        return this.#port(word);
      case "iifname":
      case "oifname":
        return this.#interface(word);
      case "mark":
        return this.#mark();
      case "meta":
        return this.#meta();
      case "ct":
        this.#expect("state");
        return this.#state();
      case "fib":
        for (const each of ["daddr", "type", "local"]) this.#expect(each);
        return toThisHost;
      case "counter":
        return counter;
      default:
        return this.#refuse(word);
    }
  }

  #address(family: 4 | 6): Statement {
    const field = this.#oneOf("saddr", "daddr");
    if (family !== this.family) {
      throw invalid(this.text, `IPv${family} in the conditions of IPv${this.family} can never hold`);
    }
    const operator = this.#operator();
    return addressAmong(
      field,
      this.#values((word) => this.#range(word, family)),
      operator,
    );
  }

  #range(word: string, family: 4 | 6): IpRange {
    const [first = "", last] = word.split("-");
    const [from, to] = [parseIp(first), last === undefined ? undefined : parseIp(last)];
    const single = parsePrefix(word) ?? (from === undefined ? undefined : hostPrefix(from));
    const several = from === undefined || to === undefined ? undefined : rangeBetween(from, to);
    const range = last === undefined && single !== undefined ? rangeOfPrefix(single) : several;
    return range?.first.family === family ? range : this.#refuse(word, `an IPv${family} address, network or range`);
  }

  #port(protocol: PortProtocol): Statement {
    this.#require(protocol);
    const field = this.#oneOf("sport", "dport");
    const operator = this.#operator();
    return portAmong(
      protocol,
      field,
      this.#values((word) => this.#portRange(word)),
      operator,
    );
  }

  #portRange(word: string): PortRange {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? first);
    if (match === null || last > 0xffff || first > last) this.#refuse(word, "a port or a range of ports, as numbers");
    return { first, last };
  }

  #interface(key: "iifname" | "oifname"): Statement {
    const operator = this.#operator();
    const names = this.#values((word) => {
      const name = word.replace(/^"(.*)"$/, "$1");
      return /^[^\s/*]{1,15}$|^[^\s/*]{1,14}\*$/.test(name) ? name : this.#refuse(word, "the name of an interface");
    });
    if (names.length > 1 && names.some((name) => name.endsWith("*"))) {
      throw invalid(this.text, "an interface name with * has to stand alone, not in a set");
    }
    return interfaceAmong(key, names, operator);
  }

  #meta(): Statement {
    const key = this.#oneOf("mark", "iifname", "oifname", "l4proto");
    if (key === "mark") return this.#mark();
    if (key !== "l4proto") return this.#interface(key);
    const operator = this.#operator();
    const names = this.#values((word) =>
      protocols.includes(word) ? (word as PortProtocol) : this.#refuse(word, protocols.join(", ")),
    );
    const [only] = names;
    if (only !== undefined && names.length === 1 && operator === "==") this.#require(only);
    return transportAmong(names, operator);
  }

  #require(protocol: PortProtocol): void {
    const known = this.#transport;
    if (known !== undefined && known !== protocol)
      throw invalid(this.text, `${known} and ${protocol} at once can never hold`);
    this.#transport = protocol;
  }

  #mark(): Statement {
    let mask: number | undefined;
    if (this.#tokens[this.#at] === "&") {
      this.#next();
      mask = this.#number(this.#next());
    }
    const operator = this.#operator();
    return markIs(this.#number(this.#next()), mask, operator);
  }

  #number(word: string): number {
    const number = /^(?:0x[0-9a-fA-F]+|\d+)$/.test(word) ? Number(word) : Number.NaN;
    return number <= markMax ? number : this.#refuse(word, "a number of 32 bits");
  }

  #state(): Statement {
    const operator = this.#operator();
    const isState = (word: string): word is keyof typeof connectionStates => Object.hasOwn(connectionStates, word);
    const states = this.#values((word) =>
      isState(word) ? word : this.#refuse(word, Object.keys(connectionStates).join(", ")),
    );
    // nft would compare with all bits at once, and no connection is in two states.
    if (operator === "!=" && states.length > 1)
      throw invalid(this.text, "several states after != always hold; write ct state != twice");
    return connectionStateAmong(states, operator);
  }

  #operator(): Equality {
    const word = this.#tokens[this.#at];
    if (word === "!=" || word === "==") {
      this.#at += 1;
      return word;
    }
    return "==";
  }

  /** One value, several joined by commas, or a set in braces. */
  #values<T>(read: (word: string) => T): T[] {
    const isSet = this.#tokens[this.#at] === "{";
    if (isSet) this.#at += 1;
    const values = [read(this.#next())];
    while (this.#tokens[this.#at] === ",") {
      this.#at += 1;
      // nft allows a comma behind the last one.
      if (isSet && this.#tokens[this.#at] === "}") break;
      values.push(read(this.#next()));
    }
    if (isSet) this.#expect("}");
    return values;
  }

  #oneOf<const Word extends string>(...words: readonly Word[]): Word {
    const word = this.#next();
    return words.find((each) => each === word) ?? this.#refuse(word, words.join(" or "));
  }

  #expect(word: string): void {
    const found = this.#next();
    if (found !== word) this.#refuse(found, word);
  }

  #next(): string {
    const word = this.#tokens[this.#at];
    if (word === undefined) throw invalid(this.text, "something is missing at its end");
    this.#at += 1;
    return word;
  }

  #refuse(word: string, expected?: string): never {
    const reason = `${JSON.stringify(word)} is ${expected === undefined ? "not known here" : `not ${expected}`}`;
    throw invalid(this.text, expected === undefined ? `${reason}; ${grammar}` : reason);
  }
}

function invalid(text: string, reason: string): CniError {
  return new CniError(
    code.invalidConfig,
    `condition ${JSON.stringify(text)}: ${reason}`,
    'with "execPlugins": ["portmap"] the reference plugin does it by nft(8)',
  );
}
