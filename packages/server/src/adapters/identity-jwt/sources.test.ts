import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { err, ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Egress, OutboundRequest } from '../../http/index.ts';
import { keySetFromFile, keySetFromUrl } from './sources.ts';

describe('a key set behind an address', () => {
  const sent: OutboundRequest[] = [];
  let cancelled = 0;
  const answering =
    (status: number, body: string): Egress =>
    (request) => {
      sent.push(request);
      return Promise.resolve(
        ok({
          status,
          headers: {},
          body: (async function* () {
            yield Buffer.from(body);
          })(),
          failure: () => undefined,
          readAll: (bytesMax) =>
            Promise.resolve(
              body.length > bytesMax
                ? err(refusal('upstream_error', 'too long'))
                : ok(Buffer.from(body)),
            ),
          cancel: () => {
            cancelled += 1;
          },
        }),
      );
    };
  const url = 'https://id.example/.well-known/jwks.json';

  test('is asked for plainly, within five seconds and 64 KiB', async () => {
    expect(await keySetFromUrl(answering(200, '{}'), url)()).toEqual(ok(Buffer.from('{}')));
    expect(sent[0]).toMatchObject({ method: 'GET', timeouts: { totalMs: 5_000 } });
    expect(sent[0]?.url.href).toBe(url);
    expect(Object.keys(sent[0]?.headers ?? {})).toEqual(['accept']);
    expect((await keySetFromUrl(answering(200, 'x'.repeat(65_537)), url)()).ok).toBe(false);
  });

  test.each([301, 302, 307, 404, 500, 204])('is not what comes with status %d', async (status) => {
    cancelled = 0;
    const result = await keySetFromUrl(answering(status, '{}'), url)();
    expect(!result.ok && result.error.message).toBe(
      `id.example answered ${status} instead of its keys`,
    );
    expect(cancelled).toBe(1);
  });

  test('that cannot be reached is a failure', async () => {
    const down: Egress = () => Promise.resolve(err(refusal('upstream_unavailable', 'refused')));
    expect((await keySetFromUrl(down, url)()).ok).toBe(false);
  });
});

describe('a key set in a file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-jwks-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test('is read as it stands, one byte beyond the limit at most', async () => {
    const path = join(folder, 'jwks.json');
    writeFileSync(path, '{"keys":[]}');
    const load = keySetFromFile(path);
    const first = await load();
    expect(first.ok && Buffer.from(first.value).toString()).toBe('{"keys":[]}');
    writeFileSync(path, 'x'.repeat(100_000));
    const second = await load();
    expect(second.ok && second.value.length).toBe(65_537);
  });

  test('that is not there is a failure that names its code', async () => {
    const result = await keySetFromFile(join(folder, 'none'))();
    expect(!result.ok && result.error.message).toContain('ENOENT');
  });
});
