import { createHash, X509Certificate } from 'node:crypto';
import { constants, gunzipSync } from 'node:zlib';
import { existsSync } from 'node:fs';
import { access, constants as rights, readFile, stat } from 'node:fs/promises';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { judgeOperator } from '@postern/core/identity';
import { createFactsReader } from '../adapters/identity-local/index.ts';
import type { Egress } from '../http/index.ts';
import type { DoctorFacts, FindingReport, Known, PeerCertificate } from '../ops/index.ts';
import { judgeDoctor, judgeNetwork, reportOf } from '../ops/index.ts';
import { edgeFiles } from './certificate.ts';
import { clockIsSet } from './check/machine.ts';
import type { Sight } from './check/sight.ts';
import { createSight } from './check/sight.ts';
import { describeProblem, loadConfigFile } from './config-file.ts';
import { detectProviders } from './detect.ts';
import { createLazyEgress } from './egress.ts';
import { networkFacts } from './network/doctor.ts';
import { readCandidate } from './policy-candidate.ts';
import { namesOf } from './policy-names.ts';
import { createProviders } from './providers.ts';
import type { Settings } from './settings.ts';
import { policyFileOf } from './settings.ts';
import { ownPort } from './zero-config.ts';

export interface DoctorOptions {
  readonly version: string;
  /** Version of the Postern that runs with this state folder, as its control socket says. */
  readonly running: Known<string | undefined>;
  /** PEM of a peer that somebody asks about. */
  readonly peerCertificate?: string;
}

/** Where guests of dstack have their agent. */
const usualAgentSocket = '/var/run/dstack.sock';
const listMsMax = 4_000;
const askMsMax = 3_000;

/** Looks at everything that a start depends on, without starting anything. Where there is a tailscaled, at it too. */
export async function diagnose(settings: Settings, options: DoctorOptions): Promise<FindingReport> {
  const handle = createLazyEgress();
  const { egress } = handle;
  try {
    const facts = await doctorFacts(settings, options, egress);
    const onNetwork = await networkFacts(settings, egress);
    const isHere = !onNetwork.daemon.ok || onNetwork.daemon.value !== undefined;
    return reportOf([
      ...judgeDoctor(facts),
      ...(isHere
        ? judgeNetwork(onNetwork).map((each) => ({ ...each, id: `network-${each.id}` }))
        : []),
    ]);
  } finally {
    await handle.close();
  }
}

async function doctorFacts(
  settings: Settings,
  options: DoctorOptions,
  egress: Egress,
): Promise<DoctorFacts> {
  const { configFile, env, stateDir } = settings;
  const sight = createSight(env);
  const loaded = configFile === undefined ? undefined : await loadConfigFile(configFile);
  const config = loaded?.ok === true ? loaded.value.config : undefined;
  const providers = await providerFacts(settings, config, egress);
  return {
    nowMs: Date.now(),
    node: process.version,
    version: options.version,
    running: options.running,
    stateFolder: await stateFolder(stateDir),
    configuration:
      loaded === undefined
        ? undefined
        : loaded.ok
          ? ok(loaded.value.file)
          : err(loaded.error.map(describeProblem).join('; ')),
    policy: await policyFacts(settings, config),
    operator: await operatorProblem(settings, config),
    ...providers,
    certificates: await certificateFacts(config),
    clockIsSet: await clockIsSet(sight),
    clockOffsetMs: await clockOffset(config, egress),
    space: await spaceOf(sight, stateDir),
    authKey: await authKeyFacts(env, sight),
    containerHealth: await containerHealth(env, egress),
    agentSocket: await agentSocket(config, env),
    peer:
      options.peerCertificate === undefined
        ? undefined
        : await peerFacts(options.peerCertificate, config),
    appIds: appIdsOf(env),
  };
}

async function stateFolder(path: string): Promise<DoctorFacts['stateFolder']> {
  try {
    await access(path, rights.R_OK | rights.W_OK | rights.X_OK);
    const { mode } = await stat(path);
    const isOpen = (mode & 0o077) !== 0;
    return { path, state: isOpen ? 'open-to-others' : 'there', detail: (mode & 0o777).toString(8) };
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    return { path, state: isMissing ? 'missing' : 'unreadable', detail: messageOf(cause) };
  }
}

/** A folder that is not there yet is on the disk of the one above it. */
async function spaceOf(sight: Sight, folder: string): Promise<DoctorFacts['space']> {
  const own = await sight.space(folder);
  return own.ok ? own : sight.space('/');
}

/** What a start would find to decide by; the policy in force is in the state, which `postern policy show` reads. */
async function policyFacts(
  settings: Settings,
  config: Config | undefined,
): Promise<DoctorFacts['policy']> {
  if (settings.configFile === undefined) {
    const words =
      'The built-in one, unless one was applied: you and your keys may call every model.';
    return { ...ok(words), isMissing: true };
  }
  const { file, text, problem } = await readCandidate(policyFileOf(settings), false);
  if (problem !== undefined) return err(`${file}: ${problem}`);
  if (text === undefined) {
    const words = `There is no ${file}: without a policy in force nobody may call anything. \`postern init\` writes a first one.`;
    return { ...ok(words), isMissing: true };
  }
  const { checkReport } = await import('@postern/core/policy/report');
  const checked = checkReport({
    text,
    inventory: { users: [], nodes: [] },
    names: config === undefined ? undefined : namesOf(config),
    sha256Hex: (bytes) => createHash('sha256').update(bytes).digest('hex'),
  });
  if (checked.valid && checked.tests_passed)
    return ok(`${file}; postern policy show says what is in force`);
  const first = checked.findings.find(({ severity }) => severity === 'error')?.message;
  return err(`${file}: ${first ?? 'it is invalid'}`);
}

async function operatorProblem(
  settings: Settings,
  config: Config | undefined,
): Promise<string | undefined> {
  const judged = judgeOperator(
    {
      peerAddress: '127.0.0.1',
      localOwner: { ours: true },
      sawForwarding: false,
      sawIdentityHeaders: false,
      hasConfigFile: settings.configFile !== undefined,
      trustLoopback: config?.trustLoopback ?? false,
    },
    await createFactsReader()(),
  );
  return judged.ok ? undefined : judged.error;
}

async function providerFacts(
  settings: Settings,
  config: Config | undefined,
  egress: Egress,
): Promise<Pick<DoctorFacts, 'providers' | 'providerProblems'>> {
  const found =
    config === undefined
      ? await detectProviders({ env: settings.env, egress, ownPort: ownPort(settings) })
      : undefined;
  const configured =
    config?.providers ??
    Object.fromEntries((found?.detected ?? []).map((each) => [each.id, each.config]));
  const surroundings = { env: settings.env, nowMs: () => Date.now(), egress };
  const set = await createProviders(configured, surroundings);
  const problems = found?.problems ?? [];
  if (!set.ok) return { providers: [], providerProblems: [...problems, set.error] };
  const providers = await Promise.all(
    set.value.providers.map(async (provider) => {
      const { id, place } = provider;
      const listed = await provider.list(AbortSignal.timeout(listMsMax));
      const models = listed.ok ? ok(listed.value.length) : err(listed.error.message);
      return { id, place, models };
    }),
  );
  return { providers, providerProblems: problems };
}

async function certificateFacts(config: Config | undefined): Promise<DoctorFacts['certificates']> {
  const tls = config?.engine?.tls;
  const files = [
    config === undefined ? undefined : edgeFiles(config)?.certificateFile,
    typeof tls === 'object' ? tls.certificateFile : undefined,
  ].filter((file) => file !== undefined);
  return Promise.all(
    files.map(async (file) => {
      const read = await certificateOf(file);
      return { file, expiresAtMs: read.ok ? ok(Date.parse(read.value.validTo)) : read };
    }),
  );
}

async function certificateOf(file: string): Promise<Result<X509Certificate, string>> {
  try {
    return ok(new X509Certificate(await readFile(file)));
  } catch (cause) {
    return err(messageOf(cause));
  }
}

/** The clock of a provider that is called anyway, by the Date of its answer. */
async function clockOffset(config: Config | undefined, egress: Egress): Promise<Known<number>> {
  const url = Object.values(config?.providers ?? {}).flatMap((each) =>
    'baseUrl' in each && each.baseUrl !== undefined && each.discover === undefined
      ? [each.baseUrl]
      : [],
  )[0];
  if (url === undefined) return err('no provider can be asked');
  const beganMs = Date.now();
  const answered = await egress({
    method: 'GET',
    url: new URL(url),
    headers: {},
    signal: AbortSignal.timeout(askMsMax),
    timeouts: { connectMs: 2_000, firstByteMs: askMsMax, idleMs: askMsMax, totalMs: askMsMax },
    permission: { internal: true },
  });
  if (!answered.ok) return err(answered.error.message);
  const { date } = answered.value.headers;
  answered.value.cancel();
  const theirMs = Date.parse(date ?? '');
  // Whole seconds, and the way there and back.
  return Number.isNaN(theirMs)
    ? err('its answer has no date')
    : ok(Math.trunc((beganMs + Date.now()) / 2 - theirMs));
}

async function authKeyFacts(env: Settings['env'], sight: Sight): Promise<DoctorFacts['authKey']> {
  const variable = ['TS_AUTHKEY', 'TS_AUTH_KEY'].find((name) => (env[name] ?? '') !== '');
  if (variable === undefined) return undefined;
  const text = env[variable] ?? '';
  const daemon = await sight.daemon();
  const found = daemon.ok ? daemon.value : undefined;
  const complaint = found?.health.find((each) => /key|login|auth/i.test(each));
  const tags = /--advertise-tags=(\S+)/.exec(env['TS_EXTRA_ARGS'] ?? '')?.[1]?.split(',') ?? [];
  return {
    variable,
    shape: text.startsWith('tskey-')
      ? 'tailscale'
      : /^(?:hskey-|[0-9a-f]{48}$)/.test(text)
        ? 'headscale'
        : 'unknown',
    daemonState: found?.state,
    complaint: found?.state === 'Running' ? undefined : complaint,
    tags,
  };
}

/** Containers of Tailscale's tell their health on a port of their own (1.78 and later). */
async function containerHealth(
  env: Settings['env'],
  egress: Egress,
): Promise<DoctorFacts['containerHealth']> {
  const isContainer = env['TS_STATE_DIR'] !== undefined || env['TS_AUTHKEY'] !== undefined;
  const isEnabled = env['TS_ENABLE_HEALTH_CHECK'] === 'true';
  if (!isContainer && !isEnabled) return undefined;
  const port = /:(\d+)$/.exec(env['TS_LOCAL_ADDR_PORT'] ?? '')?.[1] ?? '9002';
  const url = `http://127.0.0.1:${port}/healthz`;
  const answered = await egress({
    method: 'GET',
    url: new URL(url),
    headers: {},
    signal: AbortSignal.timeout(askMsMax),
    timeouts: { connectMs: 1_000, firstByteMs: askMsMax, idleMs: askMsMax, totalMs: askMsMax },
    permission: { internal: true },
  });
  if (answered.ok) answered.value.cancel();
  return { url, status: answered.ok ? answered.value.status : undefined, isEnabled };
}

async function agentSocket(
  config: Config | undefined,
  env: Settings['env'],
): Promise<DoctorFacts['agentSocket']> {
  const identity = config?.mesh?.identity;
  if (identity === undefined || !('agent' in identity)) return undefined;
  const { findAgent, parseAddress } = await import('../adapters/attestor-dstack/index.ts');
  const address =
    identity.agent === 'auto' ? findAgent(env, existsSync)?.address : parseAddress(identity.agent);
  if (address !== undefined && address.kind !== 'socket') return undefined;
  const path = address?.path ?? usualAgentSocket;
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return { path, state: 'missing' };
  if (!found.isSocket()) return { path, state: 'no-socket' };
  const isOurs = await access(path, rights.R_OK | rights.W_OK).then(
    () => true,
    () => false,
  );
  return { path, state: isOurs ? 'there' : 'denied' };
}

async function peerFacts(
  file: string,
  config: Config | undefined,
): Promise<Known<PeerCertificate>> {
  const read = await certificateOf(file);
  if (!read.ok) return read;
  const [{ parseCertificate }, { readRaTlsExtensions }] = await Promise.all([
    import('@postern/core/attest/x509'),
    import('@postern/core/attest/ratls'),
  ]);
  const parsed = parseCertificate(new Uint8Array(read.value.raw));
  if (!parsed.ok) return err('it is no certificate as RFC 5280 has them');
  const gunzip = (bytes: Uint8Array, bytesMax: number): Uint8Array | undefined => {
    try {
      return gunzipSync(bytes, { maxOutputLength: bytesMax, finishFlush: constants.Z_SYNC_FLUSH });
    } catch {
      return undefined;
    }
  };
  const roots = config?.mesh?.trust.kmsRootsFile;
  const pem = roots === undefined ? undefined : await readFile(roots, 'utf8').catch(() => '');
  return ok({
    file,
    hasEvidence: readRaTlsExtensions(parsed.value, { gunzip }).ok,
    isKnownIssuer: pem === undefined ? undefined : isIssuedBy(read.value, pem),
    issuer: read.value.issuer.replaceAll('\n', ', '),
    expiresAtMs: Date.parse(read.value.validTo),
  });
}

function isIssuedBy(leaf: X509Certificate, pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.some((block) => {
    try {
      const root = new X509Certificate(block);
      return leaf.checkIssued(root) && leaf.verify(root.publicKey);
    } catch {
      return false;
    }
  });
}

/** App ids that the environment of a container names; those of the configuration were held to their form already. */
function appIdsOf(env: Settings['env']): DoctorFacts['appIds'] {
  const allowed = (env['VPC_ALLOWED_APPS'] ?? '').split(',').map((text) => text.trim());
  const server = env['VPC_SERVER_APP_ID'] ?? '';
  return [
    ...allowed
      .filter((text) => text !== '' && text !== 'any')
      .map((text) => ({ at: 'VPC_ALLOWED_APPS', text })),
    ...(server === '' || server === 'self' ? [] : [{ at: 'VPC_SERVER_APP_ID', text: server }]),
  ];
}
