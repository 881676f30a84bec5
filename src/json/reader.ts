import { JsonError, joinPath, type JsonErrorCode, type TextPosition } from "./error.ts";
import type { JsonValue, Parsed } from "./value.ts";

/** How many arrays and objects may be open at once. */
export const maxDepth = 512;

/** Where a comment's prose ends when its line end is lost: before the next member's name, or a bracket. */
const resumePattern = /"[^"\\]*"\s*:|[{}[\]]/g;
const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literalPattern = /[a-z]+/y;
const literals: ReadonlyMap<string, JsonValue> = new Map<string, JsonValue>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/**
 * Reads JSON with comments, slower than JSON.parse and with better errors. A comment runs to the end of its line. YAML folds the
 * lines of a quoted scalar into one, though, and then a comment would swallow the rest of the document; so where reading by lines
 * fails, a second attempt ends each comment before the next `"name":` or bracket. A comment that begins like JSON is never cut
 * that way: a setting someone has commented out must not come back to life.
 */
export function readDocument(text: string): Parsed {
  const byLines = new Reader(text, false);
  try {
    return byLines.document();
  } catch (error) {
    if (byLines.warnings.length === 0) throw error;
    try {
      return new Reader(text, true).document();
    } catch {
      throw error;
    }
  }
}

/** Where in a text each value begins, by its path in lower case; of members with one name the last. Empty for a text that is no JSON. */
export function placesOf(text: string): ReadonlyMap<string, TextPosition> {
  const places = new Map<string, TextPosition>();
  try {
    new Reader(text, false, places).document();
    return places;
  } catch (error) {
    if (error instanceof JsonError) return new Map();
    throw error;
  }
}

class Reader {
  readonly warnings: string[] = [];
  readonly #path: (string | number)[] = [];
  #at = 0;
  #lastComment = -1;

  constructor(
    readonly text: string,
    readonly folded: boolean,
    readonly places?: Map<string, TextPosition>,
  ) {}

  document(): Parsed {
    const value = this.#value();
    this.#skip();
    if (this.#at < this.text.length) this.#fail("expected nothing more after the end of the JSON value");
    return { value, warnings: this.warnings };
  }

  #value(): JsonValue {
    this.#skip();
    this.places?.set(this.#where().toLowerCase(), this.#position(this.#at));
    const character = this.text[this.#at];
    if (character === "{") return this.#object();
    if (character === "[") return this.#array();
    if (character === '"') return this.#string();
    const number = this.#match(numberPattern);
    if (number !== undefined) return Number(number);
    const word = this.#peek(literalPattern);
    const literal = word === undefined ? undefined : literals.get(word);
    if (word === undefined || literal === undefined) this.#fail(`expected a JSON value for ${this.#where()}`);
    this.#at += word.length;
    return literal;
  }

  #object(): JsonValue {
    const members: Record<string, JsonValue> = {};
    this.#open();
    if (this.#takes("}")) return members;
    for (;;) {
      if (this.text[this.#at] !== '"') this.#fail(`expected the name of a member of ${this.#where()} in double quotes`);
      const name = this.#string();
      this.#path.push(name);
      if (!this.#takes(":")) this.#fail(`expected ':' after the name ${this.#where()}`);
      // Not an assignment: that would set the prototype when the name is __proto__.
      Object.defineProperty(members, name, {
        value: this.#value(),
        enumerable: true,
        writable: true,
        configurable: true,
      });
      const isLast = this.#takes("}");
      if (!isLast && !this.#takes(",")) this.#fail(`expected ',' or '}' after ${this.#where()}`);
      this.#path.pop();
      if (isLast) return members;
      this.#skip();
    }
  }

  #array(): JsonValue {
    const elements: JsonValue[] = [];
    this.#open();
    if (this.#takes("]")) return elements;
    for (;;) {
      this.#path.push(elements.length);
      elements.push(this.#value());
      const isLast = this.#takes("]");
      if (!isLast && !this.#takes(",")) this.#fail(`expected ',' or ']' after ${this.#where()}`);
      this.#path.pop();
      if (isLast) return elements;
    }
  }

  #open(): void {
    if (this.#path.length >= maxDepth) this.#fail(`expected at most ${maxDepth} levels of nesting`, "JSON_DEPTH");
    this.#at++;
    this.#skip();
  }

  #string(): string {
    const start = this.#at++;
    for (;;) {
      const code = this.text.charCodeAt(this.#at);
      if (Number.isNaN(code)) this.#fail(`expected '"' at the end of the string in ${this.#where()}`);
      if (code < 0x20) this.#fail(`expected no line break or control character inside the string in ${this.#where()}`);
      if (code === 0x22) break;
      if (code === 0x5c) this.#escape();
      else this.#at++;
    }
    return JSON.parse(this.text.slice(start, ++this.#at)) as string;
  }

  #escape(): void {
    const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
    if (this.#match(escape) === undefined) this.#fail(`expected an escape such as \\n or \\u00e9 in ${this.#where()}`);
  }

  /** Goes over white space and comments. */
  #skip(): void {
    for (;;) {
      this.#match(/[ \t\r\n]+/y);
      if (this.text[this.#at] !== "#" && !this.text.startsWith("//", this.#at)) return;
      this.#comment();
    }
  }

  #comment(): void {
    const start = this.#at;
    const lineEnd = this.text.indexOf("\n", start);
    let end = lineEnd < 0 ? this.text.length : lineEnd;
    if (this.folded && !/^(?:#+|\/\/+)\s*["{}[\],]/.test(this.text.slice(start, end))) {
      resumePattern.lastIndex = start;
      end = Math.min(end, resumePattern.exec(this.text)?.index ?? end);
    }
    this.#at = end;
    this.#lastComment = start;
    const comment = JSON.stringify(this.text.slice(start, end).trim());
    const { line, column } = this.#position(start);
    this.warnings.push(`line ${line}, column ${column}: ignored the comment ${comment}, which JSON does not allow`);
  }

  #takes(character: string): boolean {
    this.#skip();
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #peek(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.text)?.[0];
  }

  #match(pattern: RegExp): string | undefined {
    const match = this.#peek(pattern);
    this.#at += match?.length ?? 0;
    return match;
  }

  #where(): string {
    return joinPath("$", this.#path);
  }

  #position(at: number): TextPosition {
    const before = this.text.slice(0, at).split("\n");
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  }

  #fail(expected: string, code: JsonErrorCode = "JSON_SYNTAX"): never {
    const position = this.#position(this.#at);
    const character = this.text.codePointAt(this.#at);
    const found = character === undefined ? "the end of the text" : quote(character);
    const message = `line ${position.line}, column ${position.column}: ${expected}, found ${found}`;
    throw new JsonError(code, this.#where(), message + this.#hint(), position);
  }

  /** A text that ends inside its last comment was most likely several lines once. */
  #hint(): string {
    if (this.#at < this.text.length || this.#lastComment < 0) return "";
    if (this.text.includes("\n", this.#lastComment)) return "";
    const { line, column } = this.#position(this.#lastComment);
    return (
      `; the comment at line ${line}, column ${column} hides the rest, as happens when YAML folds a quoted config into one line: ` +
      "remove the comment or write the config as a block (config: |)"
    );
  }
}

/** One character for a message: as it is when it can be seen, as U+FEFF otherwise. */
function quote(character: number): string {
  const text = String.fromCodePoint(character);
  if (/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(text)) return `'${text}'`;
  return `U+${character.toString(16).toUpperCase().padStart(4, "0")}`;
}
