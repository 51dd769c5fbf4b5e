/** What the state may hold at most. Each has a reason; a command that would pass one is refused. */
export const stateLimits = Object.freeze({
  /** Keys, revoked ones included: all of them stay in memory, about 600 bytes each. */
  keysMax: 100_000,
  /** Revocations of tokens, subjects and issuers that are in force. */
  revocationsMax: 100_000,
  /** Configuration texts kept for `config generations`; older ones are in the journal alone. */
  generationsKept: 20,
  /** One configuration text, UTF-16 units: a file that people edit; ten thousand mappings fit. */
  configCharsMax: 1_048_576,
  /** A key name is typed by people and stands in policy files. */
  keyNameCharsMax: 64,
  /** Models or dialects that one key names. */
  scopeEntriesMax: 128,
  /** One model pattern or dialect name. */
  scopeEntryCharsMax: 256,
  /** Principals or selectors that one key is bound to. */
  boundToMax: 64,
  /** One principal key, issuer, subject or token id. RFC 7519 sets no limit; real ones are below 300. */
  identifierCharsMax: 1_024,
  /** What people write next to a change. */
  reasonCharsMax: 500,
  /** The latest time that a record may name: the end of year 9999, so that every date prints. */
  timeMsMax: 253_402_300_799_999,
});
