import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../fakes/free-port.ts';
import { createOidcSignIn } from '../../packages/server/src/adapters/sign-in-oidc/index.ts';
import { createLazyEgress } from '../../packages/server/src/app/egress.ts';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import type { TestIssuer } from './issuer.ts';
import { startIssuer } from './issuer.ts';
import type { Rig } from './rig.ts';
import { startRig } from './rig.ts';

let rig: Rig;
let issuer: TestIssuer;
let stateDir: string;
const egress = createLazyEgress();

beforeAll(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), 'postern-sign-in-'));
  issuer = await startIssuer('postern');
  const url = `http://127.0.0.1:${await freePort()}`;
  rig = await startRig({
    stateDir,
    url,
    signIn: createOidcSignIn({
      issuer: issuer.url,
      clientId: 'postern',
      clientSecret: 'secret',
      callbackUrl: `${url}/oidc/callback`,
      allowedDomains: [],
      egress: egress.egress,
      nowMs: Date.now,
    }),
  });
  await rig.applyPolicy(`{
    "grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}],
    "ssh": [{"action": "check", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["autogroup:nonroot"]}],
  }`);
});

afterAll(async () => {
  await rig.close();
  await issuer.close();
  await egress.close();
  await rm(stateDir, { recursive: true, force: true });
});

interface Browser {
  readonly callback: URL;
  readonly cookie: string;
}

/** Presses the button of a page, as a browser on our own origin does. */
async function press(page: string, origin = new URL(page).origin): Promise<Response> {
  return fetch(page, { method: 'POST', headers: { origin }, redirect: 'manual' });
}

async function signIn(page: string): Promise<Browser> {
  const sent = await press(page);
  expect(sent.status).toBe(303);
  const cookie = (sent.headers.get('set-cookie') ?? '').split(';', 1)[0] ?? '';
  return { callback: issuer.answer(sent.headers.get('location') ?? ''), cookie };
}

async function finish({ callback, cookie }: Browser): Promise<Response> {
  return fetch(callback, { headers: { cookie } });
}

async function join(hostname: string): Promise<{ one: ControlClient; url: string }> {
  const one = await ControlClient.connect({ url: rig.url, machine: newMachine(hostname) });
  const { AuthURL: url = '' } = await one.register();
  return { one, url };
}

const alice = { sub: '42', email: 'alice@example.com', email_verified: true, name: 'Alice' };

describe('a sign-in', () => {
  test('makes the machine one of the person, known by issuer and subject', async () => {
    issuer.next = alice;
    const { one, url } = await join('alices');
    const outcome = one.register({ followup: url });
    const page = await finish(await signIn(url));
    expect(page.status).toBe(200);
    expect((await outcome).Login?.LoginName).toBe('alice@example.com');
    const [user] = [...rig.control.snapshot().network.usersById.values()];
    expect(user).toMatchObject({ authority: issuer.url, subject: '42', displayName: 'Alice' });
    one.close();
  });

  test('of another browser than the one that began it counts for nothing, and neither does a second answer', async () => {
    issuer.next = alice;
    const { one, url } = await join('phished');
    const began = await signIn(url);
    expect((await finish({ ...began, cookie: 'postern_join=guess' })).status).toBe(403);
    expect((await finish(began)).status).toBe(403);
    expect(rig.control.snapshot().network.nodesByKey.has(one.nodeKey)).toBe(false);
    one.close();
  });

  test('is not begun by a form of another page', async () => {
    const { one, url } = await join('cross');
    expect((await press(url, 'https://evil.example')).status).toBe(403);
    one.close();
  });

  test('with an address that nobody verified, or of another subject, is not that person', async () => {
    issuer.next = { ...alice, sub: '43', email_verified: false };
    const first = await join('unverified');
    const outcome = first.one.register({ followup: first.url });
    await finish(await signIn(first.url));
    expect((await outcome).Login?.LoginName).toMatch(/^43@127\.0\.0\.1\.invalid$/);
    issuer.next = { ...alice, sub: '44' };
    const second = await join('impostor');
    expect((await finish(await signIn(second.url))).status).toBe(403);
    expect(rig.control.snapshot().network.nodesByKey.has(second.one.nodeKey)).toBe(false);
    first.one.close();
    second.one.close();
  });
});

describe('an ssh check', () => {
  async function aliceMachine(hostname: string): Promise<{ one: ControlClient; number: number }> {
    issuer.next = alice;
    const { one, url } = await join(hostname);
    const outcome = one.register({ followup: url });
    await finish(await signIn(url));
    expect((await outcome).MachineAuthorized).toBe(true);
    const node = rig.control.snapshot().network.nodesByKey.get(one.nodeKey);
    return { one, number: node?.number ?? 0 };
  }

  async function ask(server: ControlClient, where: string): Promise<Record<string, unknown>> {
    const stream = server.session.stream(where, {});
    let body = '';
    for await (const chunk of stream) body += String(chunk);
    return JSON.parse(body) as Record<string, unknown>; // Whatever it says is compared below.
  }

  test('holds the session until its own user has signed in, and then counts for a while', async () => {
    const from = await aliceMachine('ssh-from');
    const to = await aliceMachine('ssh-to');
    const where = `/machine/ssh/action/${from.number}/to/${to.number}`;
    const first = await ask(to.one, `${where}?local_user=alice`);
    const page = /http:\S+/.exec(String(first['message']))?.[0] ?? '';
    const delegate = new URL(String(first['holdAndDelegate'])).pathname;
    const held = ask(to.one, delegate);
    issuer.next = { sub: '99', email: 'eve@example.com', email_verified: true };
    expect((await finish(await signIn(page))).status).toBe(403);
    issuer.next = alice;
    expect((await finish(await signIn(page))).status).toBe(200);
    expect(await held).toMatchObject({ accept: true });
    expect(await ask(to.one, where)).toMatchObject({ accept: true });
    // Asked by a machine that is not the target.
    expect(await ask(from.one, where)).toEqual({ error: 'no such session' });
    from.one.close();
    to.one.close();
  });
});
