import { isJsonObject, jsonValueOf, utf8Text } from '@postern/core/base';
import type { JsonValue } from '@postern/core/base';
import type { NoteKey } from '@postern/core/state/audit';
import { checkpointOfProof, readBody, readNoteKey, verifyReceipt } from '@postern/core/state/audit';
import { nodeEd25519Verify, nodeSha256 } from '@postern/server/adapters/segment-file';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown } from '../../output/table.ts';
import { readInput } from './input.ts';

const crypto = { sha256: nodeSha256, verify: nodeEd25519Verify };

/** Needs no gateway: a receipt, the public key of the log, and a proof where one is given. */
export const run: Run = async ({ io, args, options }) => {
  const key = keyOf(options['key']);
  if (key === undefined) {
    io.err('--key is missing, or no key of the form NAME+ID+BASE64: postern audit key');
    return exitCodes.usage;
  }
  const document = await readJson(args['file']);
  if (!isJsonObject(document) || typeof document['note'] !== 'string') {
    io.err('That is no receipt: GET /v1/attestation/ID answers with one.');
    return exitCodes.failed;
  }
  const receipt = verifyReceipt(document['note'], key, crypto);
  if (receipt === undefined) {
    io.err('The receipt is not one that this key signed.');
    return exitCodes.failed;
  }
  const proof = options['proof'];
  const checkpoint =
    typeof proof === 'string'
      ? checkpointOfProof(receipt, (await readJson(proof)) ?? '', { key, crypto })
      : undefined;
  if (typeof proof === 'string' && checkpoint === undefined) {
    io.err('The proof does not lead from this record to a checkpoint that this key signed.');
    return exitCodes.failed;
  }
  const { index, body } = receipt;
  const data = readBody(body)?.fields ?? {};
  if (io.json) {
    const covered = checkpoint === undefined ? {} : { checkpoint_size: checkpoint.size };
    io.outJson({ verified: true, index, attestation: data, ...covered });
    return exitCodes.ok;
  }
  io.out(`verified  record ${index} of ${receipt.origin}`);
  if (checkpoint !== undefined) {
    io.out(`included  in the checkpoint of ${checkpoint.size} records`);
  }
  for (const [name, value] of Object.entries(data)) {
    io.out(`${name.padEnd(20)} ${shown(typeof value === 'object' ? '' : value)}`);
  }
  return exitCodes.ok;
};

function keyOf(text: string | boolean | undefined): NoteKey | undefined {
  return typeof text === 'string' ? readNoteKey(text.trim(), nodeSha256) : undefined;
}

async function readJson(file: string | undefined): Promise<JsonValue | undefined> {
  const bytes = await readInput(file);
  const text = bytes.ok ? utf8Text(bytes.value) : undefined;
  return text === undefined ? undefined : jsonValueOf(text);
}
