/** Reads `acls` and `grants` into one shape of rule. */
import { isExitRoute } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { capabilityRefusal } from './capability.ts';
import { rulesMax } from './limits.ts';
import type { Capability, NetworkRule, RuleTarget } from './model.ts';
import {
  parseGrantPorts,
  parsePorts,
  type PortRange,
  portsRefusal,
  type ProtocolPorts,
  splitHostPorts,
} from './port.ts';
import { parseProtocol } from './protocol.ts';
import type { Reader, Text } from './reader.ts';
import { readPostureNames, readSelector, readSelectors, type Scope } from './scope.ts';
import type { Selector } from './selector.ts';
import { type SourceValue, valueOfSource } from './source.ts';

export function readAcls(
  reader: Reader,
  source: SourceValue | undefined,
  scope: Scope,
): readonly NetworkRule[] | undefined {
  if (source === undefined) return undefined;
  return reader
    .items(source, 'acls', rulesMax)
    .map((item, index) => readAcl(reader, item, scope, index));
}

const aclFields = ['action', 'src', 'dst', 'proto', 'srcPosture'] as const;

/** Former names, still accepted. */
const aclAliases = new Map([
  ['users', 'src'],
  ['ports', 'dst'],
] as const);

function readAcl(reader: Reader, source: SourceValue, scope: Scope, index: number): NetworkRule {
  const fields = reader.fields(source, 'an ACL', aclFields, aclAliases);
  const action = reader.text(fields.action, 'action');
  if (action?.text !== 'accept') {
    const at = action?.at ?? source.at;
    reader.findings.error(
      'bad_action',
      at,
      `action=${goQuote(action?.text ?? '')} is not supported`,
    );
  }
  const proto = reader.text(fields.proto, 'proto');
  const protocol = readProtocol(reader, proto);
  const src = readSelectors(reader, scope, fields.src, 'src');
  const targets = reader.texts(fields.dst, 'dst').flatMap((text) => {
    const target = readAclTarget(reader, scope, text, protocol);
    return target ?? [];
  });
  const dst = targets.flatMap((target) => target.dst);
  checkSelf(reader, src, dst, true);
  const srcPosture = readPostureNames(reader, scope, fields.srcPosture);
  const place = { section: 'acls', index, at: source.at, id: source.at.pointer } as const;
  return { ...place, src, dst, targets, app: [], via: [], srcPosture };
}

function readProtocol(reader: Reader, proto: Text | undefined): number | undefined {
  if (proto === undefined || proto.text === '') return undefined;
  const protocol = parseProtocol(proto.text);
  if (protocol.ok) return protocol.value;
  reader.findings.error('bad_protocol', proto.at, protocol.error);
  return undefined;
}

function readAclTarget(
  reader: Reader,
  scope: Scope,
  { text, at }: Text,
  protocol: number | undefined,
): RuleTarget | undefined {
  const split = splitHostPorts(text);
  const ports = split.ok ? parsePorts(split.value.portsText) : split;
  if (!split.ok || !ports.ok) {
    const why = ports.ok ? '' : ports.error;
    reader.findings.error('bad_port', at, `dst=${goQuote(text)}: ${why}`);
    return undefined;
  }
  checkProtocolPorts(reader, at, protocol, ports.value);
  const selector = readSelector(reader, scope, { text: split.value.host, at }, 'dst');
  if (selector === undefined) return undefined;
  return { dst: [selector], ports: [{ protocol, ports: ports.value }] };
}

function checkProtocolPorts(
  reader: Reader,
  at: Text['at'],
  protocol: number | undefined,
  ports: readonly PortRange[],
): void {
  if (protocol === undefined) return;
  const refusal = portsRefusal(protocol, String(protocol), ports);
  if (refusal !== undefined) reader.findings.error('bad_port', at, refusal);
}

export function readGrants(
  reader: Reader,
  source: SourceValue | undefined,
  scope: Scope,
): readonly NetworkRule[] | undefined {
  if (source === undefined) return undefined;
  return reader
    .items(source, 'grants', rulesMax)
    .map((item, index) => readGrant(reader, item, scope, index));
}

const grantFields = ['src', 'dst', 'ip', 'app', 'via', 'srcPosture'] as const;

function readGrant(reader: Reader, source: SourceValue, scope: Scope, index: number): NetworkRule {
  const fields = reader.fields(source, 'a grant', grantFields);
  const ports = readGrantPorts(reader, fields.ip);
  const app = readCapabilities(reader, fields.app);
  for (const { name, at } of app) {
    const refusal = capabilityRefusal(name);
    if (refusal !== undefined) reader.findings.error('bad_capability', at, refusal);
  }
  const isEmpty = !hasItems(fields.ip) && !hasItems(fields.app);
  if (isEmpty) reader.findings.error('empty_grant', source.at, 'ip and app can not both be empty');
  const src = readSelectors(reader, scope, fields.src, 'src');
  const dst = readSelectors(reader, scope, fields.dst, 'dst');
  checkGrantDestinations(reader, dst, app.length > 0);
  checkSelf(reader, src, dst, false);
  const via = readVia(reader, scope, fields.via);
  const srcPosture = readPostureNames(reader, scope, fields.srcPosture);
  const targets = ports.length > 0 && dst.length > 0 ? [{ dst, ports }] : [];
  const place = { section: 'grants', index, at: source.at, id: source.at.pointer } as const;
  return { ...place, src, dst, targets, app, via, srcPosture };
}

function hasItems(source: SourceValue | undefined): boolean {
  if (source?.kind === 'array') return source.items.length > 0;
  return source?.kind === 'object' && source.members.length > 0;
}

function readGrantPorts(reader: Reader, source: SourceValue | undefined): readonly ProtocolPorts[] {
  return reader.texts(source, 'ip').flatMap(({ text, at }) => {
    const ports = parseGrantPorts(text);
    if (ports.ok) return [ports.value];
    reader.findings.error('bad_port', at, ports.error);
    return [];
  });
}

/** Names with their objects. Which names may be granted is a rule of grants, not of node attributes. */
export function readCapabilities(
  reader: Reader,
  source: SourceValue | undefined,
): readonly Capability[] {
  return reader.entries(source, 'app').map(({ name, at, value }) => {
    const values = reader
      .items(value, `app[${goQuote(name)}]`)
      .map((item) => ({ value: valueOfSource(item), at: item.at }));
    return { name, values, at };
  });
}

function checkGrantDestinations(reader: Reader, dst: readonly Selector[], hasApp: boolean): void {
  for (const selector of dst) {
    if (selector.kind === 'autogroup' && selector.name === 'internet' && hasApp) {
      const why = 'cannot use app grants with autogroup:internet';
      reader.findings.error('bad_capability', selector.at, why);
    }
    if (selector.kind === 'prefix' && isExitRoute(selector.prefix)) {
      const why = 'to allow all IP addresses, use "*" or "autogroup:internet"';
      reader.findings.error(
        'selector_not_allowed',
        selector.at,
        `dst ${goQuote(selector.text)}: ${why}`,
      );
    }
  }
}

function readVia(reader: Reader, scope: Scope, source: SourceValue | undefined): readonly Text[] {
  const via = reader.texts(source, 'via');
  for (const { text, at } of via) {
    if (!text.startsWith('tag:')) {
      reader.findings.error('bad_via', at, 'via can only be a tag');
    } else if (!scope.tags.has(text)) {
      reader.findings.error('undefined_name', at, `tag ${goQuote(text)} not found`);
    }
  }
  return via;
}

/** Kinds of source that stand for people, whose own machines `autogroup:self` means. */
function isPeople(selector: Selector, allowsAny: boolean): boolean {
  switch (selector.kind) {
    case 'user':
    case 'domain':
    case 'group':
      return true;
    case 'autogroup':
      return !['tagged', 'shared', 'danger-all'].includes(selector.name);
    case 'any':
      // An ACL narrows `*` to the owner of each machine; a grant refuses it, since `*` contains tags.
      return allowsAny;
    case 'host':
    case 'ipset':
    case 'prefix':
    case 'service':
    case 'tag':
      return false;
  }
}

function checkSelf(
  reader: Reader,
  src: readonly Selector[],
  dst: readonly Selector[],
  allowsAny: boolean,
): void {
  if (!dst.some((selector) => selector.kind === 'autogroup' && selector.name === 'self')) return;
  const wrong = src.find((selector) => !isPeople(selector, allowsAny));
  if (wrong === undefined) return;
  const why = 'autogroup:self can only be used with users, groups, or supported autogroups';
  reader.findings.error('selector_not_allowed', wrong.at, why);
}
