import { randomUUID } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { IdTokens, TokenSubject } from './id-token.ts';
import { coordinationLimits } from './limits.ts';
import type { Machine } from './netmap/machine.ts';
import type { NetworkView } from './netmap/network-view.ts';
import type { CoordinationLog, PutTxtRecord } from './ports.ts';
import type { Fields } from './protocol/read.ts';
import { textAt } from './protocol/read.ts';

export interface MachineServicesOptions {
  readonly view: NetworkView;
  readonly baseDomain: string;
  readonly tokens: IdTokens;
  readonly putTxtRecord: PutTxtRecord | undefined;
  readonly nowMs: () => number;
  readonly log: CoordinationLog;
}

/** An answer to a machine: a status, and the JSON that its client reads or shows. */
export interface ServiceAnswer {
  readonly status: number;
  readonly body: object;
}

/** A SHA-256 in base64url, as ACME wants it in the record (RFC 8555, 8.4). */
const challengeValue = /^[\w-]{1,255}$/;
const challengePrefix = '_acme-challenge.';

/** What machines ask for besides their map: tokens about themselves, and records that prove a name to an authority. */
export class MachineServices {
  readonly #options: MachineServicesOptions;
  /** Machines with a record under way: one at a time for each. */
  readonly #busy = new Set<string>();

  constructor(options: MachineServicesOptions) {
    this.#options = options;
  }

  idToken(machine: Machine, fields: Fields): ServiceAnswer {
    const audience = textAt(fields, 'Audience').trim();
    if (audience === '') return refused(400, 'an audience of at most 512 characters is needed');
    if (!machine.isActive)
      return refused(403, 'this machine is not admitted, or its key has ended');
    const { tokens, nowMs, log } = this.#options;
    log.info({ node: machine.record.id, audience }, 'a machine got an id-token');
    const token = tokens.sign(this.#subjectOf(machine), {
      audience,
      nowMs: nowMs(),
      id: randomUUID(),
    });
    return { status: 200, body: { id_token: token } };
  }

  #subjectOf(machine: Machine): TokenSubject {
    const { view, baseDomain } = this.#options;
    const { record } = machine;
    const profile = view.profile(machine);
    return {
      sub: record.id,
      nid: record.number,
      node: `${record.name}.${baseDomain}`,
      key: record.nodeKey,
      addresses: record.addresses,
      domain: baseDomain,
      ...(record.tags.length > 0
        ? { tags: record.tags.map((tag) => `${baseDomain}:${tag}`) }
        : { user: `${baseDomain}:${profile.LoginName}`, uid: profile.ID }),
    };
  }

  /** A record that proves to an authority that the machine has its own name, and for nothing else. */
  async setDns(machine: Machine, fields: Fields): Promise<ServiceAnswer> {
    const { putTxtRecord, baseDomain, log } = this.#options;
    if (putTxtRecord === undefined) {
      return refused(501, 'certificates are not set up on this network (engine.certificateHook)');
    }
    if (!machine.isActive)
      return refused(403, 'this machine is not admitted, or its key has ended');
    const { id, name } = machine.record;
    const record = readRecord(fields, `${challengePrefix}${name}.${baseDomain}`);
    if (!record.ok) return refused(403, record.error);
    if (this.#busy.has(id)) return refused(429, 'a record for this machine is under way');
    if (this.#busy.size >= coordinationLimits.recordsAtOnce) {
      return refused(429, 'too many records are under way; try again in a minute');
    }
    this.#busy.add(id);
    try {
      const put = await putTxtRecord(record.value);
      if (put.ok) {
        log.info({ node: id, name: record.value.name }, 'a record for a certificate was set');
        return { status: 200, body: {} };
      }
      log.warn({ node: id, problem: put.error }, 'a record for a certificate was not set');
      return refused(502, 'the record could not be set; the operator finds out why in the log');
    } finally {
      this.#busy.delete(id);
    }
  }
}

function readRecord(
  fields: Fields,
  own: string,
): Result<{ readonly name: string; readonly value: string }, string> {
  const name = textAt(fields, 'Name').toLowerCase().replace(/\.$/, '');
  const value = textAt(fields, 'Value');
  if (name !== own) return err(`this machine may set ${own} only`);
  if (textAt(fields, 'Type') !== 'TXT') return err('only TXT records are set');
  return challengeValue.test(value) ? ok({ name, value }) : err('this is no answer to a challenge');
}

function refused(status: number, error: string): ServiceAnswer {
  return { status, body: { error } };
}

/** What this server has nothing for, in words that clients show to people. */
export function absentService(path: string): string {
  if (path.startsWith('/machine/tka/')) {
    return 'tailnet lock is not supported by this control server; machines are admitted by its operator and by no other key';
  }
  return path === '/machine/set-device-attr'
    ? 'machines do not set their own posture attributes on this control server'
    : 'not implemented by this control server';
}

/** `tailcfg.QueryFeatureResponse`: why a feature that a person asked for cannot be switched on. */
export function featureText(feature: string, hasCertificates: boolean): string {
  if (feature === 'funnel') {
    return 'Funnel is not available: this network has no public ingress.\n';
  }
  return hasCertificates
    ? ''
    : 'HTTPS is not set up on this network: its operator can configure engine.certificateHook. Plain HTTP works: tailscale serve --http=80 …\n';
}
