import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DockerfileParser } from 'dockerfile-ast';

/** One step of a stage, as the test runs it. */
export type Step =
  | { readonly kind: 'run'; readonly command: string }
  | { readonly kind: 'copy'; readonly from: string | undefined; readonly args: readonly string[] }
  | { readonly kind: 'workdir'; readonly folder: string };

export interface Stage {
  readonly name: string;
  readonly base: string;
  readonly steps: readonly Step[];
}

export interface Image {
  readonly stages: readonly Stage[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly volumes: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

/** Reads a Dockerfile: the steps of every stage, and how what comes out is run. Instructions that only describe are left out. */
export function readDockerfile(file: string): Image {
  const parsed = DockerfileParser.parse(readFileSync(file, 'utf8'));
  // The text of an instruction comes without its flags.
  const sources = new Map(
    parsed
      .getCOPYs()
      .map((copy) => [copy.getRange().start.line, copy.getFromFlag()?.getValue() ?? undefined]),
  );
  const args = new Map<string, string>();
  const stages: { name: string; base: string; steps: Step[] }[] = [];
  const last: Record<string, string> = {};
  let environment: Record<string, string> = {};
  for (const instruction of parsed.getInstructions()) {
    const keyword = instruction.getKeyword();
    const text = joined(instruction.getRawArgumentsContent() ?? '');
    const words = instruction.getArguments().map((argument) => argument.getValue());
    const stage = stages.at(-1);
    if (keyword === 'ARG') args.set(...pair(text));
    else if (keyword === 'FROM') {
      const base = (words[0] ?? '').replaceAll(
        /\$\{(\w+)\}/gu,
        (_, name: string) => args.get(name) ?? '',
      );
      stages.push({ name: words[2] ?? 'final', base, steps: [] });
      environment = {};
    } else if (keyword === 'RUN') stage?.steps.push({ kind: 'run', command: text });
    else if (keyword === 'WORKDIR') {
      stage?.steps.push({ kind: 'workdir', folder: text });
      last['WORKDIR'] = text;
    } else if (keyword === 'COPY') {
      const from = sources.get(instruction.getRange().start.line);
      stage?.steps.push({ kind: 'copy', from, args: text.split(/\s+/u) });
    } else if (keyword === 'ENV') {
      for (const word of text.split(/\s+/u))
        environment = { ...environment, ...Object.fromEntries([pair(word)]) };
    } else last[keyword] = text;
  }
  return {
    stages,
    environment,
    user: last['USER'] ?? 'root',
    workdir: last['WORKDIR'] ?? '/',
    volumes: list(last['VOLUME']),
    entrypoint: list(last['ENTRYPOINT']),
    command: list(last['CMD']),
    healthcheck: list(/CMD\s+(\[.*\])/u.exec(last['HEALTHCHECK'] ?? '')?.[1]),
  };
}

/** The files of the checkout that the build gets: what is tracked or new, less what the ignore file leaves out. */
export function contextFiles(files: readonly string[], ignoreFile: string): string[] {
  const rules = readFileSync(ignoreFile, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ keeps: line.startsWith('!'), pattern: line.replace(/^!/u, '') }));
  return files.filter((file) => {
    let isKept = true;
    for (const { keeps, pattern } of rules)
      if (parents(file).some((each) => path.matchesGlob(each, pattern))) isKept = keeps;
    return isKept;
  });
}

/** A pattern that names a folder holds for all that is in it. */
function parents(file: string): string[] {
  const parts = file.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

function joined(text: string): string {
  return text.replaceAll(/\\\n\s*/gu, ' ').trim();
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1).replaceAll('"', '')];
}

function list(text: string | undefined): string[] {
  if (text === undefined) return [];
  return text.startsWith('[') ? (JSON.parse(text) as string[]) : text.split(/\s+/u);
}
