/** What the state may hold at most. Each has a reason; a command that would pass one is refused. */
export const stateLimits = Object.freeze({
  /** Keys, revoked ones included: all of them stay in memory, about 600 bytes each. */
  keysMax: 100_000,
  /** Revocations of tokens, subjects and issuers that are in force. */
  revocationsMax: 100_000,
  /** Addresses and principals that are kept out: each connection is held against all prefixes. */
  blocksMax: 10_000,
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
  /** One policy file, UTF-16 units: ten thousand grants fit. */
  policyCharsMax: 1_048_576,
  /** Policies kept for a rollback; older ones are in the journal alone. */
  policiesKept: 10,
  /** Plans that wait: people decide about them one at a time. The oldest one goes when another comes. */
  plansKept: 20,
  /** Of these, plans of one author: a program that plans without end pushes out its own plans only. */
  plansPerAuthor: 5,
  /** Sentences kept with a plan. */
  planSentencesMax: 100,
  planSentenceCharsMax: 2_000,
  /** Logins by which the maker of a plan is known. */
  planPersonsMax: 16,
  /** How long a plan may wait for a decision: after a week nobody remembers why. */
  planLifeMsMax: 7 * 86_400_000,
  /** How long a policy may be on trial. Below a second nobody could confirm it. */
  trialMsMin: 1_000,
  trialMsMax: 86_400_000,
  /** Nodes of the embedded engine: past some hundreds the engine should be another one, so this is far off. */
  nodesMax: 100_000,
  networkUsersMax: 100_000,
  /** Spent and expired ones are forgotten when there is no more room. */
  preAuthKeysMax: 100_000,
  /** A key that lives longer than a year is a password that nobody changes. */
  preAuthKeyLifeMsMax: 366 * 86_400_000,
  nodeTagsMax: 64,
  /** Prefixes that one node routes. */
  nodeRoutesMax: 1_000,
  /** Entries in each list of the DNS settings. */
  dnsEntriesMax: 1_000,
  /** The latest time that a record may name: the end of year 9999, so that every date prints. */
  timeMsMax: 253_402_300_799_999,
});
