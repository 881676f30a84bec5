import { messageOf } from "../words/message.ts";
import { installConf, installCredentials, type InstallOptions, repairExecutable } from "./install.ts";

const periodMs = 1000;

/**
 * Keeps what was installed current until `end` is aborted: the token that kubelet rotates, the config when the primary changes, links and
 * config that somebody has removed. Looking costs a few small reads a second. What goes wrong is said once and tried again.
 */
export async function watchInstallation(options: InstallOptions, end: AbortSignal): Promise<void> {
  const ended = new Promise((resolve) => end.addEventListener("abort", resolve, { once: true }));
  let complaint = "";
  while (!end.aborted) {
    const trouble = await keepCurrent(options);
    if (trouble !== complaint && trouble !== "") options.say(trouble);
    complaint = trouble;
    await Promise.race([Bun.sleep(periodMs), ended]);
  }
}

/** What could not be kept current, in one line; "" when all could. */
async function keepCurrent(options: InstallOptions): Promise<string> {
  try {
    if (options.plugins.length > 0) await repairExecutable(options);
    await installCredentials(options);
    const reasons = await installConf(options);
    return reasons.length === 0 ? "" : `the config stays as it was: ${reasons.join("; ")}`;
  } catch (error) {
    return messageOf(error);
  }
}
