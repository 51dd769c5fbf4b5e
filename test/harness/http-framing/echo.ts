import type { HttpHandler, HttpReply, HttpRequest } from '@postern/server/http';

/** A handler that shows what the listener let through. It exists only in tests. */
const etag = '"v1"';
const lastModified = 'Tue, 01 Jul 2025 00:00:00 GMT';
const textPlain = { 'content-type': 'text/plain; charset=utf-8' } as const;
const allow = { allow: 'GET, HEAD, POST, OPTIONS' } as const;
/** No route reads so much: with it a huge declared length shows whether the listener waits or allocates. */
const bodyBytesMax = 2_147_483_647;

export const echoHandler: HttpHandler = async (request, reply) => {
  if (!['/', '/echo', '/cookie'].includes(request.path)) {
    reply.send(404, textPlain, 'no such path');
    return;
  }
  if (request.method === 'OPTIONS') {
    reply.send(204, allow, '');
    return;
  }
  if (!['GET', 'HEAD', 'POST'].includes(request.method)) {
    reply.send(405, { ...textPlain, ...allow }, 'not here');
    return;
  }
  const body = await request.readBody(bodyBytesMax);
  if (!body.ok) {
    reply.send(400, textPlain, body.error.message);
    return;
  }
  if (request.path === '/echo') reply.send(200, textPlain, headerLines(request));
  else if (request.path === '/cookie') reply.send(200, textPlain, cookieLines(request));
  else if (request.method === 'POST') reply.send(200, textPlain, body.value);
  else sendResource(request, reply);
};

function headerLines(request: HttpRequest): string {
  return [...request.headers.entries()].map(([name, value]) => `${name}: ${value}\n`).join('');
}

function cookieLines(request: HttpRequest): string {
  const pairs = (request.headers.get('cookie') ?? '').split(';').map((pair) => pair.trim());
  return pairs.map((pair) => `${pair}\n`).join('');
}

/** A resource with validators, so that answers without a body are exercised too (RFC 9110 section 13). */
function sendResource(request: HttpRequest, reply: HttpReply): void {
  const validators = { etag, 'last-modified': lastModified };
  if (isFresh(request)) reply.send(304, validators, '');
  else reply.send(200, { ...textPlain, ...validators }, 'OK');
}

function isFresh(request: HttpRequest): boolean {
  const tags = request.headers.get('if-none-match');
  if (tags !== undefined) {
    const listed = tags.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
    return listed.includes('*') || listed.includes(etag);
  }
  const since = Date.parse(request.headers.get('if-modified-since') ?? '');
  return since >= Date.parse(lastModified) && since <= Date.now();
}
