import { SystemError } from "../libc/errno.ts";
import { type DirectoryEntry, readDirectory, readText, statusIfExists } from "../libc/file.ts";
import { messageOf } from "../words/message.ts";
import { indentQuoted } from "./yaml-quotes.ts";

/** A part of a manifest whose members nobody has looked at yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** One Kubernetes object of a folder; `source` is "pods/web.yaml line 12", where its document begins. */
export interface Manifest {
  readonly kind: string;
  readonly apiVersion: string;
  readonly object: JsonObject;
  readonly source: string;
}

/** A file or document that can't be read and might hold what was asked for. */
export interface ManifestProblem {
  readonly source: string;
  readonly message: string;
}

interface ManifestDocument {
  readonly text: string;
  readonly line: number;
  parsed?: readonly Manifest[] | ManifestProblem;
}

interface ManifestFile {
  readonly path: string;
  documents?: readonly ManifestDocument[] | ManifestProblem;
}

/** A broken document up to this long is parsed again line by line to find where it breaks. */
const linesSearched = 500;

/**
 * The Kubernetes objects in the YAML and JSON files of directories and their sub-directories, in path order. Files and directories
 * whose name begins with a dot are left out, and so are symbolic links to directories; links to files are followed (a mounted
 * ConfigMap consists of them). With `mayBeFiles` a root may also be a file, whatever its name. Each file is read once, when it is first needed, and
 * each document is parsed only when its text can hold the wanted object: an instance sees the folder as it was then. Throws
 * `SystemError` when a root can't be read.
 */
export class ManifestFolder {
  #files: readonly ManifestFile[] | undefined;

  constructor(
    readonly roots: readonly string[],
    readonly mayBeFiles = false,
  ) {}

  /**
   * The first object of a kind that `accepts` agrees with, and with that `metadata.name` when one is given, whatever its namespace and API
   * group; undefined when there is none. A document that might hold such an object but can't be read goes to `report`, and the search
   * goes on.
   */
  find(
    kind: string,
    report: (problem: ManifestProblem) => void,
    accepts: (manifest: Manifest) => boolean,
    name?: string,
  ): Manifest | undefined {
    const words = name === undefined ? [kind] : [kind, name];
    for (const file of this.#list()) {
      file.documents ??= readDocuments(file.path);
      if ("message" in file.documents) {
        report(file.documents);
        continue;
      }
      for (const document of file.documents) {
        if (!mayHold(document.text, words)) continue;
        document.parsed ??= parse(document, file.path);
        if ("message" in document.parsed) {
          report(document.parsed);
          continue;
        }
        for (const manifest of document.parsed)
          if (manifest.kind === kind && hasName(manifest, name) && accepts(manifest)) return manifest;
      }
    }
    return undefined;
  }

  /** All objects of a kind in path order; `report` as for `find`. */
  list(kind: string, report: (problem: ManifestProblem) => void): Manifest[] {
    const all: Manifest[] = [];
    this.find(kind, report, (manifest) => {
      all.push(manifest);
      return false;
    });
    return all;
  }

  /** Paths of the files that count, in order. */
  paths(): string[] {
    return this.#list().map(({ path }) => path);
  }

  #list(): readonly ManifestFile[] {
    if (this.#files !== undefined) return this.#files;
    const files: ManifestFile[] = [];
    for (const root of this.roots) {
      if (this.mayBeFiles && statusIfExists(root)?.kind === "file") files.push({ path: root });
      else addFilesUnder(files, root);
    }
    this.#files = files;
    return files;
  }
}

function addFilesUnder(files: ManifestFile[], directory: string): void {
  for (const entry of readDirectory(directory)) {
    const path = `${directory === "/" ? "" : directory}/${entry.name}`;
    if (entry.name.startsWith(".")) continue;
    if (entry.kind === "directory") addFilesUnder(files, path);
    else if (hasExtension(entry.name) && isFile(entry, path)) files.push({ path });
  }
}

function hasExtension(name: string): boolean {
  return name.endsWith(".yaml") || name.endsWith(".yml") || name.endsWith(".json");
}

/** A named pipe must not be opened (that would block), so all but plain files are looked at first. */
function isFile(entry: DirectoryEntry, path: string): boolean {
  return entry.kind === "file" || statusIfExists(path)?.kind === "file";
}

function readDocuments(path: string): readonly ManifestDocument[] | ManifestProblem {
  try {
    return split(readText(path), path.endsWith(".json"));
  } catch (error) {
    if (error instanceof SystemError) return { source: path, message: error.message };
    throw error;
  }
}

/** Cuts at the lines that begin with `---`: YAML allows those nowhere but between documents (YAML 1.2.2, 9.1.2). */
function split(text: string, isJson: boolean): ManifestDocument[] {
  if (isJson) return [{ text, line: 1 }];
  const documents: ManifestDocument[] = [];
  let line = 1;
  let begin = 0;
  for (let marker = nextMarker(text, 0); ; marker = nextMarker(text, marker + markerText.length)) {
    const part = text.slice(begin, marker === -1 ? text.length : marker);
    documents.push({ text: part, line: part.startsWith("\n") ? line + 1 : line });
    if (marker === -1) return documents;
    line += lineBreaks(part);
    begin = marker + markerText.length;
  }
}

const markerText = "---";

/** Where the next line of `---`, or of that and white space and more, begins; -1 when none does. */
function nextMarker(text: string, from: number): number {
  for (let at = text.indexOf(markerText, from); at !== -1; at = text.indexOf(markerText, at + 1)) {
    const next = text.charAt(at + markerText.length);
    if ((at === 0 || text.charAt(at - 1) === "\n") && next.trim() === "") return at;
  }
  return -1;
}

function lineBreaks(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** False only when no parser could find all these words in the text: an escape such as \u0077 can spell any of them. */
function mayHold(text: string, words: readonly string[]): boolean {
  if (text.includes("\\")) return true;
  for (const word of words) if (!text.includes(word)) return false;
  return true;
}

function parse(document: ManifestDocument, path: string): readonly Manifest[] | ManifestProblem {
  const source = `${path} line ${document.line}`;
  let value: unknown;
  try {
    value = path.endsWith(".json") ? JSON.parse(document.text) : parseYaml(document.text);
  } catch (error) {
    return broken(document, path, error);
  }
  const manifests: Manifest[] = [];
  for (const each of Array.isArray(value) ? (value as readonly unknown[]) : [value])
    if (isObject(each)) expand(manifests, each, source, "", "");
  return manifests;
}

/** Throws what the parser has against the text as it stands. */
function parseYaml(text: string): unknown {
  try {
    return Bun.YAML.parse(text);
  } catch (error) {
    const indented = indentQuoted(text);
    if (indented === text) throw error;
    try {
      return Bun.YAML.parse(indented);
    } catch {
      throw error;
    }
  }
}

/** A List (or PodList …) stands for its items, whose kind and apiVersion may be left out in a typed list. */
function expand(
  manifests: Manifest[],
  object: JsonObject,
  source: string,
  itemKind: string,
  itemVersion: string,
): void {
  const kind = typeof object["kind"] === "string" ? object["kind"] : itemKind;
  const apiVersion = typeof object["apiVersion"] === "string" ? object["apiVersion"] : itemVersion;
  const items: unknown = object["items"];
  if (!kind.endsWith("List") || !Array.isArray(items)) {
    manifests.push({ kind, apiVersion, object, source });
    return;
  }
  const kindOfItems = kind.slice(0, -"List".length);
  for (const item of items as readonly unknown[])
    if (isObject(item)) expand(manifests, item, source, kindOfItems, apiVersion);
}

function broken(document: ManifestDocument, path: string, error: unknown): ManifestProblem {
  const reason = messageOf(error).replace(/^(YAML|JSON) Parse error: /, "");
  const line = path.endsWith(".json") ? document.line : document.line + soundLines(document.text);
  return { source: `${path} line ${line}`, message: reason };
}

/** How many lines at the top are sound by themselves: the parser says what it stumbled over, but not where. */
function soundLines(text: string): number {
  const lines = text.replace(/^\n/, "").split("\n");
  if (lines.length > linesSearched) return 0;
  for (let count = lines.length - 1; count > 0; count--) {
    try {
      Bun.YAML.parse(lines.slice(0, count).join("\n"));
      return count;
    } catch {
      // The break is further up.
    }
  }
  return 0;
}

function hasName(manifest: Manifest, name: string | undefined): boolean {
  const metadata = manifest.object["metadata"];
  return name === undefined || (isObject(metadata) && metadata["name"] === name);
}

/** True for a JSON object (not null, not an array). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
