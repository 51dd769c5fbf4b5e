import { concatBytes, equalBytes, toHex, utf8 } from '../../base/bytes.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';

/** An event that dstack itself measured into RTMR3. */
export interface RuntimeEvent {
  readonly name: string;
  readonly payload: Uint8Array;
  /** How the digest is formed: 1 joins the parts with colons, 2 hashes canonical JSON. */
  readonly version: 1 | 2;
}

/** One line of a TDX event log. Registers are counted from 0. */
export interface LogEvent {
  readonly register: number;
  readonly type: number;
  /** Empty where the log was stripped. */
  readonly digest: Uint8Array;
  readonly name: string;
  readonly payload: Uint8Array;
  readonly version: 1 | 2;
  /** The bytes that were hashed, where the log repeats them. */
  readonly preimage: Uint8Array | undefined;
}

/** Event type of dstack's runtime events. */
export const runtimeEventType = 0x0800_0001;
const runtimeRegister = 3;
const acpiEventType = 10;
const digestBytes = 48;

export const eventLimits = {
  /** A boot writes about 30 events, and an app may add its own for as long as it runs. */
  eventsMax: 4_096,
  /** The largest payload in use is a CCEL boot variable of some kilobytes. */
  payloadBytesMax: 1 << 20,
} as const;

/** The bytes whose SHA-384 is the event's digest. */
export function eventPreimage({ name, payload, version }: RuntimeEvent): Uint8Array {
  if (version === 1) {
    return concatBytes(Uint8Array.of(1, 0, 0, 8), utf8(`:${name}:`), payload);
  }
  // JCS (RFC 8785): keys in order, no space; JSON.stringify escapes strings as JCS does.
  const hex = toHex(payload);
  return utf8(`{"name":${JSON.stringify(name)},"payload":"${hex}","type":${runtimeEventType}}`);
}

/** What a register holds after these digests: SHA-384 of the old value and the digest, from zero. */
export function replay(digests: readonly Uint8Array[], crypto: CryptoPort): Uint8Array {
  let register: Uint8Array = new Uint8Array(digestBytes);
  for (const digest of digests) register = crypto.sha384(concatBytes(register, digest));
  return register;
}

export function replayRuntime(events: readonly RuntimeEvent[], crypto: CryptoPort): Uint8Array {
  return replay(
    events.map((event) => crypto.sha384(eventPreimage(event))),
    crypto,
  );
}

/**
 * The runtime events of a log. Their digests are recomputed; a listed digest or preimage that says something
 * else is a finding, since a reader who trusts the list would see other events than the register holds.
 */
export function runtimeEvents(
  log: readonly LogEvent[],
  crypto: CryptoPort,
): { readonly events: readonly RuntimeEvent[]; readonly findings: readonly Finding[] } {
  const events: RuntimeEvent[] = [];
  const findings: Finding[] = [];
  for (const event of log) {
    const isRuntime = event.type === runtimeEventType;
    if (isRuntime !== (event.register === runtimeRegister)) {
      findings.push(finding('event_log_mismatch', `${event.name} in register ${event.register}`));
    } else if (isRuntime) {
      events.push(event);
      if (!isTruthful(event, crypto)) findings.push(finding('event_digest_mismatch', event.name));
    }
  }
  return { events, findings };
}

function isTruthful(event: LogEvent, crypto: CryptoPort): boolean {
  const preimage = eventPreimage(event);
  if (event.preimage !== undefined && !equalBytes(event.preimage, preimage)) return false;
  if (event.version === 2 && event.preimage === undefined) return event.digest.length === 0;
  return event.digest.length === 0 || equalBytes(event.digest, crypto.sha384(preimage));
}

/**
 * Compares boot registers 0 to 2 with the log where the log is complete. Logs inside certificates are
 * stripped to three ACPI events; those explain nothing and are not compared (the registers themselves are
 * signed, and policy pins them).
 */
export function bootFindings(
  log: readonly LogEvent[],
  registers: readonly Uint8Array[],
  crypto: CryptoPort,
): Finding[] {
  const findings: Finding[] = [];
  for (const [index, register] of registers.slice(0, runtimeRegister).entries()) {
    const events = log.filter((event) => event.register === index);
    if (events.every(({ type }) => type === acpiEventType)) continue;
    const digests = events.map(({ digest }) => digest);
    const isComplete = digests.every(({ length }) => length === digestBytes);
    if (!isComplete || !equalBytes(replay(digests, crypto), register)) {
      findings.push(finding('event_log_mismatch', `RTMR${index}`));
    }
  }
  return findings;
}
