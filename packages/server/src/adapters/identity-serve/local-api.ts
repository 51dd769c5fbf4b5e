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
import type { HttpAnswer, LocalApiPlace } from './local-socket.ts';
import { answerBytesMax, callLocalApi } from './local-socket.ts';

/** How long one answer counts where nobody tells us of changes. */
const rememberMs = 2_000;
/** How long it counts where the daemon tells us of every change, which drops all answers. */
const rememberWatchedMs = 30_000;
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
  readonly place: LocalApiPlace;
  /** A clock that never goes back, ms. */
  readonly monotonicMs: () => number;
  /** Whether `forget` is called at every change of the network now. */
  readonly isWatched?: () => boolean;
}

/** Whois with a memory: what one connection asks again and again is asked once. */
export interface RememberingWhois {
  readonly whois: Whois;
  /** Drops every answer: the network, or who may what on it, has changed. */
  forget(): void;
}

type Answer = Result<NetworkIdentity | undefined, Refusal>;

/**
 * Asks the local tailscaled who has an address (`GET /localapi/v0/whois`). Answers are remembered by address and port,
 * so that the requests of one connection share one question. No answer, or one that cannot be read, is
 * `state_unavailable`.
 */
export function createLocalApiWhois(options: LocalApiOptions): RememberingWhois {
  const remembered = new Map<string, { readonly answer: Promise<Answer>; readonly atMs: number }>();
  const whois: Whois = async (address) => {
    const nowMs = options.monotonicMs();
    const known = remembered.get(address);
    const limitMs = options.isWatched?.() === true ? rememberWatchedMs : rememberMs;
    if (known !== undefined && nowMs - known.atMs < limitMs) return known.answer;
    const answer = ask(options.place, address);
    remembered.delete(address);
    remembered.set(address, { answer, atMs: nowMs });
    if (remembered.size > rememberedMax) forgetOldest(remembered);
    const result = await answer;
    // A failure is asked again at once: it says nothing about the caller.
    if (!result.ok && remembered.get(address)?.answer === answer) remembered.delete(address);
    return result;
  };
  return { whois, forget: () => remembered.clear() };
}

function forgetOldest(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

async function ask(place: LocalApiPlace, address: string): Promise<Answer> {
  const got = await callLocalApi(place, { path: `whois?addr=${encodeURIComponent(address)}` });
  if (!got.ok) return unavailable(got.error);
  if (got.value.status === 404) return ok(undefined);
  const answer = readObject(got.value);
  return answer.ok ? readWhois(answer.value) : answer;
}

export function readObject(answer: HttpAnswer): Result<JsonObject, Refusal> {
  if (answer.status !== 200) return unavailable(`tailscaled answered ${answer.status}`);
  const document = parseJson(answer.body, answerLimits);
  return document.ok && isJsonObject(document.value.value)
    ? ok(document.value.value)
    : unavailable('the answer of tailscaled is not a JSON object');
}

export function unavailable(cause: string): Result<never, Refusal> {
  return err(
    refusal(
      'state_unavailable',
      'The private network cannot be asked now (the local tailscaled does not answer). Try again.',
      { retryAfterMs: 1_000, detail: { cause } },
    ),
  );
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

export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function texts(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
