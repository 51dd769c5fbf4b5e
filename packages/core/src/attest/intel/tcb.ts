import { fromHex } from '../../base/bytes.ts';
import { malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import type { Result } from '../../base/result.ts';
import { tcbStatuses } from '../claims.ts';
import type { TcbStatus } from '../claims.ts';
import type { Window } from '../vendor/index.ts';

export interface Level {
  readonly status: TcbStatus;
  readonly dateMs: number;
  readonly advisories: readonly string[];
}

export interface PlatformLevel extends Level {
  readonly sgxSvns: readonly number[];
  readonly pceSvn: number;
  /** Empty in SGX TCB info. */
  readonly tdxSvns: readonly number[];
}

export interface IsvLevel extends Level {
  readonly isvSvn: number;
}

export interface ModuleIdentity {
  readonly id: string;
  readonly mrSigner: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  readonly levels: readonly IsvLevel[];
}

/** Intel's statement about one processor family (version 3 of the format). */
export interface TcbInfo extends Window {
  readonly kind: 'SGX' | 'TDX';
  readonly fmspc: string;
  readonly pceId: string;
  readonly evaluationNumber: number;
  readonly levels: readonly PlatformLevel[];
  /** What a module of version 0 must be. TDX only. */
  readonly module: Omit<ModuleIdentity, 'id' | 'levels'> | undefined;
  readonly modules: readonly ModuleIdentity[];
}

/** Intel's statement about a quoting enclave (version 2 of the format). */
export interface QeIdentity extends Window {
  readonly kind: 'QE' | 'TD_QE';
  readonly evaluationNumber: number;
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly levels: readonly IsvLevel[];
}

/** The largest published TCB info is below 20 kB with some 30 levels. */
const statementCharactersMax = 262_144;
const levelsMax = 256;
const advisoriesMax = 256;
const componentCount = 16;

export function parseTcbInfo(text: string): Result<TcbInfo, Malformed> {
  return reading(() => {
    const root = parseObject(text);
    const kind = root['id'] === 'TDX' ? 'TDX' : root['id'] === 'SGX' ? 'SGX' : undefined;
    if (kind === undefined || root['version'] !== 3) return malformed('not TCB info version 3');
    if (root['tcbType'] !== 0) return malformed('unknown tcbType');
    const modules = root['tdxModuleIdentities'];
    return {
      kind,
      ...readWindow(root),
      fmspc: textOf(root['fmspc']).toLowerCase(),
      pceId: textOf(root['pceId']).toLowerCase(),
      evaluationNumber: whole(root['tcbEvaluationDataNumber'], 0xffff_ffff),
      levels: list(root['tcbLevels'], levelsMax).map((level) => readPlatformLevel(level, kind)),
      module: root['tdxModule'] === undefined ? undefined : readModule(object(root['tdxModule'])),
      modules: modules === undefined ? [] : list(modules, levelsMax).map(readModuleIdentity),
    };
  });
}

export function parseQeIdentity(text: string): Result<QeIdentity, Malformed> {
  return reading(() => {
    const root = parseObject(text);
    const kind = root['id'] === 'TD_QE' ? 'TD_QE' : root['id'] === 'QE' ? 'QE' : undefined;
    if (kind === undefined || root['version'] !== 2) return malformed('not QE identity version 2');
    return {
      kind,
      ...readWindow(root),
      evaluationNumber: whole(root['tcbEvaluationDataNumber'], 0xffff_ffff),
      miscSelect: hex(root['miscselect'], 4),
      miscSelectMask: hex(root['miscselectMask'], 4),
      attributes: hex(root['attributes'], 16),
      attributesMask: hex(root['attributesMask'], 16),
      mrSigner: hex(root['mrsigner'], 32),
      isvProdId: whole(root['isvprodid'], 0xffff),
      levels: list(root['tcbLevels'], levelsMax).map(readIsvLevel),
    };
  });
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(text: string): JsonObject {
  if (text.length > statementCharactersMax) return malformed('statement is too large');
  try {
    return object(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return malformed('not JSON');
    throw error;
  }
}

function readWindow(root: JsonObject): Window {
  return { notBeforeMs: instant(root['issueDate']), notAfterMs: instant(root['nextUpdate']) };
}

function readLevel(level: JsonObject): Level {
  const status = tcbStatuses.find((known) => known === level['tcbStatus']);
  if (status === undefined) return malformed('unknown tcbStatus');
  const advisories = level['advisoryIDs'];
  return {
    status,
    dateMs: instant(level['tcbDate']),
    advisories: advisories === undefined ? [] : list(advisories, advisoriesMax).map(textOf),
  };
}

function readPlatformLevel(value: unknown, kind: 'SGX' | 'TDX'): PlatformLevel {
  const level = object(value);
  const tcb = object(level['tcb']);
  return {
    ...readLevel(level),
    sgxSvns: readComponents(tcb['sgxtcbcomponents']),
    pceSvn: whole(tcb['pcesvn'], 0xffff),
    tdxSvns: kind === 'TDX' ? readComponents(tcb['tdxtcbcomponents']) : [],
  };
}

function readComponents(value: unknown): readonly number[] {
  const components = list(value, componentCount).map((item) => whole(object(item)['svn'], 0xff));
  return components.length === componentCount ? components : malformed('not 16 components');
}

function readModule(module: JsonObject): Omit<ModuleIdentity, 'id' | 'levels'> {
  return {
    mrSigner: hex(module['mrsigner'], 48),
    attributes: hex(module['attributes'], 8),
    attributesMask: hex(module['attributesMask'], 8),
  };
}

function readModuleIdentity(value: unknown): ModuleIdentity {
  const module = object(value);
  const levels = list(module['tcbLevels'], levelsMax).map(readIsvLevel);
  return { id: textOf(module['id']), ...readModule(module), levels };
}

function readIsvLevel(value: unknown): IsvLevel {
  const level = object(value);
  return { ...readLevel(level), isvSvn: whole(object(level['tcb'])['isvsvn'], 0xffff) };
}

function object(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return malformed('not an object');
  }
  // Any JSON object is a record of unknown members.
  return value as JsonObject;
}

function list(value: unknown, most: number): readonly unknown[] {
  return Array.isArray(value) && value.length <= most ? value : malformed('not a list in bounds');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : malformed('not text');
}

function whole(value: unknown, most: number): number {
  const inRange = typeof value === 'number' && Number.isInteger(value) && value >= 0;
  return inRange && value <= most ? value : malformed('not a whole number in range');
}

function hex(value: unknown, bytes: number): Uint8Array {
  const read = fromHex(textOf(value));
  return read?.length === bytes ? read : malformed(`not ${bytes} bytes of hex`);
}

/** Epoch ms of the one form that Intel writes: `2025-06-19T10:16:03Z`. */
function instant(value: unknown): number {
  const text = textOf(value);
  const isForm = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(text);
  const ms = isForm ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? malformed('not an instant') : ms;
}
