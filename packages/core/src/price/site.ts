import {
  cgnatRange,
  isLoopback,
  isPrivate,
  parseAddr,
  prefixContains,
} from '@postern/core/base/netip';
import type { Prefix } from '@postern/core/base/netip';

/**
 * Who bills for a provider. `self-hosted` is a stated fact about its addresses and makes its tokens free; `unlisted` is any
 * other place, whose prices nobody here knows.
 */
export type Site =
  | { readonly kind: 'vendor'; readonly vendor: string }
  | { readonly kind: 'self-hosted' }
  | { readonly kind: 'unlisted' };

/** What is known of a provider. */
export interface Place {
  readonly kind: 'openai' | 'anthropic' | 'bedrock' | 'builtin';
  /** Where it is called; not for `builtin` and `bedrock`. */
  readonly baseUrl?: string;
  /** What its name resolved to, where that is known. */
  readonly addresses?: readonly string[];
  /** Ranges of the mesh beyond 100.64.0.0/10 and the private ones. */
  readonly mesh?: readonly Prefix[];
}

const selfHosted: Site = Object.freeze({ kind: 'self-hosted' });
const unlisted: Site = Object.freeze({ kind: 'unlisted' });

/** Hosts of the vendors in the snapshot; a leading dot covers every name below. Regional hosts with prices of their own are left out. */
const vendorHosts: readonly (readonly [host: string, vendor: string])[] = [
  ['api.openai.com', 'openai'],
  ['api.anthropic.com', 'anthropic'],
  ['.openai.azure.com', 'azure'],
  ['.services.ai.azure.com', 'azure'],
  ['.cognitiveservices.azure.com', 'azure'],
  ['generativelanguage.googleapis.com', 'google'],
  ['aiplatform.googleapis.com', 'google'],
  ['api.mistral.ai', 'mistral'],
  ['api.groq.com', 'groq'],
  ['api.deepseek.com', 'deepseek'],
  ['api.x.ai', 'x-ai'],
  ['api.cohere.ai', 'cohere'],
  ['api.cohere.com', 'cohere'],
  ['api.together.xyz', 'together'],
  ['api.together.ai', 'together'],
  ['api.fireworks.ai', 'fireworks'],
  ['api.cerebras.ai', 'cerebras'],
  ['api.moonshot.ai', 'moonshotai'],
  ['openrouter.ai', 'openrouter'],
];

const bedrockHost = /^bedrock-runtime(?:-fips)?\.[a-z0-9-]{1,32}\.amazonaws\.com$/;
const vertexHost = /^[a-z0-9-]{1,32}-aiplatform\.googleapis\.com$/;

/**
 * Who bills for the provider. Self-hosted takes an address: a literal in its URL, `localhost`, or resolved ones, all of them
 * loopback, private or on the mesh. A name alone proves nothing about who runs what answers to it.
 */
export function siteOf(place: Place): Site {
  if (place.kind === 'builtin') return selfHosted;
  if (place.kind === 'bedrock') return { kind: 'vendor', vendor: 'aws' };
  const host = hostOf(place.baseUrl);
  if (host === undefined) return unlisted;
  const vendor = vendorOf(host);
  if (vendor !== undefined) return { kind: 'vendor', vendor };
  if (host === 'localhost' || host.endsWith('.localhost')) return selfHosted;
  const literal = host.replace(/^\[|\]$/g, '');
  const addresses = parseAddr(literal).ok ? [literal] : (place.addresses ?? []);
  const isOurs = addresses.length > 0 && addresses.every((each) => isOwn(each, place.mesh ?? []));
  return isOurs ? selfHosted : unlisted;
}

function hostOf(baseUrl: string | undefined): string | undefined {
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return undefined;
  return new URL(baseUrl).hostname.toLowerCase().replace(/\.$/, '');
}

function vendorOf(host: string): string | undefined {
  if (bedrockHost.test(host)) return 'aws';
  if (vertexHost.test(host)) return 'google';
  return vendorHosts.find(([name]) =>
    name.startsWith('.') ? host.endsWith(name) : host === name,
  )?.[1];
}

function isOwn(text: string, mesh: readonly Prefix[]): boolean {
  const addr = parseAddr(text);
  if (!addr.ok) return false;
  if (isLoopback(addr.value) || isPrivate(addr.value)) return true;
  return [cgnatRange, ...mesh].some((range) => prefixContains(range, addr.value));
}
