// Asks the gateway of this container whether it is ready. Node alone: the image has no curl.
import { get } from 'node:http';
import process from 'node:process';

const address = process.env.POSTERN_GATEWAY_ADDR ?? process.env.PORT ?? '8080';
const port = Number(address.slice(address.lastIndexOf(':') + 1));
const request = get({ host: '127.0.0.1', port, path: '/readyz', timeout: 2_000 }, (answer) => {
  answer.resume();
  process.exitCode = answer.statusCode === 200 ? 0 : 1;
});
request.on('timeout', () => request.destroy());
request.on('error', () => {
  process.exitCode = 1;
});
