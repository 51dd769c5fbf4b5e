import { err, ok, type Result } from '@postern/core/base';

/** What a `dstack-mesh.toml` says. */
export interface DstackMeshToml {
  readonly client: { readonly address: string; readonly port: number };
  readonly auth: { readonly address: string; readonly port: number };
  readonly gatewayDomain: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly caFile: string | undefined;
}

const fileCharsMax = 65_536;
const known: Readonly<Record<string, readonly string[]>> = {
  client: ['address', 'port'],
  auth: ['address', 'port'],
  dstack: ['gateway_domain'],
  tls: ['cert_file', 'key_file', 'ca_file'],
};

/**
 * Reads the configuration file of dstack's own mesh: the part of TOML that it uses (tables, strings, integers, comments).
 * A table or key that it does not have is an error with its line.
 */
export function parseDstackMeshToml(text: string): Result<DstackMeshToml, string> {
  if (text.length > fileCharsMax) return err('the file is too large');
  const values = new Map<string, string | number>();
  let table = '';
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const at = `line ${index + 1}`;
    const header = /^\[\s*([A-Za-z0-9_-]+)\s*\]\s*(?:#.*)?$/.exec(line);
    if (header !== null) {
      table = header[1] ?? '';
      if (!Object.hasOwn(known, table)) return err(`${at}: there is no table [${table}]`);
      continue;
    }
    const entry = /^([A-Za-z0-9_-]+)\s*=\s*(.+)$/.exec(line);
    const key = entry?.[1];
    const value = entry === null ? undefined : valueOf(entry[2] ?? '');
    if (key === undefined || value === undefined) return err(`${at}: not key = "text" or a number`);
    if (!(known[table] ?? []).includes(key)) return err(`${at}: there is no ${key} in [${table}]`);
    const name = `${table}.${key}`;
    if (values.has(name)) return err(`${at}: ${key} is given twice`);
    values.set(name, value);
  }
  return meaningOf(values);
}

function valueOf(text: string): string | number | undefined {
  const literal = /^'([^']*)'\s*(?:#.*)?$/.exec(text);
  if (literal !== null) return literal[1];
  const basic = /^("(?:[^"\\]|\\["\\bfnrt]|\\u[0-9a-fA-F]{4})*")\s*(?:#.*)?$/.exec(text);
  if (basic !== null) {
    const value: unknown = JSON.parse(basic[1] ?? '""');
    return typeof value === 'string' ? value : undefined;
  }
  const number = /^([0-9]{1,6})\s*(?:#.*)?$/.exec(text);
  return number === null ? undefined : Number(number[1]);
}

function meaningOf(values: ReadonlyMap<string, string | number>): Result<DstackMeshToml, string> {
  const texts: Record<string, string | undefined> = {};
  for (const name of [
    'client.address',
    'auth.address',
    'dstack.gateway_domain',
    'tls.cert_file',
    'tls.key_file',
    'tls.ca_file',
  ]) {
    const value = values.get(name);
    if (typeof value === 'number') return err(`${name} is a text`);
    texts[name] = value;
  }
  const port = (name: string, otherwise: number): number | undefined => {
    const value = values.get(name) ?? otherwise;
    return typeof value === 'number' && value >= 1 && value <= 65_535 ? value : undefined;
  };
  const client = port('client.port', 8_091);
  const auth = port('auth.port', 8_092);
  if (client === undefined || auth === undefined) return err('a port is between 1 and 65535');
  return ok({
    client: { address: texts['client.address'] ?? '127.0.0.1', port: client },
    auth: { address: texts['auth.address'] ?? '127.0.0.1', port: auth },
    gatewayDomain: texts['dstack.gateway_domain'],
    certFile: texts['tls.cert_file'],
    keyFile: texts['tls.key_file'],
    caFile: texts['tls.ca_file'],
  });
}
