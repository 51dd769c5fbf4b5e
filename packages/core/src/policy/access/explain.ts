/** From the id in a decision or an audit record back to the words of the policy. */
import type { Position } from '../file/source.ts';
import type { AccessIndex } from './access-index.ts';
import { decisionSeparator } from './decision.ts';
import type { Entry } from './entry.ts';

export type Explanation =
  | { readonly kind: 'allowed'; readonly entry: Entry; readonly at: Position }
  | {
      readonly kind: 'denied';
      readonly capability: string;
      readonly reason: string;
      readonly text: string;
    }
  /** The id belongs to another revision of the policy. */
  | { readonly kind: 'other_revision'; readonly revision: string }
  | { readonly kind: 'unknown' };

const reasons: Readonly<Record<string, string>> = {
  'ai/no_grant': 'no grant gives this caller postern.dev/cap/ai on this gateway',
  'ai/model': 'no object of the caller names the model',
  'ai/dialect': 'the objects that name the model do not allow the wire format',
  'ai/attestation': 'the objects that name the model ask for an attested target',
  'ai/output_limit': 'more output tokens were asked for than any object allows',
  'admin/no_grant': 'no grant gives this caller postern.dev/cap/admin',
  'admin/tool': 'no object of the caller names the operation',
  'mesh/no_grant': 'no grant gives this caller postern.dev/cap/mesh',
  'mesh/app': 'no object names the calling app',
  'mesh/port': 'the objects for the app do not open the port',
  'mesh/method': 'the objects for the app do not allow the method',
  'mesh/path': 'the objects for the app do not allow the path',
};

/** Never fails: an id from elsewhere is `unknown`. */
export function explainDecision(index: AccessIndex, id: string): Explanation {
  const split = id.indexOf(decisionSeparator);
  if (split < 0) return { kind: 'unknown' };
  const [revision, place] = [id.slice(0, split), id.slice(split + 1)];
  if (revision !== index.revision) return { kind: 'other_revision', revision };
  const entry = index.entryOf(id);
  if (entry !== undefined) return { kind: 'allowed', entry, at: entry.at };
  const denied = /^deny\/([a-z]+)\/([a-z_]+)$/.exec(place);
  const [, capability = '', reason = ''] = denied ?? [];
  const text = reasons[`${capability}/${reason}`];
  return text === undefined ? { kind: 'unknown' } : { kind: 'denied', capability, reason, text };
}
