import type { JsonValue, Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Run } from '../../command.ts';
import { importHeadscale } from '../../import/index.ts';
import { failed, readHujson, readText, readYaml, written } from './written.ts';

export const run: Run = async (invocation) => {
  const { args, options, io } = invocation;
  const document = await readYaml(args['file'] ?? '');
  if (!document.ok) return failed(io, document.error);
  const policy = await optional(options['policy'], readText);
  if (!policy.ok) return failed(io, policy.error);
  const nodes = await optional<JsonValue>(options['nodes'], readHujson);
  if (!nodes.ok) return failed(io, nodes.error);
  const noiseKey = await optional(options['noiseKey'], readText);
  if (!noiseKey.ok) return failed(io, noiseKey.error);
  const extras = {
    ...(policy.value === undefined ? {} : { policy: policy.value }),
    ...(nodes.value === undefined ? {} : { nodes: nodes.value }),
    ...(noiseKey.value === undefined ? {} : { noiseKey: noiseKey.value }),
  };
  return written(invocation, 'Headscale', importHeadscale(document.value, extras));
};

async function optional<T>(
  file: string | boolean | undefined,
  read: (file: string) => Promise<Result<T, string>>,
): Promise<Result<T | undefined, string>> {
  return typeof file === 'string' ? read(file) : ok(undefined);
}
