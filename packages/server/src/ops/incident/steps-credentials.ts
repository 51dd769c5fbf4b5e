import type { Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { preAuthKeyProblem, tokenRevocation } from '@postern/core/state';
import { createKey, revokeKey, revokeTokens, rotateKey } from '../../control/index.ts';
import { credentialClasses } from './credential-class.ts';
import type { StepRun } from './step.ts';

/** How long other gateways have to refuse what was revoked here. */
const replicaMsMax = 10_000;
const pollMs = 100;

export async function rotate(run: StepRun): Promise<void> {
  const wanted = run.request.classes ?? credentialClasses;
  if (wanted.includes('api-keys')) await rotateKeys(run);
  if (wanted.includes('preauth')) await endPreAuthKeys(run);
  if (wanted.includes('shared-keys')) await rotateGroups(run);
  if (wanted.includes('provider')) await rotateProviders(run);
}

/** A key that is made for this shows that an old secret is refused: nobody has the secrets of the others. */
async function rotateKeys({ ports, scribe, by, id, request }: StepRun): Promise<void> {
  const { control, doors } = ports;
  const nowMs = control.system.nowMs();
  const live = await scribe.fix('keys', () =>
    [...control.snapshot().keysById.values()]
      .filter(
        ({ revokedAtMs, expiresAtMs }) =>
          revokedAtMs === undefined && (expiresAtMs ?? nowMs + 1) > nowMs,
      )
      .map((key) => key.id),
  );
  const before = `${live.length} keys`;
  const canaryName = `probe-${id.replaceAll('_', '-').toLowerCase()}`;
  let canary: Secret | undefined;
  let known = 'not asked';
  if (!scribe.isDryRun) {
    const left = control.snapshot().keysByName.get(canaryName);
    if (left !== undefined) await revokeKey(control, { key: left.id, withChildren: false }, by);
    const made = await createKey(control, { name: canaryName, scope: {}, boundTo: [] }, by);
    canary = made.ok ? made.value.secret : undefined;
    if (canary !== undefined) known = statusWords(await doors.knock(canary));
  }
  for (const keyId of live) {
    const name = control.snapshot().keysById.get(keyId)?.name ?? keyId;
    await scribe.act(`rotate key ${name} (${keyId})`, async () => {
      const done = await rotateKey(control, { key: keyId, reason: request.reason }, by);
      if (!done.ok) return err(done.error.message);
      const file = await ports.hand(id, [{ name, secret: done.value.secret }]);
      return ok(`successor ${done.value.key.id}; its secret is in ${file}`);
    });
  }
  if (scribe.isDryRun) return;
  const { keysById } = control.snapshot();
  const alive = live.filter((keyId) => keysById.get(keyId)?.revokedAtMs === undefined);
  scribe.prove('old keys that count', before, `${alive.length} keys`, alive.length === 0);
  const successor =
    canary === undefined ? undefined : await rotateKey(control, { key: canaryName }, by);
  const old = canary === undefined ? err('no key could be made') : await doors.knock(canary);
  const fresh = successor?.ok === true ? await doors.knock(successor.value.secret) : err('none');
  scribe.prove('an old secret at this gateway', known, statusWords(old), isRefused(old));
  scribe.prove(
    'its successor at this gateway',
    '',
    statusWords(fresh),
    fresh.ok && !isRefused(fresh),
  );
  if (canary !== undefined) await provenElsewhere({ ports, scribe, request }, canary);
  if (successor?.ok === true)
    await revokeKey(control, { key: successor.value.key.id, withChildren: false }, by);
}

async function provenElsewhere(
  { ports, scribe, request }: Pick<StepRun, 'ports' | 'scribe' | 'request'>,
  credential: Secret,
): Promise<void> {
  for (const url of request.replicas ?? []) {
    const began = ports.control.system.nowMs();
    let status = await ports.doors.knockAt(url, credential);
    while (!isRefused(status) && ports.control.system.nowMs() - began < replicaMsMax) {
      // oxlint-disable-next-line no-await-in-loop -- asked again until it has heard of it
      await ports.sleep(pollMs);
      // oxlint-disable-next-line no-await-in-loop -- as above
      status = await ports.doors.knockAt(url, credential);
    }
    const after = `${statusWords(status)} after ${ports.control.system.nowMs() - began} ms`;
    scribe.prove(`an old credential at ${url}`, '', after, isRefused(status));
  }
}

function isRefused(status: { readonly ok: boolean; readonly value?: number }): boolean {
  return status.ok && status.value === 401;
}

export function statusWords(
  status:
    | { readonly ok: true; readonly value: number }
    | { readonly ok: false; readonly error: string },
): string {
  return status.ok ? `status ${status.value}` : status.error;
}

async function endPreAuthKeys({ ports, scribe, by }: StepRun): Promise<void> {
  const { control } = ports;
  const usable = (): readonly string[] =>
    [...control.snapshot().network.preAuthKeysById.values()]
      .filter((key) => preAuthKeyProblem(key, control.system.nowMs()) === undefined)
      .map((key) => key.id);
  const keys = await scribe.fix('preauth', usable);
  if (keys.length === 0) scribe.none('end pre-auth keys', 'none can be used');
  for (const key of keys) {
    // oxlint-disable-next-line no-await-in-loop -- one record after the other
    await scribe.act(`end pre-auth key ${key}`, async () => {
      const done = await control.execute({ kind: 'preauthkey.revoke', id: key }, by);
      return done.ok ? ok('revoked') : err(done.error.message);
    });
  }
  if (keys.length === 0) return;
  const left = usable().filter((key) => keys.includes(key));
  scribe.prove(
    'pre-auth keys that can be used',
    `${keys.length}`,
    `${left.length}`,
    left.length === 0,
  );
}

async function rotateGroups({ ports, scribe, by }: StepRun): Promise<void> {
  const { control } = ports;
  const epochs = (): Readonly<Record<string, number>> =>
    Object.fromEntries(
      [...control.snapshot().registry.groups.values()].map(({ nodeType, epoch }) => [
        nodeType,
        epoch,
      ]),
    );
  const types = await scribe.fix('types', () => control.snapshot().registry.types);
  if (types.length === 0) {
    scribe.none('rotate shared keys', 'no type has members');
    return;
  }
  const before = await scribe.see('epochs', () => JSON.stringify(epochs()));
  for (const nodeType of types) {
    // oxlint-disable-next-line no-await-in-loop -- one record after the other
    await scribe.act(`rotate the shared key of ${nodeType}`, async () => {
      const done = await control.execute({ kind: 'group.rotate', nodeType }, by);
      return done.ok ? ok('a new epoch began') : err(done.error.message);
    });
  }
  // What was written was a record of numbers.
  const old = JSON.parse(before) as Readonly<Record<string, number>>;
  const now = epochs();
  const risen = types.every((type) => (now[type] ?? 1) > (old[type] ?? 1));
  scribe.prove('epochs of shared keys', before, JSON.stringify(now), risen);
}

async function rotateProviders(run: StepRun): Promise<void> {
  const { ports, scribe, request } = run;
  const providers = request.target === undefined ? ports.rotatable() : [request.target];
  if (providers.length === 0) {
    scribe.none('rotate keys of providers', 'no provider has `operate.rotate`');
    scribe.next(
      'Make new keys at your providers by hand, write them where `key` points, and revoke the old ones there.',
    );
  }
  // oxlint-disable-next-line no-await-in-loop -- one server after the other: not all of them are away at once
  for (const provider of providers) await rotateProvider(run, provider);
}

async function rotateProvider({ ports, scribe, signal }: StepRun, provider: string): Promise<void> {
  const upstream = ports.upstream(provider);
  const rotator = upstream?.rotator;
  if (upstream === undefined || rotator === undefined) {
    scribe.prove(`a way to rotate ${provider}`, 'none', 'none', false);
    scribe.next(`Say how ${provider} gets a new key: providers.${provider}.operate.rotate`);
    return;
  }
  const old = await upstream.credential();
  const next = ports.control.system.randomBytes(32);
  const secret = await secretOf(next);
  const before = old.ok ? statusWords(await upstream.status(old.value)) : old.error;
  await scribe.act(`give ${provider} a new key by ${rotator.place}`, async () => {
    const done = await rotator.rotate(secret, signal);
    if (!done.ok) return done;
    const kept = await upstream.keep(secret);
    return kept.ok ? ok('given to the server, and kept for the gateway') : kept;
  });
  if (scribe.isDryRun) return;
  const after = await answered(
    ports,
    () => upstream.status(secret),
    (status) => status < 400,
  );
  const refused = old.ok ? await upstream.status(old.value) : err(old.error);
  const isOut = refused.ok && (refused.value === 401 || refused.value === 403);
  scribe.prove(`the old key at ${provider}`, before, statusWords(refused), isOut);
  scribe.prove(`the new key at ${provider}`, '', statusWords(after), after.ok && after.value < 400);
}

async function secretOf(bytes: Uint8Array): Promise<Secret> {
  const { Secret: SecretText, toHex } = await import('@postern/core/base');
  return new SecretText(toHex(bytes));
}

/** A server that was started anew needs a while. */
const readyMsMax = 120_000;

export async function answered(
  ports: Pick<StepRun['ports'], 'control' | 'sleep'>,
  ask: () => ReturnType<StepRun['ports']['doors']['knock']>,
  isGood: (status: number) => boolean,
): ReturnType<StepRun['ports']['doors']['knock']> {
  const { nowMs } = ports.control.system;
  const began = nowMs();
  let status = await ask();
  while (!(status.ok && isGood(status.value)) && nowMs() - began < readyMsMax) {
    // oxlint-disable-next-line no-await-in-loop -- asked again until it is there
    await ports.sleep(pollMs);
    // oxlint-disable-next-line no-await-in-loop -- as above
    status = await ask();
  }
  return status;
}

/** From now on no token counts that was issued before. */
export async function revokeJwts(run: StepRun): Promise<void> {
  const { ports, scribe, by, request } = run;
  const { control, doors } = ports;
  const issuers = request.issuer === undefined ? ports.issuers() : [request.issuer];
  if (issuers.length === 0) {
    scribe.none('revoke tokens', 'no issuer is configured');
    scribe.prove('issuers of tokens', '0', '0', true);
    return;
  }
  const probe = request.token;
  const before = probe === undefined ? '' : statusWords(await doors.knock(probe));
  const beganMs = control.system.nowMs();
  for (const issuer of issuers) {
    // oxlint-disable-next-line no-await-in-loop -- one record after the other
    await scribe.act(`revoke what ${issuer} issued until now`, async () => {
      const target = { by: 'issuer', issuer, issuedBeforeMs: beganMs } as const;
      const done = await revokeTokens(control, { target, reason: request.reason }, by);
      return done.ok
        ? ok(`${done.value.id}, until ${new Date(beganMs).toISOString()}`)
        : err(done.error.message);
    });
    scribe.next(
      `At ${issuer}: rotate the signing key (Supabase: Settings, JWT keys, rotate), so that nobody can go on minting.`,
    );
  }
  if (scribe.isDryRun) return;
  for (const issuer of issuers) {
    const token = { issuer, subject: 'anybody', issuedAtMs: beganMs - 1_000 };
    const younger = { ...token, issuedAtMs: beganMs + 2_000 };
    const state = control.snapshot();
    const isOut = tokenRevocation(state, token) !== undefined;
    const isIn = tokenRevocation(state, younger) === undefined;
    scribe.prove(
      `tokens of ${issuer}`,
      'counted',
      `issued before: ${isOut ? 'refused' : 'counted'}; issued after: ${isIn ? 'counted' : 'refused'}`,
      isOut && isIn,
    );
  }
  if (probe === undefined) return;
  const after = await doors.knock(probe);
  scribe.prove('the token given, at this gateway', before, statusWords(after), isRefused(after));
  await provenElsewhere(run, probe);
}
