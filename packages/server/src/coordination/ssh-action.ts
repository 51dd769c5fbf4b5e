import { checkPeriodMsDefault } from '@postern/core/policy';
import type { NetworkNode } from '@postern/core/state';
import { coordinationLimits } from './limits.ts';
import type { SshChecks } from './joining/ssh-checks.ts';
import type { Machine } from './netmap/machine.ts';
import type { NetworkView } from './netmap/network-view.ts';

export interface SshActionOptions {
  readonly view: NetworkView;
  readonly checks: SshChecks;
  /** Where people confirm; undefined without an issuer. */
  readonly confirmUrl: ((id: string) => string) | undefined;
  readonly nowMs: () => number;
}

/** `tailcfg.SSHAction`, as far as we say it. */
export type SshAction =
  | { readonly reject: true; readonly message: string }
  | { readonly message: string; readonly holdAndDelegate: string }
  | {
      readonly accept: true;
      readonly allowAgentForwarding: true;
      readonly allowLocalPortForwarding: true;
      readonly allowRemotePortForwarding: true;
    };

const accepted: SshAction = {
  accept: true,
  allowAgentForwarding: true,
  allowLocalPortForwarding: true,
  allowRemotePortForwarding: true,
};

const pathPattern =
  /^\/machine\/ssh\/action\/(\d{1,16})\/to\/(\d{1,16})(?:\/check\/([0-9a-f]{32}))?$/;

/**
 * Decides a session that the policy lets in only after a check: the SSH server asks with the machine key of the target,
 * and the owner of the source has to have signed in within the check period. Undefined: no such question.
 */
export async function sshAction(
  options: SshActionOptions,
  machineKey: string,
  path: string,
  signal: AbortSignal,
): Promise<SshAction | undefined> {
  const [, from = '', to = '', id] = pathPattern.exec(path) ?? [];
  const { view, checks, nowMs, confirmUrl } = options;
  const source = view.machine(`n${from}`);
  const target = view.machine(`n${to}`);
  if (target?.record.machineKey !== machineKey || source === undefined) return undefined;
  if (!source.isActive || !target.isActive || !isPeer(view, source, target)) {
    return rejected('The policy does not let this machine in.');
  }
  const userId = ownerOf(source.record);
  if (userId === undefined) return rejected('Machines with tags cannot confirm who they are.');
  const isFresh = (withinMs: number): boolean =>
    checks.isConfirmed(source.record.id, userId, withinMs, nowMs());
  if (isFresh(periodOf(view))) return accepted;
  if (id !== undefined) {
    const waiting = checks.get(id, nowMs());
    if (waiting !== undefined) await checks.wait(waiting, signal, nowMs());
    // What was confirmed for this session counts for it, however short the period.
    return isFresh(coordinationLimits.followUpMsMax)
      ? accepted
      : rejected('Nobody confirmed this session in time.');
  }
  if (confirmUrl === undefined) {
    return rejected('This session needs a sign-in, and this network has no issuer (engine.oidc).');
  }
  const check = checks.open(
    { source: source.record.id, target: target.record.id, userId },
    nowMs(),
  );
  return {
    message: `# Postern: this session needs a sign-in. Open:\n# ${confirmUrl(check.id)}\n`,
    holdAndDelegate: `https://control/machine/ssh/action/${from}/to/${to}/check/${check.id}`,
  };
}

function rejected(message: string): SshAction {
  return { reject: true, message: `# ${message}\n` };
}

function ownerOf({ tags, userId }: NetworkNode): string | undefined {
  return tags.length > 0 ? undefined : userId;
}

function isPeer(view: NetworkView, source: Machine, target: Machine): boolean {
  return view.peers(target).has(source.slot);
}

/** The shortest period of all check rules: the server does not say which of them matched. */
function periodOf(view: NetworkView): number {
  const periods = view.policyFile.ssh
    .filter(({ action }) => action === 'check')
    .map(({ checkPeriodMs = checkPeriodMsDefault }) =>
      checkPeriodMs === 'always' ? 0 : checkPeriodMs,
    );
  return Math.min(checkPeriodMsDefault, ...periods);
}
