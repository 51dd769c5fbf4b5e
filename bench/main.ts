/**
 * The one door for measurements: `npm run -s bench -- NAME [--quick]`. Prints a table and, as its last line, one JSON
 * object of figures. A bench brings its own peers before its clock starts.
 */
import process from 'node:process';

interface Bench {
  run(options: { readonly quick: boolean }): Promise<Readonly<Record<string, number>>>;
}

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  attest: () => import('./attest.ts'),
  audit: () => import('./audit.ts'),
  coordination: () => import('./coordination.ts'),
  gateway: () => import('./gateway.ts'),
  ledger: () => import('./ledger.ts'),
  mesh: () => import('./mesh.ts'),
  policy: () => import('./policy.ts'),
  registry: () => import('./registry.ts'),
  startup: () => import('./startup.ts'),
};

async function main(args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args;
  const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (load === undefined || rest.some((each) => each !== '--quick')) {
    console.error(
      `usage: npm run -s bench -- NAME [--quick]\nNAME is one of: ${Object.keys(benches).join(', ')}`,
    );
    return 2;
  }
  const bench = await load();
  console.log(JSON.stringify(await bench.run({ quick: rest.includes('--quick') })));
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
