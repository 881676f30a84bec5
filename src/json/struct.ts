import {
  array,
  boolean,
  custom,
  type GenericIssue,
  type GenericSchema,
  type InferInput,
  type InferOutput,
  object,
  type ObjectEntries,
  pipe,
  rawTransform,
  record,
  safeParse,
  string,
  transform,
} from "valibot";
import { describeValue, JsonError, joinPath } from "./error.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./value.ts";

/** What `decode` returns for a schema. */
export type Infer<Schema extends GenericSchema> = InferOutput<Schema>;

/**
 * A schema that reads a JSON object as Go's encoding/json reads one into a struct: names match in any letter case, of several
 * spellings the last one counts (a spelling that is repeated stands where it came first: JSON.parse keeps no more), null leaves the member absent (so that valibot's `optional(schema, default)` gives the default),
 * and names that no entry has are ignored. `entries` are valibot schemas by the names the specification writes. A member
 * without `optional` or `exactOptional` is required. Shared members are shared by spreading entries.
 */
export function struct<const Entries extends ObjectEntries>(entries: Entries) {
  const members = object(entries);
  let names: ReadonlyMap<string, string> | undefined;
  const pick = (input: JsonObject): InferInput<typeof members> => {
    // Made by the first use: most schemas of a process are never used, and all of them would cost its start.
    names ??= foldedNames(entries);
    const known: Record<string, JsonValue> = {};
    for (const name of Object.keys(input)) {
      const canonical = names.get(foldName(name));
      const value = input[name];
      if (canonical !== undefined && value !== null && value !== undefined) known[canonical] = value;
    }
    // Whether the values are what the entries take is for the next step to find out.
    return known as InferInput<typeof members>;
  };
  return pipe(anyObject(), transform(pick), members);
}

/**
 * The typed value that `schema` makes of a JSON value. Throws `JsonError` for the first thing that does not fit, as in
 * `$.ipam.ranges[0].subnet: expected an IP network, found "10.0.0.0"`; `path` is where `value` itself stands.
 */
export function decode<const Schema extends GenericSchema>(
  schema: Schema,
  value: unknown,
  path = "$",
): InferOutput<Schema> {
  const result = safeParse(schema, value, { abortEarly: true, message: expectation });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = joinPath(
    path,
    (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key))),
  );
  const found = issue.input === undefined ? "expected this key, found nothing" : undefined;
  throw new JsonError(
    "JSON_TYPE",
    where,
    `${where}: ${found ?? `expected ${issue.message}, found ${describeValue(issue.input)}`}`,
  );
}

/** A schema for an integral number, `min` and `max` included; without them what a JavaScript number holds exactly. */
export function integer({ min, max }: { readonly min?: number; readonly max?: number } = {}) {
  const fits = (value: unknown): boolean =>
    Number.isSafeInteger(value) &&
    (min === undefined || Number(value) >= min) &&
    (max === undefined || Number(value) <= max);
  if (min !== undefined && max !== undefined) return custom<number>(fits, `an integer from ${min} to ${max}`);
  if (min !== undefined) return custom<number>(fits, `an integer of at least ${min}`);
  return custom<number>(fits, max === undefined ? "an integer" : `an integer of at most ${max}`);
}

/** A schema for a string. */
export function text() {
  return string();
}

/** A schema for true or false. */
export function flag() {
  return boolean();
}

/** A schema for an array of strings. */
export function stringList() {
  return array(string());
}

/** A schema for an object whose members all fit `schema`, under any name and in the letter case given. */
export function mapOf<const Schema extends GenericSchema>(schema: Schema) {
  return pipe(custom<Record<string, InferInput<Schema>>>(isJsonObject, "an object"), record(string(), schema));
}

/** A schema for any JSON object, passed on as it is: a config that somebody else will read. */
export function anyObject() {
  return custom<JsonObject>(isJsonObject, "an object");
}

/** A schema for any JSON value, passed on as it is. */
export function anyValue() {
  return custom<JsonValue>((value) => value !== undefined, "a value");
}

/**
 * A schema for a string that `parse` turns into a value; `parse` returns undefined for what it does not accept. `expected` is for
 * messages, with its article: `checked(parseIp, "an IP address")`.
 */
export function checked<T>(parse: (text: string) => T | undefined, expected: string) {
  return pipe(
    string(expected),
    rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message: expected });
      return NEVER;
    }),
  );
}

/** As `checked`, but "" gives undefined: Go's net.IP reads the empty string as no address. */
export function checkedOrEmpty<T>(parse: (text: string) => T | undefined, expected: string) {
  const boxed = checked((text) => {
    const value = text === "" ? undefined : parse(text);
    return text === "" || value !== undefined ? { value } : undefined;
  }, expected);
  return pipe(
    boxed,
    transform(({ value }) => value),
  );
}

/** The member of that name in any letter case; of several the last that is not null. Undefined when there is none. */
export function getField(object: JsonObject, name: string): JsonValue | undefined {
  const folded = foldName(name);
  let found: JsonValue | undefined;
  for (const each of Object.keys(object)) {
    const value = object[each];
    if (value !== null && value !== undefined && foldName(each) === folded) found = value;
  }
  return found;
}

function foldedNames(entries: ObjectEntries): Map<string, string> {
  const names = new Map<string, string>();
  for (const name of Object.keys(entries)) names.set(foldName(name), name);
  return names;
}

/** Folds the way encoding/json does: the long s and the Kelvin sign are letters of ASCII names too. */
function foldName(name: string): string {
  return name.toLowerCase().replaceAll("ſ", "s");
}

const nouns: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  Array: "an array",
  Object: "an object",
};

/** What a stock valibot schema expected, in words; schemas of ours bring their own. */
function expectation(issue: GenericIssue): string {
  const expected = issue.expected ?? "a valid value";
  const choices = /^\((.*)\)$/.exec(expected)?.[1];
  return choices === undefined ? (nouns[expected] ?? expected) : `one of ${choices.split(" | ").join(", ")}`;
}
