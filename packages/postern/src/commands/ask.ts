import { isJsonObject, jsonValueOf, SseDecoder, utf8 } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { ExitCode, Invocation, Run } from '../command.ts';
import { shown } from '../output/table.ts';
import { exitCodes } from '../command.ts';

const promptBytesMax = 8 * 1_048_576;

export const run: Run = async (invocation) => {
  const { args, options, io } = invocation;
  const prompt = args['prompt'] ?? (await io.input(promptBytesMax)) ?? '';
  if (prompt.trim() === '') {
    io.err(
      `There is no question. Give it as an argument or on standard input, at most ${promptBytesMax} bytes.`,
    );
    return exitCodes.usage;
  }
  const body = {
    prompt,
    ...(typeof options['model'] === 'string' ? { model: options['model'] } : {}),
    ...(typeof options['system'] === 'string' ? { system: options['system'] } : {}),
  };
  return io.json ? askWhole(invocation, body) : askStream(invocation, body);
};

type Question = Readonly<Record<string, string>>;

async function askWhole({ io }: Invocation, body: Question): Promise<ExitCode> {
  const answered = await clientFor(io).json({ method: 'POST', path: '/ask', body });
  if (!answered.ok) {
    io.err(answered.error.message);
    return answered.error.exit;
  }
  io.outJson(answered.value);
  return exitCodes.ok;
}

async function askStream({ io }: Invocation, body: Question): Promise<ExitCode> {
  const decoder = new SseDecoder();
  let failure: string | undefined;
  let isComplete = false;
  const done = await clientFor(io).stream(
    { method: 'POST', path: '/ask', body: { ...body, stream: true } },
    (piece) => {
      const frames = decoder.push(utf8(piece));
      if (!frames.ok) {
        failure = frames.error.message;
        return;
      }
      for (const { data } of frames.value) {
        const frame = jsonValueOf(data ?? '');
        if (!isJsonObject(frame)) continue;
        if (typeof frame['delta'] === 'string') io.piece(frame['delta']);
        const error = frame['error'];
        if (isJsonObject(error)) failure = shown(error['message']);
        if (frame['request_id'] !== undefined) isComplete = true;
      }
    },
  );
  if (!done.ok) {
    io.err(done.error.message);
    return done.error.exit;
  }
  io.piece('\n');
  if (failure !== undefined || !isComplete) {
    io.err(`The answer broke off: ${failure ?? 'the stream ended too soon'}`);
    return exitCodes.failed;
  }
  return exitCodes.ok;
}
