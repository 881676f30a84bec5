/** An object while it is being read out of a message. */
export type Writable<T> = { -readonly [Key in keyof T]: T[Key] };
