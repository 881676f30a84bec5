import { defineConfig } from "vitest/config";

// Threads, not forks: each worker thread has a network namespace of its own, and Bun lacks what the fork pool asks of a child process.
const shared = { pool: "threads" as const, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { ...shared, name: "unit", include: ["{src,cmd}/**/*.test.ts", "test/unit/**/*.test.ts"] } },
      { test: { ...shared, name: "live", include: ["test/live/**/*.test.ts"] } },
      { test: { ...shared, name: "kernel", include: ["test/kernel/**/*.test.ts"] } },
      { test: { ...shared, name: "api", include: ["test/api/**/*.test.ts"], globalSetup: "test/api/setup.ts" } },
      { test: { ...shared, name: "peers", include: ["test/peers/**/*.test.ts"] } },
    ],
  },
});
