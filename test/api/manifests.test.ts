// Every manifest of deploy/ as a real API server takes it (a dry run changes nothing), and what operators count on in them.
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { wholeManifest } from "../../tools/manifest.ts";
import { runCommand } from "../kit/command.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import type { KubeJson } from "../kit/kube-admin.ts";
import { peerTools } from "../kit/peer-tools.ts";

const deploy = join(import.meta.dirname, "..", "..", "deploy");
const overlays = readdirSync(join(deploy, "overlays"));
const cache = useTemporaryFolder();

function kubectl(...args: readonly string[]): string {
  const { folder, port } = inject("api");
  const file = (name: string): string => join(folder, name);
  const credentials = [`--certificate-authority=${file("ca.crt")}`, `--client-certificate=${file("admin.crt")}`];
  const server = [`--server=https://127.0.0.1:${port}`, ...credentials, `--client-key=${file("admin.key")}`];
  const program = join(peerTools("kubernetes").bin, "kubectl");
  return runCommand([program, `--cache-dir=${cache().path}`, ...server, ...args]);
}

const dryRun = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "name"];

describe("the server takes", () => {
  test.each([
    "base/polynic.yaml",
    "uninstall/base/uninstall.yaml",
    "gke-multinet/multinet.yaml",
    "rbac.yaml",
    "rbac-claims.yaml",
    "rbac-ipam-node.yaml",
    "rbac-ipam-controller.yaml",
    "ipam-controller.yaml",
  ])("deploy/%s", (name) => {
    const text = readFileSync(join(deploy, name), "utf8");
    const taken = kubectl(...dryRun, "-f", join(deploy, name))
      .trim()
      .split("\n");
    expect(taken).toHaveLength(text.split("\n---\n").length);
  });

  test.each(overlays)("deploy/overlays/%s", (name) => {
    expect(kubectl(...dryRun, "-k", join(deploy, "overlays", name))).toContain("daemonset.apps/polynic");
  });
});

test("the one manifest is made of its parts as they are", () => {
  expect(readFileSync(join(deploy, "base", "polynic.yaml"), "utf8")).toBe(wholeManifest());
});

test("the one manifest runs the controller of pools too, with the image of the nodes", () => {
  const objects = [Bun.YAML.parse(wholeManifest())].flat() as KubeJson[];
  const imagesOf = (wanted: string): string[] => {
    const found = objects.filter(({ kind }) => kind === wanted) as unknown as {
      spec: { template: { spec: PodSpec } };
    }[];
    return found.flatMap(({ spec }) => spec.template.spec.containers.map(({ image }) => image));
  };
  expect(imagesOf("Deployment")).toEqual(imagesOf("DaemonSet"));
});

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly resources?: { readonly requests?: object; readonly limits?: object };
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
}

interface PodSpec {
  readonly serviceAccountName?: string;
  readonly priorityClassName?: string;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
}

function podSpec(file: string): PodSpec {
  const objects = [Bun.YAML.parse(readFileSync(file, "utf8"))].flat() as KubeJson[];
  const { spec } = objects.find(({ kind }) => kind === "DaemonSet") as unknown as {
    spec: { template: { spec: PodSpec } };
  };
  return spec.template.spec;
}

describe.each(["base/polynic.yaml", "uninstall/base/uninstall.yaml", "gke-multinet/multinet.yaml"])(
  "the pods of deploy/%s",
  (name) => {
    const spec = podSpec(join(deploy, name));
    const all = [...spec.initContainers, ...spec.containers];

    test("are Guaranteed and critical for the node: requests are limits, in every container", () => {
      expect(spec.priorityClassName).toBe("system-node-critical");
      for (const { name: container, resources } of all) {
        expect(Object.keys(resources?.limits ?? {}).sort(), container).toEqual(["cpu", "memory"]);
        expect(resources?.requests, container).toEqual(resources?.limits);
      }
    });

    test("may do nothing that they need not", () => {
      for (const { name: container, securityContext } of all) {
        // Only the uninstalling one works on pods' networks.
        if (container === "uninstall") continue;
        expect(securityContext, container).toMatchObject({
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
        });
        expect(securityContext?.privileged ?? false, container).toBe(false);
      }
    });
  },
);

describe("the agent that an overlay adds", () => {
  const component = join(deploy, "components", "agent");
  const specOf = (overlay: string): PodSpec =>
    podSpec(cache().write(`${overlay}.yaml`, kubectl("kustomize", join(deploy, "overlays", overlay))));

  test("stands beside the containers of the base, which stay as they are", () => {
    const [base, withAgent] = [specOf("rke2"), specOf("agent")];
    expect(withAgent.initContainers).toEqual(base.initContainers);
    expect(withAgent.containers.slice(0, -1)).toEqual(base.containers);
    expect(withAgent.volumes).toEqual(base.volumes);
    expect(withAgent.containers.at(-1)).toMatchObject({ name: "agent", image: base.containers[0]?.image });
  });

  test("has the node's network, its processes, and all that is mounted at its root while it runs", () => {
    const spec = specOf("agent");
    const { args, volumeMounts } = spec.containers.at(-1) ?? {};
    expect(spec).toMatchObject({ hostNetwork: true, hostPID: true });
    expect(args).toEqual(["agent", "--root=/host"]);
    expect(volumeMounts).toEqual([{ name: "host-root", mountPath: "/host", mountPropagation: "HostToContainer" }]);
    expect(spec.volumes.find(({ name }) => name === "host-root")?.hostPath?.path).toBe("/");
  });

  test.each(overlays.filter((name) => name !== "agent"))(
    "goes beside those of overlay %s as a component",
    (overlay) => {
      // Folders are named from the one that names them.
      const own = realpathSync(cache().path);
      const [resources, components] = [join(deploy, "overlays", overlay), component].map((path) => [
        relative(own, path),
      ]);
      cache().write("kustomization.yaml", { resources, components });
      const spec = podSpec(cache().write("both.yaml", kubectl("kustomize", own)));
      const plain = specOf(overlay);
      expect(spec.containers).toEqual([...plain.containers, specOf("agent").containers.at(-1)]);
      expect(spec.volumes).toEqual(plain.volumes);
    },
  );

  test("is not privileged, and has no limit of processor time in which pods would wait", () => {
    const { resources, securityContext } = specOf("agent").containers.at(-1) ?? {};
    expect(securityContext).toMatchObject({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
    expect(securityContext?.privileged ?? false).toBe(false);
    expect(Object.keys(resources?.limits ?? {})).toEqual(["memory"]);
  });
});

/** The rows of docs/operations.md's table of systems: name, folder of plugins, folder of configs. */
function documentedPaths(): [string, string, string][] {
  const page = readFileSync(join(deploy, "..", "docs", "operations.md"), "utf8");
  const rows = page.matchAll(/^\| [^|]+ \| `(\/[^`]+)` \| `(\/[^`]+)` \| overlay `([^`]+)`/gm);
  return [...rows].map(([, bin = "", conf = "", name = ""]) => [name, bin, conf]);
}

describe("the folders of a system are those of docs/operations.md", () => {
  const containerPaths = ["/host/opt/cni/bin", "/host/etc/cni/net.d"];
  const usual = { bin: "/opt/cni/bin", conf: "/etc/cni/net.d" };

  test("which has every overlay", () => {
    expect(documentedPaths().map(([name]) => name)).toEqual(
      expect.arrayContaining(overlays.filter((name) => name !== "agent")),
    );
  });

  test.each(documentedPaths())("%s: in what is mounted, and in what the config names", (name, bin, conf) => {
    const spec = podSpec(cache().write(`${name}.yaml`, kubectl("kustomize", join(deploy, "overlays", name))));
    expect(foldersOf(spec, spec.initContainers[0]?.volumeMounts)).toMatchObject({
      [containerPaths[0] ?? ""]: bin,
      [containerPaths[1] ?? ""]: conf,
    });
    const args = spec.containers[0]?.args ?? [];
    expect(args.filter((arg) => arg.startsWith("--additional-bin-dir="))).toEqual(
      bin === usual.bin ? [] : [`--additional-bin-dir=${bin}`],
    );
    expect(args.filter((arg) => arg.startsWith("--multus-kubeconfig-file-host="))).toEqual(
      conf === usual.conf ? [] : [`--multus-kubeconfig-file-host=${conf}/multus.d/multus.kubeconfig`],
    );
  });

  test.each(documentedPaths())("%s: in what takes polynic off, under the node's own names", (name, bin, conf) => {
    const isUsual = bin === usual.bin && conf === usual.conf;
    const folder = join(deploy, "uninstall", isUsual ? "base" : name);
    expect(kubectl(...dryRun, "-k", folder)).toContain("daemonset.apps/polynic-uninstall");
    const spec = podSpec(cache().write(`no-${name}.yaml`, kubectl("kustomize", folder)));
    const { args, volumeMounts } = spec.initContainers[0] ?? {};
    expect(foldersOf(spec, volumeMounts)).toEqual({
      [bin]: bin,
      [conf]: conf,
      "/var/lib/cni": "/var/lib/cni",
      "/run/netns": "/run/netns",
    });
    expect(args).toEqual(["uninstall", "--wait=86400", `--cni-bin-dir=${bin}`, `--cni-conf-dir=${conf}`]);
  });
});

test("what takes GKE's walk-through off has its account and the credentials that its config names", () => {
  const folder = join(deploy, "uninstall", "gke-multinet");
  expect(kubectl(...dryRun, "-k", folder)).toContain("daemonset.apps/polynic-uninstall");
  const spec = podSpec(cache().write("no-multinet.yaml", kubectl("kustomize", folder)));
  const install = podSpec(join(deploy, "gke-multinet", "multinet.yaml"));
  expect(spec.serviceAccountName).toBe(install.serviceAccountName);
  const conf = /"kubeconfig": "([^"]+)"/.exec(readFileSync(join(deploy, "gke-multinet", "multinet.yaml"), "utf8"))?.[1];
  const folders = foldersOf(spec, spec.initContainers[0]?.volumeMounts);
  expect(folders).toMatchObject({ "/home/kubernetes/bin": "/home/kubernetes/bin", "/etc/cni/net.d": "/etc/cni/net.d" });
  expect(folders[dirname(conf ?? "")]).toBe("/var/lib/kubelet");
});

/** Which folder of the node stands where in a container. */
function foldersOf({ volumes }: PodSpec, mounts: Container["volumeMounts"] = []): Record<string, string | undefined> {
  const paths = new Map(volumes.map(({ name, hostPath }) => [name, hostPath?.path]));
  return Object.fromEntries(mounts.map(({ name, mountPath }) => [mountPath, paths.get(name)]));
}
