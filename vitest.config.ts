import { defineConfig } from "vitest/config";

// Threads, not forks: each worker thread has a network namespace of its own, and Bun lacks what the fork pool asks of a child process. One file
// at a time: what runs side by side has namespaces and servers of its own (test/run.ts).
// What takes seconds takes minutes on a machine that is busy with something else.
const shared = { pool: "threads" as const, maxWorkers: 1, testTimeout: 300_000, hookTimeout: 300_000 };

export default defineConfig({
  test: {
    // With its end goes vitest's own temporary folder, which would count as left by a test.
    teardownTimeout: 120_000,
    projects: [
      // A thread for each file costs more than its tests do.
      {
        test: {
          ...shared,
          isolate: false,
          name: "unit",
          include: ["{src,cmd,tools}/**/*.test.ts", "test/unit/**/*.test.ts"],
        },
      },
      { test: { ...shared, name: "live", include: ["test/live/**/*.test.ts"] } },
      { test: { ...shared, name: "kernel", include: ["test/kernel/**/*.test.ts"] } },
      { test: { ...shared, name: "api", include: ["test/api/**/*.test.ts"], globalSetup: "test/api/setup.ts" } },
      { test: { ...shared, name: "cri", include: ["test/cri/**/*.test.ts"] } },
      { test: { ...shared, name: "node", include: ["test/node/**/*.test.ts"] } },
      { test: { ...shared, name: "peers", include: ["test/peers/**/*.test.ts"] } },
    ],
  },
});
