/** From a source tree to a `PolicyFile` with its findings. */
import { Findings, type Finding, isError, refusalOf } from './finding.ts';
import { readDerpMap, readOptions } from './derp-map.ts';
import { findingsMax } from './limits.ts';
import type { PolicyFile } from './model.ts';
import {
  readAutoApprovers,
  readGroups,
  readHosts,
  readIpSets,
  readPostures,
  readTagOwners,
} from './names.ts';
import { readAttrConfig, readNodeAttrs } from './node-attrs.ts';
import { Reader } from './reader.ts';
import { readAcls, readGrants } from './rules.ts';
import { readPostureNames, type Scope } from './scope.ts';
import { type Locate, type SourceValue, sourceOfValue } from './source.ts';
import { readSsh } from './ssh.ts';
import { readSshTests, readTests } from './tests.ts';

/** A file as read. `file` holds what could be understood even where `accepted` is false. */
export interface ParsedPolicy {
  readonly file: PolicyFile;
  readonly findings: readonly Finding[];
  readonly accepted: boolean;
  /** The sentence with which the file is refused: the first error. */
  readonly refusal: string | undefined;
}

const sections = [
  'acls',
  'grants',
  'ssh',
  'groups',
  'hosts',
  'ipsets',
  'tagOwners',
  'autoApprovers',
  'postures',
  'defaultSrcPosture',
  'nodeAttrs',
  'attrConfig',
  'tests',
  'sshTests',
  'derpMap',
  'disableIPv4',
  'OneCGNATRoute',
  'randomizeClientPort',
] as const;

/** Reads a value that a JSON parser gave. Positions come from `locate`, by pointer. */
export function parsePolicyValue(value: unknown, locate?: Locate): ParsedPolicy {
  return parsePolicySource(sourceOfValue(value, locate));
}

export function parsePolicySource(source: SourceValue): ParsedPolicy {
  const findings = new Findings(findingsMax);
  const file = readFile(new Reader(findings), source);
  return {
    file,
    findings: findings.list,
    accepted: !findings.list.some((finding) => isError(finding)),
    refusal: refusalOf(findings.list),
  };
}

function readFile(reader: Reader, source: SourceValue): PolicyFile {
  const fields = reader.fields(source, 'the policy', sections);
  // Names come first, whatever the order in the file, so that every later section can look them up.
  const groups = readGroups(reader, fields.groups);
  const hosts = readHosts(reader, fields.hosts);
  const ipsets = readIpSets(reader, fields.ipsets, hosts);
  const postures = readPostures(reader, fields.postures);
  const scopeOf = (tags: Scope['tags']): Scope => ({ groups, tags, hosts, ipsets, postures });
  const tagOwners = readTagOwners(reader, fields.tagOwners, scopeOf);
  const scope = scopeOf(tagOwners);
  return {
    groups,
    hosts,
    ipsets,
    postures,
    tagOwners,
    defaultSrcPosture: readPostureNames(reader, scope, fields.defaultSrcPosture) ?? [],
    acls: readAcls(reader, fields.acls, scope),
    grants: readGrants(reader, fields.grants, scope),
    ssh: readSsh(reader, fields.ssh, scope),
    nodeAttrs: readNodeAttrs(reader, fields.nodeAttrs, scope),
    attrConfig: readAttrConfig(reader, fields.attrConfig),
    autoApprovers: readAutoApprovers(reader, fields.autoApprovers, scope),
    tests: readTests(reader, fields.tests),
    sshTests: readSshTests(reader, fields.sshTests),
    derpMap: readDerpMap(reader, fields.derpMap),
    options: readOptions(reader, fields),
  };
}
