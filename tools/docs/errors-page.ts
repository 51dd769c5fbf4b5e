import { dialectNamed } from '@postern/core/dialect';
import { errorTable, refusal } from '@postern/core/errors';
import type { ErrorRow } from '@postern/core/errors';
import { fenced, generated, table } from './markdown.ts';

const shown = refusal(
  'model_not_found',
  'There is no model "instnat" for you. GET /v1/models lists those that you may call.',
);
const requestId = '01K9ZV3N5H8J2QX7C4T6R0YBDM';

/** The page of refusals: how they look in each format, then one section for each code. */
export function errorsPage(): string {
  return [
    '# Errors',
    '',
    generated,
    'Every refusal has one code. Callers see it in the format that they speak; the access log has it as `error`.',
    'A failure of the infrastructure is never shown as a fault of the caller: what cannot be judged now is 503, never 401.',
    '',
    '## What a caller sees',
    '',
    'The OpenAI formats (`/v1/chat/completions`, `/v1/completions`, `/v1/models`) and `/ask`:',
    '',
    ...fenced('json', bodyIn('openai-chat')),
    '',
    'The Messages format (`/v1/messages`, and `/v1/models` with `anthropic-version`) has types and no codes:',
    '',
    ...fenced('json', bodyIn('anthropic-messages')),
    '',
    'The admin API says `{"error": {"code", "message", "fix", "request_id"}}` with the code as it stands here. What a',
    'listener refuses before any route is known (malformed, too large, a foreign page) is in the OpenAI form.',
    '',
    'Headers: `x-request-id` and `request-id` find the log line. `x-should-retry: false` keeps client libraries from',
    'repeating what cannot help. `retry-after` and `retry-after-ms` are there where a time is known.',
    '',
    'Inside a stream the status has been sent, so a refusal is an error event of the format, and no end of the stream',
    'follows it (`[DONE]`, `message_stop`): client libraries throw.',
    '',
    '## All codes',
    '',
    ...table(
      ['code', 'status', 'try again'],
      Object.entries(errorTable).map(([code, { status, retry }]) => [
        `[\`${code}\`](#${code})`,
        String(status),
        retry,
      ]),
    ),
    '',
    ...Object.entries(errorTable).flatMap(([code, each]) => section(code, each)),
  ].join('\n');
}

function bodyIn(name: 'openai-chat' | 'anthropic-messages'): string {
  const { body } = dialectNamed(name).encodeRefusal(shown, requestId);
  return JSON.stringify(JSON.parse(new TextDecoder().decode(body)), null, 2);
}

function section(code: string, each: ErrorRow): readonly string[] {
  const openaiCode = each.openaiCode === null ? 'null' : `"${each.openaiCode}"`;
  return [
    `### \`${code}\``,
    '',
    `${each.meaning} *${each.fix}*`,
    '',
    `Status ${each.status} · OpenAI \`"type": "${each.openaiType}", "code": ${openaiCode}\` · Messages \`"type": "${each.anthropicType}"\` · ${each.retry === 'yes' ? 'trying again can help' : 'trying again cannot help'}`,
    '',
  ];
}
