/** What the gate looks at. Absent: it could not be read, or is not there. */
export interface UpgradeFacts {
  /** The release that looks: the new one. */
  readonly version: string;
  /** Of Node, as `process.versions.node`. */
  readonly node: string;
  /** The Postern that runs with this state folder. */
  readonly running?: {
    readonly version: string;
    readonly role: string;
    readonly openConnections: number;
    readonly drainMs: number;
  };
  /** Of the state file: what it has, and the newest that this release knows. */
  readonly schema?: { readonly found: number; readonly known: number };
  /** Why the state file could not be looked at. */
  readonly schemaProblem?: string;
  readonly usesPostgres: boolean;
  /** Sentences about the configuration file; empty: this release takes it. Absent: there is no file. */
  readonly configProblems?: readonly string[];
  readonly policyProblems?: readonly string[];
  readonly backup?: { readonly file?: string; readonly ageMs: number };
  /** Bytes of the state file, and free where it is. */
  readonly stateBytes: number;
  readonly freeBytes?: number;
}
