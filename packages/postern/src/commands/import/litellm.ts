import type { Run } from '../../command.ts';
import { importLiteLlm } from '../../import/index.ts';
import { failed, readYaml, written } from './written.ts';

export const run: Run = async (invocation) => {
  const document = await readYaml(invocation.args['file'] ?? '');
  return document.ok
    ? written(invocation, 'LiteLLM', importLiteLlm(document.value))
    : failed(invocation.io, document.error);
};
