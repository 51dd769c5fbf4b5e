import { coordinationLimits } from '../limits.ts';
import type { Hostinfo } from './hostinfo.ts';
import { readHostinfo } from './hostinfo.ts';
import type { Fields } from './read.ts';
import { fieldsOf, flagAt, keyAt, numberAt, textAt, textsAt } from './read.ts';

/** `tailcfg.RegisterRequest`. */
export interface RegisterRequest {
  readonly version: number;
  readonly nodeKey: string;
  readonly oldNodeKey: string | undefined;
  readonly authKey: string;
  /** The URL of an earlier answer, of which the client wants the outcome. */
  readonly followUp: string;
  /** A time in the past asks for a logout. */
  readonly expiryMs: number | undefined;
  readonly ephemeral: boolean;
  readonly hostinfo: Hostinfo | undefined;
}

export function readRegisterRequest(fields: Fields): RegisterRequest | undefined {
  const nodeKey = keyAt(fields, 'NodeKey', 'nodekey');
  if (nodeKey === undefined) return undefined;
  const auth = fieldsOf(fields['Auth']);
  return {
    version: numberAt(fields, 'Version'),
    nodeKey,
    oldNodeKey: keyAt(fields, 'OldNodeKey', 'nodekey'),
    authKey: auth === undefined ? '' : textAt(auth, 'AuthKey').trim(),
    followUp: textAt(fields, 'Followup', 2_048),
    expiryMs: expiryOf(textAt(fields, 'Expiry')),
    ephemeral: flagAt(fields, 'Ephemeral'),
    hostinfo: readHostinfo(fields['Hostinfo']),
  };
}

/** Go's zero time is "no time", not the year 1. */
function expiryOf(text: string): number | undefined {
  if (text === '' || text.startsWith('0001-01-01')) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** `tailcfg.MapRequest`. */
export interface MapRequest {
  readonly version: number;
  readonly nodeKey: string;
  readonly discoKey: string | undefined;
  readonly wantsZstd: boolean;
  readonly keepAlive: boolean;
  readonly stream: boolean;
  readonly readOnly: boolean;
  readonly omitPeers: boolean;
  readonly endpoints: readonly string[];
  readonly hostinfo: Hostinfo | undefined;
}

const endpointPattern = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\]):\d{1,5}$/;

export function readMapRequest(fields: Fields): MapRequest | undefined {
  const nodeKey = keyAt(fields, 'NodeKey', 'nodekey');
  if (nodeKey === undefined) return undefined;
  return {
    version: numberAt(fields, 'Version'),
    nodeKey,
    discoKey: keyAt(fields, 'DiscoKey', 'discokey'),
    wantsZstd: textAt(fields, 'Compress') === 'zstd',
    keepAlive: flagAt(fields, 'KeepAlive'),
    stream: flagAt(fields, 'Stream'),
    readOnly: flagAt(fields, 'ReadOnly'),
    omitPeers: flagAt(fields, 'OmitPeers'),
    endpoints: textsAt(fields, 'Endpoints', coordinationLimits.endpointsMax).filter((text) =>
      endpointPattern.test(text),
    ),
    hostinfo: readHostinfo(fields['Hostinfo']),
  };
}
