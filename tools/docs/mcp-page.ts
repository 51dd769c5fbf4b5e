import { prompts, resources, templates, tools } from '@postern/server/mcp';
import { describeInput } from '../../packages/server/src/mcp/schema.ts';
import { generated, table } from './markdown.ts';

interface Field {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: Field;
  readonly description?: string;
  readonly default?: unknown;
}

/** The tools of agents, made from the table that runs. */
export function mcpPage(): string {
  return [
    '# Tools for agents',
    '',
    generated,
    'What `postern mcp` and `/mcp` on the admin listener give to agents ([how to set them up](../howto/agents.md), [why they are so](../adr/0018-agents-propose-people-decide.md)).',
    'A tool is operations of the [admin API](http-api.md) in the name of whoever calls: who may not use one of them (`postern.dev/cap/admin`)',
    'does not see the tool. Answers are JSON, in the text and as `structuredContent`; a refusal has `isError` and `{"error": {"code", "message", "fix"}}`',
    'with the codes of the [error reference](errors.md). Both protocol eras are served: 2026-07-28, and 2025-11-25 and before with sessions.',
    '',
    ...tools.flatMap(({ name, title, description, hints, input, operations }) => {
      const schema = describeInput(input);
      // Made from schemas of objects: both members are there in this form.
      const fields = Object.entries((schema['properties'] ?? {}) as Record<string, Field>);
      const required = new Set((schema['required'] ?? []) as readonly string[]);
      const kind = hints.readOnlyHint
        ? 'looks'
        : `changes${hints.destructiveHint ? ', may take something away' : ''}${hints.idempotentHint ? ', twice is as once' : ''}`;
      return [
        `## ${name}`,
        '',
        `${title}: ${description}`,
        '',
        `It ${kind}. Operations: ${operations.map((each) => `\`${each}\``).join(', ')}.`,
        '',
        ...(fields.length === 0
          ? []
          : [
              ...table(
                ['argument', 'what', ''],
                fields.map(([field, spec]) => [
                  `\`${field}\`${required.has(field) ? '' : ' (optional)'}`,
                  typeOf(spec),
                  [
                    spec.description ?? '',
                    spec.default === undefined
                      ? ''
                      : `Default: \`${JSON.stringify(spec.default)}\`.`,
                  ]
                    .filter((text) => text !== '')
                    .join(' '),
                ]),
              ),
              '',
            ]),
      ];
    }),
    '## Resources',
    '',
    ...table(
      ['URI', 'what'],
      [
        ...resources.map(({ uri, title }) => [`\`${uri}\``, title]),
        ...templates.map(({ uriTemplate, title }) => [`\`${uriTemplate}\``, title]),
      ],
    ),
    '',
    '## Prompts',
    '',
    ...table(
      ['prompt', 'what', 'arguments'],
      prompts.map(({ name, description, arguments: args }) => [
        `\`${name}\``,
        description,
        args.map((each) => `\`${each.name}\``).join(', '),
      ]),
    ),
    '',
  ].join('\n');
}

function typeOf({ type, enum: values, items }: Field): string {
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(', ');
  return type === 'array' ? `list of ${items?.type ?? 'value'}s` : (type ?? 'value');
}
