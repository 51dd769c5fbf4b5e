// Asks what runs in this container whether it is well: the gateway whether it is ready, a node whether its registry has
// heard of it lately. Node alone: the image has no curl.
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import process from 'node:process';

const { VPC_NODE_NAME = '', VPC_SERVER_ENABLED = '', POSTERN_STATE = '/data' } = process.env;
const silentMsMax = 60_000;

if (VPC_NODE_NAME !== '' && VPC_SERVER_ENABLED !== 'true') {
  process.exitCode = heardMs() > Date.now() - silentMsMax ? 0 : 1;
} else askGateway();

/** NaN, which is no time at all, where it was never heard of. */
function heardMs() {
  try {
    return Date.parse(readFileSync(`${POSTERN_STATE}/join/alive`, 'utf8').trim());
  } catch {
    return Number.NaN;
  }
}

function askGateway() {
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
}
