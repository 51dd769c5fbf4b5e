/** A QR code that a phone reads from the screen of a terminal. The library is loaded with the first one. */
export async function qrCode(text: string): Promise<string> {
  const { renderUnicodeCompact } = await import('uqr');
  // Drawn for light letters on a dark ground; phones read the inverse as well.
  return renderUnicodeCompact(text, { ecc: 'M', border: 2 });
}
