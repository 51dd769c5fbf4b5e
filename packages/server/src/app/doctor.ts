import { createHash } from 'node:crypto';
import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { createFactsReader } from '../adapters/identity-local/index.ts';
import { judgeOperator } from '@postern/core/identity';
import type { Config } from '@postern/core/contract';
import { describeProblem, loadConfigFile } from './config-file.ts';
import { detectProviders } from './detect.ts';
import { createLazyEgress } from './egress.ts';
import { readCandidate } from './policy-candidate.ts';
import { namesOf } from './policy-names.ts';
import { createProviders } from './providers.ts';
import type { Settings } from './settings.ts';
import { policyFileOf } from './settings.ts';
import { ownPort } from './zero-config.ts';

/** What was looked at, what came out, and how to mend it. `unknown` never counts as good. */
export interface Diagnosis {
  readonly what: string;
  readonly verdict: 'good' | 'bad' | 'unknown' | 'note';
  readonly finding: string;
  readonly fix: string | undefined;
}

/** The first release that Postern runs on; 20 ended on 2026-04-30 and odd lines are short. */
const oldestNode = { major: 22, minor: 19 } as const;
const listMsMax = 4_000;

/** Looks at everything that a start depends on, without starting anything. */
export async function diagnose(settings: Settings): Promise<readonly Diagnosis[]> {
  const loaded =
    settings.configFile === undefined ? undefined : await loadConfigFile(settings.configFile);
  const config = loaded?.ok === true ? loaded.value.config : undefined;
  return [
    nodeRelease(),
    await stateFolder(settings.stateDir),
    configuration(settings, loaded),
    await policyFile(settings, config),
    await localOperator(settings, config),
    ...(await providers(settings, config)),
  ];
}

function nodeRelease(): Diagnosis {
  const what = 'Node.js';
  const { version } = process;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isNew =
    major > oldestNode.major || (major === oldestNode.major && minor >= oldestNode.minor);
  if (isNew && major % 2 === 0) return { what, verdict: 'good', finding: version, fix: undefined };
  return {
    what,
    verdict: 'bad',
    finding: `${version} gets no security fixes`,
    fix: 'Install Node.js 24 (or run by npm, which brings it).',
  };
}

async function stateFolder(dir: string): Promise<Diagnosis> {
  const what = 'state folder';
  try {
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    const facts = await stat(dir);
    if ((facts.mode & 0o077) !== 0) {
      return {
        what,
        verdict: 'bad',
        finding: `${dir} is open to other users (mode ${(facts.mode & 0o777).toString(8)})`,
        fix: `chmod 700 ${dir}`,
      };
    }
    return { what, verdict: 'good', finding: dir, fix: undefined };
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
      return {
        what,
        verdict: 'note',
        finding: `${dir} is not there yet; the first start makes it`,
        fix: undefined,
      };
    return {
      what,
      verdict: 'bad',
      finding: cause instanceof Error ? cause.message : String(cause),
      fix: 'Name another folder with --state or POSTERN_STATE.',
    };
  }
}

function configuration(
  settings: Settings,
  loaded: Awaited<ReturnType<typeof loadConfigFile>> | undefined,
): Diagnosis {
  const what = 'configuration';
  if (loaded === undefined) {
    const where = path.join(settings.stateDir, 'postern.hujson');
    return {
      what,
      verdict: 'note',
      finding: `none; Postern serves what it finds (${where} would be read)`,
      fix: undefined,
    };
  }
  if (loaded.ok) return { what, verdict: 'good', finding: loaded.value.file, fix: undefined };
  return {
    what,
    verdict: 'bad',
    finding: loaded.error.map(describeProblem).join('; '),
    fix: 'Correct the file; `postern config check` says when it is right.',
  };
}

/** What a start would find to decide by; the policy in force is in the state, which `postern policy show` reads. */
async function policyFile(settings: Settings, config: Config | undefined): Promise<Diagnosis> {
  const what = 'policy';
  const fix = undefined;
  if (settings.configFile === undefined) {
    const finding =
      'the built-in one, unless one was applied: you and your keys may call every model';
    return { what, verdict: 'note', finding, fix };
  }
  const { file, text, problem } = await readCandidate(policyFileOf(settings), false);
  if (text === undefined) {
    const missing = `there is no ${file}: without a policy in force nobody may call anything`;
    const how = 'Write the file (`postern init` writes a first one), then: postern policy apply';
    return { what, verdict: 'note', finding: problem ?? missing, fix: how };
  }
  const { checkReport } = await import('@postern/core/policy/report');
  const checked = checkReport({
    text,
    inventory: { users: [], nodes: [] },
    names: config === undefined ? undefined : namesOf(config),
    sha256Hex: (bytes) => createHash('sha256').update(bytes).digest('hex'),
  });
  if (checked.valid && checked.tests_passed)
    return {
      what,
      verdict: 'good',
      finding: `${file}; postern policy show says what is in force`,
      fix,
    };
  const first = checked.findings.find(({ severity }) => severity === 'error')?.message;
  const how = 'Correct the file; `postern policy check` says when it is right.';
  return { what, verdict: 'bad', finding: `${file}: ${first ?? 'it is invalid'}`, fix: how };
}

async function localOperator(settings: Settings, config: Config | undefined): Promise<Diagnosis> {
  const what = 'local operator';
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
  if (judged.ok)
    return {
      what,
      verdict: 'good',
      finding: 'you are known on this machine without a key; the policy says what you may call',
      fix: undefined,
    };
  return {
    what,
    verdict: 'note',
    finding: judged.error,
    fix: 'Callers here need a key: postern key create NAME',
  };
}

async function providers(
  settings: Settings,
  config: Config | undefined,
): Promise<readonly Diagnosis[]> {
  const handle = createLazyEgress();
  const { egress } = handle;
  try {
    const found =
      config === undefined
        ? await detectProviders({ env: settings.env, egress, ownPort: ownPort(settings) })
        : undefined;
    const configured =
      config?.providers ??
      Object.fromEntries((found?.detected ?? []).map((each) => [each.id, each.config]));
    const set = await createProviders(configured, {
      env: settings.env,
      nowMs: () => Date.now(),
      egress,
    });
    if (!set.ok)
      return [
        {
          what: 'providers',
          verdict: 'bad',
          finding: set.error,
          fix: 'Correct the provider in the configuration.',
        },
      ];
    const asked = set.value.providers.map(async (provider): Promise<Diagnosis> => {
      const what = `provider ${provider.id}`;
      const listed = await provider.list(AbortSignal.timeout(listMsMax));
      if (listed.ok)
        return {
          what,
          verdict: 'good',
          finding: `${listed.value.length} models at ${provider.place}`,
          fix: undefined,
        };
      return {
        what,
        verdict: 'bad',
        finding: listed.error.message,
        fix: 'Check the address and the credential of this provider.',
      };
    });
    const problems = (found?.problems ?? []).map(
      (finding): Diagnosis => ({
        what: 'detection',
        verdict: 'bad',
        finding,
        fix: 'Correct or unset the variable.',
      }),
    );
    return [...problems, ...(await Promise.all(asked))];
  } finally {
    await handle.close();
  }
}
