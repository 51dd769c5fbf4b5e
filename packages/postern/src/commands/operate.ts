import type { CommandSpec, OptionSpec } from '../command.ts';

const reason: OptionSpec = { flags: '--reason <text>', description: 'Why, for the record.' };
const dryRun: OptionSpec = {
  flags: '--dry-run',
  description: 'Say what would be done, and do nothing.',
};
const resume: OptionSpec = {
  flags: '--resume <incident>',
  description: 'Go on with one that was broken off.',
};
const replica: OptionSpec = {
  flags: '--replica <urls>',
  description: 'Other gateways that must refuse the old credential, separated by commas.',
};
const common = [reason, dryRun, resume];

/** What an operator looks at and does, apart from the daily commands. */
export const operateCommands: readonly CommandSpec[] = [
  {
    path: 'check',
    summary: 'Judge the running Postern and its machine by the security checklist.',
    options: [
      { flags: '--fix-plan', description: 'Print what to do in which order instead.' },
      {
        flags: '--ssh <hosts>',
        description:
          'Machines that you operate by SSH, separated by commas: do they take keys alone?',
      },
    ],
    examples: ['postern check', 'postern check --fix-plan', 'postern check --ssh frank,mac-mini'],
    load: () => import('./check.ts'),
  },
  {
    path: 'incident rotate',
    summary: 'Replace every credential, and show that the old ones are refused.',
    options: [
      {
        flags: '--scope <classes>',
        description:
          'api-keys, preauth, shared-keys, provider; separated by commas (default: all).',
      },
      { flags: '--target <provider>', description: 'Only the key of this provider.' },
      replica,
      ...common,
    ],
    examples: [
      'postern incident rotate --reason "laptop stolen"',
      'postern incident rotate --scope provider --target vllm',
    ],
    load: () => import('./incident/rotate.ts'),
  },
  {
    path: 'incident isolate',
    summary: 'Shut what is reached from beyond the private network.',
    options: [
      { flags: '--target <provider>', description: 'For the sake of one provider (default: all).' },
      ...common,
    ],
    examples: ['postern incident isolate --reason "gpu port open"'],
    load: () => import('./incident/isolate.ts'),
  },
  {
    path: 'incident lift-isolation',
    summary: 'End an isolation: listeners open again where they were.',
    examples: ['postern incident lift-isolation'],
    load: () => import('./incident/lift-isolation.ts'),
  },
  {
    path: 'incident audit-access',
    summary: 'Say who called, from where, and what was refused.',
    options: [
      { flags: '--since <span>', description: 'How far back, such as 24h or 7d (default 24h).' },
      { flags: '--target <provider>', description: 'Only requests to this provider.' },
      ...common,
    ],
    examples: ['postern incident audit-access --since 7d'],
    load: () => import('./incident/audit-access.ts'),
  },
  {
    path: 'incident reset-model',
    summary: 'Start a model server anew, and show that it is another process.',
    options: [{ flags: '--target <provider>', description: 'The provider.' }, ...common],
    examples: ['postern incident reset-model --target vllm'],
    load: () => import('./incident/reset-model.ts'),
  },
  {
    path: 'incident revoke-jwts',
    summary: 'Revoke every token that was issued until now, and cut what it has open.',
    options: [
      { flags: '--issuer <iss>', description: 'One issuer (default: all that are configured).' },
      {
        flags: '--token-file <file>',
        description: 'A token that worked before, to show that it is refused. Kept nowhere.',
      },
      replica,
      ...common,
    ],
    examples: ['postern incident revoke-jwts --token-file old.jwt'],
    load: () => import('./incident/revoke-jwts.ts'),
  },
  {
    path: 'incident block-ip',
    summary: 'Keep an address or prefix out, and cut what it has open.',
    options: [
      { flags: '--address <address>', description: 'Such as 203.0.113.7 or 203.0.113.0/24.' },
      { flags: '--for <span>', description: 'Such as 24h (default: until it is lifted).' },
      { flags: '--force', description: 'Also where you come from there yourself.' },
      ...common,
    ],
    examples: ['postern incident block-ip --address 203.0.113.7 --for 24h'],
    load: () => import('./incident/block-ip.ts'),
  },
  {
    path: 'incident blocks',
    summary: 'List who is kept out.',
    examples: ['postern incident blocks'],
    load: () => import('./incident/blocks.ts'),
  },
  {
    path: 'incident unblock',
    summary: 'Let somebody in again.',
    args: [{ name: 'block', required: true, description: 'Id, as `incident blocks` shows it.' }],
    examples: ['postern incident unblock blk_01j9'],
    load: () => import('./incident/unblock.ts'),
  },
  {
    path: 'incident verify-records',
    summary: 'Recompute every hash of journal and log.',
    options: [...common],
    examples: ['postern incident verify-records'],
    load: () => import('./incident/verify-records.ts'),
  },
  {
    path: 'incident restore',
    summary: 'Put a backup into a new folder, start a gateway on it apart, and replace its keys.',
    args: [{ name: 'file', required: true, description: 'The backup.' }],
    options: [
      { flags: '--into <folder>', description: 'A folder that is empty or not there.' },
      reason,
    ],
    examples: ['postern incident restore /var/backups/postern.db --into /var/lib/postern-new'],
    load: () => import('./incident/restore.ts'),
  },
  {
    path: 'incident drill',
    summary: 'Carry out all eight steps on a throw-away gateway, and keep the evidence.',
    options: [{ flags: '--keep', description: 'Keep the folder of the throw-away gateway.' }],
    examples: ['postern incident drill'],
    load: () => import('./incident/drill.ts'),
  },
  {
    path: 'incident list',
    summary: 'List incidents whose evidence is kept.',
    examples: ['postern incident list'],
    load: () => import('./incident/list.ts'),
  },
  {
    path: 'incident verify',
    summary: 'Check an evidence file by itself: signature, form, proof.',
    args: [{ name: 'file', required: true, description: 'The evidence.' }],
    options: [
      {
        flags: '--key <key>',
        description: 'Public key of the log, as `postern audit key` prints it.',
      },
    ],
    examples: ['postern incident verify evidence/inc_01j9.evidence --key "$KEY"'],
    load: () => import('./incident/verify.ts'),
  },
];
