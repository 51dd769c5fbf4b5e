import type { Loss } from '../../packages/core/src/dialect/testing/losses.ts';
import { answerLosses, requestLosses } from '../../packages/core/src/dialect/testing/losses.ts';
import { generated, table } from './markdown.ts';

const names: Readonly<Record<string, string>> = {
  'openai-chat': 'Chat Completions',
  'openai-responses': 'Responses',
  'anthropic-messages': 'Messages',
  'bedrock-converse': 'Converse',
  'bedrock-invoke': 'InvokeModel',
};

/** The page of what formats cannot carry, from the list that the tests hold. */
export function formatsPage(): string {
  return [
    '# What formats cannot carry',
    '',
    generated,
    'Any of the five formats of conversations comes in, any goes out. Everything that two formats share arrives: turns, system prompts, tools',
    'and their order, parallel calls and results, images, documents, signed thinking over several turns, settings, usage, errors. What one',
    'of the two has no words for is below; a test walks all 25 pairs and fails where this page and the program differ.',
    '',
    '## In requests',
    '',
    ...lossTable(requestLosses),
    '',
    '## In answers',
    '',
    ...lossTable(answerLosses),
    '',
  ].join('\n');
}

function lossTable(losses: readonly Loss[]): readonly string[] {
  return table(
    ['what', 'format', 'what becomes of it', 'why'],
    losses.map(({ feature, formats, outcome, keptByItself, why }) => [
      feature,
      formats.map((format) => names[format] ?? format).join(', '),
      `${outcome === 'refused' ? '400 `unsupported_parameter`' : 'told otherwise'}${keptByItself === true ? ', but from the same format' : ''}`,
      why,
    ]),
  );
}
