import { expect, test } from "vitest";
import { CniError } from "../cni/error.ts";
import { podFailure } from "./pod-failure.ts";

const pod = { namespace: "default", name: "web" };
const prefix = 'plugin type="multus" name="multus-cni-network" failed (add): ';

test.each<[string, unknown, string]>([
  ["an error", new Error("no such device"), "no such device"],
  ["something that is no error", "text", "text"],
  ["a text of several lines", new Error("one\n  two\n"), "one; two"],
  ["details", new CniError(7, "bad", "do this"), "bad (do this)"],
  ["what the reader knows already", new CniError(7, `${prefix}Multus: [default/web/u-i-d]: no master`), "no master"],
  ["a log that says the same again", new CniError(7, `${prefix}no master`, "10:00 [error] no master"), "no master"],
  [
    "another plugin",
    new CniError(7, 'plugin type="bridge" name="x" failed (add): no'),
    'plugin type="bridge" name="x" failed (add): no',
  ],
])("a failure tells %s in one line", (_, error, want) => {
  expect(podFailure(pod, error)).toEqual({ ...pod, error: want });
});
