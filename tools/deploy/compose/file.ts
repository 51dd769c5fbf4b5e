/** One service, in the one form of each field that rules read: short and long forms are made equal. */
export interface ComposeService {
  readonly name: string;
  readonly image: string;
  readonly readOnly: boolean;
  readonly privileged: boolean;
  readonly user: string | undefined;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly securityOptions: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly networkMode: string | undefined;
  /** `source:target[:ro]`. */
  readonly volumes: readonly string[];
  readonly tmpfs: readonly string[];
  readonly devices: readonly string[];
  readonly secrets: readonly string[];
  readonly pidsLimit: number | undefined;
  readonly memoryLimit: string | undefined;
  readonly hasHealthcheck: boolean;
  readonly hasLogLimit: boolean;
}

export interface ComposeFile {
  readonly services: readonly ComposeService[];
}

type Raw = Readonly<Record<string, unknown>>;

/** Reads the parsed YAML of a file. Fields that no rule reads are left to the schema. */
export function readCompose(parsed: unknown): ComposeFile {
  const services = record(record(parsed)['services']);
  return { services: Object.entries(services).map(([name, raw]) => serviceOf(name, record(raw))) };
}

function serviceOf(name: string, raw: Raw): ComposeService {
  const limits = record(record(record(raw['deploy'])['resources'])['limits']);
  const healthcheck = record(raw['healthcheck']);
  return {
    name,
    image: textOf(raw['image']) ?? '',
    readOnly: raw['read_only'] === true,
    privileged: raw['privileged'] === true,
    user: textOf(raw['user']),
    capAdd: listOf(raw['cap_add']),
    capDrop: listOf(raw['cap_drop']),
    securityOptions: listOf(raw['security_opt']),
    environment: environmentOf(raw['environment']),
    ports: listOf(raw['ports']),
    networkMode: textOf(raw['network_mode']),
    volumes: listOf(raw['volumes']),
    tmpfs: listOf(raw['tmpfs']),
    devices: listOf(raw['devices']),
    secrets: listOf(raw['secrets']),
    pidsLimit: numberOf(raw['pids_limit'] ?? limits['pids']),
    memoryLimit: textOf(raw['mem_limit'] ?? limits['memory']),
    hasHealthcheck: healthcheck['test'] !== undefined && healthcheck['disable'] !== true,
    hasLogLimit: logLimit(record(raw['logging'])),
  };
}

function logLimit(logging: Raw): boolean {
  return record(logging['options'])['max-size'] !== undefined || logging['driver'] === 'none';
}

function environmentOf(raw: unknown): Readonly<Record<string, string>> {
  if (!Array.isArray(raw))
    return Object.fromEntries(
      Object.entries(record(raw)).map(([name, value]) => [name, textOf(value) ?? '']),
    );
  return Object.fromEntries(
    raw.map((each) => {
      const text = textOf(each) ?? '';
      const at = text.indexOf('=');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** Lists of texts, of numbers, and of long forms (`{source, target}`), as texts. */
function listOf(raw: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(raw) ? raw : raw === undefined ? [] : [raw];
  return list.map((each) => {
    const long = record(each);
    const source = textOf(long['source'] ?? long['published']);
    return textOf(each) ?? `${source ?? ''}:${textOf(long['target']) ?? ''}`;
  });
}

function record(raw: unknown): Raw {
  // The parser of YAML gives plain objects; what is none has no fields.
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? (raw as Raw) : {};
}

function textOf(raw: unknown): string | undefined {
  if (typeof raw === 'string') return raw;
  return typeof raw === 'number' || typeof raw === 'boolean' ? String(raw) : undefined;
}

function numberOf(raw: unknown): number | undefined {
  return typeof raw === 'number' ? raw : undefined;
}
