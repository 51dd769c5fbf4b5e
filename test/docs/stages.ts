import path from 'node:path';
import type { JsonValue } from '@postern/core/base';

/** What a page takes for granted before its first command. */
export interface Stage {
  readonly config?: JsonValue;
  readonly policy?: JsonValue;
  /** Is a Postern running? It is, unless this says no. */
  readonly up?: boolean;
  /** Commands before those of the page. */
  readonly setup?: string;
  /** Variables that the page speaks of. */
  readonly exports?: string;
  /** Paths and addresses of the page, and those of the test; `~` is the home of the test. */
  readonly rewrite?: readonly (readonly [string, string])[];
  readonly change?: (script: string) => string;
}

const everyKey: JsonValue = {
  tagOwners: { 'tag:gateway': [], 'tag:key': [] },
  grants: [
    { src: ['tag:key'], dst: ['tag:gateway'], app: { 'postern.dev/cap/ai': [{ models: ['**'] }] } },
    {
      src: ['tag:key'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/admin': [{ tools: ['**'] }] },
    },
  ],
};

/** Whether the machine of the test is as it should be is not what a page says. */
const judged = (script: string): string =>
  script.replaceAll(/^(postern (?:check|doctor).*)$/gm, '$1 || [ $? -le 5 ]');

const keyed = {
  aliases: { instant: ['builtin/eliza'] },
  identities: {
    map: [
      { local: true, as: ['tag:key'] },
      { key: '*', as: ['tag:key'] },
    ],
  },
  trustLoopback: true,
};

const root = path.resolve(import.meta.dirname, '../..');
const today = new Date().toISOString().slice(0, 10);

/** What a witness holds of a log that is a minute old. */
const checkpointed =
  'curl -sf --unix-socket ~/state/run/control.sock -X POST http://localhost/api/v1/audit/checkpoint > x';

/** A start that lasts is in the tests that start one. */
function withoutUp(script: string): string {
  return script.replace(/^postern up .*$/m, 'true');
}

export const stages: Readonly<Record<string, Stage>> = {
  'audit.md': {
    config: keyed,
    policy: everyKey,
    setup: `postern ask hello; sleep 1; curl -s 127.0.0.1:8080/v1/models -H "Authorization: Bearer pst_x" > x; ${checkpointed}`,
    exports: 'postern audit key > key.pub; KEY=$(cat key.pub)',
    change: (script) => script.replace('tail --follow', 'tail'),
    rewrite: [
      ['./copy', '~/state/audit'],
      ['/mnt/witness/postern-checkpoints', '~/state/audit/checkpoints'],
      ['tools/audit_verify.py', `${root}/tools/audit_verify.py`],
    ],
  },
  'backup-restore.md': {
    setup: 'mkdir ~/backups',
    rewrite: [
      ['/var/backups/postern-2026-11-22', `/var/backups/postern-${today}`],
      ['/var/backups', '~/backups'],
      ['/var/lib/postern-restored', '~/restored'],
    ],
    change: withoutUp,
  },
  'budgets.md': {
    config: { ...keyed, budgets: { research: { usd: '200.00', every: 'month', match: ['*'] } } },
    policy: everyKey,
    setup: 'postern ask hello',
  },
  'check.md': {
    config: keyed,
    policy: everyKey,
    setup:
      'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=p -keyout p.key -out peer.pem 2> x',
    change: judged,
  },
  'incident-endpoint-exposed.md': {
    config: keyed,
    policy: everyKey,
    setup: 'postern key create ci > ci.key; postern ask hello',
    exports: 'KEY=$(postern audit key)',
    rewrite: [['./inc_01j9.evidence', '$(ls ~/state/incidents/*.evidence | head -1)']],
    change: (script) => judged(script.replace('\npostern policy rollback', '')),
  },
  'incident-gateway-compromised.md': {
    config: keyed,
    policy: everyKey,
    setup: `postern key create ci > ci.key; echo x > old.jwt; mkdir ~/backups; postern backup ~/backups/postern.db; postern audit tail > x; sleep 1; ${checkpointed}`,
    rewrite: [
      ['/mnt/witness/postern-checkpoints', '~/state/audit/checkpoints'],
      ['/var/backups', '~/backups'],
      ['/var/lib/postern-new', '~/new'],
    ],
  },
  'clients.md': {
    config: keyed,
    policy: everyKey,
    exports: 'KEY=$(postern key create me)',
  },
  'migrate.md': {
    up: false,
    setup: `cat > config.yaml <<'END'
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}
END
cp ${root}/test/docs/headscale.yaml headscale.yaml
echo '{"acls": []}' > acl.hujson; echo '[]' > nodes.json; printf 'privkey:%064d\\n' 7 > noise_private.key`,
    rewrite: [
      ['import headscale config.yaml', 'import headscale headscale.yaml'],
      ['noise_private.key --out ./postern', 'noise_private.key --out ./second'],
      ['./postern', './made'],
      ['headscale nodes list --output json > nodes.json', 'true'],
    ],
    change: withoutUp,
  },
  'monitoring.md': {
    config: keyed,
    policy: everyKey,
    setup: 'mkdir ~/etc',
    rewrite: [
      ['/etc/prometheus', '~/etc'],
      ['~/.local/state/postern', '$POSTERN_STATE'],
    ],
  },
  'attestation.md': {
    up: false,
    setup: 'true',
    exports: '',
    change: (script) =>
      script
        .replace('--out ./sim &', '--out ./sim > sim.log 2>&1 & SIM=$!')
        .replace(
          /^ROOT=.*$/m,
          'for _ in $(seq 100); do [ -S dstack.sock ] && break; sleep 0.1; done; ROOT=$(sed -n "s/.*root[^0-9a-f]*//p" sim.log | head -1)',
        ),
  },
  'bedrock.md': { config: keyed, policy: everyKey },
  'identity-provider-tokens.md': {
    config: keyed,
    policy: everyKey,
    rewrite: [['/var/lib/postern', '$POSTERN_STATE']],
  },
  'mesh.md': {
    up: false,
    setup: 'mkdir -p ~/nginx',
    rewrite: [['/etc/nginx/conf.d', '~/nginx']],
    change: (script) => script.replace('nginx -t && nginx -s reload', 'ls ~/nginx/*.conf'),
  },
  'network.md': {
    config: {
      engine: {
        url: 'http://127.0.0.1:8090',
        address: '127.0.0.1:0',
        stunAddress: 'off',
        derpAddress: 'off',
        join: 'off',
      },
    },
    policy: everyKey,
  },
  'replicas.md': { rewrite: [['/run/secrets', '~']] },
  'systemd.md': {
    up: false,
    setup: 'mkdir -p ~/secrets',
    change: () => 'postern deploy systemd --credential anthropic=/etc/postern/secrets/anthropic',
  },
  'policy-gitops.md': {
    config: keyed,
    policy: everyKey,
    exports: [
      'CI_KEY=$(postern key create ci)',
      'cp "$POSTERN_STATE/policy.hujson" policy.hujson && postern policy fmt policy.hujson --write',
      // What the page changes: short answers.
      `sed -i '0,/"models"/s//"maxOutputTokens": 512, "models"/' policy.hujson && postern policy fmt policy.hujson --write`,
      'git init -q -b main . && git add policy.hujson && git -c user.name=a -c user.email=a@b commit -qm x && git update-ref refs/remotes/origin/main HEAD',
    ].join('\n'),
  },
};

/** By page and the beginning of a block: why its commands are not run here. */
const needsMachines = 'needs machines on the network: test/tailnet has them';

export const notRun: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'attested-models.md': {
    '': 'needs a model server that proves what it runs: test/mesh/attested has one',
  },
  'engines.md': {
    '': 'needs Headscale or Tailscale: test/engine has the one and a stand-in for the other',
  },
  'attestation.md': {
    'curl -s --unix-socket /var/run/dstack.sock': 'needs a confidential VM, and Intel',
    'openssl s_client': 'needs a peer with evidence',
    'postern attest appraise answer.json --policy appraisal.hujson': 'needs evidence of a machine',
    'postern --state ./outside': 'asks Intel',
  },
  'audit.md': {
    'postern audit export --content': 'needs a conversation of that caller: test/audit has one',
  },
  'backup-restore.md': {
    'npm install --prefix': 'needs the next release: test/deploy/release.slow has one',
  },
  'clients.md': {
    'ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_AUTH_TOKEN=- claude': 'needs Claude Code',
  },
  'incident-endpoint-exposed.md': {
    'postern incident reset-model': 'needs a model server of its own: the drill below has one',
  },
  'incident-gateway-compromised.md': {
    'postern up --state': 'goes on for ever: backup-restore.md starts one',
  },
  'mesh.md': {
    "curl -H 'x-dstack-target-app": 'needs a peer: test/mesh has them',
    'curl -H "x-dstack-target-app':
      'needs a registry behind the mesh: deploy/smoke/vpc.sh asks one',
    'postern mesh revoke': 'needs a mesh that runs: test/mesh/operation has one',
    'postern key create box7': 'needs a gateway with an authority: test/mesh/identity has one',
    'KEY="$(postern attest join': 'needs evidence: test/mesh/attested-join has some',
  },
  'migrate.md': {
    'postern network adopt': needsMachines,
  },
  'network.md': {
    'TAILSCALE_USE_WIP_CODE=1': needsMachines,
    '#!/bin/sh': 'a hook for a name server of your own: test/tailnet/services has one',
    'postern node list --waiting': needsMachines,
    'curl -s http://ai/whoami': needsMachines,
    'postern node list\n': needsMachines,
  },
  'replicas.md': {
    'sudo -u postgres createuser':
      'needs PostgreSQL of the system: test/e2e/replicas.slow has its own',
    pg_dump: 'as above',
    'createdb postern-restored': 'as above',
  },
  'systemd.md': {
    'systemctl enable': 'needs systemd as process 1',
  },
};
