// Certificates for servers and users of tests, made by openssl(1) in a folder.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./command.ts";

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const days = "3650";
/** What of openssl.cnf(5) matters here: the machine's own may say anything, or be missing. */
const settings = `[req]
distinguished_name = subject
x509_extensions = authority
[subject]
[authority]
basicConstraints = critical,CA:true
subjectKeyIdentifier = hash
`;

export interface KeyPair {
  /** Paths of the PEM files. */
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority; the files are `<name>.crt` and `<name>.key`. */
export function makeAuthority(folder: string, name: string): KeyPair {
  const pair = filesOf(folder, name);
  runCommand([
    "openssl",
    "req",
    "-config",
    settingsFile(folder),
    "-x509",
    ...newKey,
    "-keyout",
    pair.key,
    "-out",
    pair.certificate,
    "-days",
    days,
    "-subj",
    `/CN=${name}`,
  ]);
  return pair;
}

export interface CertificateRequest {
  /** Of the files, and CN of the subject. */
  readonly name: string;
  /** O of the subject: the groups of a Kubernetes user. */
  readonly groups?: readonly string[];
  /** "IP:127.0.0.1", "DNS:kubernetes". */
  readonly alternativeNames?: readonly string[];
}

/** A certificate that the authority has signed, for a server or a client. */
export function makeCertificate(folder: string, authority: KeyPair, request: CertificateRequest): KeyPair {
  const { name, groups = [], alternativeNames = [] } = request;
  const pair = filesOf(folder, name);
  const subject = [...groups.map((group) => `/O=${group}`), `/CN=${name}`].join("");
  const wish = join(folder, `${name}.csr`);
  const extensions = join(folder, `${name}.ext`);
  writeFileSync(
    extensions,
    [
      "extendedKeyUsage=serverAuth,clientAuth",
      ...(alternativeNames.length > 0 ? [`subjectAltName=${alternativeNames.join(",")}`] : []),
    ].join("\n"),
  );
  runCommand([
    "openssl",
    "req",
    "-config",
    settingsFile(folder),
    ...newKey,
    "-keyout",
    pair.key,
    "-out",
    wish,
    "-subj",
    subject,
  ]);
  const signing = ["-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial"];
  runCommand([
    "openssl",
    "x509",
    "-req",
    "-in",
    wish,
    ...signing,
    "-days",
    days,
    "-extfile",
    extensions,
    "-out",
    pair.certificate,
  ]);
  return pair;
}

function settingsFile(folder: string): string {
  const path = join(folder, "openssl.cnf");
  writeFileSync(path, settings);
  return path;
}

function filesOf(folder: string, name: string): KeyPair {
  return { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}
