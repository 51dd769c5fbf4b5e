import { describe, expect, test } from 'vitest';
import { previewReport } from './index.ts';

const text = `{
  "groups": {"group:dev": ["alice@example.com"]},
  "tagOwners": {"tag:db": [], "tag:ci": []},
  "hosts": {"printer": "192.168.7.9"},
  "acls": [
    {"action": "accept", "src": ["group:dev"], "dst": ["tag:db:5432"]},
    {"action": "accept", "src": ["*"], "dst": ["printer:631"]},
  ],
  "grants": [
    {"src": ["tag:ci"], "dst": ["tag:db"], "ip": ["tcp:22", "udp:53"]},
    {"src": ["alice@example.com"], "dst": ["192.168.7.0/24"], "ip": ["*"]},
  ],
}`;
const nobody = { users: [], nodes: [] };
const linesOf = (type: 'user' | 'ipport', subject: string): readonly number[] | string => {
  const report = previewReport(text, nobody, { type, for: subject });
  return report.ok ? report.value.map(({ line }) => line) : report.error;
};

describe('a preview of a policy', () => {
  test('names the rules whose sources take somebody in, by group, star, login and tag', () => {
    expect(linesOf('user', 'alice@example.com')).toEqual([6, 7, 11]);
    expect(linesOf('user', 'tag:ci')).toEqual([7, 10]);
  });

  test('says what each of them opens, as it is written', () => {
    const report = previewReport(text, nobody, { type: 'user', for: 'tag:ci' });
    expect(report.ok && report.value[1]).toEqual({
      users: ['tag:ci'],
      ports: ['tag:db:6/22,17/53'],
      line: 10,
    });
  });

  test('names the rules that open an address with a port', () => {
    expect(linesOf('ipport', '192.168.7.9:631')).toEqual([7, 11]);
    expect(linesOf('ipport', '192.168.7.10:631')).toEqual([11]);
    expect(linesOf('ipport', '192.168.8.1:631')).toEqual([]);
  });

  test('refuses who names nothing, what is no address, and a file that cannot be read', () => {
    expect(linesOf('user', 'tag:none')).toMatch(/names nothing/);
    expect(linesOf('ipport', 'printer')).toMatch(/address with a port/);
    expect(linesOf('ipport', '10.0.0.1:70000')).toMatch(/address with a port/);
    expect(previewReport('{', nobody, { type: 'user', for: 'x' }).ok).toBe(false);
  });
});
