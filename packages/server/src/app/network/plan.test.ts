import { describe, expect, test } from 'vitest';
import type { EngineConfig } from './plan.ts';
import { planNetwork } from './plan.ts';

function plan(url: string | undefined, engine: EngineConfig = {}) {
  return planNetwork(engine, { url, env: {} });
}

const problem = (url: string, engine: EngineConfig = {}): string => {
  const planned = plan(url, engine);
  return planned.ok ? 'accepted' : planned.error;
};

describe('the url of a network', () => {
  test('is off where nobody names one', () => {
    expect(plan(undefined)).toEqual({ ok: true, value: undefined });
  });

  test('may be plain http near by only, and then warns', () => {
    for (const url of [
      'http://127.0.0.1:8090',
      'http://[::1]:8090',
      'http://10.1.2.3',
      'http://box',
      'http://box.internal',
    ]) {
      const planned = plan(url);
      expect(planned.ok && planned.value?.warnings.join(), url).toMatch(/plain http/);
    }
    expect(problem('http://vpn.example.com')).toMatch(/loopback and private hosts only/);
    expect(problem('http://8.8.8.8')).toMatch(/loopback and private hosts only/);
  });

  test('with https needs a certificate or a proxy that has one', () => {
    expect(problem('https://vpn.example.com')).toMatch(/needs a certificate/);
    expect(problem('https://vpn.example.com', { tls: 'proxy' })).toBe('accepted');
    const tls = { certificateFile: 'a', keyFile: 'b' };
    expect(problem('https://vpn.example.com', { tls })).toBe('accepted');
  });

  test('has nothing behind the host and no secret in it', () => {
    for (const url of ['https://a/b', 'https://u@a', 'https://a?x', 'ftp://a', 'a']) {
      expect(problem(url, { tls: 'proxy' }), url).toMatch(/write http\(s\)/);
    }
  });
});

describe('ranges', () => {
  test('outside of those that clients know are taken with a warning', () => {
    const planned = plan('https://a.example', { tls: 'proxy', ipv4: '100.128.0.0/10' });
    expect(planned.ok && planned.value?.warnings).toEqual([
      expect.stringContaining('outside of 100.64.0.0/10'),
    ]);
  });

  test('of the wrong family or none are refused', () => {
    expect(problem('https://a.example', { tls: 'proxy', ipv4: 'fd00::/48' })).toMatch(/no ipv4/);
    expect(problem('https://a.example', { tls: 'proxy', ipv6: 'x' })).toMatch(/no ipv6/);
  });
});
