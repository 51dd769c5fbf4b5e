import { err, fromHex, ok, type Result, toHex, utf8Text } from '@postern/core/base';

/** What a client says of itself inside its box. Names are read as Go reads them: in any case. */
export interface ClientInfo {
  readonly version: number;
  /** The shared secret of relays of one region; no client has one. */
  readonly meshKey: string | undefined;
  readonly canAckPings: boolean;
  readonly isProber: boolean;
}

export type ClientInfoProblem = 'not json' | 'invalid mesh key' | 'invalid field';

export function parseClientInfo(bytes: Uint8Array): Result<ClientInfo, ClientInfoProblem> {
  const fields = readFields(bytes);
  if (fields === undefined) return err('not json');
  const version = fields.get('version') ?? 0;
  const canAckPings = fields.get('canackpings') ?? false;
  const isProber = fields.get('isprober') ?? false;
  const meshKey = fields.get('meshkey');
  if (typeof canAckPings !== 'boolean' || typeof isProber !== 'boolean') {
    return err('invalid field');
  }
  if (typeof version !== 'number' || !Number.isSafeInteger(version)) return err('invalid field');
  if (meshKey === undefined) return ok({ version, meshKey, canAckPings, isProber });
  const key = typeof meshKey === 'string' && meshKey.length === 64 ? fromHex(meshKey) : undefined;
  if (key === undefined) return err('invalid mesh key');
  return ok({ version, meshKey: toHex(key), canAckPings, isProber });
}

/** A mesh key as an operator may write it: 64 hex digits with white space around them. */
export function parseMeshKey(text: string): string | undefined {
  const trimmed = text.trim();
  const bytes = trimmed.length === 64 ? fromHex(trimmed) : undefined;
  return bytes === undefined ? undefined : toHex(bytes);
}

function readFields(bytes: Uint8Array): ReadonlyMap<string, unknown> | undefined {
  const text = utf8Text(bytes);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value).map(([name, each]) => [name.toLowerCase(), each]));
  } catch {
    return undefined;
  }
}
