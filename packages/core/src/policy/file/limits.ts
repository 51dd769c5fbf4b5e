/** Bounds of a policy file. Far above real files; what lies beyond costs memory and time without meaning. */

/** Bytes of the text. The hosted service stores policies of a few MB at most. */
export const policyBytesMax: number = 8 * 1024 * 1024;
/** Rules in one section. */
export const rulesMax = 20_000;
/** Entries in one list or map of names (a group, `hosts`, `src`). */
export const entriesMax = 50_000;
/** Characters of one selector, name or condition. */
export const textCharsMax = 2_048;
/** Findings kept for one file: a broken generator would otherwise drown the first, useful ones. */
export const findingsMax = 1_000;
/** How deep an ipset may refer to ipsets. */
export const ipsetDepthMax = 32;
