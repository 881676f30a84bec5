export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
/** sizeof(sun_path), the closing NUL included. */
const pathBytesMax = 108;

/**
 * A struct sockaddr_un of a path; its bytes from 2 on are the path as a C string. Undefined for a path that no socket can have: it is empty,
 * too long or contains a NUL.
 */
export function unixAddress(path: string): Uint8Array | undefined {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length >= pathBytesMax || name.includes(0)) return undefined;
  const address = new Uint8Array(2 + name.length + 1);
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}
