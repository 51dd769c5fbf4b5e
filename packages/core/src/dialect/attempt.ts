import { err, ok } from '../base/index.ts';
import type { Result } from '../base/index.ts';
import type { ErrorCode, Refusal, RefusalOptions } from '../errors/index.ts';
import { refusal } from '../errors/index.ts';

/** How decoders and encoders unwind inside one `attempt`. It never crosses a module's surface. */
class RefusalRaised extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** Runs a decoder or an encoder and gives its value or the refusal that ended it. Faults pass through. */
export function attempt<T>(run: () => T): Result<T, Refusal> {
  try {
    return ok(run());
  } catch (error) {
    if (error instanceof RefusalRaised) return err(error.refusal);
    throw error;
  }
}

/** Ends the surrounding `attempt`. */
export function raise(code: ErrorCode, message: string, options: RefusalOptions = {}): never {
  throw new RefusalRaised(refusal(code, message, options));
}

/** Ends the surrounding `attempt` with a refusal that some other function gave. */
export function raiseRefusal(refusal: Refusal): never {
  throw new RefusalRaised(refusal);
}

/** What the target dialect has no words for. */
export function raiseUnsupported(param: string, why: string): never {
  return raise('unsupported_parameter', `${param}: ${why}`, { param });
}
