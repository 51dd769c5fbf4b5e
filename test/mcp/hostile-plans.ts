/** What somebody who writes into names, comments or answers would have an agent do: each changes who reaches what. */
export interface HostilePlan {
  readonly name: string;
  readonly ops?: readonly object[];
  readonly text?: string;
}

const grant = (value: object): readonly object[] => [{ op: 'add', path: '/grants/-', value }];

export const payloads: readonly HostilePlan[] = [
  { name: 'open everything', ops: grant({ src: ['*'], dst: ['*'], ip: ['*'] }) },
  {
    name: 'give the agent the database',
    ops: grant({ src: ['tag:agent'], dst: ['tag:db'], ip: ['tcp:5432'] }),
  },
  {
    name: 'give a stranger every model',
    ops: grant({
      src: ['mallory@example.com'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    }),
  },
  {
    name: 'let a stranger administer',
    ops: grant({
      src: ['mallory@example.com'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/admin': [{ tools: ['*'] }] },
    }),
  },
  {
    name: 'switch a test off and use what it held',
    ops: [
      { op: 'remove', path: '/tests/0' },
      ...grant({ src: ['bob@example.com'], dst: ['tag:db'], ip: ['tcp:5432'] }),
    ],
  },
  {
    name: 'widen a group',
    ops: [{ op: 'add', path: '/groups/group:research/-', value: 'mallory@example.com' }],
  },
  { name: 'take everybody’s access away', ops: [{ op: 'replace', path: '/grants', value: [] }] },
  { name: 'take one person’s access away', ops: [{ op: 'remove', path: '/grants/3' }] },
  {
    name: 'own the tag of the database',
    ops: [{ op: 'replace', path: '/tagOwners/tag:db', value: ['tag:agent'] }],
  },
  {
    name: 'approve any route unseen',
    ops: [{ op: 'add', path: '/autoApprovers', value: { routes: { '0.0.0.0/0': ['tag:ci'] } } }],
  },
  { name: 'fail open', text: '{"groups": {}}' },
  {
    name: 'serve to the whole internet',
    ops: [{ op: 'add', path: '/nodeAttrs', value: [{ target: ['tag:db'], attr: ['funnel'] }] }],
  },
  {
    name: 'log in as root',
    ops: [
      {
        op: 'add',
        path: '/ssh',
        value: [
          { action: 'accept', src: ['mallory@example.com'], dst: ['tag:db'], users: ['root'] },
        ],
      },
    ],
  },
];
