import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concatBytes } from '@postern/core/base';

/** AES-GCM (SP 800-38D) and ChaCha20-Poly1305 (RFC 8439). */
export type AeadName = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';

const keyBytes: Readonly<Record<AeadName, number>> = {
  'aes-128-gcm': 16,
  'aes-256-gcm': 32,
  'chacha20-poly1305': 32,
};

/** Other nonce lengths collide after far fewer messages (SP 800-38D 8.2). */
const nonceBytes = 12;
const tagBytes = 16;

interface AeadInput {
  readonly aead: AeadName;
  readonly key: Uint8Array;
  /** 12 bytes, never used twice with one key. */
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
}

function isUsable(input: AeadInput): boolean {
  return input.key.length === keyBytes[input.aead] && input.nonce.length === nonceBytes;
}

// The type definitions of Node know one overload per mode; at run time the option is common to both.
const options = { authTagLength: tagBytes };

/** Ciphertext and tag in one string; undefined where key or nonce have another length. */
export function aeadSeal(
  input: AeadInput & { readonly plaintext: Uint8Array },
): Uint8Array | undefined {
  if (!isUsable(input)) return undefined;
  // `chacha20-poly1305` stands for every mode here: see `options`.
  const cipher = createCipheriv(input.aead as 'chacha20-poly1305', input.key, input.nonce, options);
  cipher.setAAD(input.associated, { plaintextLength: input.plaintext.length });
  return concatBytes(cipher.update(input.plaintext), cipher.final(), cipher.getAuthTag());
}

/** The plaintext, or undefined if anything about key, nonce, data or tag is wrong. */
export function aeadOpen(
  input: AeadInput & { readonly sealed: Uint8Array },
): Uint8Array | undefined {
  if (!isUsable(input) || input.sealed.length < tagBytes) return undefined;
  const ciphertext = input.sealed.subarray(0, -tagBytes);
  const decipher = createDecipheriv(
    input.aead as 'chacha20-poly1305',
    input.key,
    input.nonce,
    options,
  );
  decipher.setAAD(input.associated, { plaintextLength: ciphertext.length });
  decipher.setAuthTag(input.sealed.subarray(-tagBytes));
  try {
    return concatBytes(decipher.update(ciphertext), decipher.final());
  } catch {
    return undefined;
  }
}
