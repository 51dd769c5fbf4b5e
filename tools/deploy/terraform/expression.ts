/**
 * The expression language of HCL, as far as modules of ours use it (HCL native syntax specification, "Expressions"):
 * templates, operators, conditionals, calls, indexes, splats, `for`. What is not understood throws with the text.
 */
export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'template'; readonly parts: readonly (string | Expression)[] }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'attribute'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'index'; readonly of: Expression; readonly at: Expression }
  | { readonly kind: 'splat'; readonly of: Expression }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'unary'; readonly operator: string; readonly of: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'conditional';
      readonly test: Expression;
      readonly whenTrue: Expression;
      readonly whenFalse: Expression;
    }
  | { readonly kind: 'tuple'; readonly items: readonly Expression[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | {
      readonly kind: 'for';
      readonly key: string | undefined;
      readonly value: string;
      readonly over: Expression;
      readonly makes: Expression;
      readonly makesKey: Expression | undefined;
      readonly when: Expression | undefined;
    };

type Token =
  | { readonly kind: 'word' | 'operator' | 'end'; readonly text: string }
  | { readonly kind: 'number'; readonly value: number; readonly text: string }
  | {
      readonly kind: 'string';
      readonly parts: readonly (string | Expression)[];
      readonly text: string;
    };

const operators = ['...', '==', '!=', '<=', '>=', '&&', '||', '=>', '[*]'] as const;
const precedence: Readonly<Record<string, number>> = {
  '||': 1,
  '&&': 2,
  '==': 3,
  '!=': 3,
  '<': 4,
  '>': 4,
  '<=': 4,
  '>=': 4,
  '+': 5,
  '-': 5,
  '*': 6,
  '/': 6,
  '%': 6,
};

/** Parses a string of a configuration: literal text with `${…}` in it. One sequence alone is the expression itself. */
export function parseTemplate(text: string): Expression {
  const parts = templateParts(text);
  if (parts.length === 0) return { kind: 'literal', value: '' };
  const [only] = parts;
  if (parts.length === 1 && only !== undefined)
    return typeof only === 'string' ? { kind: 'literal', value: only } : only;
  return { kind: 'template', parts };
}

export function parseExpression(text: string): Expression {
  const parser = new Parser(tokens(text), text);
  const expression = parser.expression(0);
  parser.end();
  return expression;
}

function templateParts(text: string): readonly (string | Expression)[] {
  const parts: (string | Expression)[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    if (text.startsWith('$${', at)) {
      literal += '${';
      at += 3;
    } else if (text.startsWith('${', at)) {
      if (literal !== '') parts.push(literal);
      literal = '';
      const end = closing(text, at + 2);
      parts.push(parseExpression(text.slice(at + 2, end)));
      at = end + 1;
    } else {
      literal += text[at] ?? '';
      at += 1;
    }
  }
  if (literal !== '') parts.push(literal);
  return parts;
}

/** Where the brace closes that was opened before `from`; strings inside may hold braces of their own. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') at = stringEnd(text, at + 1);
    else if (char === '{') depth += 1;
    else if (char === '}') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  throw new SyntaxError(`A brace is never closed: ${text}`);
}

/** Where the quote closes that was opened before `from`. */
function stringEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text.startsWith('${', at)) at = closing(text, at + 2);
    else if (text[at] === '"') return at;
  }
  throw new SyntaxError(`A quote is never closed: ${text}`);
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const space = /^(?:\s|#[^\n]*)+/.exec(rest)?.[0];
    const number = /^\d+(?:\.\d+)?/.exec(rest)?.[0];
    const word = /^[A-Za-z_][A-Za-z0-9_-]*/.exec(rest)?.[0];
    const operator = operators.find((each) => rest.startsWith(each)) ?? rest[0] ?? '';
    if (space !== undefined) at += space.length;
    else if (number !== undefined) {
      found.push({ kind: 'number', value: Number(number), text: number });
      at += number.length;
    } else if (word !== undefined) {
      found.push({ kind: 'word', text: word });
      at += word.length;
    } else if (operator === '"') {
      const end = stringEnd(text, at + 1);
      const inner = text.slice(at + 1, end);
      found.push({ kind: 'string', parts: templateParts(unescape(inner)), text: inner });
      at = end + 1;
    } else {
      found.push({ kind: 'operator', text: operator });
      at += operator.length;
    }
  }
  found.push({ kind: 'end', text: '' });
  return found;
}

function unescape(text: string): string {
  return text.replaceAll(/\\(["\\nrt])/gu, (_, char: string) =>
    char === 'n' ? '\n' : char === 'r' ? '\r' : char === 't' ? '\t' : char,
  );
}

/** Precedence climbing over the tokens. */
class Parser {
  readonly #tokens: readonly Token[];
  readonly #text: string;
  #at = 0;

  constructor(list: readonly Token[], text: string) {
    this.#tokens = list;
    this.#text = text;
  }

  end(): void {
    if (this.#next().kind !== 'end') this.#fail();
  }

  expression(least: number): Expression {
    let left = this.#unary();
    for (;;) {
      const { text, kind } = this.#next();
      const rank = kind === 'operator' ? precedence[text] : undefined;
      if (rank === undefined || rank <= least) break;
      this.#at += 1;
      left = { kind: 'binary', operator: text, left, right: this.expression(rank) };
    }
    if (least > 0 || !this.#take('?')) return left;
    const whenTrue = this.expression(0);
    this.#expect(':');
    return { kind: 'conditional', test: left, whenTrue, whenFalse: this.expression(0) };
  }

  #unary(): Expression {
    for (const operator of ['!', '-'])
      if (this.#take(operator)) return { kind: 'unary', operator, of: this.#unary() };
    return this.#postfix(this.#primary());
  }

  #postfix(start: Expression): Expression {
    let of = start;
    for (;;) {
      if (this.#take('[*]')) {
        of = this.#splat(of);
      } else if (this.#take('.')) {
        const token = this.#next();
        this.#at += 1;
        if (token.text === '*') of = this.#splat(of);
        else if (token.kind === 'number')
          of = { kind: 'index', of, at: { kind: 'literal', value: token.value } };
        else of = { kind: 'attribute', of, name: token.text };
      } else if (this.#take('[')) {
        const at = this.expression(0);
        this.#expect(']');
        of = { kind: 'index', of, at };
      } else {
        return of;
      }
    }
  }

  /** What follows a splat is taken of each element: `list[*].id` is `[for each in list : each.id]`. */
  #splat(of: Expression): Expression {
    const each = this.#postfix({ kind: 'name', name: '*' });
    return {
      kind: 'for',
      key: undefined,
      value: '*',
      over: { kind: 'splat', of },
      makes: each,
      makesKey: undefined,
      when: undefined,
    };
  }

  #primary(): Expression {
    const token = this.#next();
    this.#at += 1;
    if (token.kind === 'number') return { kind: 'literal', value: token.value };
    if (token.kind === 'string')
      return token.parts.every((part) => typeof part === 'string')
        ? { kind: 'literal', value: token.parts.join('') }
        : { kind: 'template', parts: token.parts };
    if (token.kind === 'word') return this.#word(token.text);
    if (token.text === '(') {
      const inner = this.expression(0);
      this.#expect(')');
      return inner;
    }
    if (token.text === '[')
      return this.#isFor() ? this.#for(']') : { kind: 'tuple', items: this.#list(']') };
    if (token.text === '{') return this.#isFor() ? this.#for('}') : this.#object();
    return this.#fail();
  }

  #word(text: string): Expression {
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
    if (text === 'null') return { kind: 'literal', value: null };
    if (this.#take('(')) return { kind: 'call', name: text, args: this.#list(')') };
    return { kind: 'name', name: text };
  }

  #list(end: string): Expression[] {
    const items: Expression[] = [];
    while (!this.#take(end)) {
      items.push(this.expression(0));
      this.#take('...');
      if (!this.#take(',')) {
        this.#expect(end);
        break;
      }
    }
    return items;
  }

  #object(): Expression {
    const entries: [Expression, Expression][] = [];
    while (!this.#take('}')) {
      const token = this.#next();
      const isBare =
        token.kind === 'word' && ['=', ':'].includes(this.#tokens[this.#at + 1]?.text ?? '');
      const key: Expression = isBare ? { kind: 'literal', value: token.text } : this.expression(0);
      if (isBare) this.#at += 1;
      if (!this.#take('=')) this.#expect(':');
      entries.push([key, this.expression(0)]);
      this.#take(',');
    }
    return { kind: 'object', entries };
  }

  #isFor(): boolean {
    const token = this.#next();
    return token.kind === 'word' && token.text === 'for';
  }

  #for(end: string): Expression {
    this.#at += 1;
    const first = this.#name();
    const second = this.#take(',') ? this.#name() : undefined;
    this.#expect('in');
    const over = this.expression(0);
    this.#expect(':');
    const one = this.expression(0);
    const other = this.#take('=>') ? this.expression(0) : undefined;
    this.#take('...');
    const when = this.#take('if') ? this.expression(0) : undefined;
    this.#expect(end);
    return {
      kind: 'for',
      key: second === undefined ? undefined : first,
      value: second ?? first,
      over,
      makes: other ?? one,
      makesKey: other === undefined ? undefined : one,
      when,
    };
  }

  #name(): string {
    const token = this.#next();
    if (token.kind !== 'word') this.#fail();
    this.#at += 1;
    return token.text;
  }

  #next(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' };
  }

  #take(text: string): boolean {
    const token = this.#next();
    if (token.kind === 'string' || token.kind === 'end' || token.text !== text) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#fail(text);
  }

  #fail(expected?: string): never {
    const wanted = expected === undefined ? '' : `, where ${expected} was expected`;
    throw new SyntaxError(`Not understood at "${this.#next().text}"${wanted}: ${this.#text}`);
  }
}
