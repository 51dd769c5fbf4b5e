import type { Result } from '@postern/core/base';
import { andThen } from '@postern/core/base';
import type { Config, ProviderConfig } from '@postern/core/contract';
import type { Provider } from '../../gateway/index.ts';
import type {
  CallSignal,
  Egress,
  HttpHandler,
  HttpReply,
  HttpStream,
  OutboundAnswer,
  ResponseHeaders,
} from '../../http/index.ts';
import { PassingReply } from '../../http/index.ts';
import type { Settlement } from '../../observe/index.ts';
import type { Foundation } from '../foundation.ts';
import type { Receipts } from './receipts.ts';
import type { AttestedUpstreams, MeshCalls, ServedBy } from './upstreams.ts';

type Attested = Extract<ProviderConfig, { kind: 'openai' | 'anthropic' }>;

/**
 * Attested models beside the gateway. Nothing of it is loaded, and no request passes through it, before a configuration
 * has such a provider.
 */
export class AttestedDesk {
  readonly #foundation: Foundation;
  readonly #mesh: () => MeshCalls | undefined;
  /** By the headers of an answer: the one object of it that every wrapper passes on. */
  readonly #answers = new WeakMap<OutboundAnswer['headers'], ServedBy>();
  /** By the signal of a request, which its calls to providers have, too. */
  readonly #served = new WeakMap<CallSignal, ServedBy>();
  #upstreams: AttestedUpstreams | undefined;
  #receipts: Receipts | undefined;
  #isUsed = false;

  constructor(foundation: Foundation, mesh: () => MeshCalls | undefined) {
    this.#foundation = foundation;
    this.#mesh = mesh;
  }

  /** The way out of one attested provider. */
  async egressFor(
    provider: string,
    { attested, baseUrl }: Attested,
    mesh: Config['mesh'],
  ): Promise<Result<Egress, string>> {
    if (attested === undefined) return { ok: false, error: 'not attested' };
    const [{ AttestedUpstreams: Upstreams }, { Receipts: Desk }, { meshSchema }] =
      await Promise.all([
        import('./upstreams.ts'),
        import('./receipts.ts'),
        import('@postern/core/contract'),
      ]);
    const { control, egress, audit, options } = this.#foundation;
    const { logger, settings } = options;
    const { nowMs } = control.system;
    const onProblem = (problem: string): void => logger.warn({ problem }, 'attested');
    this.#upstreams ??= new Upstreams({
      stateDir: settings.stateDir,
      egress: egress.egress,
      nowMs,
      mesh: this.#mesh,
      onAnswer: ({ headers }, by) => this.#answers.set(headers, by),
      onProblem,
    });
    this.#receipts ??= new Desk({ folder: audit.folder, nowMs, onProblem });
    this.#isUsed = true;
    return this.#upstreams.egressFor({
      provider,
      attested,
      baseUrl: new URL(baseUrl),
      mesh: mesh ?? meshSchema.parse({}),
    });
  }

  /** Remembers who answers the calls of an attested provider; any other one is given back as it is. */
  watch(provider: Provider): Provider {
    if (provider.attested !== true) return provider;
    return {
      ...provider,
      call: (call) =>
        andThen(provider.call(call), (answered) => {
          const by = answered.ok ? this.#answers.get(answered.value.headers) : undefined;
          if (by !== undefined) this.#served.set(call.signal, by);
          return answered;
        }),
    };
  }

  /** The gateway, whose answers say who served them. */
  wrap(handler: HttpHandler): HttpHandler {
    return (request, reply) =>
      this.#isUsed
        ? handler(
            request,
            new AttestedReply(reply, request.id, () => this.#served.get(request.signal)),
          )
        : handler(request, reply);
  }

  settled(settlement: Settlement): void {
    if (!this.#isUsed) return;
    const by = this.#served.get(settlement.request.signal);
    if (by !== undefined) this.#receipts?.record(settlement, by);
  }

  /** Undefined while no provider is attested. */
  get receipts(): Receipts | undefined {
    return this.#receipts;
  }

  close(): void {
    this.#upstreams?.close();
  }
}

/** The reply of a request, with one field more where an attested upstream answered it. */
class AttestedReply extends PassingReply {
  readonly #requestId: string;
  readonly #by: () => ServedBy | undefined;

  constructor(reply: HttpReply, requestId: string, by: () => ServedBy | undefined) {
    super(reply);
    this.#requestId = requestId;
    this.#by = by;
  }

  override send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    super.send(status, this.#told(headers), body);
  }

  override start(status: number, headers: ResponseHeaders): HttpStream {
    return super.start(status, this.#told(headers));
  }

  #told(headers: ResponseHeaders): ResponseHeaders {
    const by = this.#by();
    if (by === undefined) return headers;
    const { appId, instanceId, kind } = by.peer;
    const instance = instanceId === undefined ? '' : `; instance=${instanceId}`;
    return {
      ...headers,
      'x-postern-attestation': `verified; by=${kind}; app=${appId ?? ''}${instance}; policy=${by.policyGeneration}; receipt="/v1/attestation/${this.#requestId}"`,
    };
  }
}
