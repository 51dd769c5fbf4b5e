import process from 'node:process';
import { exitCodes } from './command.ts';
import { processTerminal } from './output/io.ts';
import { legible } from './output/printable.ts';
import { runProgram } from './program.ts';

try {
  process.exitCode = await runProgram(process.argv.slice(2), processTerminal());
} catch (cause) {
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  process.stderr.write(`Postern met a defect. Please report this:\n${legible(text)}\n`);
  process.exitCode = exitCodes.failed;
}
