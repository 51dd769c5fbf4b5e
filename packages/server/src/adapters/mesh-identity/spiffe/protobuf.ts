import { err, ok, type Result } from '@postern/core/base';

/** One field of a message (protobuf.dev/programming-guides/encoding): only the two wire types that our messages have. */
export type ProtoField =
  | { readonly number: number; readonly kind: 'varint'; readonly value: bigint }
  | { readonly number: number; readonly kind: 'bytes'; readonly value: Uint8Array };

/** Fields of one message; a bundle of all federated domains is some hundred. */
export const protoFieldsMax = 4_096;
const varintBytesMax = 10;
const fieldNumberMax = 536_870_911n;

/**
 * The fields of a message, in order. Fixed-width fields of unknown numbers are passed over, as the format asks for; groups
 * are refused. Values are views of the input, so a declared length never allocates.
 */
export function readProto(bytes: Uint8Array): Result<readonly ProtoField[], string> {
  const fields: ProtoField[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let index = 0; index < varintBytesMax; index += 1) {
      const byte = bytes[at];
      if (byte === undefined) return undefined;
      at += 1;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return value < 1n << 64n ? value : undefined;
    }
    return undefined;
  };
  while (at < bytes.length) {
    if (fields.length >= protoFieldsMax) return err('too many fields');
    const tag = varint();
    if (tag === undefined) return err('a tag that is cut off or too long');
    const number = tag >> 3n;
    if (number === 0n || number > fieldNumberMax) return err('a field number out of range');
    const wire = Number(tag & 7n);
    if (wire === 0) {
      const value = varint();
      if (value === undefined) return err('a number that is cut off or too long');
      fields.push({ number: Number(number), kind: 'varint', value });
    } else if (wire === 2) {
      const length = varint();
      if (length === undefined || length > BigInt(bytes.length - at))
        return err('a length beyond the end');
      const end = at + Number(length);
      fields.push({ number: Number(number), kind: 'bytes', value: bytes.subarray(at, end) });
      at = end;
    } else if (wire === 1 || wire === 5) {
      at += wire === 1 ? 8 : 4;
      if (at > bytes.length) return err('a fixed field that is cut off');
    } else return err(`wire type ${wire}`);
  }
  return ok(fields);
}

/** The values of a field of bytes, in order; undefined where one has another wire type. */
export function bytesFields(
  fields: readonly ProtoField[],
  number: number,
): readonly Uint8Array[] | undefined {
  const found: Uint8Array[] = [];
  for (const field of fields) {
    if (field.number !== number) continue;
    if (field.kind !== 'bytes') return undefined;
    found.push(field.value);
  }
  return found;
}
