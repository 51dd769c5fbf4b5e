/**
 * An immutable map with text keys. `set` and `delete` return a new table that shares all but one path with the old
 * one, so that a state of 100,000 keys changes in microseconds and every snapshot that was handed out stays as it
 * was. A trie of 32-way nodes over a 32-bit hash; leaves hold up to sixteen entries.
 */
export class Table<V> {
  readonly #root: Node<V>;
  readonly size: number;

  private constructor(root: Node<V>, size: number) {
    this.#root = root;
    this.size = size;
  }

  static empty<V>(): Table<V> {
    return new Table<V>({ entries: [] }, 0);
  }

  /** All entries at once, several times as fast as one by one. No key may stand twice. */
  static of<V extends object>(entries: readonly (readonly [string, V])[]): Table<V> {
    const hashed = entries.map((entry): Hashed<V> => ({ entry, hash: hashOf(entry[0]) }));
    return new Table(build(hashed, 0), hashed.length);
  }

  get(key: string): V | undefined {
    let hash = hashOf(key);
    let node = this.#root;
    while ('children' in node) {
      const child: Node<V> | undefined = node.children[hash & 31];
      if (child === undefined) return undefined;
      node = child;
      hash >>>= 5;
    }
    return node.entries.find(([k]) => k === key)?.[1];
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: V & {}): Table<V> {
    const grown = this.has(key) ? 0 : 1;
    return new Table(insert(this.#root, key, value, hashOf(key), 0), this.size + grown);
  }

  delete(key: string): Table<V> {
    if (!this.has(key)) return this;
    return new Table(remove(this.#root, key, hashOf(key)), this.size - 1);
  }

  /** Every value, in no order that means anything. */
  *values(): Generator<V> {
    yield* valuesOf(this.#root);
  }
}

type Entry<V> = readonly [key: string, value: V];
type Node<V> = Leaf<V> | Branch<V>;
interface Hashed<V> {
  readonly entry: Entry<V>;
  readonly hash: number;
}
interface Leaf<V> {
  readonly entries: readonly Entry<V>[];
}
interface Branch<V> {
  readonly children: readonly (Node<V> | undefined)[];
}

const leafEntriesMax = 16;
/** Six levels use up 30 of the 32 bits; below them a leaf grows, since splitting it could not help. */
const depthMax = 6;

/** FNV-1a over UTF-16 units: fast and even; keys are digests, ids and names that operators choose. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

function insert<V>(node: Node<V>, key: string, value: V, hash: number, depth: number): Node<V> {
  if ('children' in node) {
    const slot = hash & 31;
    const child = node.children[slot] ?? { entries: [] };
    const children = node.children.slice();
    children[slot] = insert(child, key, value, hash >>> 5, depth + 1);
    return { children };
  }
  const entries = node.entries.slice();
  const at = entries.findIndex(([k]) => k === key);
  if (at < 0) entries.push([key, value]);
  else entries[at] = [key, value];
  if (entries.length <= leafEntriesMax) return { entries };
  return build(
    entries.map((entry): Hashed<V> => ({ entry, hash: hashOf(entry[0]) })),
    depth,
  );
}

/** A subtree of entries that all took the same way down to `depth`. */
function build<V>(hashed: readonly Hashed<V>[], depth: number): Node<V> {
  if (hashed.length <= leafEntriesMax || depth >= depthMax) {
    return { entries: hashed.map(({ entry }) => entry) };
  }
  const parts: (Hashed<V>[] | undefined)[] = Array.from({ length: 32 }, () => undefined);
  for (const each of hashed) {
    const slot = (each.hash >>> (5 * depth)) & 31;
    const part = parts[slot];
    if (part === undefined) parts[slot] = [each];
    else part.push(each);
  }
  const below = depth + 1;
  return { children: parts.map((part) => part && build(part, below)) };
}

function remove<V>(node: Node<V>, key: string, hash: number): Node<V> {
  if (!('children' in node)) return { entries: node.entries.filter(([k]) => k !== key) };
  const slot = hash & 31;
  const child = node.children[slot];
  if (child === undefined) return node;
  const children = node.children.slice();
  children[slot] = remove(child, key, hash >>> 5);
  return { children };
}

function* valuesOf<V>(node: Node<V>): Generator<V> {
  if ('entries' in node) {
    for (const [, value] of node.entries) yield value;
    return;
  }
  for (const child of node.children) if (child !== undefined) yield* valuesOf(child);
}
