/** Agents for tests: the official client, and requests written by hand. */
import http from 'node:http';
import type { CallToolResult } from '@modelcontextprotocol/client';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

export type Era = '2026-07-28' | 'legacy';

export interface AgentOptions {
  readonly who?: string;
  readonly era?: Era;
  /** What the person behind the client says; without it the client cannot ask anybody. */
  readonly person?: (message: string) => 'yes' | 'no' | 'unticked' | 'cancel';
}

export interface Agent {
  readonly client: Client;
  /** Questions that the person was asked. */
  readonly asked: string[];
  call(name: string, args?: Record<string, unknown>): Promise<Called>;
  close(): Promise<void>;
}

export interface Called {
  readonly isError: boolean;
  // What a test looks at is judged by its expectations.
  readonly value: ReturnType<typeof JSON.parse>;
  readonly raw: CallToolResult;
}

export async function connectAgent(url: string, options: AgentOptions = {}): Promise<Agent> {
  const { who = 'owner', era = '2026-07-28', person } = options;
  const asked: string[] = [];
  const client = new Client(
    { name: 'test-agent', version: '1.0.0' },
    {
      versionNegotiation: { mode: era === 'legacy' ? 'legacy' : { pin: era } },
      capabilities: person === undefined ? {} : { elicitation: { form: {} } },
    },
  );
  if (person !== undefined) {
    client.setRequestHandler('elicitation/create', ({ params }) => {
      asked.push(params.message);
      const answer = person(params.message);
      if (answer === 'cancel') return { action: 'cancel' };
      if (answer === 'no') return { action: 'decline' };
      return { action: 'accept', content: { confirm: answer === 'yes' } };
    });
  }
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${who}` } },
  });
  await client.connect(transport);
  return {
    client,
    asked,
    call: async (name, args = {}) => {
      const raw = await client.callTool({ name, arguments: args });
      return { isError: raw.isError === true, value: raw.structuredContent, raw };
    },
    close: () => client.close(),
  };
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  // As above.
  readonly json: ReturnType<typeof JSON.parse>;
}

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** One HTTP request, on a connection of its own. */
export function send(port: number, request: RawRequest): Promise<RawAnswer> {
  const { method = 'POST', path = '/mcp', headers = {}, body } = request;
  const text =
    typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = http.request(
      { host: '127.0.0.1', port, method, path, agent: false, headers },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => (answer += piece));
        response.on('end', () => {
          let json: unknown;
          try {
            json = JSON.parse(answer.replace(/^event: .*\ndata: /, '').split('\n')[0] ?? '');
          } catch {
            json = undefined;
          }
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: answer,
            json,
          });
        });
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

const revision = '2026-07-28';
let ids = 0;

/** A request of the newer era by hand, with whatever a hostile client would put in. */
export function modern(
  method: string,
  params: Record<string, unknown>,
  more: { readonly who?: string; readonly capabilities?: object; readonly headers?: object } = {},
): RawRequest {
  ids += 1;
  const name = params['name'] ?? params['uri'];
  return {
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      authorization: `Bearer ${more.who ?? 'owner'}`,
      'mcp-protocol-version': revision,
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...more.headers,
    },
    body: {
      jsonrpc: '2.0',
      id: ids,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': revision,
          'io.modelcontextprotocol/clientCapabilities': more.capabilities ?? { elicitation: {} },
          'io.modelcontextprotocol/clientInfo': { name: 'by-hand', version: '1' },
        },
      },
    },
  };
}

export function toolCall(
  name: string,
  args: Record<string, unknown>,
  more: {
    readonly who?: string;
    readonly state?: string;
    readonly responses?: object;
    readonly capabilities?: object;
  } = {},
): RawRequest {
  return modern(
    'tools/call',
    {
      name,
      arguments: args,
      ...(more.state === undefined ? {} : { requestState: more.state }),
      ...(more.responses === undefined ? {} : { inputResponses: more.responses }),
    },
    more,
  );
}

export const yes = { confirm: { action: 'accept', content: { confirm: true } } };
