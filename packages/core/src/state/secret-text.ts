/**
 * The text of a key: `pst_`, 30 characters of base62 (178 random bits) and six of checksum. The checksum is CRC-32 of
 * what precedes it, in base62: it tells a slip of the hand from an unknown key without looking anything up, and lets
 * secret scanners find leaked keys (`pst_[0-9A-Za-z]{36}`) without false alarms.
 */
const prefix = 'pst_';
const bodyChars = 30;
const checksumChars = 6;
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Random bytes, of a generator fit for secrets. */
export type RandomBytes = (count: number) => Uint8Array;

export function mintSecretText(randomBytes: RandomBytes): string {
  let body = '';
  while (body.length < bodyChars) {
    for (const byte of randomBytes(bodyChars)) {
      // 248 is the largest multiple of 62 in a byte: above it, the first letters would come up more often.
      if (byte < 248 && body.length < bodyChars) body += alphabet.charAt(byte % 62);
    }
  }
  return prefix + body + checksumOf(prefix + body);
}

/** `ours`: well-formed. `mistyped`: claims to be ours and is not what we ever gave out. `foreign`: some other credential. */
export type SecretTextKind = 'ours' | 'mistyped' | 'foreign';

export function secretTextKind(text: string): SecretTextKind {
  if (!text.startsWith(prefix)) return 'foreign';
  if (!/^pst_[0-9A-Za-z]{36}$/.test(text)) return 'mistyped';
  const at = prefix.length + bodyChars;
  return checksumOf(text.slice(0, at)) === text.slice(at) ? 'ours' : 'mistyped';
}

/** The last four characters: all of the secret that is ever shown again. They belong to the checksum. */
export function secretHint(text: string): string {
  return text.slice(-4);
}

function checksumOf(text: string): string {
  let rest = crc32(text);
  let out = '';
  for (let i = 0; i < checksumChars; i += 1) {
    out = alphabet.charAt(rest % 62) + out;
    rest = Math.floor(rest / 62);
  }
  return out;
}

/** CRC-32 of ISO-HDLC (reflected 0x04c11db7) over ASCII text, bit by bit: forty characters need no table. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i += 1) {
    crc ^= text.charCodeAt(i);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
