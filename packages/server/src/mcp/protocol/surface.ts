import type {
  CallToolRequestParams,
  CallToolResult,
  CompleteRequestParams,
  CompleteResult,
  GetPromptRequestParams,
  GetPromptResult,
  InputRequiredResult,
  ListPromptsResult,
  ListResourcesResult,
  ListResourceTemplatesResult,
  ListToolsResult,
  ReadResourceResult,
  Server,
  ServerCapabilities,
  ServerContext,
} from '@modelcontextprotocol/server';

/** One request as the protocol gives it to a surface. */
export interface Ask {
  readonly context: ServerContext;
  readonly server: Server;
}

type Answer<T> = T | InputRequiredResult | Promise<T | InputRequiredResult>;

/** What a server of the protocol shows. Everything of the wire (eras, streams, ids) is before it. */
export interface Surface {
  readonly capabilities: ServerCapabilities;
  readonly instructions: string;
  listTools(ask: Ask): ListToolsResult | Promise<ListToolsResult>;
  callTool(params: CallToolRequestParams, ask: Ask): Answer<CallToolResult>;
  listResources(ask: Ask): ListResourcesResult | Promise<ListResourcesResult>;
  listTemplates(ask: Ask): ListResourceTemplatesResult;
  readResource(uri: string, ask: Ask): Answer<ReadResourceResult>;
  listPrompts(ask: Ask): ListPromptsResult;
  getPrompt(params: GetPromptRequestParams, ask: Ask): Answer<GetPromptResult>;
  /** Of the older era: the client of this session wants to be told of changes of a resource, or no longer. */
  readonly watch?: (uri: string, isWanted: boolean, ask: Ask) => void;
  readonly complete?: (params: CompleteRequestParams, ask: Ask) => CompleteResult;
}
