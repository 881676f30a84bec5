import { ManifestCluster } from "../src/cluster/manifests.ts";
import { ManifestPools } from "../src/cluster/pools/manifests.ts";
import type { Pools } from "../src/cluster/pools/port.ts";
import { ManifestSurveyor } from "../src/controller/manifest-surveyor.ts";
import { type Overview, overviewOf } from "../src/controller/overview.ts";
import { ApiSurveyor, type Survey } from "../src/controller/survey.ts";
import { silentLogger } from "../src/log/logger.ts";
import { absolute } from "./absolute.ts";
import { clusterAccess } from "./cluster-access.ts";
import type { ClusterOptions } from "./cluster-command.ts";
import type { OutputFormat } from "./output.ts";

/** Which pools are meant. */
export interface IpamRequest extends ClusterOptions {
  /** A directory; it wins. */
  readonly manifests: string;
  readonly output: OutputFormat;
}

/** Pools as they are now, with everything that can be told of them. */
export interface IpamSource {
  readonly pools: Pools;
  readonly survey: Survey;
  readonly overview: Overview;
}

const timeoutMs = 30_000;

/** Looks at everything once. Throws `UsageError` when no pools are named, `ClusterError` or `KubeError` for those that can't be read. */
export async function openIpam({ manifests, ...request }: IpamRequest): Promise<IpamSource> {
  if (manifests !== "") {
    // A report names the directory: it has to be the same one whatever folder the next command is called in.
    const directory = absolute(manifests);
    const pools = new ManifestPools(directory);
    return await source(pools, new ManifestSurveyor(new ManifestCluster(directory), pools));
  }
  const { client, pools } = openApiIpam({ manifests, ...request });
  return await source(pools, new ApiSurveyor(client, pools));
}

/** The pools of a cluster, unseen. Throws as `openIpam`. */
export function openApiIpam(request: IpamRequest): ReturnType<typeof clusterAccess> {
  return clusterAccess({ ...request, verb: "ipam", timeoutMs, log: silentLogger });
}

async function source(pools: Pools, surveyor: { survey(): Promise<Survey> }): Promise<IpamSource> {
  const survey = await surveyor.survey();
  return { pools, survey, overview: overviewOf(survey) };
}
