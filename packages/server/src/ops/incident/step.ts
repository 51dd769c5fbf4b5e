import type { Secret } from '@postern/core/base';
import type { Requester } from '../../control/index.ts';
import type { IncidentPorts } from './ports.ts';
import type { Scribe } from './scribe.ts';
import type { CredentialClass } from './credential-class.ts';

/** The steps that a running gateway carries out. */
export const stepNames = [
  'rotate',
  'isolate',
  'audit-access',
  'reset-model',
  'revoke-jwts',
  'block-ip',
  'verify-records',
] as const;
export type StepName = (typeof stepNames)[number];

/** What an operator asks for. Every step reads what it needs of it. */
export interface IncidentRequest {
  readonly step: StepName;
  readonly reason: string;
  readonly isDryRun: boolean;
  readonly isDrill: boolean;
  /** Goes on with a run that was broken off. */
  readonly resume?: string;
  /** A provider, or `all`. */
  readonly target?: string;
  readonly classes?: readonly CredentialClass[];
  readonly issuer?: string;
  /** A token or key that worked before, to show that it is refused now. */
  readonly token?: Secret;
  readonly address?: string;
  readonly forMs?: number;
  /** Where whoever asks comes from: it is not blocked without `force`. */
  readonly ownAddress?: string;
  readonly force?: boolean;
  readonly sinceMs?: number;
  /** Other gateways that must hear of it. */
  readonly replicas?: readonly string[];
}

/** What a step runs with. */
export interface StepRun {
  readonly id: string;
  readonly request: IncidentRequest;
  readonly ports: IncidentPorts;
  readonly scribe: Scribe;
  readonly by: Requester;
  readonly signal: AbortSignal;
}

/** A row of the table of steps: what the runbooks and the reference page say of it. */
export interface StepRow {
  readonly name: StepName | 'restore';
  /** The line of the incident plan that it carries out. */
  readonly plan: string;
  readonly does: string;
  readonly proves: string;
  readonly example: string;
}

export const stepRows: readonly StepRow[] = [
  {
    name: 'rotate',
    plan: 'Endpoint exposed, 1: rotate any credentials',
    does: 'Gives every key a successor under its name, ends unused pre-auth keys, begins a new epoch of every shared key, and gives model servers new keys (`operate.rotate`).',
    proves:
      'A key made for this is refused after its rotation (401) and its successor is not; no old key is left; the old key of a model server is refused there and the new one works.',
    example: 'postern incident rotate --reason "laptop stolen"',
  },
  {
    name: 'isolate',
    plan: 'Endpoint exposed, 2: block public access',
    does: 'Shuts every listener that is reached from beyond the private network, in every process that shares the state; turns Funnel off; applies a policy in which only the gateway reaches inference.',
    proves:
      'The kernel lists no exposed socket of this process; connections to the machine’s outside addresses are refused; reachability by the policy in force names the gateway alone.',
    example: 'postern incident isolate --target all --reason "gpu port open"',
  },
  {
    name: 'audit-access',
    plan: 'Endpoint exposed, 3: audit logs for unauthorised access',
    does: 'Reads the log of the window: who called, from where, what was refused, who is not known any more.',
    proves: 'Journal and log are whole, and the window was read to its end.',
    example: 'postern incident audit-access --since 24h',
  },
  {
    name: 'reset-model',
    plan: 'Endpoint exposed, 4: reset model state',
    does: 'Starts the process of the model server anew (`operate.restart`: systemd, a call, a program) and waits until it answers.',
    proves: 'The start mark of the process is another one, and the server answers.',
    example: 'postern incident reset-model --target vllm',
  },
  {
    name: 'revoke-jwts',
    plan: 'Gateway compromised, 1: revoke all JWTs',
    does: 'No token counts any more that an issuer issued until now; open streams of such tokens are cut, in every process that shares the state.',
    proves:
      'A token issued before is refused, one issued after counts; the token that you give gets 401 here and at every `--replica`.',
    example: 'postern incident revoke-jwts --token-file old.jwt --replica http://gw-2:8080',
  },
  {
    name: 'block-ip',
    plan: 'Gateway compromised, 2: block compromised IP',
    does: 'Closes connections of an address or prefix at accept and cuts those that are open, in every process that shares the state.',
    proves:
      'A connection from there would be closed unread, its neighbour’s would not, and none from there is open.',
    example: 'postern incident block-ip --address 203.0.113.7 --for 24h',
  },
  {
    name: 'verify-records',
    plan: 'Gateway compromised, 3: audit database for tampering',
    does: 'Recomputes every hash of journal and log, and holds them against the signed checkpoints.',
    proves: 'Both chains are whole, or the first bad record is named.',
    example: 'postern incident verify-records',
  },
  {
    name: 'restore',
    plan: 'Gateway compromised, 4: restore from backup if needed',
    does: 'Puts a backup into an empty folder, starts a gateway on it apart from the network, and gives every key of the backup a successor: whoever had the gateway had them.',
    proves:
      'The gateway on it is ready, the chain goes on with a record of the restoration, its records are those of the manifest, and an old key is refused.',
    example: 'postern incident restore /var/backups/postern.db --into /var/lib/postern-new',
  },
];
