/**
 * The one door for outside suites: `npm run -s harness -- NAME FILE…`. Prints one JSON line per case and
 * last `N passed, N failed, N skipped`. Exit 0 only when nothing failed and something ran.
 */
import process from 'node:process';
import type { Suite } from './suite.ts';

const suites: Readonly<Record<string, () => Promise<{ readonly suite: Suite }>>> = {
  attestation: () => import('./attestation.ts'),
  'http-framing': () => import('./http-framing.ts'),
  hujson: () => import('./hujson.ts'),
  limbo: () => import('./limbo.ts'),
  netip: () => import('./netip.ts'),
  policy: () => import('./policy.ts'),
  ts2021: () => import('./ts2021.ts'),
  wycheproof: () => import('./wycheproof.ts'),
};

async function main(args: readonly string[]): Promise<number> {
  const [name, ...files] = args;
  const load = name === undefined ? undefined : suites[name];
  if (load === undefined || files.length === 0) {
    console.error(
      `usage: npm run -s harness -- NAME FILE…\nNAME is one of: ${Object.keys(suites).join(', ')}`,
    );
    return 2;
  }
  const { suite } = await load();
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const verdict of suite(files)) {
    console.log(JSON.stringify(verdict));
    if (verdict.skip === true) counts.skipped += 1;
    else if (verdict.pass) counts.passed += 1;
    else counts.failed += 1;
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed === 0 && counts.passed + counts.skipped > 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
