/** One verdict on one outside case. `skip` counts as neither passed nor failed and needs a `why`. */
export interface CaseResult {
  readonly id: string;
  readonly pass: boolean;
  readonly skip?: true;
  readonly why?: string;
}

/** A suite reads files of its own format, whatever their names, and judges every case in them. */
export type Suite = (files: readonly string[]) => AsyncIterable<CaseResult>;
