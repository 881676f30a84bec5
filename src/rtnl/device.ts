/** A network device where the kernel wants its index; with the name at hand (a `Link` will do), errors can say it. */
export type Device = number | { readonly index: number; readonly name: string };

export function indexOf(device: Device): number {
  return typeof device === "number" ? device : device.index;
}

/** For error messages: the name, or "#7" where only the index is known. */
export function describeDevice(device: Device): string {
  return typeof device === "number" ? `#${device}` : device.name;
}
