import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { expect, test } from 'vitest';

/** The packages of the drivers that Node has loaded after a module, in a process of its own. */
function driversAfter(module: string): readonly string[] {
  const script = `
    import { createRequire } from 'node:module';
    await import(${JSON.stringify(new URL(module, import.meta.url).href)});
    const loaded = Object.keys(createRequire(import.meta.url).cache).join('\\n');
    process.stdout.write(['pg', '@redis/client', 'kysely'].filter((name) => loaded.includes('node_modules/' + name + '/')).join(' '));
    process.exit(0);`;
  const words = ['--input-type=module', '--eval', script];
  const out = execFileSync(process.execPath, words, { cwd: import.meta.dirname, encoding: 'utf8' });
  return out.split(' ').filter((name) => name !== '');
}

test('a start loads no driver of a shared store; opening one does', () => {
  expect(driversAfter('./start.ts')).toEqual([]);
  expect(driversAfter('./shared-stores.ts')).toEqual([]);
  expect(driversAfter('../adapters/store-postgres/index.ts')).toContain('pg');
  expect(driversAfter('../adapters/limits-valkey/index.ts')).toContain('@redis/client');
});
