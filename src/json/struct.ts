// Own code instead of a schema library: each CNI call makes and runs a few dozen schemas in a process that is a few milliseconds old. As
// closures they cost it 0.8 million instructions and 100 page faults less than as objects with all that a library offers.
import { describeValue, JsonError, joinPath } from "./error.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./value.ts";

/** Where a value stands: a member's name or an index and what that is in; without `parent` the path where decoding began. */
interface Place {
  readonly parent: Place | undefined;
  readonly step: string | number;
}

/**
 * Turns a JSON value into a typed one; throws `JsonError` for one that does not fit, and for undefined, which stands for a member that is
 * missing. The functions of this file make schemas, `decode` runs them.
 */
export type Schema<T> = (value: unknown, place: Place) => T;

/** A member of a struct that need not be there. */
interface Optional<T> {
  readonly schema: Schema<T>;
}

/** A member that is read from `fallback` when it is not there. */
interface Defaulted<T> extends Optional<T> {
  readonly fallback: JsonValue;
}

type Entry = Schema<unknown> | Optional<unknown> | Defaulted<unknown>;
type Entries = Readonly<Record<string, Entry>>;
type Output<Each> = Each extends Schema<infer T> ? T : Each extends Optional<infer T> ? T : never;
type IsAlways<Each> = Each extends Schema<unknown> | Defaulted<unknown> ? true : false;
type Struct<Each extends Entries> = {
  -readonly [Name in keyof Each as IsAlways<Each[Name]> extends true ? Name : never]: Output<Each[Name]>;
} & {
  -readonly [Name in keyof Each as IsAlways<Each[Name]> extends true ? never : Name]?: Output<Each[Name]>;
};

/** What `decode` returns for a schema. */
export type Infer<Each extends Schema<unknown>> = ReturnType<Each>;

/**
 * A schema that reads a JSON object as Go's encoding/json reads one into a struct: names match in any letter case, of several
 * spellings the last one counts (a spelling that is repeated stands where it came first: JSON.parse keeps no more), null is as good as
 * absence, and names that no entry has are ignored. `entries` are schemas by the names the specification writes. A member
 * without `optional` is required. Shared members are shared by spreading entries.
 */
export function struct<const Each extends Entries>(entries: Each): Schema<Struct<Each>> {
  return (value, place) => {
    if (!isJsonObject(value)) fail("an object", value, place);
    observer?.(pathOf(place), Object.keys(value), Object.keys(entries));
    const given = pick(value, entries);
    const members: Record<string, unknown> = {};
    for (const name in entries) {
      const entry: Entry = entries[name]!;
      const member = given[name];
      const at = { parent: place, step: name };
      if (typeof entry === "function") members[name] = entry(member, at);
      else if (member !== undefined) members[name] = entry.schema(member, at);
      else if ("fallback" in entry) members[name] = entry.schema(entry.fallback, at);
    }
    return members as Struct<Each>;
  };
}

/** Told of an object that a struct reads: where it stands, the names of its members, and those that the struct reads. */
export type StructObserver = (path: string, given: readonly string[], known: readonly string[]) => void;

let observer: StructObserver | undefined;

/**
 * Runs `read`, which must not be asynchronous, and tells `observe` of every object that a struct reads meanwhile. For those who review a config:
 * reading passes over names that it does not know, as Go does.
 */
export function observeStructs<T>(observe: StructObserver, read: () => T): T {
  const before = observer;
  observer = observe;
  try {
    return read();
  } finally {
    observer = before;
  }
}

/** For a struct: a member that may be absent, and then has what `schema` makes of `fallback`, or without a fallback stays absent. */
export function optional<T>(schema: Schema<T>): Optional<T>;
export function optional<T>(schema: Schema<T>, fallback: JsonValue): Defaulted<T>;
export function optional<T>(schema: Schema<T>, fallback?: JsonValue): Optional<T> {
  return fallback === undefined ? { schema } : ({ schema, fallback } as Defaulted<T>);
}

/**
 * The typed value that `schema` makes of a JSON value. Throws `JsonError` for the first thing that does not fit, as in
 * `$.ipam.ranges[0].subnet: expected an IP network, found "10.0.0.0"`; `path` is where `value` itself stands.
 */
export function decode<T>(schema: Schema<T>, value: unknown, path = "$"): T {
  return schema(value, { parent: undefined, step: path });
}

/** A schema for an integral number, `min` and `max` included; without them what a JavaScript number holds exactly. */
export function integer({ min, max }: { readonly min?: number; readonly max?: number } = {}): Schema<number> {
  return (value, place) => {
    const fits =
      Number.isSafeInteger(value) &&
      (min === undefined || Number(value) >= min) &&
      (max === undefined || Number(value) <= max);
    if (fits) return Number(value);
    if (min !== undefined && max !== undefined) fail(`an integer from ${min} to ${max}`, value, place);
    if (min !== undefined) fail(`an integer of at least ${min}`, value, place);
    return fail(max === undefined ? "an integer" : `an integer of at most ${max}`, value, place);
  };
}

/** A schema for a string. */
export function text(): Schema<string> {
  return readText;
}

function readText(value: unknown, place: Place): string {
  return typeof value === "string" ? value : fail("a string", value, place);
}

/** A schema for true or false. */
export function flag(): Schema<boolean> {
  return readFlag;
}

function readFlag(value: unknown, place: Place): boolean {
  return typeof value === "boolean" ? value : fail("true or false", value, place);
}

/** A schema for one of a few strings. */
export function picklist<const Choice extends string>(choices: readonly Choice[]): Schema<Choice> {
  return (value, place) => {
    for (const choice of choices) if (choice === value) return choice;
    return fail(`one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`, value, place);
  };
}

/** A schema for an array whose elements all fit `schema`. */
export function array<T>(schema: Schema<T>): Schema<T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) fail("an array", value, place);
    const elements: T[] = [];
    for (let index = 0; index < value.length; index++)
      elements.push(schema(value[index], { parent: place, step: index }));
    return elements;
  };
}

/** A schema for an array of strings. */
export function stringList(): Schema<string[]> {
  return array(readText);
}

/** A schema for an object whose members all fit `schema`, under any name and in the letter case given. */
export function mapOf<T>(schema: Schema<T>): Schema<Record<string, T>> {
  return (value, place) => {
    if (!isJsonObject(value)) fail("an object", value, place);
    const members: Record<string, T> = {};
    for (const name of Object.keys(value)) {
      // Assigning to it would set the prototype.
      if (name !== "__proto__") members[name] = schema(value[name], { parent: place, step: name });
    }
    return members;
  };
}

/** A schema for any JSON object, passed on as it is: a config that somebody else will read. */
export function anyObject(): Schema<JsonObject> {
  return (value, place) => (isJsonObject(value) ? value : fail("an object", value, place));
}

/** A schema for any JSON value, passed on as it is. */
export function anyValue(): Schema<JsonValue> {
  return (value, place) => (value === undefined ? fail("a value", value, place) : (value as JsonValue));
}

/** A schema for what fits one of two; what is wrong is said of the second. */
export function either<A, B>(first: Schema<A>, second: Schema<B>): Schema<A | B> {
  return (value, place) => {
    try {
      return first(value, place);
    } catch (error) {
      if (error instanceof JsonError) return second(value, place);
      throw error;
    }
  };
}

/**
 * A schema for a string that `parse` turns into a value; `parse` returns undefined for what it does not accept. `expected` is for
 * messages, with its article: `checked(parseIp, "an IP address")`.
 */
export function checked<T>(parse: (text: string) => T | undefined, expected: string): Schema<T> {
  return (value, place) => {
    const parsed = typeof value === "string" ? parse(value) : undefined;
    return parsed === undefined ? fail(expected, value, place) : parsed;
  };
}

/** As `checked`, but "" gives undefined: Go's net.IP reads the empty string as no address. */
export function checkedOrEmpty<T>(parse: (text: string) => T | undefined, expected: string): Schema<T | undefined> {
  const filled = checked(parse, expected);
  return (value, place) => (value === "" ? undefined : filled(value, place));
}

/** The member of that name in any letter case; of several the last that is not null. Undefined when there is none. */
export function getField(object: JsonObject, name: string): JsonValue | undefined {
  let found: JsonValue | undefined;
  for (const each of Object.keys(object)) {
    const value = object[each];
    if (value !== null && value !== undefined && isSameName(each, name)) found = value;
  }
  return found;
}

/** The members that have an entry, under the entry's own name. */
function pick(object: JsonObject, entries: Entries): Record<string, JsonValue> {
  const given: Record<string, JsonValue> = {};
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (value === null || value === undefined) continue;
    const known = Object.hasOwn(entries, name) ? name : otherSpelling(name, entries);
    if (known !== undefined) given[known] = value;
  }
  return given;
}

function otherSpelling(name: string, entries: Entries): string | undefined {
  for (const known in entries) if (isSameName(name, known)) return known;
  return undefined;
}

function isSameName(a: string, b: string): boolean {
  return a === b || (a.length === b.length && foldName(a) === foldName(b));
}

/** Folds the way encoding/json does: the long s and the Kelvin sign are letters of ASCII names too. No name changes its length. */
function foldName(name: string): string {
  return name.toLowerCase().replaceAll("ſ", "s");
}

function pathOf(place: Place): string {
  const steps: (string | number)[] = [];
  let at = place;
  for (; at.parent !== undefined; at = at.parent) steps.unshift(at.step);
  return joinPath(String(at.step), steps);
}

function fail(expected: string, value: unknown, place: Place): never {
  const where = pathOf(place);
  const problem =
    value === undefined ? "expected this key, found nothing" : `expected ${expected}, found ${describeValue(value)}`;
  throw new JsonError("JSON_TYPE", where, `${where}: ${problem}`);
}
