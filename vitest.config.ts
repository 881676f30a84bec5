import { defineConfig } from "vitest/config";

// Threads, not forks: each worker thread has a network namespace of its own, and Bun lacks what the fork pool asks of a child process.
const shared = { pool: "threads" as const, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { ...shared, name: "unit", include: ["{src,cmd,tools}/**/*.test.ts", "test/unit/**/*.test.ts"] } },
      { test: { ...shared, name: "live", include: ["test/live/**/*.test.ts"] } },
      // A guest has one processor, and its test file does nothing but wait for it: two of them share a machine of two well.
      { test: { ...shared, name: "kernel", include: ["test/kernel/**/*.test.ts"], maxWorkers: 2 } },
      { test: { ...shared, name: "api", include: ["test/api/**/*.test.ts"], globalSetup: "test/api/setup.ts" } },
      // One containerd at a time: the tests of a file are load enough.
      {
        test: {
          ...shared,
          name: "cri",
          include: ["test/cri/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
        },
      },
      {
        test: {
          ...shared,
          name: "node",
          include: ["test/node/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      { test: { ...shared, name: "peers", include: ["test/peers/**/*.test.ts"] } },
    ],
  },
});
