import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { NetworkNode, NetworkUser, Table } from '@postern/core/state';
import { userSubjectKey } from '@postern/core/state';
import type { HttpHandler, HttpReply, HttpRequest } from '../http/index.ts';
import { answerDerp } from './derp/index.ts';
import type { IdTokens } from './id-token.ts';
import { discoveryPath, jwksPath } from './id-token.ts';
import type { PendingJoin, PendingJoins } from './joining/pending.ts';
import type { SshChecks } from './joining/ssh-checks.ts';
import type { CoordinationLog, NetworkSettings, SignedIn, SignIn } from './ports.ts';

export interface PublicPagesOptions {
  readonly publicKey: string;
  readonly tokens: IdTokens;
  readonly settings: NetworkSettings;
  readonly pending: PendingJoins;
  readonly checks: SshChecks;
  readonly users: () => Table<NetworkUser>;
  readonly nowMs: () => number;
  readonly log: CoordinationLog;
  readonly signIn?: SignIn;
  readonly admit: (waiting: PendingJoin, who: SignedIn) => Promise<Result<NetworkNode, Refusal>>;
}

const browserCookie = 'postern_join';
const zeroMachineKey = `mkey:${'0'.repeat(64)}`;
const sshPath = /^\/ssh-check\/([0-9a-f]{32})$/;
/** Marks sign-ins that confirm an SSH session. */
const sshRequest = 'ssh-';
const registerPath = /^\/register\/([0-9a-f]{32})$/;

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' https:; frame-ancestors 'none'; base-uri 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

/** What anybody may ask of the coordination listener without a machine key. */
export function publicHandler(options: PublicPagesOptions): HttpHandler {
  return async (request, reply) => {
    const { path, method } = request;
    const isRead = method === 'GET' || method === 'HEAD';
    if (path === '/key' && isRead) return sendKey(options, request, reply);
    if (path === '/health' && isRead) return sendJson(reply, 200, { status: 'ok' });
    if (path === discoveryPath && isRead) return sendJson(reply, 200, options.tokens.discovery);
    if (path === jwksPath && isRead) return sendJson(reply, 200, { keys: [options.tokens.jwk] });
    const headers = Object.fromEntries(request.headers.entries());
    const relay = answerDerp({ method, path, headers });
    if (relay !== undefined) return reply.send(relay.status, relay.headers, relay.body);
    const id = registerPath.exec(path)?.[1];
    if (id !== undefined) return showJoin(options, id, request, reply);
    const check = sshPath.exec(path)?.[1];
    if (check !== undefined) return showSshCheck(options, check, request, reply);
    if (path === '/oidc/callback' && method === 'GET') return finishSignIn(options, request, reply);
    sendJson(reply, 404, { error: `there is no ${path} here` });
  };
}

/** Clients from capability version 28 on read the key here; older ones are not served. */
function sendKey({ publicKey }: PublicPagesOptions, request: HttpRequest, reply: HttpReply): void {
  if (!new URLSearchParams(request.query).has('v')) {
    return sendJson(reply, 400, { error: 'say the capability version: /key?v=…' });
  }
  sendJson(reply, 200, { legacyPublicKey: zeroMachineKey, publicKey });
}

async function showJoin(
  options: PublicPagesOptions,
  id: string,
  request: HttpRequest,
  reply: HttpReply,
): Promise<void> {
  const { pending, nowMs, signIn, settings } = options;
  const waiting = pending.get(id, nowMs());
  if (waiting === undefined) {
    return sendPage(reply, 404, 'Nothing waits here', [
      'This link is over or was used already. Start again on the machine with <code>tailscale up</code>.',
    ]);
  }
  if (request.method === 'POST' && signIn !== undefined) {
    return beginSignIn(options, signIn, id, request, reply);
  }
  const name = waiting.hostinfo?.hostname ?? 'unknown';
  const key = waiting.machineKey.slice(0, 'mkey:'.length + 8);
  const machine = `A machine that calls itself <b>${escaped(name)}</b> (${escaped(waiting.hostinfo?.os ?? '')}, key ${escaped(key)}…) asks to join <b>${escaped(settings.baseDomain)}</b>.`;
  sendPage(
    reply,
    200,
    'A machine asks to join',
    signIn === undefined
      ? [
          machine,
          `An operator lets it in with:<pre>postern node approve ${id} --user you@example.com</pre>`,
        ]
      : [
          machine,
          'Go on only if you started this yourself: it will act in the network as you.',
          '<form method="post"><button>Sign in and connect it</button></form>',
        ],
  );
}

/** Sends the browser to the issuer. Only the button of our own page may do this, no form of another one. */
async function beginSignIn(
  { settings, log }: PublicPagesOptions,
  signIn: SignIn,
  requestId: string,
  request: HttpRequest,
  reply: HttpReply,
): Promise<void> {
  if (request.headers.get('origin') !== settings.url) {
    return sendPage(reply, 403, 'Not from here', ['Open the link that the machine showed.']);
  }
  const begun = await signIn.begin(requestId);
  if (!begun.ok) {
    log.warn({ problem: begun.error }, 'the sign-in cannot begin');
    return sendPage(reply, 503, 'The sign-in does not work now', ['Try again in a minute.']);
  }
  const { location, browser } = begun.value;
  const secure = settings.url.startsWith('https:') ? '; Secure' : '';
  const cookie = `${browserCookie}=${browser}; Path=/oidc; Max-Age=600; HttpOnly; SameSite=Lax${secure}`;
  reply.send(303, { location, 'set-cookie': cookie, 'cache-control': 'no-store' }, '');
}

async function showSshCheck(
  options: PublicPagesOptions,
  id: string,
  request: HttpRequest,
  reply: HttpReply,
): Promise<void> {
  const { checks, nowMs, signIn } = options;
  const check = checks.get(id, nowMs());
  if (check === undefined || signIn === undefined) {
    return sendPage(reply, 404, 'Nothing waits here', ['Start the SSH session again.']);
  }
  if (request.method === 'POST') {
    return beginSignIn(options, signIn, sshRequest + id, request, reply);
  }
  sendPage(reply, 200, 'An SSH session asks for you', [
    `A session from machine <b>${escaped(check.source)}</b> to machine <b>${escaped(check.target)}</b> waits.`,
    'Go on only if you started it yourself.',
    '<form method="post"><button>Sign in and let it go on</button></form>',
  ]);
}

/** Why the person who signed in cannot confirm the session; undefined where they did. */
function confirmSsh(
  { checks, users, nowMs }: PublicPagesOptions,
  id: string,
  who: SignedIn,
): string | undefined {
  const check = checks.get(id, nowMs());
  if (check === undefined) return 'nothing waits for this sign-in any more';
  const user = users().get(userSubjectKey(who.authority, who.subject));
  if (user?.id !== check.userId) return 'the session belongs to somebody else';
  checks.confirm(check, nowMs());
  return undefined;
}

async function finishSignIn(
  options: PublicPagesOptions,
  request: HttpRequest,
  reply: HttpReply,
): Promise<void> {
  const { signIn, pending, nowMs, settings, log } = options;
  const failed = (problem: string): void => {
    log.warn({ problem }, 'a sign-in failed');
    sendPage(reply, 403, 'The sign-in failed', ['Start again on the machine.', escaped(problem)]);
  };
  if (signIn === undefined) return failed('no issuer is configured');
  const url = new URL(`${settings.url}/oidc/callback?${request.query}`);
  const done = await signIn.finish(url, cookieOf(request, browserCookie));
  if (!done.ok) return failed(done.error);
  if (done.value.requestId.startsWith(sshRequest)) {
    const problem = confirmSsh(
      options,
      done.value.requestId.slice(sshRequest.length),
      done.value.who,
    );
    if (problem !== undefined) return failed(problem);
    return sendPage(reply, 200, 'Confirmed', ['The session goes on. You can close this window.']);
  }
  const waiting = pending.get(done.value.requestId, nowMs());
  if (waiting === undefined) return failed('nothing waits for this sign-in any more');
  const admitted = await options.admit(waiting, done.value.who);
  if (!admitted.ok) return failed(admitted.error.message);
  sendPage(reply, 200, 'Connected', [
    `<b>${escaped(admitted.value.name)}</b> is now a machine of <b>${escaped(done.value.who.login)}</b>. You can close this window.`,
  ]);
}

function cookieOf(request: HttpRequest, name: string): string {
  const pairs = (request.headers.get('cookie') ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}

function sendJson(reply: HttpReply, status: number, body: object): void {
  reply.send(status, { 'content-type': 'application/json' }, `${JSON.stringify(body)}\n`);
}

function sendPage(reply: HttpReply, status: number, title: string, lines: readonly string[]): void {
  const body = lines.map((line) => `<p>${line}</p>`).join('\n');
  const style = 'body{font:16px/1.5 system-ui;max-width:36em;margin:4em auto;padding:0 1em}';
  reply.send(
    status,
    pageHeaders,
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${style}</style><h1>${title}</h1>\n${body}\n`,
  );
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
