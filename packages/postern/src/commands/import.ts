import type { CommandSpec, OptionSpec } from '../command.ts';

const out: OptionSpec = {
  flags: '--out <folder>',
  description: 'Where the files go; made, and must be empty. Default: ./postern-import.',
};

/** What another product's files say, in ours. Nothing of it is in force until somebody puts it there. */
export const importCommands: readonly CommandSpec[] = [
  {
    path: 'import litellm',
    summary: 'Turn the config.yaml of a LiteLLM proxy into a configuration and a policy.',
    args: [{ name: 'file', required: true, description: 'config.yaml' }],
    options: [out],
    examples: ['postern import litellm config.yaml --out ./postern'],
    load: () => import('./import/litellm.ts'),
  },
  {
    path: 'import aperture',
    summary: 'Turn the configuration of an Aperture instance into a configuration and a policy.',
    args: [{ name: 'file', required: true, description: 'The configuration as HuJSON.' }],
    options: [out],
    examples: ['postern import aperture aperture.hujson --out ./postern'],
    load: () => import('./import/aperture.ts'),
  },
  {
    path: 'import headscale',
    summary: 'Turn the config.yaml of a Headscale server into the embedded engine.',
    args: [{ name: 'file', required: true, description: 'config.yaml' }],
    options: [
      { flags: '--policy <file>', description: 'Its policy file.' },
      {
        flags: '--nodes <file>',
        description: 'What `headscale nodes list -o json` printed; makes an inventory to adopt.',
      },
      {
        flags: '--noise-key <file>',
        description: 'Its noise_private.key, by which machines know the server.',
      },
      out,
    ],
    examples: [
      'postern import headscale config.yaml --policy acl.hujson --nodes nodes.json --noise-key noise_private.key',
    ],
    load: () => import('./import/headscale.ts'),
  },
];
