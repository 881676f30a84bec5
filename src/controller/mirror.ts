import type { Schema } from "../json/struct.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Resource } from "../kube/resource.ts";
import { follow, type FollowOptions } from "./follow.ts";

/** All objects of a kind as they are now, as far as is known. */
export class Mirror<T> {
  readonly #objects = new Map<string, T>();
  readonly #nameOf: (object: T) => string;
  readonly #onChange: () => void;
  #isComplete = false;

  /** `onChange` is called after every change. */
  constructor(nameOf: (object: T) => string, onChange: () => void) {
    this.#nameOf = nameOf;
    this.#onChange = onChange;
  }

  /** They were listed once: what is missing does not exist. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  values(): Iterable<T> {
    return this.#objects.values();
  }

  /** Fills itself until the signal is aborted. Rejects as `follow` does. */
  async follow<U>(
    client: KubeClient,
    resource: Resource,
    schema: Schema<U>,
    convert: (object: U) => T,
    options: Pick<FollowOptions<U>, "namespace" | "signal" | "log">,
  ): Promise<void> {
    await follow(client, resource, schema, {
      ...options,
      onList: (objects) => {
        this.#objects.clear();
        for (const object of objects.map(convert)) this.#objects.set(this.#nameOf(object), object);
        this.#isComplete = true;
        this.#onChange();
      },
      onChange: (type, object) => {
        const converted = convert(object);
        if (type === "DELETED") this.#objects.delete(this.#nameOf(converted));
        else this.#objects.set(this.#nameOf(converted), converted);
        this.#onChange();
      },
    });
  }
}
