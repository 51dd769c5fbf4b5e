import { readFile, stat } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, ok, utf8Text } from '@postern/core/base';
import type { HujsonDocument } from '@postern/core/base/hujson';
import { parseDocument } from '@postern/core/base/hujson';
import type { Config } from '@postern/core/contract';
import { parseConfig } from '@postern/core/contract';
import { placeIssues } from './config-places.ts';

/** One thing that is wrong with a configuration file, where a person finds it. */
export interface ConfigProblem {
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** JSON pointer of the value. */
  readonly pointer: string;
  readonly message: string;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly file: string;
  readonly text: string;
  readonly document: HujsonDocument;
}

/** A configuration of 10,000 rules is under 2 MiB. */
const fileBytesMax = 8 * 1_048_576;

export async function loadConfigFile(
  file: string,
): Promise<Result<LoadedConfig, readonly ConfigProblem[]>> {
  try {
    const facts = await stat(file);
    if (facts.size > fileBytesMax)
      return err([problem(file, `the file is larger than ${fileBytesMax} bytes`)]);
    const text = utf8Text(await readFile(file));
    return text === undefined
      ? err([problem(file, 'the file is not UTF-8')])
      : parseConfigText(text, file);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
    return err([
      problem(
        file,
        code === 'ENOENT' ? 'there is no such file' : `the file cannot be read (${code})`,
      ),
    ]);
  }
}

export function parseConfigText(
  text: string,
  file: string,
): Result<LoadedConfig, readonly ConfigProblem[]> {
  const parsed = parseDocument(text);
  if (!parsed.ok) {
    const { line, column, message } = parsed.error;
    return err([
      {
        file,
        line,
        column,
        pointer: '',
        message: message.replace(/^hujson: line \d+, column \d+: /, ''),
      },
    ]);
  }
  const document = parsed.value;
  const { value, problems } = document.plain;
  if (problems.length > 0) {
    return err(
      problems.map(({ offset, pointer, detail }) => ({
        file,
        ...document.positionAt(offset),
        pointer,
        message: detail,
      })),
    );
  }
  const config = parseConfig(value);
  const issues = 'issues' in config ? config.issues : placeIssues(config.config);
  if ('issues' in config || issues.length > 0) {
    const found = issues.map(({ pointer, message }) => ({
      file,
      ...document.nearestPosition(pointer),
      pointer,
      message,
    }));
    return err(found.toSorted((one, other) => one.line - other.line || one.column - other.column));
  }
  return ok({ config: config.config, file, text, document });
}

function problem(file: string, message: string): ConfigProblem {
  return { file, line: undefined, column: undefined, pointer: '', message };
}

/** `postern.hujson:12:5: /aliases/instant: there is no provider "x"`. */
export function describeProblem({ file, line, column, pointer, message }: ConfigProblem): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return `${place}: ${pointer === '' ? '' : `${pointer}: `}${message}`;
}
