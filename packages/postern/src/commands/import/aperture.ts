import type { Run } from '../../command.ts';
import { importAperture } from '../../import/index.ts';
import { failed, readHujson, written } from './written.ts';

export const run: Run = async (invocation) => {
  const document = await readHujson(invocation.args['file'] ?? '');
  return document.ok
    ? written(invocation, 'Aperture', importAperture(document.value))
    : failed(invocation.io, document.error);
};
