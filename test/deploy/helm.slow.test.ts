import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseConfig } from '../../packages/core/src/contract/index.ts';
import { isError, parsePolicyText } from '../../packages/core/src/policy/index.ts';
import type { KubernetesObject } from '../../tools/deploy/helm/index.ts';
import { helmRules } from '../../tools/deploy/helm/index.ts';
import { programs } from '../tailnet/programs.ts';

const chart = path.resolve(import.meta.dirname, '../../deploy/helm/postern');
const kubernetes = '1.34.0';
const box = mkdtempSync(path.join(tmpdir(), 'postern-helm-'));
afterAll(() => rmSync(box, { recursive: true, force: true }));

const found = await programs('helm');
const helm = found.found ? path.join(found.folder, 'helm') : '';
const why = found.found ? '' : ` (skipped: ${found.why})`;

function render(folder: string, ...more: readonly string[]): string {
  return execFileSync(helm, ['template', 'gw', folder, '--kube-version', kubernetes, ...more], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function objectsOf(text: string): KubernetesObject[] {
  // Documents of the chart itself; rules read them field by field.
  return parseAllDocuments(text).map((each) => each.toJS() as KubernetesObject);
}

function broken(text: string): string[] {
  const objects = objectsOf(text);
  return helmRules.filter((rule) => rule.check(objects).length > 0).map(({ name }) => name);
}

/** The schemas of Kubernetes come with a validator from PyPI, in an environment of its own. */
function validator(): string | undefined {
  const cache = process.env['POSTERN_TEST_CACHE'] ?? path.join(homedir(), '.cache/postern-test');
  const folder = path.join(cache, 'kubernetes-validate');
  const program = path.join(folder, 'bin/kubernetes-validate');
  if (existsSync(program)) return program;
  if (spawnSync('python3', ['-m', 'venv', folder]).status !== 0) return undefined;
  const pip = path.join(folder, 'bin/pip');
  spawnSync(pip, ['install', '-q', 'kubernetes-validate==1.37.0'], { timeout: 120_000 });
  return existsSync(program) ? program : undefined;
}

describe.skipIf(!found.found)(`the chart${why}`, () => {
  test('lints, and renders what Kubernetes takes', { timeout: 180_000 }, () => {
    execFileSync(helm, ['lint', '--strict', chart], { stdio: 'pipe' });
    const program = validator();
    expect(program, 'python3 with venv is there').toBeDefined();
    const file = path.join(box, 'all.yaml');
    writeFileSync(file, render(chart, '--set', 'ingress.enabled=true'));
    const done = spawnSync(program ?? '', ['--strict', '-k', '1.34', file], { encoding: 'utf8' });
    expect(done.status, done.stdout + done.stderr).toBe(0);
    expect((done.stdout + done.stderr).match(/passed for resource/gu)).toHaveLength(6);
  });

  test('keeps every rule', () => {
    expect(broken(render(chart))).toEqual([]);
  });

  test('gives the gateway a configuration and a policy that it takes', () => {
    const data = objectsOf(render(chart)).find(({ kind }) => kind === 'ConfigMap')?.data ?? {};
    expect(parseConfig(JSON.parse(data['postern.hujson'] ?? ''))).not.toHaveProperty('issues');
    expect(parsePolicyText(data['policy.hujson'] ?? '').findings.filter(isError)).toEqual([]);
  });

  test.each([
    ['a moving tag', '--set', 'image.tag=latest'],
    ['a digest that is none', '--set', 'image.digest=sha256:x'],
    ['no replicas', '--set', 'replicas=0'],
    ['a proxy that is everybody', '--set', 'trustedProxies={0.0.0.0/0}'],
    ['an engine of its own', '--set', 'config.engine.url=https://vpn.example.com'],
    ['a value that nobody knows', '--set', 'replica=3'],
  ])('%s is refused by the schema', (_name, ...flags) => {
    expect(() => render(chart, ...flags)).toThrow(/values don't meet the specifications/u);
  });
});

const template = 'templates/deployment.yaml';
const mutants: readonly (readonly [string, string, string, string])[] = [
  [template, 'runAsNonRoot: true', 'runAsNonRoot: false', 'not-root'],
  [template, '        seccompProfile: {type: RuntimeDefault}\n', '', 'seccomp'],
  [
    template,
    'automountServiceAccountToken: false',
    'automountServiceAccountToken: true',
    'no-cluster-credential',
  ],
  [template, 'enableServiceLinks: false', 'hostNetwork: true', 'no-host'],
  [
    template,
    'terminationGracePeriodSeconds: {{ add .Values.drainSeconds 20 }}',
    'terminationGracePeriodSeconds: 5',
    'time-to-drain',
  ],
  [template, 'readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: false', 'read-only-root'],
  [template, 'drop: [ALL]', 'drop: [NET_RAW]', 'no-capabilities'],
  [template, 'allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true', 'no-escalation'],
  [template, ':{{ .Values.image.tag }}', ':stable', 'image-has-a-version'],
  ['values.yaml', '  limits: {memory: 512Mi}', '  limits: {}', 'memory-is-bounded'],
  [template, 'path: /readyz', 'path: /health', 'is-probed'],
  [
    template,
    '- {name: POSTERN_STATE, value: /data}',
    '- {name: POSTERN_STATE, value: /data}\n            - {name: KEY, valueFrom: {secretKeyRef: {name: a, key: b}}}',
    'no-secret-in-variables',
  ],
  ['templates/_names.tpl', '"valkey" (dict', '"valkeys" (dict', 'replicas-share-their-state'],
  ['templates/_names.tpl', '"tls" "balancer"', '"tls" "none"', 'only-the-balancer-comes-in'],
  [
    'templates/networkpolicy.yaml',
    'policyTypes: [Ingress, Egress]',
    'policyTypes: [Ingress]',
    'traffic-is-named',
  ],
  ['values.yaml', '169.254.0.0/16, ', '', 'traffic-is-named'],
  [
    'templates/service.yaml',
    'kind: PodDisruptionBudget',
    'kind: PodBudget',
    'stays-up-while-nodes-go',
  ],
];

describe.skipIf(!found.found)(`each mutant of the chart is caught by its own rule${why}`, () => {
  test.each(mutants)('%s: %j → %j: %s', (file, stands, says, caught) => {
    const copy = path.join(box, 'mutant');
    rmSync(copy, { recursive: true, force: true });
    cpSync(chart, copy, { recursive: true });
    const text = readFileSync(path.join(copy, file), 'utf8');
    expect(text).toContain(stands);
    writeFileSync(
      path.join(copy, file),
      text.replace(stands, () => says),
    );
    expect(broken(render(copy))).toEqual([caught]);
  });

  test('and every rule has one', () => {
    const caught = new Set(mutants.map(([, , , name]) => name));
    expect(helmRules.map(({ name }) => name).filter((name) => !caught.has(name))).toEqual([]);
  });
});
