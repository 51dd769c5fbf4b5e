/** What a registry may hold at most. Each has a reason; what would pass one is refused. */
export const registryLimits = Object.freeze({
  /** All of them stay in memory, about 700 bytes each. */
  instancesMax: 100_000,
  /** Members of a type are one ordered list, which each change copies: 80 kB at this size. */
  membersPerTypeMax: 10_000,
  typesMax: 10_000,
  /** One credential that was stolen cannot fill the registry. */
  instancesPerOwnerMax: 10_000,
  addressesMax: 8,
  metadataEntriesMax: 32,
  metadataKeyCharsMax: 64,
  metadataValueCharsMax: 256,
  /** Below this, a heartbeat that is late once ends a lease. */
  leaseMsMin: 1_000,
  /** Longer than a week, a lease says nothing about who is alive. */
  leaseMsMax: 7 * 86_400_000,
  /** Entries of one page. */
  pageMax: 1_000,
  /** Leases that end in one command. */
  expiredMax: 1_000,
  /** Machines that the name of a type answers with: clients take the first. */
  namedPerTypeMax: 8,
  /** Addresses in all such names: every machine of the network holds all of them, 100 kB at this size. */
  namedMax: 1_000,
});
