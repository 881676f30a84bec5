import { ManifestPools } from "../../src/cluster/pools/manifests.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { poolsContract } from "../kit/pools-contract.ts";

const folder = useTemporaryFolder();

poolsContract("manifests", async () => new ManifestPools(folder().path));
