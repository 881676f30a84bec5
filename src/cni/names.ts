import { CniError, code } from "./error.ts";

/** What container ids and network names are made of (spec "Parameters", "Configuration format"). */
const nameCharacters = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const refusedInInterfaceNames = /[/:\p{White_Space}]/u;
/** IFNAMSIZ without its terminating zero (include/uapi/linux/if.h). */
const interfaceNameLimitBytes = 15;
const encoder = new TextEncoder();

/** Throws `CniError`: code 3 for an empty container id, 4 for one with other characters than the specification allows. */
export function validateContainerId(id: string): void {
  if (id === "") throw new CniError(code.unknownContainer, "missing containerID");
  if (!nameCharacters.test(id)) throw new CniError(code.invalidEnvironment, "invalid characters in containerID", id);
}

/** True for a name that the specification allows; such a name is a plain file name too. */
export function isNetworkName(name: string): boolean {
  return nameCharacters.test(name);
}

/** Throws `CniError` code 7 for a network name that is empty or has other characters than the specification allows. */
export function validateNetworkName(name: string): void {
  if (name === "") throw new CniError(code.invalidConfig, "missing network name", 'the config needs a "name"');
  if (!isNetworkName(name)) {
    throw new CniError(code.invalidConfig, "invalid characters found in network name", name);
  }
}

/** Throws `CniError` code 4 for a name that the kernel would not take (dev_valid_name in net/core/dev.c). */
export function validateInterfaceName(name: string): void {
  const refuse = (message: string, details = "") => new CniError(code.invalidEnvironment, message, details);
  if (name === "") throw refuse("interface name is empty");
  if (encoder.encode(name).length > interfaceNameLimitBytes) {
    throw refuse(
      "interface name is too long",
      `interface name should be less than ${interfaceNameLimitBytes + 1} characters`,
    );
  }
  if (name === "." || name === "..") throw refuse("interface name is . or ..");
  if (refusedInInterfaceNames.test(name)) {
    throw refuse("interface name contains / or : or whitespace characters", name);
  }
}
