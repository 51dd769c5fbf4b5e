import type { JsonObject, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { Fields } from '../fields.ts';
import type { Completion } from '../model.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { raiseIfError } from '../upstream-error.ts';
import { noUsage, usageOfOpenAi } from '../usage.ts';

/** Lists of vectors. They are opaque: numbers or base64, as the caller asked for. */

const dialect = 'openai-embeddings';
const known: ReadonlySet<string> = new Set(['object', 'data', 'model', 'usage']);

export function decodeAnswer(body: JsonObject): Result<Completion, Refusal> {
  return upstreamAttempt(() => {
    raiseIfError(body);
    const answer = new Fields(body);
    const content = answer.objects('data').map((item) => {
      if (!item.has('embedding')) item.missing('embedding', 'an array or a string');
      return { kind: 'foreign' as const, dialect, value: item.value } as const;
    });
    const usage = usageOfOpenAi(answer.raw('usage'));
    const fields = answer.others(known);
    return {
      id: '',
      model: answer.optionalText('model') ?? '',
      content,
      stop: 'end' as const,
      ...(usage === undefined ? {} : { usage }),
      ...(Object.keys(fields).length === 0 ? {} : { extensions: { dialect, fields } }),
    };
  });
}

/** Completion → list of vectors. */
export function encodeAnswer(completion: Completion, context: AnswerContext): JsonObject {
  const { content, extensions, model, usage = noUsage } = completion;
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    object: 'list',
    data: content.flatMap((part) =>
      part.kind === 'foreign' && part.dialect === dialect ? [part.value] : [],
    ),
    model: model === '' ? context.model : model,
    usage: { prompt_tokens: prompt, total_tokens: prompt + usage.output },
    ...(extensions?.dialect === dialect ? extensions.fields : {}),
  };
}
