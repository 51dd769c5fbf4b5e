import { once } from 'node:events';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Place, Said } from './lab.ts';
import { PosternServer } from './postern-server.ts';
import { hasSsh, sshInto } from './ssh.ts';
import type { StockClient } from './stock-client.ts';
import { describeLab } from './suite.ts';

const policy = {
  grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }],
  ssh: [
    {
      action: 'check',
      src: ['alice@example.com'],
      dst: ['tag:box'],
      users: ['root'],
      checkPeriod: '1m',
    },
  ],
  tagOwners: { 'tag:box': ['alice@example.com'] },
};
const issuerMain = path.resolve(import.meta.dirname, 'issuer-main.ts');

async function startIssuer(place: Place): Promise<string> {
  const words = [process.execPath, issuerMain, place.address, 'postern', 'alice@example.com'];
  const child = place.start(words);
  if (child.stdout === null) throw new Error('no output');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return line.toString().trim();
}

/** What a browser of a person who has a session with the issuer does with a link of ours. */
async function signIn(place: Place, link: string): Promise<Said> {
  const jar = path.join(place.folder, 'cookies');
  const origin = new URL(link).origin;
  const begin = ['-X', 'POST', '-H', `Origin: ${origin}`, '-c', jar, '-o', '/dev/null'];
  const to = await place.must(['curl', '-s', ...begin, '-w', '%{redirect_url}', link]);
  const ask = `http://${place.address}:9099/?location=${encodeURIComponent(to.trim())}`;
  const back = await place.must(['curl', '-s', ask]);
  return place.run(['curl', '-s', '-b', jar, back.trim()]);
}

describe.skipIf(!hasSsh())(hasSsh() ? 'ssh' : 'ssh (skipped: no ssh client)', () => {
  describeLab('after a check', (lab) => {
    let server: PosternServer;
    let a: StockClient;

    beforeAll(async () => {
      const { hub } = lab().lab;
      const issuer = await startIssuer(hub);
      server = await PosternServer.start({
        place: hub,
        engine: { oidc: { issuer, clientId: 'postern' } },
        env: { POSTERN_ALLOW_PRIVATE: '1' },
      });
      await server.applyPolicy(policy);
      a = await lab().addClient('a');
      const box = await lab().addClient('box');
      const key = await server.createKey({ tags: ['tag:box'] });
      await box.up(server.url, [`--auth-key=${key}`, '--ssh']);
    }, 120_000);
    afterAll(() => server.stop());

    test('a person joins by signing in on the page that the client shows', async () => {
      const joining = a.up(server.url);
      const { AuthURL } = await a.until('it shows a link', (status) => status.AuthURL !== '');
      expect((await signIn(lab().lab.hub, AuthURL)).out).toContain('Connected');
      await joining;
      await a.until('it sees the box', ({ Peer }) =>
        Object.values(Peer ?? {}).some(({ HostName }) => HostName === 'box'),
      );
    });

    test('a session waits until its person has signed in, and then goes on', async () => {
      const session = sshInto(a, 'root@box', 60);
      const link = (): string =>
        /http\S+\/ssh-check\/[0-9a-f]{32}/.exec(session.said())?.[0] ?? session.said();
      await expect.poll(link, { timeout: 30_000 }).toMatch(/^http/);
      expect(session.said()).toContain('this session needs a sign-in');
      expect((await signIn(lab().lab.hub, link())).out).toContain('Confirmed');
      expect(await session.ended).toMatchObject({ code: 0, out: 'in\nroot\n' });
    });

    test('within the check period the next session asks nobody', async () => {
      const again = sshInto(a, 'root@box', 20);
      expect(await again.ended).toMatchObject({ code: 0, out: 'in\nroot\n' });
      expect(again.said()).not.toContain('needs a sign-in');
    });
  });
});
