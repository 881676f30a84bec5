import { SystemError } from "../libc/errno.ts";
import { type DirectoryEntry, readDirectory, readText, statusIfExists } from "../libc/file.ts";

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

const extension = /\.(ya?ml|json)$/;
const documentMarker = /^---(?=\s|$)/m;
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
   * Objects of a kind, and with that `metadata.name` when one is given, whatever their namespace and API group. A document that might
   * hold such an object but can't be read goes to `report`, and the search goes on.
   */
  *objects(kind: string, report: (problem: ManifestProblem) => void, name?: string): Generator<Manifest> {
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
        if ("message" in document.parsed) report(document.parsed);
        else yield* document.parsed.filter((manifest) => manifest.kind === kind && hasName(manifest, name));
      }
    }
  }

  /** Paths of the files that count, in order. */
  paths(): string[] {
    return this.#list().map(({ path }) => path);
  }

  #list(): readonly ManifestFile[] {
    this.#files ??= this.roots.flatMap((root) =>
      this.mayBeFiles && statusIfExists(root)?.kind === "file" ? [{ path: root }] : [...filesUnder(root)],
    );
    return this.#files;
  }
}

function* filesUnder(directory: string): Generator<ManifestFile> {
  for (const entry of readDirectory(directory)) {
    const path = `${directory === "/" ? "" : directory}/${entry.name}`;
    if (entry.name.startsWith(".")) continue;
    if (entry.kind === "directory") yield* filesUnder(path);
    else if (extension.test(entry.name) && isFile(entry, path)) yield { path };
  }
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
  let line = 1;
  return text.split(documentMarker).map((part) => {
    const document = { text: part, line: part.startsWith("\n") ? line + 1 : line };
    line += part.split("\n").length - 1;
    return document;
  });
}

/** False only when no parser could find all these words in the text: an escape such as \u0077 can spell any of them. */
function mayHold(text: string, words: readonly string[]): boolean {
  return text.includes("\\") || words.every((word) => text.includes(word));
}

function parse(document: ManifestDocument, path: string): readonly Manifest[] | ManifestProblem {
  const source = `${path} line ${document.line}`;
  let value: unknown;
  try {
    value = path.endsWith(".json") ? JSON.parse(document.text) : Bun.YAML.parse(document.text);
  } catch (error) {
    return broken(document, path, error);
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.filter(isObject).flatMap((object) => expand(object, source, "", ""));
}

/** A List (or PodList …) stands for its items, whose kind and apiVersion may be left out in a typed list. */
function expand(object: JsonObject, source: string, itemKind: string, itemVersion: string): Manifest[] {
  const kind = typeof object["kind"] === "string" ? object["kind"] : itemKind;
  const apiVersion = typeof object["apiVersion"] === "string" ? object["apiVersion"] : itemVersion;
  const items: unknown = object["items"];
  if (!kind.endsWith("List") || !Array.isArray(items)) return [{ kind, apiVersion, object, source }];
  return items.filter(isObject).flatMap((item) => expand(item, source, kind.slice(0, -"List".length), apiVersion));
}

function broken(document: ManifestDocument, path: string, error: unknown): ManifestProblem {
  const reason = error instanceof Error ? error.message.replace(/^(YAML|JSON) Parse error: /, "") : String(error);
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
