import type { Result } from '@postern/core/base';
import { andThen, err } from '@postern/core/base';
import { parseAddr, parsePrefix, prefixContains, unmap } from '@postern/core/base/netip';
import type { ErrorCode, Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { Snapshot } from '@postern/core/state';
import type { Control } from '../../control/index.ts';
import type { Identify } from '../../gateway/index.ts';
import type { HttpRequest, Peer } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';
import { Barred, refuseBarred } from './barred.ts';
import type { LiveCaller } from './live-callers.ts';
import { LiveCallers } from './live-callers.ts';

/** What of a snapshot says who may be here: while these are the same values, nobody has to go. */
type Standing = Pick<Snapshot, 'keysById' | 'revocationsByTarget' | 'containment'>;

const credentialCodes: ReadonlySet<ErrorCode> = new Set([
  'credential_invalid',
  'credential_expired',
  'credential_revoked',
]);

/**
 * Keeps out whom an operator blocked, and ends what revoked callers have open. Every process that follows the state
 * does so for its own connections, as soon as it sees the record: a revocation does not wait for the next request.
 */
export class Doorkeeper {
  readonly #barred = new Barred();
  readonly #live = new LiveCallers();
  readonly #nowMs: () => number;
  readonly #onCut: (count: number) => void;
  #standing: Standing | undefined;
  #revision = 0;
  /** Asks again who a request is from, by the state as it is now. */
  #identifyAgain: Identify | undefined;

  constructor(options: { readonly nowMs: () => number; readonly onCut: (count: number) => void }) {
    this.#nowMs = options.nowMs;
    this.#onCut = options.onCut;
  }

  /** At accept: connections of blocked addresses are closed unread. Where proxies stand between, `identify` decides. */
  turnsAway({ address }: Peer): boolean {
    return this.#barred.address(address, this.#nowMs());
  }

  /** Connections from within a prefix on which somebody was identified, and that are open now. */
  openFrom(prefixText: string): number {
    const prefix = parsePrefix(prefixText);
    if (!prefix.ok) return 0;
    return this.#live.all().filter(({ request }) => {
      const address = parseAddr(request.clientAddress ?? '');
      return address.ok && prefixContains(prefix.value, unmap(address.value));
    }).length;
  }

  /** Who runs this process is never kept out: the control socket is where blocks are lifted. */
  guard(identify: Identify): Identify {
    this.#identifyAgain ??= identify;
    return (request) => {
      if (request.listener === 'control-socket') return identify(request);
      if (this.#barred.address(request.clientAddress, this.#nowMs())) return refuseBarred();
      const before = this.#revision;
      return andThen(identify(request), (identified) =>
        identified.ok ? this.#enter(request, identified.value, before) : identified,
      );
    };
  }

  #enter(request: HttpRequest, caller: Caller, before: number): Result<Caller, Refusal> {
    if (!this.#barred.isIdle) {
      const welcome = this.#barred.caller(caller, this.#nowMs());
      if (!welcome.ok) return welcome;
    }
    const entry = this.#live.saw(request, caller);
    // What was revoked while we asked did not find this request among the open ones.
    if (before !== this.#revision && this.#standing !== undefined && this.#hasGone(entry)) {
      return err(refusal('credential_revoked', 'This credential was revoked just now.'));
    }
    return { ok: true, value: caller };
  }

  /** Takes up the state; resolves when nobody is left who should not be here. */
  async follow(snapshot: Snapshot): Promise<void> {
    const { keysById, revocationsByTarget, containment } = snapshot;
    const before = this.#standing;
    if (
      before?.keysById === keysById &&
      before.revocationsByTarget === revocationsByTarget &&
      before.containment === containment
    )
      return;
    this.#standing = { keysById, revocationsByTarget, containment };
    this.#revision += 1;
    this.#barred.take(containment);
    if (before === undefined) return;
    const tokensChanged = before.revocationsByTarget !== revocationsByTarget;
    let cut = 0;
    const doubtful: LiveCaller[] = [];
    for (const entry of this.#live.all()) {
      if (this.#hasGone(entry)) cut += Number(this.#live.cut(entry));
      else if (tokensChanged && isByToken(entry)) doubtful.push(entry);
    }
    for (const entry of doubtful) {
      // oxlint-disable-next-line no-await-in-loop -- signatures are verified one after the other: streams go on meanwhile
      if (await this.#isRefusedNow(entry)) cut += Number(this.#live.cut(entry));
    }
    if (cut > 0) this.#onCut(cut);
  }

  /** What the state says by itself: keys, blocked addresses, blocked principals. */
  #hasGone({ request, caller }: LiveCaller): boolean {
    const nowMs = this.#nowMs();
    if (request.listener === 'control-socket') return false;
    if (this.#barred.address(request.peer.address, nowMs)) return true;
    if (this.#barred.address(request.clientAddress, nowMs)) return true;
    if (!this.#barred.caller(caller, nowMs).ok) return true;
    if (caller.subject.authority !== 'key') return false;
    const key = this.#standing?.keysById.get(caller.subject.id);
    return key === undefined || key.revokedAtMs !== undefined;
  }

  async #isRefusedNow({ request }: LiveCaller): Promise<boolean> {
    const again = await this.#identifyAgain?.(request);
    return again?.ok === false && credentialCodes.has(again.error.code);
  }
}

/** Follows the state from the first record on. */
export function postDoorkeeper(control: Control, logger: Logger, ending: AbortSignal): Doorkeeper {
  const { nowMs } = control.system;
  const onCut = (connections: number): void =>
    logger.warn({ connections }, 'connections of revoked or blocked callers were cut');
  const doorkeeper = new Doorkeeper({ nowMs, onCut });
  control.subscribe((snapshot) => void doorkeeper.follow(snapshot), ending);
  return doorkeeper;
}

function isByToken({ caller }: LiveCaller): boolean {
  return caller.subject.authority === 'jwt';
}
