import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** What arrived, byte for byte. */
export interface Received {
  readonly method: string;
  readonly url: string;
  /** Names in lower case, in the order of the wire. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** Resolves when the connection of this request is closed by the other side before the answer was complete. */
  readonly aborted: Promise<void>;
}

/** How to answer one request: pieces are written one by one, `wait` pauses, `cut` destroys the socket. */
export interface Script {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly pieces: readonly (
    | string
    | { readonly wait: Promise<unknown> }
    | { readonly cut: true }
  )[];
}

export interface ScriptedUpstream {
  readonly url: string;
  readonly received: readonly Received[];
  /** Connections accepted so far, and those of them that are open now. */
  readonly connections: { readonly total: number; readonly open: number };
  /** Answers of the requests to come, in order; a request without one is answered with 500 `unscripted`. */
  expect(...scripts: readonly Script[]): void;
  /** Drops the answers that were not asked for. */
  forget(): void;
  close(): Promise<void>;
}

/** An upstream that answers from a script and keeps every byte that it received. */
export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const received: Received[] = [];
  const scripts: Script[] = [];
  const connections = { total: 0, open: 0 };
  const server = http.createServer((request, response) => {
    const pieces: Buffer[] = [];
    const aborted = new Promise<void>((resolve) => {
      response.on('close', () => {
        if (!response.writableFinished) resolve();
      });
    });
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const raw = request.rawHeaders;
      received.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: raw.flatMap((name, i) =>
          i % 2 === 0 ? [[name.toLowerCase(), raw[i + 1] ?? ''] as const] : [],
        ),
        body: Buffer.concat(pieces).toString('utf8'),
        aborted,
      });
      void play(scripts.shift() ?? { status: 500, pieces: ['unscripted'] }, response);
    });
  });
  server.on('connection', (socket) => {
    connections.total += 1;
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
    received,
    connections,
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

async function play(script: Script, response: http.ServerResponse): Promise<void> {
  response.writeHead(script.status ?? 200, {
    'content-type': 'application/json',
    ...script.headers,
  });
  for (const piece of script.pieces) {
    if (typeof piece === 'string') {
      response.write(piece);
    } else if ('wait' in piece) {
      await piece.wait;
    } else {
      // What was written before goes out first.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      response.destroy();
      return;
    }
  }
  response.end();
}

export const sse: Readonly<Record<string, string>> = { 'content-type': 'text/event-stream' };

/** Frames of an OpenAI stream. */
export function dataFrames(...values: readonly unknown[]): string {
  return values
    .map((value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`)
    .join('');
}

/** Frames of a Messages stream: each value has its type. */
export function typedFrames(
  ...values: readonly { readonly type: string; readonly [field: string]: unknown }[]
): string {
  return values.map((value) => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`).join('');
}
