import type { Control } from '../../control/index.ts';
import type { Revoked } from '../../mesh/index.ts';
import { revokedOf } from '../../mesh/index.ts';
import type { Revocations } from './revoked-lists.ts';
import { revokedLists } from './revoked-lists.ts';

/** Who is revoked among peers by the journal, read anew only where it has another list. */
export function journalRevoked(control: Pick<Control, 'snapshot'>): () => Revoked {
  let seen: Revocations | undefined;
  let made = revokedOf({});
  return () => {
    const { revocationsById } = control.snapshot();
    if (revocationsById !== seen) {
      seen = revocationsById;
      made = revokedOf(revokedLists(revocationsById));
    }
    return made;
  };
}
