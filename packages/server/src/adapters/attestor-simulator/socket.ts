import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import process from 'node:process';
import { parseJson, requestJsonLimits } from '@postern/core/base';
import type { JsonObject } from '@postern/core/base';
import { legacyMethods, methods } from './methods.ts';
import type { Method } from './methods.ts';
import type { Simulator } from './simulator.ts';

export interface AgentSocket {
  readonly path: string;
  close(): Promise<void>;
}

const bodyBytesMax = 1 << 20;
const ownerOnly = 0o600;

/** Serves the simulated agent on a unix socket that only the owner may open. */
export async function serveAgent(simulator: Simulator, path: string): Promise<AgentSocket> {
  await removeStale(path);
  const server = createServer((request, response) => {
    answer(simulator, request, response).catch(() => {
      if (!response.headersSent) send(response, 500, { error: 'internal error' });
    });
  });
  const before = process.umask(0o177);
  try {
    server.listen(path);
    await once(server, 'listening');
  } finally {
    process.umask(before);
  }
  await chmod(path, ownerOnly);
  return { path, close: () => close(server) };
}

/** A socket that a crashed simulator left behind is removed; any other file is not ours to remove. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() === true) await unlink(path);
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  const closed = once(server, 'close');
  server.close();
  await closed;
}

async function answer(
  simulator: Simulator,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://agent');
  const method = methodOf(url.pathname);
  if (method === undefined) return send(response, 404, { error: 'no such method' });
  const fields =
    request.method === 'POST' ? await readBody(request) : Object.fromEntries(url.searchParams);
  if (fields === undefined) return send(response, 400, { error: 'the body is not a JSON object' });
  const result = method(simulator, fields);
  if (!result.ok) return send(response, 400, { error: result.error });
  return send(response, 200, result.value);
}

function methodOf(pathname: string): Method | undefined {
  const legacy = /^\/prpc\/Tappd\.(\w+)$/.exec(pathname)?.[1];
  if (legacy !== undefined) return legacyMethods.get(legacy);
  const name = /^\/(?:prpc\/(?:DstackGuest\.)?)?(\w+)$/.exec(pathname)?.[1];
  return name === undefined ? undefined : methods.get(name);
}

async function readBody(request: IncomingMessage): Promise<JsonObject | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    // Without an encoding set, the chunks of a message are buffers.
    chunks.push(chunk as Buffer);
    length += chunks.at(-1)?.length ?? 0;
    if (length > bodyBytesMax) return undefined;
  }
  if (length === 0) return {};
  const limits = { ...requestJsonLimits, bytesMax: bodyBytesMax };
  const json = parseJson(new Uint8Array(Buffer.concat(chunks)), limits);
  const value = json.ok ? json.value.value : undefined;
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  // Neither null nor an array, so it is the object member of the union.
  return isObject ? (value as JsonObject) : undefined;
}

function send(response: ServerResponse, status: number, body: JsonObject): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
