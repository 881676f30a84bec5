/** How one API server is reached and convinced: everything that a connection to it needs, read from files once. */
export interface Access {
  /** Scheme, host, port and path without a slash at the end: "https://10.96.0.1:443". */
  readonly server: string;
  readonly tls: AccessTls;
  readonly credential: Credential;
  /** The only proxy that is used: that of the environment is not. */
  readonly proxyUrl?: string;
  /** The namespace that names without one mean: "default" unless the source says otherwise. */
  readonly namespace: string;
  /** `namespace` where the source says one; absent where it says nothing. */
  readonly statedNamespace?: string;
  /** For messages: "kubeconfig /etc/cni/net.d/multus.d/multus.kubeconfig". */
  readonly origin: string;
}

/** What TLS is told; certificates and keys are PEM. */
export interface AccessTls {
  /** The authorities to trust; those of the machine when absent. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  /** The name to expect in the server's certificate in place of the host of `server`. */
  readonly serverName?: string;
  readonly skipsVerification: boolean;
}

/** Who is asking. `file` is read again whenever it has changed: kubelet replaces projected tokens long before they expire. */
export type Credential =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "token-file"; readonly file: string }
  | { readonly kind: "certificate" }
  | { readonly kind: "anonymous" };

/** True when nothing that a connection or a request depends on differs. */
export function isSameAccess(a: Access, b: Access): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** True when the two lead to one server as one user, whatever namespace they mean. */
export function isSameUser(a: Access, b: Access): boolean {
  const facts = ({ server, tls, credential, proxyUrl }: Access) => JSON.stringify([server, tls, credential, proxyUrl]);
  return facts(a) === facts(b);
}
