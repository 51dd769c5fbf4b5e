/**
 * A stand-in for Amazon Bedrock: verifies the signature of every request by computing it again from the bytes that came,
 * and answers from a script. Signatures and frames are written here once more, from their specifications.
 */
import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';

export interface BedrockCall {
  readonly method: string;
  /** As on the wire. */
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly accessKeyId: string;
  readonly region: string;
  /** Resolves when the other side closes before the answer is complete. */
  readonly aborted: Promise<void>;
}

export interface BedrockScript {
  /** Answers only requests whose path begins so. */
  readonly path?: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly pieces: readonly (
    | string
    | Uint8Array
    | { readonly wait: Promise<unknown> }
    | { readonly cut: true }
  )[];
}

export interface FakeBedrock {
  readonly url: string;
  /** Calls whose signature held. */
  readonly calls: readonly BedrockCall[];
  /** Why others were refused. */
  readonly refused: readonly string[];
  readonly connections: { open: number };
  /** Who may call: access key id to secret and, where it is temporary, its token. */
  readonly identities: Map<string, { readonly secret: string; readonly token?: string }>;
  expect(...scripts: readonly BedrockScript[]): void;
  /** Drops the answers that were not asked for. */
  forget(): void;
  close(): Promise<void>;
}

export const region = 'eu-test-1';
export const staticKey = { id: 'AKIDEXAMPLE', secret: 'canary-secret-access-key' } as const;

export async function startFakeBedrock(): Promise<FakeBedrock> {
  const calls: BedrockCall[] = [];
  const refused: string[] = [];
  const scripts: BedrockScript[] = [];
  const connections = { open: 0 };
  const identities: FakeBedrock['identities'] = new Map([
    [staticKey.id, { secret: staticKey.secret }],
  ]);
  const server = http.createServer((request, response) => {
    const pieces: Buffer[] = [];
    const aborted = new Promise<void>((resolve) => {
      response.on('close', () => {
        if (!response.writableFinished) resolve();
      });
    });
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = Buffer.concat(pieces);
      const judged = judge(request, body, identities);
      if ('fault' in judged) {
        refused.push(judged.fault);
        response
          .writeHead(403, {
            'content-type': 'application/json',
            'x-amzn-errortype': `${judged.type}:http://internal.amazon.com/coral/com.amazon.coral.service/`,
          })
          .end(JSON.stringify({ message: judged.fault }));
        return;
      }
      calls.push({
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: body.toString('utf8'),
        ...judged,
        aborted,
      });
      void play(take(scripts, request.url ?? ''), response);
    });
  });
  server.on('connection', (socket) => {
    connections.open += 1;
    socket.on('close', () => {
      connections.open -= 1;
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    refused,
    connections,
    identities,
    expect: (...more) => {
      scripts.push(...more);
    },
    forget: () => {
      scripts.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function take(scripts: BedrockScript[], path: string): BedrockScript {
  const at = scripts.findIndex((script) => path.startsWith(script.path ?? '/'));
  const [script] = at === -1 ? [] : scripts.splice(at, 1);
  return script ?? { status: 500, pieces: ['{"message":"unscripted"}'] };
}

async function play(script: BedrockScript, response: http.ServerResponse): Promise<void> {
  response.writeHead(script.status ?? 200, {
    'content-type': 'application/json',
    'x-amzn-requestid': 'bedrock-request-1',
    ...script.headers,
  });
  for (const piece of script.pieces) {
    if (typeof piece === 'string' || piece instanceof Uint8Array) {
      response.write(piece);
    } else if ('wait' in piece) {
      // oxlint-disable-next-line no-await-in-loop -- the pieces go out one after the other
      await piece.wait;
    } else {
      // oxlint-disable-next-line no-await-in-loop -- what was written before goes out first
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      response.destroy();
      return;
    }
  }
  response.end();
}

type Judged =
  | { readonly accessKeyId: string; readonly region: string }
  | { readonly fault: string; readonly type: string };

const invalid = (fault: string): Judged => ({ fault, type: 'InvalidSignatureException' });
const clockSkewMsMax = 300_000;

/** Signature Version 4, from AWS's own description of it. */
function judge(
  request: http.IncomingMessage,
  body: Buffer,
  identities: FakeBedrock['identities'],
): Judged {
  const { headers } = request;
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (parts === null) return invalid('no signature');
  const [, id = '', day = '', inRegion = '', service = '', names = '', signature = ''] = parts;
  const identity = identities.get(id);
  if (identity === undefined)
    return { fault: `unknown key ${id}`, type: 'UnrecognizedClientException' };
  if (service !== 'bedrock') return invalid(`service ${service}`);
  if (identity.token !== undefined && headers['x-amz-security-token'] !== identity.token)
    return { fault: 'expired token', type: 'ExpiredTokenException' };
  const stamp = String(headers['x-amz-date'] ?? '');
  if (!stamp.startsWith(day)) return invalid('another day');
  const at = Date.parse(
    stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  );
  if (!(Math.abs(Date.now() - at) < clockSkewMsMax)) return invalid(`the time ${stamp}`);
  const signed = names.split(';');
  for (const name of ['host', 'x-amz-date', 'x-amz-content-sha256', 'content-type']) {
    if (name in headers && !signed.includes(name)) return invalid(`${name} is not signed`);
  }
  if (identity.token !== undefined && !signed.includes('x-amz-security-token'))
    return invalid('the token is not signed');
  const hash = hex(body);
  if ((headers['x-amz-content-sha256'] ?? hash) !== hash) return invalid('another body');
  const canonical = [
    request.method,
    ...canonicalTarget(request.url ?? ''),
    ...signed.map((name) => `${name}:${String(headers[name]).trim().replaceAll(/ +/g, ' ')}`),
    '',
    names,
    hash,
  ].join('\n');
  const scope = `${day}/${inRegion}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', stamp, scope, hex(canonical)].join('\n');
  const key = [day, inRegion, service, 'aws4_request'].reduce<Buffer | string>(
    (sum, part) => createHmac('sha256', sum).update(part).digest(),
    `AWS4${identity.secret}`,
  );
  const expected = createHmac('sha256', key).update(text).digest('hex');
  return expected === signature
    ? { accessKeyId: id, region: inRegion }
    : invalid('the signature does not match');
}

/** The path is encoded once more; the parameters are sorted. */
function canonicalTarget(target: string): readonly [string, string] {
  const [path = '', query = ''] = target.split('?', 2);
  const encoded = path
    .split('/')
    .map((segment) =>
      encodeURIComponent(segment).replaceAll(
        /[!'()*]/g,
        (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
      ),
    )
    .join('/');
  return [encoded, query.split('&').toSorted().join('&')];
}

function hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** A message of an AWS event stream, with both checksums. */
export function eventMessage(headers: Readonly<Record<string, string>>, payload: string): Buffer {
  const block = Buffer.concat(
    Object.entries(headers).map(([name, value]) => {
      const text = Buffer.from(value);
      const head = Buffer.from([name.length, ...Buffer.from(name), 7, 0, 0]);
      head.writeUInt16BE(text.length, head.length - 2);
      return Buffer.concat([head, text]);
    }),
  );
  const body = Buffer.from(payload);
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(16 + block.length + body.length, 0);
  prelude.writeUInt32BE(block.length, 4);
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
  const message = Buffer.concat([prelude, block, body]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(message));
  return Buffer.concat([message, sum]);
}

export const eventStream: Readonly<Record<string, string>> = {
  'content-type': 'application/vnd.amazon.eventstream',
};

/** Events of ConverseStream. Amazon pads each with random letters. */
export function converseEvents(...events: readonly (readonly [string, object])[]): Buffer {
  return Buffer.concat(
    events.map(([type, body]) =>
      eventMessage(
        { ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' },
        JSON.stringify({ ...body, p: 'abcdefgh' }),
      ),
    ),
  );
}

/** Chunks of InvokeModelWithResponseStream. */
export function invokeChunks(...events: readonly object[]): Buffer {
  return converseEvents(
    ...events.map(
      (event) =>
        ['chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64') }] as const,
    ),
  );
}

export function exceptionMessage(type: string, message: string): Buffer {
  return eventMessage(
    { ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' },
    JSON.stringify({ message }),
  );
}
