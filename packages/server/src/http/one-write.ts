/** Up to here copying a body behind its head, or a piece into its frame, is cheaper than a write of several pieces. */
export const oneWriteBytesMax = 16_384;
