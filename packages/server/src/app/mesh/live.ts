import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { MeshConfig } from '@postern/core/contract';
import type { MeshTrust, ResolveTarget, RevokedLists } from '../../mesh/index.ts';
import { createResolver, mergedRevoked, nothingRevoked, revokedOf } from '../../mesh/index.ts';
import type { GatewayDomain } from '../../mesh/index.ts';
import { fixedTargets, gatewayOf } from './plan.ts';
import { loadTrust } from './trust.ts';

/**
 * What of a running mesh follows its configuration and the journal: whom to believe, who is revoked, and where apps are.
 * Each change makes a new `MeshTrust`: whoever was judged under the old one is judged again.
 */
export class LiveMesh {
  readonly #registry: ResolveTarget | undefined;
  #generation = 0;
  #loaded: MeshTrust | undefined;
  #journal = nothingRevoked;
  #trust: MeshTrust | undefined;
  #resolve: ResolveTarget = () => Promise.resolve([]);
  #written: ReturnType<typeof writtenOf> | undefined;
  #detected: GatewayDomain | undefined;

  private constructor(registry: ResolveTarget | undefined) {
    this.#registry = registry;
  }

  static async open(
    config: MeshConfig,
    registry: ResolveTarget | undefined,
  ): Promise<Result<LiveMesh, string>> {
    const live = new LiveMesh(registry);
    const loaded = await live.load(config);
    return loaded.ok ? ok(live) : loaded;
  }

  /** Takes over a configuration whole, or nothing of it. */
  async load(config: MeshConfig): Promise<Result<void, string>> {
    const written = writtenOf(config);
    if (!written.ok) return written;
    const loaded = await loadTrust(config, this.#generation + 1);
    if (!loaded.ok) return err(`mesh.trust: ${loaded.error}`);
    this.#generation += 1;
    this.#loaded = loaded.value;
    this.#written = written;
    this.#renew();
    return ok(undefined);
  }

  /** Who is revoked in the journal, beside the lists of the configuration. */
  revoke(lists: RevokedLists): void {
    this.#journal = revokedOf(lists);
    this.#renew();
  }

  /** A domain that was found and not written. */
  detected(domain: GatewayDomain): void {
    this.#detected = domain;
    this.#renew();
  }

  readonly trust = (): MeshTrust => {
    if (this.#trust === undefined) throw new Error('trust is loaded before it is asked for');
    return this.#trust;
  };

  readonly resolve: ResolveTarget = (address) => this.#resolve(address);

  #renew(): void {
    if (this.#loaded === undefined || this.#written?.ok !== true) return;
    const revoked = mergedRevoked(this.#loaded.revoked, this.#journal);
    this.#trust = { ...this.#loaded, revoked };
    const { fixed, gateway } = this.#written.value;
    this.#resolve = createResolver({
      fixed,
      gateway: gateway ?? this.#detected,
      ...(this.#registry === undefined ? {} : { registry: this.#registry }),
    });
  }
}

function writtenOf(config: MeshConfig): Result<
  {
    readonly fixed: Parameters<typeof createResolver>[0]['fixed'];
    readonly gateway: GatewayDomain | undefined;
  },
  string
> {
  const fixed = fixedTargets(config);
  if (!fixed.ok) return fixed;
  const gateway = gatewayOf(config);
  return gateway.ok ? ok({ fixed: fixed.value, gateway: gateway.value }) : gateway;
}
