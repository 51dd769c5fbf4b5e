/**
 * What others say about the cases of an x509-limbo file: `node tools/limbo-peers.ts FILE…` prints the table
 * of `docs/reference/x509-profile.md`. The peers are `openssl verify` of this machine, the same with
 * `-x509_strict`, and a TLS handshake of this Node, which cannot be told a time.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { type LimboCase, limboCases, suite } from '../test/harness/limbo.ts';
import { tlsVerdict } from '../test/harness/limbo-tls.ts';

const run = promisify(execFile);
/** Whether a peer accepts the case; undefined where it cannot be asked. */
type Ask = (limbo: LimboCase, folder: string) => Promise<boolean | undefined>;

function askOpenssl(flags: readonly string[]): Ask {
  return async (limbo, folder) => {
    const put = async (name: string, texts: readonly string[]): Promise<string> => {
      await writeFile(join(folder, name), texts.join('\n'));
      return join(folder, name);
    };
    const args = ['verify', ...flags, '-CAfile', await put('roots.pem', limbo.trusted_certs)];
    if (limbo.untrusted_intermediates.length > 0) {
      args.push('-untrusted', await put('others.pem', limbo.untrusted_intermediates));
    }
    if (limbo.crls && limbo.crls.length > 0) {
      args.push('-crl_check', '-CRLfile', await put('crls.pem', limbo.crls));
    }
    if (typeof limbo.validation_time === 'string') {
      args.push('-attime', String(Math.floor(Date.parse(limbo.validation_time) / 1_000)));
    }
    if (typeof limbo.max_chain_depth === 'number') {
      args.push('-verify_depth', String(limbo.max_chain_depth));
    }
    args.push('-purpose', limbo.validation_kind === 'SERVER' ? 'sslserver' : 'sslclient');
    const option = { DNS: '-verify_hostname', IP: '-verify_ip', RFC822: '-verify_email' } as const;
    for (const name of [limbo.expected_peer_name ?? [], limbo.expected_peer_names ?? []].flat()) {
      args.push(option[name.kind], name.value);
    }
    args.push(await put('leaf.pem', [limbo.peer_certificate]));
    try {
      await run('openssl', args);
      return true;
    } catch {
      return false;
    }
  };
}

interface Score {
  agree: number;
  falseAccept: number;
  falseRefuse: number;
  skipped: number;
}

function count(score: Score, limbo: LimboCase, accepted: boolean | undefined): void {
  const isExpected = limbo.expected_result === 'SUCCESS';
  if (accepted === undefined) score.skipped += 1;
  else if (accepted === isExpected) score.agree += 1;
  else if (accepted) score.falseAccept += 1;
  else score.falseRefuse += 1;
}

function row(name: string, score: Score): string {
  const { agree, falseAccept, falseRefuse, skipped } = score;
  return `| ${name} | ${agree} | ${falseAccept} | ${falseRefuse} | ${skipped} |`;
}

const noScore = (): Score => ({ agree: 0, falseAccept: 0, falseRefuse: 0, skipped: 0 });

async function main(files: readonly string[]): Promise<void> {
  const cases = new Map<string, LimboCase>();
  for (const file of files) {
    for (const limbo of limboCases(await readFile(file, 'utf8'))) cases.set(limbo.id, limbo);
  }
  const ours = noScore();
  for await (const verdict of suite(files)) {
    const limbo = cases.get(verdict.id);
    if (limbo === undefined) continue;
    const isSuccess = limbo.expected_result === 'SUCCESS';
    count(ours, limbo, verdict.skip === true ? undefined : verdict.pass === isSuccess);
  }
  const { stdout } = await run('openssl', ['version']);
  const version = stdout.split(' ').slice(0, 2).join(' ');
  const peers: readonly (readonly [string, Ask])[] = [
    [`${version}, \`verify\``, askOpenssl([])],
    [`${version}, \`verify -x509_strict\``, askOpenssl(['-x509_strict'])],
    [`Node ${process.versions.node}, \`tls\` handshake`, tlsVerdict],
  ];
  console.log(`| verdict of | agree | wrongly accepted | wrongly refused | not asked |`);
  console.log('|---|---|---|---|---|');
  console.log(row('Postern', ours));
  const folder = await mkdtemp(join(tmpdir(), 'limbo-'));
  try {
    for (const [name, ask] of peers) {
      const score = noScore();
      for (const limbo of cases.values()) count(score, limbo, await ask(limbo, folder));
      console.log(row(name, score));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

await main(process.argv.slice(2));
