import { ok } from '@postern/core/base';
import { describe, expect, test } from 'vitest';
import { planServe } from './serve-setup.ts';

const node = {
  version: '1.102.3',
  hasDevice: true,
  addresses: ['100.64.0.2'],
  name: 'ai.tail1.ts.net',
  certDomains: ['ai.tail1.ts.net'],
};

describe('the way in for callers of the network', () => {
  test('is https to the socket where the client can and the network gives a certificate', () => {
    expect(planServe(node)).toEqual(ok({ kind: 'serve', https: true, name: node.name }));
    expect(planServe({ ...node, certDomains: [] })).toEqual(
      ok({ kind: 'serve', https: false, name: node.name }),
    );
  });

  test('is the gateway’s own listener where the client cannot', () => {
    expect(planServe({ ...node, version: '1.90.9-t1234' })).toEqual(
      ok({ kind: 'listener', addresses: ['100.64.0.2'] }),
    );
  });

  test('is none where callers could not be told apart', () => {
    const old = { ...node, version: '1.90.9', hasDevice: false };
    expect(planServe(old)).toMatchObject({ ok: false });
  });
});
