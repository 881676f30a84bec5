import type { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import {
  RTA_METRICS,
  RTAX_ADVMSS,
  RTAX_CC_ALGO,
  RTAX_CWND,
  RTAX_FASTOPEN_NO_COOKIE,
  RTAX_FEATURES,
  RTAX_HOPLIMIT,
  RTAX_INITCWND,
  RTAX_INITRWND,
  RTAX_LOCK,
  RTAX_MTU,
  RTAX_QUICKACK,
  RTAX_REORDERING,
  RTAX_RTO_MIN,
  RTAX_RTT,
  RTAX_RTTVAR,
  RTAX_SSTHRESH,
  RTAX_WINDOW,
} from "./constants.ts";
import type { Writable } from "./writable.ts";

/** What TCP and the path MTU take from a route (RTAX_*, in the kernel's units); undefined is not sent, or was not told. */
export interface RouteMetrics {
  /** Bytes. */
  readonly mtu?: number | undefined;
  /** Bytes. */
  readonly advmss?: number | undefined;
  /** Bits by RTAX_* number: metrics that path MTU discovery and the like may not change. */
  readonly lock?: number | undefined;
  readonly window?: number | undefined;
  readonly rtt?: number | undefined;
  readonly rttvar?: number | undefined;
  readonly ssthresh?: number | undefined;
  readonly cwnd?: number | undefined;
  readonly reordering?: number | undefined;
  readonly hoplimit?: number | undefined;
  readonly initcwnd?: number | undefined;
  readonly features?: number | undefined;
  readonly rtoMin?: number | undefined;
  readonly initrwnd?: number | undefined;
  readonly quickack?: number | undefined;
  readonly fastopenNoCookie?: number | undefined;
  /** Name of a TCP congestion control algorithm. */
  readonly congestionControl?: string | undefined;
}

const numbers: readonly [number, Exclude<keyof RouteMetrics, "congestionControl">][] = [
  [RTAX_LOCK, "lock"],
  [RTAX_MTU, "mtu"],
  [RTAX_WINDOW, "window"],
  [RTAX_RTT, "rtt"],
  [RTAX_RTTVAR, "rttvar"],
  [RTAX_SSTHRESH, "ssthresh"],
  [RTAX_CWND, "cwnd"],
  [RTAX_ADVMSS, "advmss"],
  [RTAX_REORDERING, "reordering"],
  [RTAX_HOPLIMIT, "hoplimit"],
  [RTAX_INITCWND, "initcwnd"],
  [RTAX_FEATURES, "features"],
  [RTAX_RTO_MIN, "rtoMin"],
  [RTAX_INITRWND, "initrwnd"],
  [RTAX_QUICKACK, "quickack"],
  [RTAX_FASTOPEN_NO_COOKIE, "fastopenNoCookie"],
];
const names = new Map(numbers);

/** Writes RTA_METRICS; nothing at all when no metric is set. */
export function encodeMetrics(metrics: RouteMetrics, encoder: AttributeEncoder): void {
  const set = numbers.filter(([, name]) => metrics[name] !== undefined);
  if (set.length === 0 && metrics.congestionControl === undefined) return;
  encoder.nested(RTA_METRICS, (inner) => {
    for (const [type, name] of set) inner.u32(type, metrics[name] ?? 0);
    if (metrics.congestionControl !== undefined) inner.text(RTAX_CC_ALGO, metrics.congestionControl);
  });
}

/** Reads the content of RTA_METRICS. */
export function decodeMetrics(attributes: AttributeDecoder): RouteMetrics {
  const metrics: Writable<RouteMetrics> = {};
  while (attributes.next()) {
    const name = names.get(attributes.type);
    if (name !== undefined) metrics[name] = attributes.u32();
    else if (attributes.type === RTAX_CC_ALGO) metrics.congestionControl = attributes.text();
  }
  return metrics;
}
