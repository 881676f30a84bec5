import type { PoolChange, Pools } from "../../cluster/pools/port.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  statusIfExists,
  unlinkIfExists,
  writeFile,
} from "../../libc/file.ts";
import { tryLockFile } from "../../libc/lock.ts";
import { kill } from "../../libc/process.ts";
import { forgetLeft, leftEntries, type LeftFile, writersFolder } from "./left-entry.ts";
import { changeEntries } from "./pool-entry.ts";

/** How long to wait before looking again whether another call's patch has brought ours along. */
const firstPauseMs = 1;
const shortestPauseMs = 8;
const longestPauseMs = 50;
/** And how much of what the last patch took. */
const pausePart = 0.1;
/** The longest that a patch is held back for calls that are about to want one too: as long as the last one took, and not longer than this. */
const longestGatherMs = 300;
/** It is not held back further when nobody has come for so much of that: a call takes longer from its start to here than some patches. */
const quietPart = 0.5;
const lookMs = 5;
/** A patch of a small pool takes the server next to nothing, but its request has a price of its own. */
const shortestGatherMs = 25;
/** A patch so long ago says nothing about now. */
const freshMs = 1000;

type Entering = Extract<PoolChange, { op: "add" }>;

interface Ask {
  readonly processId: number;
  /** As `Pools.where`. */
  readonly store: string;
  readonly change: Entering;
}

/**
 * Puts one entry into a pool, together with what other calls of this node want changed in it at the same time: each puts its wish into
 * `<data_dir>/writers/<pool>`, and whoever has the lock there writes all of them in one patch, while the next ones gather. So a node has one patch in
 * flight per pool, and many calls cost little more than one. Entries that DELs have left go with it. As `changeEntries` in all else.
 */
export async function enterTogether(pools: Pools, dataDir: string, pool: string, change: Entering): Promise<boolean> {
  const folder = writersFolder(dataDir, pool);
  const id = crypto.randomUUID();
  const ask: Ask = { processId: process.pid, store: pools.where, change };
  if (statusIfExists(folder) === undefined) makeDirectories(folder, 0o700);
  replaceFile(`${folder}/${id}.ask`, JSON.stringify(ask), 0o600, `${folder}/.${id}`, false);
  try {
    const longestMs = Math.min(longestPauseMs, Math.max(shortestPauseMs, lastPatch(folder).tookMs * pausePart));
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestMs)) {
      const answer = readTextIfExists(`${folder}/${id}.answer`);
      if (answer !== undefined) return answer === "yes";
      using lock = tryLockFile(`${folder}/.lock`);
      if (lock !== undefined) await writeAll(pools, folder, pool);
      else await Bun.sleep(pauseMs);
    }
  } finally {
    for (const end of ["ask", "answer"]) unlinkIfExists(`${folder}/${id}.${end}`);
  }
}

/** Takes out what DELs of this node have left in a pool, unless a call does so that is writing it now. Throws `ClusterError`; it stays noted down then. */
export async function removeLeft(pools: Pools, dataDir: string, pool: string): Promise<void> {
  const folder = writersFolder(dataDir, pool);
  using lock = tryLockFile(`${folder}/.lock`);
  if (lock !== undefined) await writeAll(pools, folder, pool);
}

/**
 * Waits until as many calls want an entry as have wanted one at a time lately, since those who were answered have successors, but no longer than a patch takes:
 * on a large pool that is so long that fewer of them are worth a wait. Without this two groups of callers take turns, each waiting for the other's patch.
 * A call by itself does not wait.
 */
async function gather(folder: string): Promise<void> {
  const last = lastPatch(folder);
  const limitMs = Math.min(longestGatherMs, Math.max(shortestGatherMs, last.tookMs));
  const began = performance.now();
  let waiting = countAsks(folder);
  // The callers of the last patch, and those who came while it was made.
  const expected = last.count + countAsks(folder, last.endedMs);
  let cameAt = began;
  for (let now = began; waiting < expected && now - began < limitMs; now = performance.now()) {
    if (now - cameAt > limitMs * quietPart) return;
    await Bun.sleep(lookMs);
    const asks = countAsks(folder);
    if (asks > waiting) cameAt = performance.now();
    waiting = asks;
  }
}

/** Those who ask; with a time in ms, those of them who did so before. */
function countAsks(folder: string, beforeMs = Number.POSITIVE_INFINITY): number {
  let asks = 0;
  for (const id of waitingIds(folder))
    if (beforeMs === Number.POSITIVE_INFINITY || modifiedMs(`${folder}/${id}.ask`) < beforeMs) asks += 1;
  return asks;
}

/** Of those who ask and have no answer yet. */
function waitingIds(folder: string): string[] {
  const ids: string[] = [];
  for (const { name } of readDirectoryIfExists(folder)) {
    const id = name.endsWith(".ask") ? name.slice(0, -".ask".length) : "";
    if (id !== "" && statusIfExists(`${folder}/${id}.answer`) === undefined) ids.push(id);
  }
  return ids;
}

/** 0 for a file that is gone. */
function modifiedMs(path: string): number {
  return Number((statusIfExists(path)?.modifiedNs ?? 0n) / 1_000_000n);
}

/** What `.last` says of the last patch, and how many changes it had; nothing when that is long ago. */
function lastPatch(folder: string): { readonly tookMs: number; readonly count: number; readonly endedMs: number } {
  const path = `${folder}/.last`;
  const endedMs = modifiedMs(path);
  if (!(Date.now() - endedMs < freshMs)) return { tookMs: 0, count: 0, endedMs };
  const [tookMs = 0, count = 0] = (readTextIfExists(path) ?? "").split(" ").map(Number);
  return { tookMs, count, endedMs };
}

/** All that is wanted now. Answers are given only for what is certain. */
async function writeAll(pools: Pools, folder: string, pool: string): Promise<void> {
  await gather(folder);
  const asks = readAsks(folder, pools.where);
  // Looked for after the asks: who claims an address anew has found its claim deleted, and what that has left was noted down before.
  const left = new Map<string, LeftFile>();
  for (const each of leftEntries(folder))
    if (each.store === pools.where && !left.has(each.key)) left.set(each.key, each);
  // Left by the very call that had asked, which has given up since.
  for (const [id, { key, entry }] of asks) if (left.get(key)?.id === entry.id) asks.delete(id);
  const changes: PoolChange[] = [];
  for (const { key, entry } of asks.values()) {
    const id = left.get(key)?.id;
    changes.push(id === undefined ? { op: "add", key, entry } : { op: "replace", key, id, entry });
  }
  const entered = new Set(changes.map(({ key }) => key));
  for (const { key, id } of left.values()) if (!entered.has(key)) changes.push({ op: "remove", key, id });
  if (changes.length === 0) return;
  const began = performance.now();
  const outcomes = await changeEntries(pools, pool, changes);
  for (const each of left.values()) forgetLeft(each);
  if (asks.size === 0) return;
  writeFile(`${folder}/.last`, `${Math.round(performance.now() - began)} ${asks.size}`);
  for (const [index, id] of [...asks.keys()].entries())
    replaceFile(`${folder}/${id}.answer`, outcomes[index] === true ? "yes" : "no", 0o600, `${folder}/.${id}`, false);
}

/** What calls that live want to enter in this store, by the names of their files. */
function readAsks(folder: string, where: string): Map<string, Entering> {
  const asks = new Map<string, Entering>();
  for (const id of waitingIds(folder)) {
    const path = `${folder}/${id}.ask`;
    const text = readTextIfExists(path);
    if (text === undefined) continue;
    const { processId, store, change } = JSON.parse(text) as Ask;
    // Of a process that was killed its DEL takes care: what is written for it now might come after that.
    if (!kill(processId, 0)) unlinkIfExists(path);
    else if (store === where) asks.set(id, change);
  }
  return asks;
}
