// The object: where a network's config comes from, and what is injected.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Json } from "../../kit/multus-site.ts";
import { added, expectRefusal, names, recorded, type Rule, version } from "./world.ts";

const repository = join(import.meta.dirname, "..", "..", "..");

export const objectRules: readonly Rule[] = [
  {
    rule: "M1",
    says: "the CRD is network-attachment-definitions.k8s.cni.cncf.io, v1, namespaced, with one optional string, config",
    holds() {
      const crd = Bun.YAML.parse(
        readFileSync(join(repository, "deploy", "crds", "network-attachment-definitions.yaml"), "utf8"),
      ) as { metadata: Json; spec: { group: string; scope: string; names: Json; versions: Json[] } };
      expect(crd.metadata).toMatchObject({ name: "network-attachment-definitions.k8s.cni.cncf.io" });
      expect(crd.spec).toMatchObject({
        group: "k8s.cni.cncf.io",
        scope: "Namespaced",
        names: { kind: "NetworkAttachmentDefinition", shortNames: expect.arrayContaining(["net-attach-def"]) },
        versions: [
          {
            name: "v1",
            schema: { openAPIV3Schema: { properties: { spec: { properties: { config: { type: "string" } } } } } },
          },
        ],
      });
    },
  },
  {
    rule: "M2",
    says: "the config is spec.config, else a .conflist of that name on disk, else a .conf, else the request fails",
    async holds(here) {
      for (const name of ["all", "files", "file", "none"]) here.network(name, "");
      recorded(here, "all", { from: "spec" });
      for (const name of ["all", "files"])
        here.folder.write(`net.d/90-${name}.conflist`, {
          ...version,
          name,
          plugins: [{ type: "recorder", from: "conflist" }],
        });
      for (const name of ["all", "files", "file"])
        here.folder.write(`net.d/10-${name}.conf`, { ...version, name, type: "recorder", from: "conf" });
      const { adds } = await added(here, "all,files,file");
      expect(adds.slice(1).map(({ config }) => config["from"])).toEqual(["spec", "conflist", "conf"]);
      expectRefusal(
        await added(here, "none"),
        "has an empty spec, so a file with its name is needed",
        "NoNetworkFound",
      );
    },
  },
  {
    rule: "M3",
    says: "a config without name gets the definition's before the delegate is called",
    async holds(here) {
      recorded(here, "unnamed");
      recorded(here, "named", { name: "own" });
      expect(names(await added(here, "unnamed,named"))).toEqual(["main", "unnamed", "own"]);
    },
  },
  {
    rule: "M4",
    says: "names are DNS-1123 labels",
    async holds(here) {
      expectRefusal(await added(here, "Net_A"), "expected lower-case letters, digits and '-'");
      expectRefusal(await added(here, `Other/net`), "invalid network namespace");
    },
  },
  {
    rule: "M5",
    says: "each plugin of a list is given its cniVersion and name, and the result of the one before",
    async holds(here) {
      recorded(here, "list", {
        cniVersion: "0.4.0",
        name: "list",
        type: undefined,
        plugins: [{ type: "recorder" }, { type: "recorder" }],
      });
      const { adds } = await added(here, "list");
      const [, first, second] = adds.map(({ config }) => config);
      expect(first).toEqual({ type: "recorder", cniVersion: "0.4.0", name: "list" });
      expect(second).toEqual({ ...first, prevResult: expect.objectContaining({ cniVersion: "0.4.0" }) as unknown });
    },
  },
];
