import { request } from 'node:http';
import type { JsonLimits, JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, ok, parseJson } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import {
  capabilitiesOf,
  taggedDevicesLogin,
  tailnetNode,
  tailnetUser,
} from '@postern/core/identity';
import type { NetworkIdentity, Whois } from '../../gateway/identity-ports.ts';

/** Where tailscaled listens for local programs on Linux. */
export const tailscaledSocket = '/var/run/tailscale/tailscaled.sock';

/** Long for a lookup in memory, short for a caller who waits. */
const answerMsMax = 2_000;
/** A node with many allowed routes and capabilities stays under 100 KiB. */
const answerBytesMax = 1_048_576;
/** How long one answer counts: a node that is removed or re-tagged is noticed after this. */
const rememberMs = 2_000;
const rememberedMax = 4_096;

const answerLimits: JsonLimits = Object.freeze({
  bytesMax: answerBytesMax,
  depthMax: 32,
  keysPerObjectMax: 4_096,
  valuesMax: 100_000,
  stringBytesMax: 65_536,
  numberCharsMax: 64,
  duplicateKeys: 'refuse',
});

export interface LocalApiOptions {
  readonly socketPath: string;
  /** A clock that never goes back, ms. */
  readonly monotonicMs: () => number;
}

type Answer = Result<NetworkIdentity | undefined, Refusal>;

/**
 * Asks the local tailscaled who has an address (`GET /localapi/v0/whois`). Answers count for two seconds, so that the
 * requests of one connection share one question. No answer, or one that cannot be read, is `state_unavailable`.
 */
export function createLocalApiWhois(options: LocalApiOptions): Whois {
  const remembered = new Map<string, { readonly answer: Promise<Answer>; readonly atMs: number }>();
  return async (address) => {
    const nowMs = options.monotonicMs();
    const known = remembered.get(address);
    if (known !== undefined && nowMs - known.atMs < rememberMs) return known.answer;
    const answer = ask(options.socketPath, address);
    remembered.delete(address);
    remembered.set(address, { answer, atMs: nowMs });
    if (remembered.size > rememberedMax) forgetOldest(remembered);
    const result = await answer;
    // A failure is asked again at once: it says nothing about the caller.
    if (!result.ok && remembered.get(address)?.answer === answer) remembered.delete(address);
    return result;
  };
}

function forgetOldest(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

async function ask(socketPath: string, address: string): Promise<Answer> {
  const got = await get(socketPath, `/localapi/v0/whois?addr=${encodeURIComponent(address)}`);
  if (!got.ok) return unavailable(got.error);
  if (got.value.status === 404) return ok(undefined);
  const answer = readObject(got.value);
  return answer.ok ? readWhois(answer.value) : answer;
}

/**
 * Our own addresses on the mesh (`GET /localapi/v0/status`); none unless the daemon is up and logged in. Whoever uses
 * them asks again every few seconds: they change with the login.
 */
export async function askTailnetAddresses(
  socketPath: string,
): Promise<Result<readonly string[], Refusal>> {
  const got = await get(socketPath, '/localapi/v0/status?peers=false');
  if (!got.ok) return unavailable(got.error);
  const answer = readObject(got.value);
  if (!answer.ok) return answer;
  const { BackendState: state, TailscaleIPs: addresses } = answer.value;
  return ok(state === 'Running' ? texts(addresses) : []);
}

function readObject(answer: HttpAnswer): Result<JsonObject, Refusal> {
  if (answer.status !== 200) return unavailable(`tailscaled answered ${answer.status}`);
  const document = parseJson(answer.body, answerLimits);
  return document.ok && isJsonObject(document.value.value)
    ? ok(document.value.value)
    : unavailable('the answer of tailscaled is not a JSON object');
}

function unavailable(cause: string): Result<never, Refusal> {
  return err(
    refusal(
      'state_unavailable',
      'The private network cannot be asked now (the local tailscaled does not answer). Try again.',
      { retryAfterMs: 1_000, detail: { cause } },
    ),
  );
}

interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

function get(socketPath: string, path: string): Promise<Result<HttpAnswer, string>> {
  return new Promise((resolve) => {
    const fail = (why: string): void => {
      resolve(err(why));
      sent.destroy();
    };
    // tailscaled answers only to this Host: no web page can send it.
    const headers = { host: 'local-tailscaled.sock' };
    const sent = request({ socketPath, path, headers, agent: false }, (answer) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      answer.on('data', (chunk: Uint8Array) => {
        length += chunk.length;
        if (length > answerBytesMax) fail('the answer of tailscaled is too long');
        else chunks.push(chunk);
      });
      answer.on('end', () => {
        if (answer.complete)
          resolve(ok({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) }));
        else fail('tailscaled broke off');
      });
      answer.on('error', () => {
        fail('tailscaled broke off');
      });
    });
    const timer = setTimeout(() => {
      fail('tailscaled does not answer in time');
    }, answerMsMax);
    timer.unref();
    sent.on('error', (error) => {
      fail('code' in error ? `tailscaled cannot be reached (${String(error.code)})` : 'no answer');
    });
    sent.on('close', () => {
      clearTimeout(timer);
    });
    sent.end();
  });
}

/** `{Node: {StableID, Name, Tags, Addresses}, UserProfile: {LoginName, DisplayName}, CapMap}`. Tags come before users. */
function readWhois(answer: JsonObject): Answer {
  const node = answer['Node'];
  const profile = answer['UserProfile'];
  if (!isJsonObject(node)) return unavailable('the answer of tailscaled has no Node');
  const capabilities = capabilitiesOf(answer['CapMap']);
  const more = capabilities === undefined ? {} : { capabilities };
  const addresses = texts(node['Addresses']).map((prefix) => prefix.replace(/\/\d+$/, ''));
  const tags = texts(node['Tags']);
  if (tags.length > 0) {
    const id = textOf(node['StableID']);
    if (id === undefined || tags.some((tag) => !tag.startsWith('tag:')))
      return unavailable(
        'the answer of tailscaled names a tagged node without id or with odd tags',
      );
    const name = textOf(node['Name'])?.replace(/\.$/, '');
    return ok({ principal: tailnetNode(id, name ?? id, tags, addresses), ...more });
  }
  const login = isJsonObject(profile) ? textOf(profile['LoginName']) : undefined;
  if (login === undefined || login === taggedDevicesLogin)
    return unavailable('the answer of tailscaled names neither tags nor a user');
  const display = isJsonObject(profile) ? textOf(profile['DisplayName']) : undefined;
  return ok({ principal: { ...tailnetUser(login, display), addresses }, ...more });
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
