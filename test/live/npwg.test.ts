// The NPWG multi-network specification 1.3 and device-info 1.1, one row per rule, through the compiled executable on manifests. Where
// polynic keeps a rule otherwise, or it is not polynic's to keep, the row says so and why.
import { expect, test } from "vitest";
import { useSite } from "../kit/multus-site.ts";
import { behaviourRules } from "./npwg/behaviour.ts";
import { deviceInfoRules } from "./npwg/device-info.ts";
import { objectRules } from "./npwg/object.ts";
import { requestRules } from "./npwg/request.ts";
import { statusRules } from "./npwg/status.ts";

const site = useSite();
const rules = [...objectRules, ...requestRules, ...statusRules, ...behaviourRules, ...deviceInfoRules];

test("every rule has its row", () => {
  expect(rules.map(({ rule }) => rule)).toEqual(Array.from({ length: 38 }, (_, index) => `M${index + 1}`));
});

test.each(rules)("$rule: $says", async ({ holds }) => {
  await holds(site());
});
