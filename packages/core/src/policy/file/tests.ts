/** Reads `tests` and `sshTests`. Only shapes are checked here: mistakes in the texts are failed tests. */
import { rulesMax } from './limits.ts';
import type { PolicyTest, PostureValue, SshTest } from './model.ts';
import type { Reader } from './reader.ts';
import type { SourceValue } from './source.ts';

const testFields = ['src', 'proto', 'accept', 'deny', 'srcPostureAttrs'] as const;

/** Former names, still accepted. */
const testAliases = new Map([
  ['user', 'src'],
  ['allow', 'accept'],
] as const);

export function readTests(reader: Reader, source: SourceValue | undefined): readonly PolicyTest[] {
  return reader.items(source, 'tests', rulesMax).map((item, index) => {
    const fields = reader.fields(item, 'a test', testFields, testAliases);
    return {
      index,
      at: item.at,
      src: reader.text(fields.src, 'src'),
      proto: reader.text(fields.proto, 'proto'),
      accept: reader.texts(fields.accept, 'accept'),
      deny: reader.texts(fields.deny, 'deny'),
      srcPostureAttrs: readAttributes(reader, fields.srcPostureAttrs),
    };
  });
}

const sshTestFields = ['src', 'dst', 'accept', 'check', 'deny', 'srcPostureAttrs'] as const;

export function readSshTests(reader: Reader, source: SourceValue | undefined): readonly SshTest[] {
  return reader.items(source, 'sshTests', rulesMax).map((item, index) => {
    const fields = reader.fields(item, 'an SSH test', sshTestFields);
    return {
      index,
      at: item.at,
      src: reader.text(fields.src, 'src'),
      dst: reader.texts(fields.dst, 'dst'),
      accept: reader.texts(fields.accept, 'accept'),
      check: reader.texts(fields.check, 'check'),
      deny: reader.texts(fields.deny, 'deny'),
      srcPostureAttrs: readAttributes(reader, fields.srcPostureAttrs),
    };
  });
}

function readAttributes(
  reader: Reader,
  source: SourceValue | undefined,
): ReadonlyMap<string, PostureValue> {
  const attributes = new Map<string, PostureValue>();
  for (const { name, value } of reader.entries(source, 'srcPostureAttrs')) {
    if (value.kind === 'string' || value.kind === 'number' || value.kind === 'boolean') {
      attributes.set(name, value.value);
    } else {
      reader.wrongType(value, `srcPostureAttrs.${name}`, 'a string, a number, true or false');
    }
  }
  return attributes;
}
