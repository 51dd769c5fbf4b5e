import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyGrant, names, smallTailnet } from '../reason/testing/policies.ts';
import { type ChangePlan, planChange, policyHash } from './plan.ts';
import type { ChangeActor, Protection } from './request.ts';
import { textDiff } from './text-diff.ts';

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const current = `{
  // Who is who.
  "groups": {"group:dba": ["bob@example.com"], "group:ops": ["alice@example.com"]},
  "ipsets": {"ipset:lab": ["10.0.5.0/24"]},
  "tagOwners": {"tag:web": ["bob@example.com"], "tag:db": ["group:ops"], "tag:agent": ["group:ops"],
    "tag:prod": ["group:ops"], "tag:router": ["group:ops"], "tag:exit": ["group:ops"]},
  "autoApprovers": {"routes": {"10.0.0.0/16": ["tag:router"]}},
  "grants": [
    {"src": ["group:dba"], "dst": ["tag:db"], "ip": ["tcp:5432"]},
    {"src": ["carol@example.com"], "dst": ["ipset:lab"], "ip": ["tcp:80"]},
    // How operators and the agent get to the gateway.
    {"src": ["group:ops"], "dst": ["tag:web"], "ip": ["tcp:443"], "app": {"postern.dev/cap/admin": [{"tools": ["*"]}]}},
    {"src": ["carol@example.com"], "dst": ["tag:web"], "ip": ["tcp:443"]},
  ],
  "ssh": [{"action": "accept", "src": ["group:ops"], "dst": ["tag:web"], "users": ["root"]}],
  "tests": [{"src": "carol@example.com", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}],
}
`;

const protection: Protection = {
  paths: [{ name: 'console', from: ['alice@example.com'], to: ['tag:web'], ports: ['tcp:443'] }],
  capabilities: [
    {
      capability: 'postern.dev/cap/admin',
      holders: ['alice@example.com'],
      on: ['tag:web'],
      keepAtLeast: 1,
    },
  ],
  logins: [{ name: 'break-glass', from: ['alice@example.com'], to: ['tag:web'], users: ['root'] }],
  crownJewels: [{ name: 'database', to: ['tag:db'] }],
};

const carol: ChangeActor = { name: 'carol', kind: 'human', selectors: ['carol@example.com'] };

function plan(candidate: string, actor: ChangeActor = carol, base = current): ChangePlan {
  return planChange({
    current,
    candidate,
    baseHash: policyHash(base, { sha256Hex }),
    inventory: smallTailnet,
    actor,
    protection,
    sha256Hex,
  });
}

/** The file in force with one piece of its text replaced; the piece must be there. */
function edited(from: string, to: string): string {
  expect(current).toContain(from);
  return current.replace(from, to);
}

function sentences({ findings }: ChangePlan, code: string): readonly string[] {
  return findings.filter((finding) => finding.code === code).map(({ message }) => message);
}

describe('ten hostile policies', () => {
  test('one that locks the operator out is refused, and the sentence names the loss and the rule', () => {
    const candidate = plan(
      edited(
        '{"src": ["group:ops"], "dst": ["tag:web"], "ip": ["tcp:443"], "app"',
        '{"src": ["group:dba"], "dst": ["tag:web"], "ip": ["tcp:443"], "app"',
      ),
    );
    expect(candidate.verdict).toBe('refused');
    expect(sentences(candidate, 'control_path')).toEqual([
      'console: alice@example.com would be locked out of tcp:443 on tag:web, since alice-laptop loses tcp:443 on web',
    ]);
    expect(candidate.findings.find(({ code }) => code === 'control_path')).toMatchObject({
      severity: 'refuse',
      at: { file: 'current', pointer: '/grants/2', line: 12 },
      witness: {
        source: { nodeId: 'alice-laptop' },
        target: { nodeId: 'web' },
        packet: { protocol: 6, port: 443 },
      },
    });
    expect(sentences(candidate, 'cap_retention')[0]).toContain(
      'only 0 of 1 holders keep postern.dev/cap/admin',
    );
  });

  test('one that opens everything by leaving both sections out is refused', () => {
    const candidate = plan('{"groups": {}, "tagOwners": {"tag:web": []}}');
    expect(candidate.verdict).toBe('refused');
    expect(sentences(candidate, 'fail_open')).toEqual([
      'the file has neither "acls" nor "grants", so it would allow everything to everyone; an empty list allows nothing',
    ]);
    expect(sentences(plan('  \n'), 'fail_open')).toEqual([
      'an empty file would be replaced by the default, which allows everything',
    ]);
  });

  test('one that opens everything by "*" is held, and refused where a test says otherwise', () => {
    const open = edited('"grants": [', '"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]},');
    expect(plan(open).verdict).toBe('refused');
    const candidate = plan(open.replace('"deny": ["tag:db:5432"]', '"deny": []'));
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'wide_selector')).toEqual([
      'a new rule opens everything to everyone: its src and its dst are both "*"',
    ]);
    expect(sentences(candidate, 'crown_jewel').length).toBeGreaterThan(0);
  });

  test('one that gives more to its author is held', () => {
    const candidate = plan(
      edited(
        '{"src": ["carol@example.com"], "dst": ["tag:web"], "ip": ["tcp:443"]}',
        '{"src": ["carol@example.com"], "dst": ["tag:web"], "ip": ["tcp:443", "tcp:22"]}',
      ),
    );
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'self_escalation')).toEqual([
      'carol proposes more access for carol or a tag that it may give (carol-laptop, a device of carol@example.com): carol-laptop gains tcp:22 on web by grants[3] (line 13)',
    ]);
  });

  test('one that removes the tests is held, and they are run all the same', () => {
    const without = edited('"deny": ["tag:db:5432"]', '"deny": []').replace(
      '["group:dba"], "dst": ["tag:db"]',
      '["group:dba", "carol@example.com"], "dst": ["tag:db"]',
    );
    const candidate = plan(without);
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'test_ratchet')).toEqual([
      'a test of the policy in force would fail: carol@example.com: address "tag:db:5432": want: Drop, got: Accept',
      'a test expectation is removed, the first is that carol@example.com does not reach tag:db:5432: without it nothing stops the change that it was written against',
    ]);
    const all = plan(edited(/ {2}"tests".*\n/.exec(current)?.[0] ?? '', ''));
    expect(sentences(all, 'test_ratchet')[0]).toMatch(/^all tests are removed/);
  });

  test('one that gives a tag another owner is held', () => {
    const candidate = plan(
      edited('"tag:prod": ["group:ops"]', '"tag:prod": ["group:ops", "carol@example.com"]'),
    );
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'tag_owner')).toEqual([
      'carol@example.com may give tag:prod to machines and did not before: its owners are now group:ops, carol@example.com',
    ]);
    expect(sentences(candidate, 'self_escalation')).toEqual([
      'carol proposes that carol may give tag:prod to machines, and so get all that it reaches',
    ]);
  });

  test('one that widens access through a group is held, though no rule changes', () => {
    const candidate = plan(
      edited(
        '"group:dba": ["bob@example.com"]',
        '"group:dba": ["bob@example.com", "erin@example.com"]',
      ),
    );
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'indirect_widening')).toEqual([
      'no rule changes, yet a device of erin@example.com gains tcp:5432 on db by grants[0] (line 9), because of group:dba',
    ]);
    expect(sentences(candidate, 'crown_jewel')).toHaveLength(1);
  });

  test('one that widens access through an ipset is held, though no rule changes', () => {
    const actor = { name: 'bob', kind: 'human', selectors: ['bob@example.com'] } as const;
    const candidate = plan(edited('["10.0.5.0/24"]', '["10.0.0.0/16"]'), actor);
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'indirect_widening')[0]).toBe(
      'no rule changes, yet carol-laptop gains tcp:80 on router by grants[1] (line 10), because of ipset:lab',
    );
  });

  test('one that widens what is approved by itself is held', () => {
    const candidate = plan(
      edited(
        '{"10.0.0.0/16": ["tag:router"]}',
        '{"10.0.0.0/16": ["tag:router"], "0.0.0.0/0": ["tag:web"]}, "exitNode": ["tag:web"]',
      ),
    );
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'auto_approver')).toEqual([
      'tag:web would have any route at all approved without anyone looking',
      'tag:web would become an exit node without anyone looking',
    ]);
  });

  test('one that hides a section behind an unknown field is refused', () => {
    const candidate = plan(
      edited(
        '"grants": [',
        '"acls2": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}], "grants": [',
      ),
    );
    expect(candidate.verdict).toBe('refused');
    expect(sentences(candidate, 'invalid')).toEqual(['unknown field "acls2"']);
    expect(candidate.findings[0]?.at).toMatchObject({ file: 'candidate', line: 8, column: 3 });
    const inCapability = plan(edited('{"tools": ["*"]}', '{"tools": ["*"], "everybody": true}'));
    expect(inCapability.verdict).toBe('refused');
    expect(sentences(inCapability, 'invalid')).toEqual([
      'postern.dev/cap/admin: unknown field "everybody"; the object grants nothing',
    ]);
  });
});

describe('a plan', () => {
  test('for the same meaning in another layout is applied without risk', () => {
    const candidate = plan(current.replaceAll('\n', ' // x\n').replaceAll('  ', '\t'));
    expect(candidate).toMatchObject({ verdict: 'apply', risk: 'low', findings: [], changes: [] });
    expect(candidate.textDiff).not.toBe('');
  });

  test('made from another base is refused', () => {
    const stale = plan(current, carol, '{"grants": []}');
    expect(stale.verdict).toBe('refused');
    expect(sentences(stale, 'etag')).toEqual([
      'the policy in force is not the one that this change was made from: plan again',
    ]);
  });

  test('of a human that gives a narrow access to somebody else may be applied, of an agent it is held', () => {
    const candidate = edited(
      '{"src": ["group:dba"]',
      '{"src": ["bob@example.com"], "dst": ["tag:web"], "ip": ["tcp:80"]},\n    {"src": ["group:dba"]',
    );
    expect(plan(candidate)).toMatchObject({ verdict: 'apply', risk: 'medium' });
    const byAgent = plan(candidate, { name: 'robot', kind: 'agent', selectors: ['tag:agent'] });
    expect(byAgent).toMatchObject({ verdict: 'approval', risk: 'high' });
    expect(sentences(byAgent, 'new_access')).toEqual([
      'an agent may not add access by itself: bob-laptop gains tcp:80 on web by grants[0] (line 9)',
    ]);
  });

  test('that leaves SSH only with a check is held, and without any login is refused', () => {
    expect(
      sentences(
        plan(edited('"accept", "src": ["group:ops"]', '"check", "src": ["group:ops"]')),
        'ssh_reach',
      ),
    ).toEqual([
      'break-glass: SSH from alice@example.com to tag:web is left only with a check, which needs the identity provider',
    ]);
    const gone = plan(edited('"users": ["root"]', '"users": ["ubuntu"]'));
    expect(gone.verdict).toBe('refused');
    expect(sentences(gone, 'ssh_reach')).toEqual([
      'break-glass: the last SSH login is taken away from alice@example.com to tag:web',
    ]);
  });

  test('that asks a posture of the operator is refused, since a device may not meet it', () => {
    const candidate = edited(
      '"grants": [',
      '"postures": {"posture:mac": ["node:os == \'macos\'"]}, "defaultSrcPosture": ["posture:mac"], "grants": [',
    );
    expect(sentences(plan(candidate), 'control_path')[0]).toMatch(
      /^console: alice@example\.com would be locked out/,
    );
  });

  test('that opens a protected path which is closed today is not held up by it', () => {
    const path = { name: 'backup', from: ['bob@example.com'], to: ['tag:web'], ports: ['tcp:22'] };
    const request = {
      current,
      baseHash: policyHash(current, { sha256Hex }),
      inventory: smallTailnet,
      actor: carol,
      protection: { ...protection, paths: [path] },
      sha256Hex,
    };
    const rule = '{"src": ["bob@example.com"], "dst": ["tag:web"], "ip": ["tcp:22"]},';
    const opening = planChange({
      ...request,
      candidate: edited('"grants": [', `"grants": [${rule}`),
    });
    expect(sentences(opening, 'control_path')).toEqual([]);
    expect(sentences(planChange({ ...request, candidate: current }), 'control_path')).toEqual([
      'backup: bob@example.com does not reach tcp:22 on tag:web, and does not today: the path has to be open before anything else changes',
    ]);
  });

  test('that makes a machine public or changes the relays is held', () => {
    const attrs = '"nodeAttrs": [{"target": ["tag:web"], "attr": ["funnel", "magicdns-aaaa"]}],';
    const relays = '"derpMap": {"omitDefaultRegions": true, "regions": {}},';
    const candidate = plan(edited('"grants": [', `${attrs}${relays}"grants": [`));
    expect(candidate.verdict).toBe('approval');
    expect(sentences(candidate, 'node_attr')).toEqual([
      'tag:web gets the node attribute funnel, which lets them serve to the whole internet',
      'tag:web gets the node attribute magicdns-aaaa',
    ]);
    expect(sentences(candidate, 'relay_map')).toHaveLength(1);
  });

  test('notes people who are named and not here', () => {
    const candidate = plan(
      edited(
        '"group:dba": ["bob@example.com"]',
        '"group:dba": ["bob@example.com", "erin@example.com"]',
      ),
    );
    expect(sentences(candidate, 'orphan')).toEqual([
      '"group:dba": user not found: "erin@example.com"',
    ]);
  });

  test('names tags of living machines that lose their owner, and groups that are emptied', () => {
    const candidate = plan(
      edited('"tag:router": ["group:ops"], ', '')
        .replace('{"10.0.0.0/16": ["tag:router"]}', '{}')
        .replace('"group:dba": ["bob@example.com"]', '"group:dba": []'),
    );
    expect(sentences(candidate, 'orphan').slice(0, 2)).toEqual([
      'tag:router has no owner any more, but router has it',
      'group:dba has no members any more, so rules that name it name nobody',
    ]);
  });

  test('shows the tests of the candidate, and a failing one refuses it', () => {
    const candidate = plan(edited('"accept": ["tag:web:443"]', '"accept": ["tag:web:22"]'));
    expect(candidate.verdict).toBe('refused');
    expect(candidate.tests.map(({ passed }) => passed)).toEqual([false]);
    expect(sentences(candidate, 'invalid')[0]).toContain('test(s) failed');
  });

  test('of any candidate text never throws, and is the same for the same request', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc
            .array(anyGrant, { maxLength: 3 })
            .map((grants) => JSON.stringify({ ...names, grants })),
        ),
        (text) => {
          const one = plan(text);
          expect(plan(text)).toEqual(one);
          if (one.verdict === 'apply')
            expect(one.findings.every(({ severity }) => severity === 'note')).toBe(true);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('textDiff', () => {
  test('is a unified diff with three lines of context', () => {
    const lines = Array.from({ length: 12 }, (_, i) => `line ${i + 1}`);
    const changed = lines.with(5, 'other').toSpliced(11, 1);
    expect(textDiff(`${lines.join('\n')}\n`, `${changed.join('\n')}\n`)).toBe(
      '--- current\n+++ candidate\n@@ -3,10 +3,9 @@\n line 3\n line 4\n line 5\n-line 6\n+other\n line 7\n line 8\n line 9\n line 10\n line 11\n-line 12\n',
    );
    expect(textDiff('a\n', 'a\n')).toBe('');
  });

  test('applied to the first text gives the second', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 14 });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const diff = textDiff(`${before.join('\n')}\n`, `${after.join('\n')}\n`);
        expect(applied(before, diff)).toEqual(after);
      }),
    );
  });
});

/** Applies a unified diff: an independent reading of the format. */
function applied(before: readonly string[], diff: string): readonly string[] {
  if (diff === '') return before;
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const header = /^@@ -(\d+),\d+ \+\d+,\d+ @@$/.exec(line);
    if (header !== null) {
      const start = Number(header[1]) - 1;
      while (at < start) out.push(before[at++] ?? '?');
    } else if (line.startsWith('+')) {
      out.push(line.slice(1));
    } else {
      if (line.startsWith(' ')) out.push(line.slice(1));
      expect(before[at]).toBe(line.slice(1));
      at += 1;
    }
  }
  return [...out, ...before.slice(at)];
}
