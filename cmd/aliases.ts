/** Programs of Multus' images whose work a verb does: manifests that call them by name need no change. */
const aliases: Readonly<Record<string, readonly string[]>> = {
  thin_entrypoint: ["install", "--watch"],
  install_multus: ["install", "--operation=copy"],
  gkecmd: ["install"],
};

/**
 * The words of a command line as the verbs have them. `name` is what the program was called as; flags of installers may have one hyphen,
 * as Go's have: "-operation=copy".
 */
export function commandWords(name: string, args: readonly string[]): string[] {
  const words = [...(aliases[name] ?? []), ...args];
  return words[0] === "install" ? words.map((word) => word.replace(/^-(?=[a-z][a-z-]+(?:=|$))/, "--")) : words;
}
