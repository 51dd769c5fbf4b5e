import type { JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { BilledApart } from '../model.ts';
import { tokenCount } from '../usage.ts';

/** Searches that the provider runs while a Messages stream comes, until its last event counts them. */
export class SearchTally {
  #count = 0;
  #isReported = false;

  /** What stands at the start of a block: each call is a search, and one that failed is not billed. */
  block(value: JsonValue | undefined): void {
    if (!isJsonObject(value)) return;
    const { type, name, content } = value;
    if (type === 'server_tool_use' && name === 'web_search') this.#count += 1;
    else if (type === 'web_search_tool_result' && isFailure(content))
      this.#count = Math.max(0, this.#count - 1);
  }

  /** The usage of a `message_delta`; the first event has one too, from before there was any search. */
  report(usage: JsonValue | undefined): void {
    const tools = isJsonObject(usage) ? usage['server_tool_use'] : undefined;
    this.#isReported ||=
      isJsonObject(tools) && tokenCount(tools['web_search_requests']) !== undefined;
  }

  /** Nothing where the provider has counted them itself. */
  soFar(): BilledApart | undefined {
    return this.#isReported || this.#count === 0 ? undefined : { webSearches: this.#count };
  }
}

function isFailure(content: JsonValue | undefined): boolean {
  return isJsonObject(content) && content['type'] === 'web_search_tool_result_error';
}
