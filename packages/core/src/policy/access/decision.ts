/** Decisions of the gateway and their ids. */
import type { AdminObject, AiObject, MeshObject } from './capability.ts';

export interface AiRequest {
  /** The model asked for: an alias, or `provider/model`. */
  readonly model: string;
  readonly dialect: string;
  /** What the caller asks for at most; undefined where it does not say. */
  readonly maxOutputTokens: number | undefined;
  /** Whether the target that would answer is attested. */
  readonly attested: boolean;
}

/** Which condition no object met, in the order in which they are asked. */
export type AiDenial = 'no_grant' | 'model' | 'dialect' | 'attestation' | 'output_limit';

export type AiDecision =
  | {
      readonly allowed: true;
      /** `<revision>:<pointer of the object>`, which `explainDecision` resolves. */
      readonly id: string;
      /** The object whose limits, budgets and capture count. */
      readonly object: AiObject;
    }
  | {
      readonly allowed: false;
      readonly id: string;
      readonly reason: AiDenial;
      /** With `output_limit`: the most that any object allows. */
      readonly maxOutputTokens?: number;
    };

export type AdminDecision =
  | { readonly allowed: true; readonly id: string; readonly object: AdminObject }
  | { readonly allowed: false; readonly id: string; readonly reason: 'no_grant' | 'tool' };

export interface MeshRequest {
  /** Id of the calling app. */
  readonly app: string;
  readonly port: number;
  /** Undefined for raw TCP, which a rule about methods or paths does not open. */
  readonly method: string | undefined;
  readonly path: string | undefined;
}

export type MeshDecision =
  | { readonly allowed: true; readonly id: string; readonly object: MeshObject }
  | {
      readonly allowed: false;
      readonly id: string;
      readonly reason: 'no_grant' | 'app' | 'port' | 'method' | 'path';
    };

/** Separates the revision of the policy from the place in it. */
export const decisionSeparator = ':';

export function decisionId(revision: string, place: string): string {
  return `${revision}${decisionSeparator}${place}`;
}
