/** The bounds of the audit log's format. Readers hold them too: a longer line is no record. */
export const auditLimits = Object.freeze({
  /** A line with its hash and line feed. Fields are cut long before; this bounds what a reader keeps in memory. */
  lineBytesMax: 32 * 1_024,
  /** The canonical JSON of a record. */
  bodyBytesMax: 32 * 1_024 - 66,
  /** Lists and objects around a value, the body among them. We write four; some readers of JSON go no deeper than 1,000. */
  depthMax: 64,
  /** UTF-16 code units of one text in a record: whoever calls decides what is in some of them. */
  textCharsMax: 512,
  /** The C2SP specifications leave it open; a checkpoint of ours has some 500 bytes. */
  noteBytesMax: 64 * 1_024,
  noteSignaturesMax: 64,
});
