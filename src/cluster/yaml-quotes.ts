/**
 * The same YAML with the further lines of quoted values indented as YAML 1.2 wants it (7.3: deeper than their key). Manifests on the web often have
 *
 *     spec:
 *       config: '{
 *       "type": "macvlan"
 *     }'
 *
 * which kubectl's parser takes and Bun's does not. The white space that such a line begins with is no part of the value (6.5), so nothing else
 * changes. Text without such values comes back as it is. Lines of block values (`|`, `>`) are never touched.
 */
export function indentQuoted(text: string): string {
  const lines = text.split("\n");
  // The indentation of the key whose value goes on, and by what it ends: a quote, or for a block value less indentation.
  let keyIndent = -1;
  let ending = "";
  for (const [at, line] of lines.entries()) {
    const indent = line.length - line.trimStart().length;
    if (ending === "block") {
      if (line.trim() === "" || indent > keyIndent) continue;
      ending = "";
    }
    if (ending !== "") {
      if (line.trim() !== "" && indent <= keyIndent) lines[at] = " ".repeat(keyIndent + 1) + line.trimStart();
      if (closes(line, 0, ending)) ending = "";
      continue;
    }
    const [head = "", dashes = "", value = ""] = /^([ -]*)[^\s'"#:-][^:#]*:[ \t]+(['"|>])/.exec(line) ?? [];
    if (value === "") continue;
    keyIndent = dashes.length;
    if (value === "|" || value === ">") ending = "block";
    else if (!closes(line, head.length, value)) ending = value;
  }
  return lines.join("\n");
}

/** Whether the quoted value ends in the line, looked at from `from`: '' is a quote within single ones, \" one within double ones. */
function closes(line: string, from: number, quote: string): boolean {
  for (let at = from; at < line.length; at++) {
    const character = line.charAt(at);
    if (quote === '"' && character === "\\") at++;
    else if (character === quote) {
      if (quote === '"' || line.charAt(at + 1) !== quote) return true;
      at++;
    }
  }
  return false;
}
