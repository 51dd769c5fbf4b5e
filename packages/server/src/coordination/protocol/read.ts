/** Readers for JSON that a machine sent: what does not fit is absent, and unknown members are ignored. */
export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields) // Checked above: every member is unknown still.
    : undefined;
}

export function parseFields(bytes: Uint8Array): Fields | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return fieldsOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export function textAt(fields: Fields, name: string, charsMax = 512): string {
  const value = fields[name];
  return typeof value === 'string' && value.length <= charsMax && value.isWellFormed() ? value : '';
}

export function numberAt(fields: Fields, name: string): number {
  const value = fields[name];
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}

export function flagAt(fields: Fields, name: string): boolean {
  return fields[name] === true;
}

export function textsAt(fields: Fields, name: string, countMax: number): readonly string[] {
  const value = fields[name];
  if (!Array.isArray(value)) return [];
  return value
    .slice(0, countMax)
    .filter((each) => typeof each === 'string' && each.length <= 512)
    .map(String);
}

const publicKey = /^[a-z]+:[0-9a-f]{64}$/;
const zeroKey = /:0{64}$/;

/** A key in its text form; undefined where it is missing, damaged or zero. */
export function keyAt(fields: Fields, name: string, prefix: string): string | undefined {
  const text = textAt(fields, name);
  return text.startsWith(`${prefix}:`) && publicKey.test(text) && !zeroKey.test(text)
    ? text
    : undefined;
}
