/** Intel's Provisioning Certification Service from the simulator's hierarchy: the same paths, headers and forms. */
import { ok } from '@postern/core/base';
import type { IntelCollateralSource } from '@postern/core/attest';
import type {
  Egress,
  OutboundAnswer,
  OutboundRequest,
} from '../../packages/server/src/http/index.ts';

export interface PcsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What the service answers to a path, given the collateral that it publishes now. */
export function pcsAnswer(url: URL, source: IntelCollateralSource): PcsAnswer {
  const found = (text: string | Uint8Array, headers: Record<string, string> = {}): PcsAnswer => ({
    status: 200,
    headers,
    body: typeof text === 'string' ? new Uint8Array(Buffer.from(text)) : text,
  });
  const der = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
  switch (url.pathname) {
    case '/tdx/certification/v4/tcb':
      return found(`{"tcbInfo":${source.tcb_info},"signature":"${source.tcb_info_signature}"}`, {
        'tcb-info-issuer-chain': encodeURIComponent(source.tcb_info_issuer_chain),
      });
    case '/tdx/certification/v4/qe/identity':
      return found(
        `{"enclaveIdentity":${source.qe_identity},"signature":"${source.qe_identity_signature}"}`,
        {
          'sgx-enclave-identity-issuer-chain': encodeURIComponent(source.qe_identity_issuer_chain),
        },
      );
    case '/sgx/certification/v4/pckcrl':
      return found(der(source.pck_crl), {
        'sgx-pck-crl-issuer-chain': encodeURIComponent(source.pck_crl_issuer_chain),
      });
    // A caching service writes this list in hex.
    case '/sgx/certification/v4/rootcacrl':
      return found(source.root_ca_crl);
    case '/IntelSGXRootCA.der':
      return found(der(source.root_ca_crl));
    default:
      return { status: 404, headers: {}, body: new Uint8Array() };
  }
}

export interface FakePcs {
  readonly egress: Egress;
  /** Every address that was asked for. */
  readonly asked: URL[];
  /** What it publishes; undefined for a service that is down. */
  publish(source: IntelCollateralSource | undefined): void;
  /** Changes answers on their way. */
  tamper(change: ((answer: PcsAnswer, url: URL) => PcsAnswer) | undefined): void;
}

export function createFakePcs(first: IntelCollateralSource | undefined): FakePcs {
  let source = first;
  let change: ((answer: PcsAnswer, url: URL) => PcsAnswer) | undefined;
  const asked: URL[] = [];
  return {
    asked,
    publish: (next) => {
      source = next;
    },
    tamper: (next) => {
      change = next;
    },
    egress: ({ url }: OutboundRequest) => {
      asked.push(url);
      const down = { status: 503, headers: {}, body: new Uint8Array() };
      const answer = source === undefined ? down : pcsAnswer(url, source);
      return Promise.resolve(ok(outbound(change?.(answer, url) ?? answer)));
    },
  };
}

function outbound({ status, headers, body }: PcsAnswer): OutboundAnswer {
  return {
    status,
    headers,
    body: (async function* () {
      yield await Promise.resolve(body);
    })(),
    failure: () => undefined,
    readAll: (bytesMax) =>
      Promise.resolve(
        body.length <= bytesMax
          ? ok(body)
          : { ok: false, error: { code: 'upstream_error', message: 'the answer is too large' } },
      ),
    cancel: () => undefined,
  };
}
