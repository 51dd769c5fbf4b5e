/** Runs `tests`: is each destination open, or closed, for everyone whom the source names. */
import {
  type Addr,
  isV4,
  type IpSet,
  ipSetOfPrefixes,
  isSingleAddr,
  type Prefix,
  prefixOfAddr,
} from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { PolicyTest } from '../file/model.ts';
import { parsePorts, splitHostPorts } from '../file/port.ts';
import { defaultProtocols, parseProtocol } from '../file/protocol.ts';
import { undefinedName } from '../file/scope.ts';
import {
  parseSelector,
  placeRefusal,
  type Selector,
  type SelectorPlace,
} from '../file/selector.ts';
import type { Position } from '../file/source.ts';
import type { IndexedNode, NodeIndex } from './node-index.ts';
import { slotsOf } from './node-set.ts';
import { meetsAnyPosture, type PostureAttributes } from './posture.ts';
import {
  type Destination,
  Lowering,
  type Principals,
  type Program,
  type ProgramRule,
} from './program.ts';
import { internetSet, tailnetSet } from './ranges.ts';
import type { Tailnet } from './tailnet.ts';

export interface TestOutcome {
  readonly index: number;
  readonly at: Position;
  readonly src: string;
  readonly passed: boolean;
  /** What is wrong, a line each, as the service words it where it does. */
  readonly errors: readonly string[];
}

/** One end of a connection: a machine, or an address that may belong to none. */
interface Endpoint {
  readonly addrs: readonly Addr[];
  readonly node: IndexedNode | undefined;
}

interface Flow {
  readonly protocols: readonly number[];
  readonly port: number;
  readonly attributes: PostureAttributes;
}

export function runTests(tailnet: Tailnet): readonly TestOutcome[] {
  return tailnet.program.file.tests.map((test) => runTest(tailnet, test));
}

function runTest(tailnet: Tailnet, test: PolicyTest): TestOutcome {
  const src = test.src?.text ?? '';
  const finish = (errors: readonly string[]): TestOutcome => {
    return { index: test.index, at: test.at, src, passed: errors.length === 0, errors };
  };
  if (test.accept.length === 0 && test.deny.length === 0) {
    return finish(['a test needs accept or deny']);
  }
  const selector = selectorFor(tailnet.program, src, test.at, 'test-src');
  if (!selector.ok) return finish([selector.error]);
  const sources = endpointsOf(tailnet, selector.value, []);
  if (sources.length === 0) return finish([`src ${goQuote(src)} names nothing`]);
  const protocols = protocolsOf(test.proto?.text ?? '');
  if (!protocols.ok) return finish([protocols.error]);
  const expect = (want: 'Accept' | 'Drop') => (dst: { readonly text: string }) =>
    judge(tailnet, test, sources, protocols.value, dst.text, want);
  return finish([...test.accept.flatMap(expect('Accept')), ...test.deny.flatMap(expect('Drop'))]);
}

/** No protocol means TCP or UDP, whichever is open. */
function protocolsOf(text: string): Result<readonly number[], string> {
  if (text === '') return ok([6, 17]);
  const protocol = parseProtocol(text);
  if (!protocol.ok) return protocol;
  return ok(protocol.value === 1 || protocol.value === 58 ? [1, 58] : [protocol.value]);
}

function judge(
  tailnet: Tailnet,
  test: PolicyTest,
  sources: readonly Endpoint[],
  protocols: readonly number[],
  text: string,
  want: 'Accept' | 'Drop',
): readonly string[] {
  const target = targetOf(tailnet, text, test.at, protocols, sources);
  if (!target.ok) return [`address ${goQuote(text)}: ${target.error}`];
  const flow = { protocols, port: target.value.port, attributes: test.srcPostureAttrs };
  let open = 0;
  let closed = 0;
  for (const source of sources) {
    for (const endpoint of target.value.endpoints) {
      if (isOpen(tailnet, source, endpoint, flow)) open += 1;
      else closed += 1;
    }
  }
  const got = open === 0 ? 'Drop' : closed === 0 ? 'Accept' : undefined;
  if (got === want) return [];
  const seen = got ?? `Accept for ${open} of ${open + closed} pairs of machines`;
  return [`address ${goQuote(text)}: want: ${want}, got: ${seen}`];
}

interface Target {
  readonly endpoints: readonly Endpoint[];
  readonly port: number;
}

/** One host and one port. ICMP has no ports and is asked for with port 0. */
function targetOf(
  tailnet: Tailnet,
  text: string,
  at: Position,
  protocols: readonly number[],
  sources: readonly Endpoint[],
): Result<Target, string> {
  const split = splitHostPorts(text);
  if (!split.ok) return split;
  const isIcmp = protocols.includes(1);
  const port = isIcmp ? icmpPort(split.value.portsText) : singlePort(split.value.portsText);
  if (!port.ok) return port;
  const { host } = split.value;
  const selector = selectorFor(tailnet.program, host, at, 'test-dst');
  if (!selector.ok) return selector;
  const refusal = singleHostRefusal(tailnet.program, selector.value, text);
  if (refusal !== undefined) return err(refusal);
  const endpoints = endpointsOf(tailnet, selector.value, sources);
  return endpoints.length === 0
    ? err(`${goQuote(host)} names nothing`)
    : ok({ endpoints, port: port.value });
}

function singlePort(text: string): Result<number, string> {
  const ports = parsePorts(text);
  if (!ports.ok) return ports;
  const [range, ...more] = ports.value;
  return range === undefined || more.length > 0 || range.first !== range.last
    ? err('a test names a single port')
    : ok(range.first);
}

function icmpPort(text: string): Result<number, string> {
  return text === '0' ? ok(0) : err('ICMP has no ports: use port 0');
}

function singleHostRefusal(program: Program, selector: Selector, text: string): string | undefined {
  const prefix = prefixOf(program, selector);
  const isWide = prefix !== undefined && !isSingleAddr(prefix);
  const isCidr = selector.kind === 'prefix' && text.includes('/');
  return isWide || isCidr || selector.kind === 'any' || selector.kind === 'ipset'
    ? 'a test names a single host'
    : undefined;
}

function prefixOf(program: Program, selector: Selector): Prefix | undefined {
  if (selector.kind === 'prefix') return selector.prefix;
  return selector.kind === 'host' ? program.file.hosts.get(selector.name)?.prefix : undefined;
}

/** A selector of a test, whose mistakes are failures of the test. */
export function selectorFor(
  program: Program,
  text: string,
  at: Position,
  place: SelectorPlace,
): Result<Selector, string> {
  const { file } = program;
  const selector = parseSelector(text, at);
  if (!selector.ok) return selector;
  const refusal = placeRefusal(selector.value, place) ?? missingName(program, selector.value);
  return refusal === undefined ? selector : err(refusal);
  function missingName(known: Program, value: Selector): string | undefined {
    if (value.kind === 'user' && known.directory.byLogin(value.name) === undefined) {
      return `user not found: ${goQuote(value.name)}`;
    }
    return undefinedName(value, { ...file, tags: file.tagOwners });
  }
}

/** Everyone whom a selector names, each machine on its own. */
function endpointsOf(
  { program, index }: Tailnet,
  selector: Selector,
  sources: readonly Endpoint[],
): readonly Endpoint[] {
  if (selector.kind === 'autogroup' && selector.name === 'self') return selfOf(index, sources);
  const lowering = new Lowering(program.file, program.directory, program.services);
  const { keys, literals, hasAny } = lowering.principals([selector], []);
  const endpoints: Endpoint[] = slotsOf(index.union(hasAny ? ['every'] : keys)).flatMap((slot) => {
    const node = index.at(slot);
    return node === undefined ? [] : [{ addrs: node.node.addresses, node }];
  });
  for (const { set } of literals) {
    // Of a range, its ends stand for it: rules name whole ranges.
    for (const { first, last } of set.toRanges()) {
      endpoints.push({ addrs: [first], node: index.ownerOf(first) });
      if (first.key !== last.key) endpoints.push({ addrs: [last], node: index.ownerOf(last) });
    }
  }
  return endpoints;
}

/** Machines of the users whose machines are the sources; nothing as soon as one source has no user. */
function selfOf(index: NodeIndex, sources: readonly Endpoint[]): readonly Endpoint[] {
  const owners = new Set(sources.map(({ node }) => node?.ownerId));
  if (owners.has(undefined)) return [];
  return slotsOf(index.union([...owners].map((owner) => `user:${owner}`))).flatMap((slot) => {
    const node = index.at(slot);
    return node === undefined ? [] : [{ addrs: node.node.addresses, node }];
  });
}

/** Whether a connection is let through for some pair of addresses of one family. */
function isOpen(tailnet: Tailnet, from: Endpoint, to: Endpoint, flow: Flow): boolean {
  const { rules } = tailnet.program;
  if (rules === undefined) return true;
  return rules.some((rule) =>
    from.addrs.some((source) =>
      to.addrs.some(
        (destination) =>
          isV4(source) === isV4(destination) &&
          isSource(tailnet.program, rule, from.node, source, flow.attributes) &&
          rule.targets.some(
            (target) =>
              target.ports.some((ports) => opens(ports.protocols, ports.ports, flow)) &&
              target.dst.some((dst) =>
                isDestination(tailnet.index, rule, dst, from, to, destination),
              ),
          ),
      ),
    ),
  );
}

function opens(
  protocols: readonly number[] | undefined,
  ports: readonly { readonly First: number; readonly Last: number }[],
  flow: Flow,
): boolean {
  const opened = protocols ?? defaultProtocols;
  return (
    flow.protocols.some((protocol) => opened.includes(protocol)) &&
    (flow.port === 0 || ports.some(({ First, Last }) => First <= flow.port && flow.port <= Last))
  );
}

function isSource(
  program: Program,
  { src }: ProgramRule,
  node: IndexedNode | undefined,
  addr: Addr,
  attributes: PostureAttributes,
): boolean {
  if (!names(src, node, addr)) return false;
  const isDevice =
    node === undefined ? tailnetSet.containsAddr(addr) : !node.keys.includes('shared');
  return !isDevice || meetsAnyPosture(src.postures, program.file, attributes);
}

function names(src: Principals, node: IndexedNode | undefined, addr: Addr): boolean {
  if (src.hasDangerAll || (src.hasAny && (node !== undefined || tailnetSet.containsAddr(addr)))) {
    return true;
  }
  if (node !== undefined && src.keys.some((key) => node.keys.includes(key))) return true;
  return src.literals.some(({ set }) => set.containsAddr(addr));
}

function isDestination(
  index: NodeIndex,
  rule: ProgramRule,
  dst: Destination,
  from: Endpoint,
  to: Endpoint,
  addr: Addr,
): boolean {
  switch (dst.kind) {
    case 'any':
      return rule.via.size === 0;
    case 'nodes':
      return rule.via.size === 0 && dst.keys.some((key) => to.node?.keys.includes(key) === true);
    case 'literal':
      return dst.set.containsAddr(addr) && (rule.via.size === 0 || isRouted(index, rule, addr));
    case 'internet':
      return internetSet.containsAddr(addr);
    case 'self':
      return from.node?.ownerId !== undefined && from.node.ownerId === to.node?.ownerId;
  }
}

function isRouted(index: NodeIndex, rule: ProgramRule, addr: Addr): boolean {
  const single: IpSet = setOf(addr);
  return slotsOf(index.union([...rule.via])).some((slot) =>
    (index.at(slot)?.subnetRoutes ?? []).some((route) => single.overlapsPrefix(route)),
  );
}

function setOf(addr: Addr): IpSet {
  return ipSetOfPrefixes([prefixOfAddr(addr)]);
}
