import { constants, zstdCompressSync } from 'node:zlib';

/** The fastest level: maps are read once, and JSON shrinks to a fifth all the same. */
const options = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** A map response on the wire: `u32le length | body`, the body a zstd frame where the client asked for it. */
export function mapFrame(json: string | Buffer, isZstd: boolean): Buffer {
  const text = typeof json === 'string' ? Buffer.from(json, 'utf8') : json;
  const body = isZstd ? zstdCompressSync(text, options) : text;
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32LE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}

/** Clients keep the bytes of this very text and skip decoding when they come again. */
const keepAliveText = '{"KeepAlive":true}';
const keepAliveFrames = {
  zstd: undefined as Buffer | undefined,
  plain: undefined as Buffer | undefined,
};

export function keepAliveFrame(isZstd: boolean): Buffer {
  const name = isZstd ? 'zstd' : 'plain';
  const frame = keepAliveFrames[name] ?? mapFrame(keepAliveText, isZstd);
  keepAliveFrames[name] = frame;
  return frame;
}
