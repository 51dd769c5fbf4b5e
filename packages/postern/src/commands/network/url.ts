import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { object, refused, text } from './answer.ts';
import { qrCode } from './qr.ts';

export const run: Run = async ({ options, io }) => {
  const status = await clientFor(io).json({ method: 'GET', path: '/api/v1/network' });
  if (!status.ok) return refused(io, status.error);
  const url = text(object(status.value)['url']);
  if (url === '') {
    io.err('There is no network. Start one: postern up --url URL');
    return exitCodes.failed;
  }
  if (io.json) {
    io.outJson({ url });
    return exitCodes.ok;
  }
  io.out(url);
  if (io.isTerminal || options['qr'] === true) {
    io.out(`\n${await qrCode(url)}`);
    io.err(
      [
        'On a computer:  tailscale up --login-server=' + url,
        'On a phone:     in the Tailscale app, open the account menu, choose "Use an alternate server"',
        '                (iOS: "Use custom coordination server"), paste this URL and sign in.',
      ].join('\n'),
    );
  }
  return exitCodes.ok;
};
