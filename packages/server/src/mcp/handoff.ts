import { mcpLimits } from './limits.ts';
import type { Delivered } from './ports.ts';

/** Under this path of the admin listener a person fetches what waits for them. */
export const handoffPrefix = '/mcp/handoff/';

/** Secrets that wait for a person: each is given out once, within ten minutes, and then it is nowhere. */
export class Handoffs {
  readonly #waiting = new Map<string, { readonly secret: string; readonly untilMs: number }>();
  readonly #randomHex: () => string;

  constructor(randomHex: () => string) {
    this.#randomHex = randomHex;
  }

  keep(
    secret: string,
    { origin, nowMs }: { readonly origin: string; readonly nowMs: number },
  ): Delivered {
    this.#forget(nowMs);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= mcpLimits.secretsMax && oldest !== undefined) {
      this.#waiting.delete(oldest);
    }
    const id = this.#randomHex();
    const untilMs = nowMs + mcpLimits.secretMsMax;
    this.#waiting.set(id, { secret, untilMs });
    return {
      how: 'link',
      url: `${origin}${handoffPrefix}${id}`,
      expires_at: new Date(untilMs).toISOString(),
    };
  }

  take(id: string, nowMs: number): string | undefined {
    this.#forget(nowMs);
    const found = this.#waiting.get(id);
    this.#waiting.delete(id);
    return found?.secret;
  }

  #forget(nowMs: number): void {
    for (const [id, { untilMs }] of this.#waiting) if (untilMs <= nowMs) this.#waiting.delete(id);
  }
}
