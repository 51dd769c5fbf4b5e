/** Reads `nodeAttrs` and `attrConfig`. */
import {
  cgnatRange,
  maskedPrefix,
  parsePrefix,
  type Prefix,
  prefixCovers,
} from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { assert } from '../../base/assert.ts';
import { rulesMax } from './limits.ts';
import type { AttrConfig, NodeAttrRule } from './model.ts';
import type { Reader, Text } from './reader.ts';
import { readCapabilities } from './rules.ts';
import { readSelectors, type Scope } from './scope.ts';
import type { SourceValue } from './source.ts';

/** Parts of the address range from which no node gets an address: DNS, the service itself, ChromeOS. */
const reservedPools: readonly Prefix[] = [
  '100.100.0.0/24',
  '100.100.100.0/24',
  '100.115.92.0/23',
].map((text) => {
  const prefix = parsePrefix(text);
  assert(prefix.ok, `prefix ${text} does not parse`);
  return prefix.value;
});

export function readNodeAttrs(
  reader: Reader,
  source: SourceValue | undefined,
  scope: Scope,
): readonly NodeAttrRule[] {
  return reader.items(source, 'nodeAttrs', rulesMax).map((item, index) => {
    const fields = reader.fields(item, 'a nodeAttrs entry', ['target', 'attr', 'app', 'ipPool']);
    return {
      id: item.at.pointer,
      index,
      at: item.at,
      target: readSelectors(reader, scope, fields.target, 'target'),
      attrs: reader.texts(fields.attr, 'attr'),
      app: readCapabilities(reader, fields.app),
      ipPool: reader.texts(fields.ipPool, 'ipPool').flatMap((text) => readPool(reader, text) ?? []),
    };
  });
}

function readPool(reader: Reader, { text, at }: Text): Prefix | undefined {
  const parsed = parsePrefix(text);
  if (!parsed.ok) {
    reader.findings.error('bad_ip_pool', at, `IPPool(${text}): ${parsed.error}`);
    return undefined;
  }
  const prefix = maskedPrefix(parsed.value);
  if (!prefixCovers(cgnatRange, prefix)) {
    reader.findings.error('bad_ip_pool', at, `IPPool(${text}): network not within 100.64.0.0/10`);
    return undefined;
  }
  if (reservedPools.some((reserved) => prefixCovers(reserved, prefix))) {
    reader.findings.error('bad_ip_pool', at, `IPPool(${text}): network within reserved range`);
    return undefined;
  }
  return prefix;
}

/** Types of posture attributes. A list of an engine may grow, so that another one is a warning. */
const attrTypes = ['string', 'number', 'bool'] as const;

export function readAttrConfig(
  reader: Reader,
  source: SourceValue | undefined,
): ReadonlyMap<string, AttrConfig> {
  const configs = new Map<string, AttrConfig>();
  for (const { name, at, value } of reader.entries(source, 'attrConfig')) {
    const where = `attrConfig[${goQuote(name)}]`;
    const fields = reader.fields(value, where, ['type', 'allowSetByNode', 'broadcastToPeers']);
    const type = reader.text(fields.type, `${where}.type`);
    if (!/^[a-z][\w-]*:[^:\s]+$/i.test(name)) {
      reader.findings.error('bad_name', at, `${where}: not of the form namespace:name`);
    }
    if (type !== undefined && !attrTypes.some((known) => known === type.text)) {
      const why = `type ${goQuote(type.text)} is not one of ${attrTypes.join(', ')}`;
      reader.findings.warning('wrong_type', type.at, `${where}: ${why}`);
    }
    configs.set(name, {
      name,
      type: type?.text,
      allowSetByNode: reader.flag(fields.allowSetByNode, `${where}.allowSetByNode`) ?? false,
      broadcastToPeers: reader.texts(fields.broadcastToPeers, where).map(({ text }) => text),
      at,
    });
  }
  return configs;
}
