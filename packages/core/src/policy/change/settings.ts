/** Parts of the file that give no access between machines and matter all the same. */
import type { PolicyFile } from '../file/index.ts';
import { canonicalText } from '../reason/index.ts';
import type { ChangeContext } from './context.ts';
import { type ChangeFinding, placeOf } from './finding.ts';

/** Attributes that open a machine to the world outside the tailnet. */
const publicAttrs: ReadonlySet<string> = new Set(['funnel']);

export function settingFindings(context: ChangeContext): readonly ChangeFinding[] {
  return [...attributeFindings(context), ...relayFindings(context)];
}

function attributeFindings({ before, after, request }: ChangeContext): readonly ChangeFinding[] {
  const known = new Set(attributesOf(before).map(({ key }) => key));
  return attributesOf(after)
    .filter(({ key }) => !known.has(key))
    .map(({ attr, target, at }): ChangeFinding => {
      const isPublic = publicAttrs.has(attr);
      const why = isPublic ? ', which lets them serve to the whole internet' : '';
      const message = `${target} gets the node attribute ${attr}${why}`;
      const severity = isPublic || request.actor.kind === 'agent' ? 'hold' : 'note';
      const place = placeOf('candidate', at);
      return { code: 'node_attr', severity, message, at: place, witness: undefined };
    });
}

interface GivenAttribute {
  readonly key: string;
  readonly attr: string;
  readonly target: string;
  readonly at: PolicyFile['nodeAttrs'][number]['at'];
}

function attributesOf(file: PolicyFile): readonly GivenAttribute[] {
  return file.nodeAttrs.flatMap(({ target, attrs, app, at }) => {
    const names = [
      ...attrs.map(({ text }) => text),
      ...app.flatMap(({ name, values }) =>
        values.map(({ value }) => `${name} ${canonicalText(value)}`),
      ),
    ];
    return target.flatMap(({ text }) =>
      names.map((attr) => ({ key: canonicalText([text, attr]), attr, target: text, at })),
    );
  });
}

/** Relays see who talks to whom, and can keep machines from finding each other. */
function relayFindings({ before, after }: ChangeContext): readonly ChangeFinding[] {
  if (relayText(before) === relayText(after)) return [];
  const message =
    'the map of relays changes: connections may go through other machines, or through none';
  return [{ code: 'relay_map', severity: 'hold', message, at: undefined, witness: undefined }];
}

function relayText({ derpMap }: PolicyFile): string {
  if (derpMap === undefined) return '';
  const regions = [...derpMap.regions].sort(([a], [b]) => a - b);
  return JSON.stringify([derpMap.omitDefaultRegions, regions]);
}
