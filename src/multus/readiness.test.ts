import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../log/logger.ts";
import { requireReadiness, waitForReadiness } from "./readiness.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-ready-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("no key and a file that is there cost nothing", async () => {
  writeFileSync(join(folder, "ready"), "");
  for (const path of ["", join(folder, "ready"), folder]) {
    await waitForReadiness(path, silentLogger, 0);
    requireReadiness(path);
  }
});

test("a file that comes is waited for", async () => {
  const path = join(folder, "ready");
  const waiting = waitForReadiness(path, silentLogger);
  await Bun.sleep(10);
  writeFileSync(path, "");
  await waiting;
});

test("a file that does not come is worth another try: code 11 with Multus' words and the cure", async () => {
  await expect(waitForReadiness(join(folder, "ready"), silentLogger, 1)).rejects.toThrow(
    expect.objectContaining({
      code: 11,
      reason: "DefaultNetworkNotReady",
      message: expect.stringContaining(
        `have you checked that your default network is ready? still waiting for readinessindicatorfile @ ${folder}/ready`,
      ) as unknown,
      details: expect.stringContaining("look at that agent's pod on this node") as unknown,
    }),
  );
});

test("STATUS is told at once: code 50 (BUG 4.4: Multus waits 45 s)", () => {
  expect(() => requireReadiness(join(folder, "ready"))).toThrow(expect.objectContaining({ code: 50 }));
});
