import type { Plugin } from "../cni/plugin.ts";
import { type MultusConf, parseMultusConf } from "./config.ts";

/** The dispatcher as a CNI plugin (`type: multus`). Each verb is a chunk of its own: a DEL never loads what only ADD needs. */
export const plugin: Plugin<MultusConf> = {
  name: "multus",
  remembersResults: true,
  parse: parseMultusConf,
  add: async (call) => (await import("./add.ts")).add(call),
  del: async (call) => (await import("./del.ts")).del(call),
  check: async (call) => (await import("./check.ts")).check(call),
  status: async (call) => (await import("./status.ts")).status(call),
  gc: async (call) => (await import("./gc.ts")).gc(call),
};
