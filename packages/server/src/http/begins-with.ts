/** Whether bytes begin with a head that was read before: one look at both, where reading it again is a hundred steps. */
export function beginsWith(bytes: Buffer, head: Buffer): boolean {
  const { length } = head;
  return bytes.length >= length && bytes.compare(head, 0, length, 0, length) === 0;
}
