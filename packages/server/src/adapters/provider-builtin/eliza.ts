import type { ElizaKeyword, ElizaRule } from './script.ts';
import { families, greeting, keywords, memoryRules, nothingFits } from './script.ts';

/**
 * ELIZA as published: keywords by rank, decomposition, reassembly in turn, memory. One function of the conversation:
 * the counters and the memory of the original are rebuilt from the earlier turns, so the same conversation always
 * gets the same answer and nothing is kept between requests.
 */

const wordsMax = 400;
const turnsMax = 50;
const hopsMax = 8;

const byWord: ReadonlyMap<string, ElizaKeyword> = new Map(
  keywords.map((each) => [each.word, each]),
);

interface Talk {
  /** How often each rule was used: reassemblies take turns. */
  readonly turns: Map<ElizaRule, number>;
  readonly memory: string[];
  unmatched: number;
}

/** The answer to the last of these turns of the person. */
export function eliza(turns: readonly string[]): string {
  const talk: Talk = { turns: new Map(), memory: [], unmatched: 0 };
  let answer = greeting;
  for (const turn of turns.slice(-turnsMax)) answer = respond(talk, turn);
  return answer;
}

function respond(talk: Talk, text: string): string {
  const { words, found } = scan(text);
  if (words.length === 0) return finish(greeting);
  const remembered = remember(talk, words, found);
  for (const keyword of found) {
    const said = applyKeyword(talk, keyword, words, 0);
    if (said !== undefined) return finish(said);
  }
  const memory = remembered ? undefined : talk.memory.shift();
  if (memory !== undefined) return finish(memory);
  talk.unmatched += 1;
  return finish(nothingFits[(talk.unmatched - 1) % nothingFits.length] ?? greeting);
}

/** Words of the clause that holds the first keyword, already substituted, and the keywords found, by rank. */
function scan(text: string): {
  readonly words: readonly string[];
  readonly found: readonly ElizaKeyword[];
} {
  const clauses = text
    .toLowerCase()
    .replaceAll(/[’`]/g, "'")
    .split(/[.,;:!?()\n]+|\bbut\b/)
    .map((clause) => clause.match(/[\p{L}\p{N}'-]+/gu) ?? [])
    .filter((clause) => clause.length > 0);
  const chosen =
    clauses.find((clause) => clause.some((word) => byWord.has(word))) ?? clauses[0] ?? [];
  const words = chosen.slice(0, wordsMax);
  const found: ElizaKeyword[] = [];
  for (const word of words) {
    const keyword = byWord.get(word);
    if (keyword === undefined || found.includes(keyword)) continue;
    // A keyword of higher rank goes before those found so far, any other after them (as in the paper).
    if ((keyword.rank ?? 0) > (found[0]?.rank ?? 0)) found.unshift(keyword);
    else found.push(keyword);
  }
  return { words: words.map((word) => byWord.get(word)?.becomes ?? word), found };
}

function remember(talk: Talk, words: readonly string[], found: readonly ElizaKeyword[]): boolean {
  if (found[0]?.word !== 'my') return false;
  for (const rule of memoryRules) {
    const parts = decompose(rule.decomposition, words);
    if (parts === undefined) continue;
    talk.memory.push(assemble(nextReassembly(talk, rule), parts));
    return true;
  }
  return false;
}

function rulesOf(keyword: ElizaKeyword): readonly ElizaRule[] {
  const own = keyword.rules ?? [];
  return keyword.sameAs === undefined ? own : (byWord.get(keyword.sameAs)?.rules ?? own);
}

function applyKeyword(
  talk: Talk,
  keyword: ElizaKeyword,
  words: readonly string[],
  hops: number,
): string | undefined {
  if (hops > hopsMax) return undefined;
  for (const rule of rulesOf(keyword)) {
    const parts = decompose(rule.decomposition, words);
    if (parts === undefined) continue;
    const chosen = nextReassembly(talk, rule);
    if (chosen === 'newkey') return undefined;
    const pre = /^pre (.*) =(\S+)$/.exec(chosen);
    if (pre !== null) {
      const rewritten = assemble(pre[1] ?? '', parts).split(' ');
      return follow(talk, pre[2], rewritten, hops);
    }
    if (chosen.startsWith('=')) return follow(talk, chosen.slice(1), words, hops);
    return assemble(chosen, parts);
  }
  return undefined;
}

function follow(
  talk: Talk,
  word: string | undefined,
  words: readonly string[],
  hops: number,
): string | undefined {
  const keyword = byWord.get(word ?? '');
  return keyword === undefined ? undefined : applyKeyword(talk, keyword, words, hops + 1);
}

function nextReassembly(talk: Talk, rule: ElizaRule): string {
  const turn = talk.turns.get(rule) ?? 0;
  talk.turns.set(rule, turn + 1);
  return rule.reassemblies[turn % rule.reassemblies.length] ?? greeting;
}

/** The parts of the words that the pattern describes, one for each of its elements, or undefined. */
function decompose(pattern: string, words: readonly string[]): readonly string[] | undefined {
  return matchFrom(pattern.split(' '), 0, words, 0);
}

/** Patterns have at most six elements, three of them open, so this search is cubic in a bounded number of words. */
function matchFrom(
  pattern: readonly string[],
  at: number,
  words: readonly string[],
  from: number,
): readonly string[] | undefined {
  const element = pattern[at];
  if (element === undefined) return from === words.length ? [] : undefined;
  if (element !== '0') {
    const word = words[from];
    if (word === undefined || !elementMatches(element, word)) return undefined;
    const rest = matchFrom(pattern, at + 1, words, from + 1);
    return rest === undefined ? undefined : [word, ...rest];
  }
  for (let end = from; end <= words.length; end += 1) {
    const rest = matchFrom(pattern, at + 1, words, end);
    if (rest !== undefined) return [words.slice(from, end).join(' '), ...rest];
  }
  return undefined;
}

function elementMatches(element: string, word: string): boolean {
  if (element.startsWith('/')) return families[element.slice(1)]?.includes(word) ?? false;
  return element.split('|').includes(word);
}

function assemble(reassembly: string, parts: readonly string[]): string {
  return reassembly.replaceAll(/\$(\d)/g, (_, digit: string) => parts[Number(digit) - 1] ?? '');
}

/** The original printed capitals without question marks; here the sentence gets its ending. */
function finish(text: string): string {
  const clean = text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ ([,'?])/g, '$1')
    .trim()
    .replaceAll(/\bi\b/g, 'I');
  const isQuestion =
    /^(?:why|what|who|when|how|do|does|did|don't|are|is|can|can't|could|would|should|have|has|were|in what|really|surely|but you)/i.test(
      clean,
    );
  return clean + (isQuestion ? '?' : '.');
}
