/** Programs of Multus' and whereabouts' images whose work a verb does: manifests that call them by name need no change. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  thin_entrypoint: ["install", "--watch"],
  install_multus: ["install", "--operation=copy"],
  gkecmd: ["install"],
  "install-cni.sh": ["install", "--operation=copy", "--replace"],
  "ip-control-loop": ["ip-control-loop"],
  "ip-reconciler": ["ip-control-loop"],
};

/**
 * The words of a command line as the verbs have them. `name` is what the program was called as; flags of these programs may have one
 * hyphen, as Go's have: "-operation=copy".
 */
export function commandWords(name: string, args: readonly string[]): string[] {
  const words = [...(aliases[name] ?? []), ...args];
  return words[0] === "install" || words[0] === "ip-control-loop"
    ? words.map((word) => word.replace(/^-(?=[a-z][a-z-]+(?:=|$))/, "--"))
    : words;
}

/** The names that the image has the executable under, besides its own. */
export const imageNames: readonly string[] = Object.keys(aliases).sort();
