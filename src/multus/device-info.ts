import { isJsonObject, type JsonObject, parse } from "../json/value.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  temporaryOf,
  unlinkIfExists,
} from "../libc/file.ts";
import type { Logger } from "../log/logger.ts";
import { messageOf } from "../words/message.ts";
import { deviceInfoFolder, deviceInfoPath, deviceInfoSource } from "./device-info-path.ts";
import type { JournalEntry } from "./journal.ts";
import type { Attachment } from "./attachment.ts";

const folder = `${deviceInfoFolder}/cni`;

/**
 * Makes the folder for the attachment's file and puts there what its device plugin has written about the device, if anything (NPWG spec M35).
 * The network works without: what fails is only logged. Nothing happens for an attachment that has no such file.
 */
export function provideDeviceInfo({ name, ifName, capabilityArgs, device }: Attachment, log: Logger): void {
  const path = capabilityArgs["CNIDeviceInfoFile"];
  if (typeof path !== "string") return;
  try {
    makeDirectories(folder, 0o755);
    if (device?.id === undefined) return;
    const source = deviceInfoSource(device.resourceName, device.id);
    const text = readTextIfExists(source);
    // Read-only, as the specification's own library leaves it: a plugin that knows more replaces the file.
    if (text !== undefined) replaceFile(path, text, 0o444, temporaryOf(path));
    log.debug(`network ${name} (interface ${ifName}): ${text === undefined ? "no " : ""}device info in ${source}`);
  } catch (error) {
    log.error(`network ${name} (interface ${ifName}): no device info: ${messageOf(error)}`);
  }
}

/** What is known of the attachment's device after its ADD, for the pod's status (M37); undefined when nothing is. */
export function readDeviceInfo({ name, ifName, capabilityArgs }: Attachment, log: Logger): JsonObject | undefined {
  const path = capabilityArgs["CNIDeviceInfoFile"];
  if (typeof path !== "string") return undefined;
  try {
    const text = readTextIfExists(path);
    if (text === undefined) return undefined;
    const { value } = parse(text);
    if (isJsonObject(value)) return value;
    throw new TypeError(`${path}: expected a JSON object`);
  } catch (error) {
    log.error(`network ${name} (interface ${ifName}): device info can't be read: ${messageOf(error)}`);
    return undefined;
  }
}

/** Removes the attachment's file (M38). That it can't be removed is only logged: it must not keep the pod from being deleted. */
export function removeDeviceInfo(
  { name, ifName, capabilityArgs }: Pick<JournalEntry, "name" | "ifName" | "capabilityArgs">,
  containerId: string,
  log: Logger,
): void {
  const { CNIDeviceInfoFile: noted, deviceID } = capabilityArgs;
  if (noted === undefined && deviceID === undefined) return;
  removeFile(deviceInfoPath(name, containerId, ifName), log);
  // A cached result does not know the definition's name, by which the file is called.
  if (typeof noted === "string" && isOurs(noted)) removeFile(noted, log);
}

/** As `removeDeviceInfo`, for all that a container may have: for one whose journal is lost. */
export function removeDeviceInfoOf(containerId: string, log: Logger): void {
  for (const { name } of readDirectoryIfExists(folder))
    if (name.includes(`-${containerId}_`)) removeFile(`${folder}/${name}`, log);
}

function removeFile(path: string, log: Logger): void {
  try {
    // What a killed ADD has left of it lies beside it.
    unlinkIfExists(temporaryOf(path));
    unlinkIfExists(path);
  } catch (error) {
    log.error(`device info stays behind: ${messageOf(error)}`);
  }
}

/** A journal may name any file; only those of this folder are ours to delete. */
function isOurs(path: string): boolean {
  return path.startsWith(`${folder}/`) && !path.slice(folder.length + 1).includes("/");
}
