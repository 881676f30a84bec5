import { InvalidArgumentError, Option } from "commander";

/** The forms of `-o`. */
export type OutputFormat = "table" | "json" | "yaml";

/** The option `-o table|json|yaml`. */
export function outputOption(): Option {
  return new Option("-o, --output <format>", "how to show the result")
    .choices(["table", "json", "yaml"])
    .default("table");
}

/** A value as JSON or YAML text; undefined for a table, which the caller draws. */
export function formatValue(value: unknown, format: OutputFormat): string | undefined {
  if (format === "table") return undefined;
  // A round trip through JSON, so that both forms leave out the same things.
  const json = JSON.stringify(value, null, 2);
  return format === "json" ? `${json}\n` : `${Bun.YAML.stringify(JSON.parse(json), null, 2)}\n`;
}

/** For options that may be given several times: each value is added to those before it. */
export function collect(value: string, before: readonly string[]): string[] {
  if (value === "") throw new InvalidArgumentError("expected a path, found an empty text");
  return [...before, value];
}
