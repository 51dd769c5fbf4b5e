import type { Graph, Resource } from '../graph.ts';
import type { Fields, Value } from '../value.ts';
import { asList, isFields, text } from '../value.ts';

/** A rule of the AWS picture. It gives one sentence for each thing that breaks it, and none where all is well. */
export interface Rule {
  readonly name: string;
  readonly why: string;
  check(graph: Graph, texts: ReadText): readonly string[];
}

/** The text of a file that a machine gets, such as its boot script. */
export type ReadText = (file: string) => string;

/** The resources of these types; data sources do not count. */
export function resourcesOf(graph: Graph, ...types: readonly string[]): readonly Resource[] {
  return graph.resources.filter((each) => !each.isData && types.includes(each.type));
}

/** The first block of this name. */
export function blockOf(fields: Fields, name: string): Fields {
  const [first] = asList(fields[name]);
  return isFields(first) ? first : {};
}

export function isRouter(address: string): boolean {
  return /(?:^|\.)module\.router\./u.test(address);
}

export function words(value: Value | undefined): readonly string[] {
  return asList(value).map(text);
}
