import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from './lab.ts';

const program = `
const { createServer } = require('node:http');
const [port, text] = process.argv.slice(1);
createServer((request, response) => {
  const size = Number(new URL(request.url, 'http://x').searchParams.get('bytes') ?? 0);
  response.end(size > 0 ? Buffer.alloc(size, 'x') : text + ' ' + request.socket.remoteAddress);
}).listen(Number(port), '0.0.0.0');
`;

/** A web server in a place: says a text and who asked, or as many bytes as it is asked for. */
export async function startWebServer(place: Place, port: number, text: string): Promise<void> {
  place.start([process.execPath, '-e', program, String(port), text]);
  for (let i = 0; i < 100; i += 1) {
    const said = await place.run(['curl', '-s', '-m', '1', `http://127.0.0.1:${port}/`]);
    if (said.code === 0) return;
    await sleep(50);
  }
  throw new Error('the web server does not start');
}

/** What a URL says from a place, or how the request failed. */
export async function get(place: Place, url: string, seconds = 5): Promise<string> {
  const said = await place.run(['curl', '-sS', '-m', String(seconds), url]);
  return said.code === 0 ? said.out : `failed: ${said.err.trim()}`;
}
