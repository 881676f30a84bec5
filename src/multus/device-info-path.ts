/** Where device plugins and CNI plugins tell of devices (NPWG device-info spec 1.1); the path is fixed by the specification. */
export const deviceInfoFolder = "/var/run/k8s.cni.cncf.io/devinfo";

/** The file that a device plugin may have written about one of its devices. */
export function deviceInfoSource(resourceName: string, deviceId: string): string {
  return `${deviceInfoFolder}/dp/${flat(resourceName)}-${flat(deviceId)}-device.json`;
}

/** The file of one attachment: unique, since no container has two interfaces of one name. It is named as Multus names it. */
export function deviceInfoPath(network: string, containerId: string, ifName: string): string {
  return `${deviceInfoFolder}/cni/${flat(network)}-${containerId}_${ifName}`;
}

function flat(name: string): string {
  return name.replaceAll("/", "-");
}
