import { err, type Result, type Secret } from '@postern/core/base';
import type { IdentitySource } from '../../mesh/index.ts';
import { createCredential } from './credential.ts';

/** What is needed of a guest agent: `DstackAgent` is one. */
export interface TlsKeyIssuer {
  getTlsKey(
    request: {
      readonly subject: string;
      readonly usageRaTls: boolean;
      readonly usageServerAuth: boolean;
      readonly usageClientAuth: boolean;
      readonly notBeforeMs: number;
      readonly notAfterMs: number;
      readonly withAppInfo: boolean;
    },
    signal?: AbortSignal,
  ): Promise<
    Result<
      { readonly key: Secret; readonly certificateChain: readonly string[] },
      { readonly message: string }
    >
  >;
}

export interface AgentSourceOptions {
  readonly agent: TlsKeyIssuer;
  /** Where it is, for people. */
  readonly name: string;
  readonly nowMs: () => number;
  /** An hour at most; shorter in tests. */
  readonly lifetimeMs?: number;
}

/** Clocks of peers may be this far behind. */
const earlyMs = 60_000;
const lifetimeMsMax = 3_600_000;
const subject = 'postern-mesh';

/**
 * Certificates by the guest agent: a fresh key each time, made beside us and never stored, with evidence over it (RA-TLS).
 * An agent too old to take an end gives longer-lived ones, which peers refuse by default.
 */
export function createAgentSource(options: AgentSourceOptions): IdentitySource {
  const { agent, name, nowMs } = options;
  const lifetimeMs = Math.min(options.lifetimeMs ?? lifetimeMsMax, lifetimeMsMax);
  return {
    name,
    issue: async (signal) => {
      const now = nowMs();
      const notBeforeMs = now - Math.min(earlyMs, lifetimeMs / 4);
      const issued = await agent.getTlsKey(
        {
          subject,
          usageRaTls: true,
          usageServerAuth: true,
          usageClientAuth: true,
          notBeforeMs,
          notAfterMs: notBeforeMs + lifetimeMs,
          withAppInfo: true,
        },
        signal,
      );
      if (!issued.ok) return err(`the guest agent gave no certificate: ${issued.error.message}`);
      const { key, certificateChain } = issued.value;
      return createCredential(key, certificateChain.join('\n'));
    },
  };
}
