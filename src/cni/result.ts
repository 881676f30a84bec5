import type { Ip } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";

/** An interface of a result; one without `sandbox` is on the node. MACs are lower-case colon form as the kernel reports them. */
export interface ResultInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}

/** An address of a result; `interface` is an index into the result's interfaces, absent when the IPAM did not say. */
export interface ResultIp {
  readonly address: Prefix;
  readonly gateway?: Ip;
  readonly interface?: number;
}

/** A route of a result or of an IPAM config. Absent fields were not given; 0 is a value. */
export interface ResultRoute {
  readonly dst: Prefix;
  readonly gw?: Ip;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}

export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** A result in the shape of CNI 1.1.0, whatever version it came in or goes out as (spec "Result Types"). */
export interface Result {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dns: Dns;
}

/** The result of a plugin that attached nothing. */
export const emptyResult: Result = { interfaces: [], ips: [], routes: [], dns: {} };
