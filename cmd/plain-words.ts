/** A verb, a network and a namespace, and no option among them. */
export type PlainWords = readonly [verb: "add" | "check" | "del", network: string, netns: string];

/** The words of a command line when they are plain, as they are whenever a script calls for pod after pod; undefined for any others. */
export function plainWords(words: readonly string[]): PlainWords | undefined {
  const [verb, network = "", netns = "", ...more] = words;
  if (verb !== "add" && verb !== "check" && verb !== "del") return undefined;
  const isPlain = network !== "" && netns !== "" && !network.startsWith("-") && !netns.startsWith("-");
  return isPlain && more.length === 0 ? [verb, network, netns] : undefined;
}
