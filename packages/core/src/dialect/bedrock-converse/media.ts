/** Formats of files as Bedrock names them ↔ media types. */

const imageTypes: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
};

const documentTypes: Readonly<Record<string, string>> = {
  pdf: 'application/pdf',
  csv: 'text/csv',
  doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  xls: 'application/vnd.ms-excel',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  html: 'text/html',
  txt: 'text/plain',
  md: 'text/markdown',
};

export const imageType = (format: string): string | undefined => typeIn(imageTypes, format);
export const documentType = (format: string): string | undefined => typeIn(documentTypes, format);

export function imageFormat(mediaType: string): string | undefined {
  const plain = essence(mediaType);
  return formatIn(imageTypes, plain === 'image/jpg' ? 'image/jpeg' : plain);
}

export function documentFormat(mediaType: string): string | undefined {
  return formatIn(documentTypes, essence(mediaType));
}

export const audioFormats: ReadonlySet<string> = new Set([
  'aac',
  'flac',
  'm4a',
  'mka',
  'mkv',
  'mp3',
  'mp4',
  'mpeg',
  'mpga',
  'ogg',
  'opus',
  'pcm',
  'wav',
  'webm',
  'x-aac',
]);

function typeIn(types: Readonly<Record<string, string>>, format: string): string | undefined {
  return Object.hasOwn(types, format) ? types[format] : undefined;
}

function formatIn(types: Readonly<Record<string, string>>, mediaType: string): string | undefined {
  return Object.keys(types).find((format) => types[format] === mediaType);
}

function essence(mediaType: string): string {
  return (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();
}
