import { messageOf } from "../words/message.ts";

/** What takes one step back; may be asynchronous where the step was a foreign process. */
export type UndoStep = () => void | Promise<void>;

interface NamedStep {
  readonly name: string;
  readonly run: UndoStep;
}

/**
 * Steps that changed the world and how to take each back. Success commits (the steps are forgotten), failure unwinds them in
 * reverse order; a step that fails to unwind does not stop those before it.
 */
export class UndoScope {
  #steps: NamedStep[] = [];

  /** Remembers how to take back what was just done; `name` says what it was ("link net1", "lease 10.1.2.3"). */
  push(name: string, run: UndoStep): void {
    this.#steps.push({ name, run });
  }

  /** Forgets every step: what was done stays. */
  commit(): void {
    this.#steps = [];
  }

  /** Runs all steps in reverse and forgets them. Returns what could not be taken back, one error for each such step. */
  async unwind(): Promise<Error[]> {
    const failures: Error[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (cause) {
        failures.push(new Error(`undo of ${step.name} failed: ${messageOf(cause)}`, { cause }));
      }
    }
    return failures;
  }
}

/**
 * Runs `body` with a fresh scope: commits when it returns, unwinds when it throws and rethrows the same error. Failures of the
 * unwinding go to `report`, so that the first cause stays the error a caller sees.
 */
export async function withUndo<T>(
  body: (undo: UndoScope) => T | Promise<T>,
  report: (failure: Error) => void,
): Promise<T> {
  const undo = new UndoScope();
  try {
    const result = await body(undo);
    undo.commit();
    return result;
  } catch (error) {
    for (const failure of await undo.unwind()) report(failure);
    throw error;
  }
}
