/** Reads `derpMap` and the network options of the file. */
import { isV4, parseAddr } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import type { DerpMap, DerpNode, DerpRegion, NetworkOptions } from './model.ts';
import type { Fields, Reader } from './reader.ts';
import type { SourceValue } from './source.ts';

export function readDerpMap(reader: Reader, source: SourceValue | undefined): DerpMap | undefined {
  if (source === undefined) return undefined;
  const fields = reader.fields(source, 'derpMap', ['omitDefaultRegions', 'regions', 'homeParams']);
  const regions = new Map<number, DerpRegion | null>();
  for (const { name, at, value } of reader.entries(fields.regions, 'derpMap.regions')) {
    const id = /^[1-9][0-9]{0,8}$/.test(name) ? Number(name) : undefined;
    if (id === undefined) {
      reader.findings.error(
        'bad_name',
        at,
        `derpMap.regions[${goQuote(name)}]: not a region number`,
      );
    } else {
      regions.set(id, value.kind === 'null' ? null : readRegion(reader, value, id));
    }
  }
  return {
    omitDefaultRegions: reader.flag(fields.omitDefaultRegions, 'omitDefaultRegions') ?? false,
    regions,
  };
}

const regionFields = [
  'regionID',
  'regionCode',
  'regionName',
  'avoid',
  'nodes',
  'latitude',
  'longitude',
] as const;

function readRegion(reader: Reader, source: SourceValue, id: number): DerpRegion {
  const where = `derpMap.regions["${id}"]`;
  const fields = reader.fields(source, where, regionFields);
  const regionId = reader.integer(fields.regionID, `${where}.regionID`);
  if (regionId !== undefined && regionId !== id) {
    const why = `regionID ${regionId} is not the key of the region`;
    reader.findings.error('bad_name', source.at, `${where}: ${why}`);
  }
  const nodes = reader.items(fields.nodes, `${where}.nodes`).map((node) => ({
    at: node.at,
    node: readNode(reader, node, id),
  }));
  const names = new Set<string>();
  for (const { at, node } of nodes) {
    if (node.regionId !== id) {
      const why = `regionID ${node.regionId} of a node is not its region`;
      reader.findings.error('bad_name', at, `${where}: ${why}`);
    }
    if (node.name !== '' && names.has(node.name)) {
      reader.findings.error('bad_name', at, `${where}: node ${goQuote(node.name)} stands twice`);
    }
    names.add(node.name);
  }
  return {
    regionId: id,
    regionCode: reader.text(fields.regionCode, `${where}.regionCode`)?.text ?? '',
    regionName: reader.text(fields.regionName, `${where}.regionName`)?.text ?? '',
    avoid: reader.flag(fields.avoid, `${where}.avoid`) ?? false,
    nodes: nodes.map(({ node }) => node),
  };
}

const nodeFields = [
  'name',
  'regionID',
  'hostName',
  'certName',
  'ipv4',
  'ipv6',
  'stunPort',
  'stunOnly',
  'derpPort',
  'insecureForTests',
  'stunTestIP',
  'canPort80',
] as const;

function readNode(reader: Reader, source: SourceValue, regionId: number): DerpNode {
  const fields = reader.fields(source, 'a DERP node', nodeFields);
  const text = (name: (typeof nodeFields)[number]): string | undefined =>
    reader.text(fields[name], name)?.text;
  const hostName = text('hostName');
  if (hostName === undefined || hostName === '') {
    reader.findings.error('bad_name', source.at, 'a DERP node needs a hostName');
  }
  return {
    name: text('name') ?? '',
    regionId: reader.integer(fields.regionID, 'regionID') ?? regionId,
    hostName: hostName ?? '',
    certName: text('certName'),
    ipv4: readAddress(reader, fields, 'ipv4'),
    ipv6: readAddress(reader, fields, 'ipv6'),
    stunPort: readPort(reader, fields, 'stunPort'),
    stunOnly: reader.flag(fields.stunOnly, 'stunOnly') ?? false,
    derpPort: readPort(reader, fields, 'derpPort'),
  };
}

/** An address of the family; `none` where the relay has none. */
function readAddress(
  reader: Reader,
  fields: Fields<(typeof nodeFields)[number]>,
  name: 'ipv4' | 'ipv6',
): string | undefined {
  const read = reader.text(fields[name], name);
  if (read === undefined || read.text === '' || read.text === 'none') return read?.text;
  const addr = parseAddr(read.text);
  if (!addr.ok || isV4(addr.value) !== (name === 'ipv4')) {
    const family = name === 'ipv4' ? 'IPv4' : 'IPv6';
    reader.findings.error('bad_address', read.at, `${name} ${goQuote(read.text)} is no ${family}`);
  }
  return read.text;
}

/** A port; -1 switches STUN off. */
function readPort(
  reader: Reader,
  fields: Fields<(typeof nodeFields)[number]>,
  name: 'stunPort' | 'derpPort',
): number | undefined {
  const source = fields[name];
  const port = reader.integer(source, name);
  if (source === undefined || port === undefined || (port >= -1 && port <= 65_535)) return port;
  reader.findings.error('bad_port', source.at, `${name} ${port} is not a port`);
  return undefined;
}

export function readOptions(
  reader: Reader,
  fields: Fields<'disableIPv4' | 'OneCGNATRoute' | 'randomizeClientPort'>,
): NetworkOptions {
  const route = reader.text(fields.OneCGNATRoute, 'OneCGNATRoute');
  const value = route?.text ?? '';
  const known = value === '' || value === 'mac-always' || value === 'mac-never';
  if (!known && route !== undefined) {
    const why = 'must be "", "mac-always" or "mac-never"';
    reader.findings.error('wrong_type', route.at, `OneCGNATRoute ${why}, not ${goQuote(value)}`);
  }
  return {
    disableIpv4: reader.flag(fields.disableIPv4, 'disableIPv4') ?? false,
    oneCgnatRoute: known ? value : '',
    randomizeClientPort: reader.flag(fields.randomizeClientPort, 'randomizeClientPort') ?? false,
  };
}
