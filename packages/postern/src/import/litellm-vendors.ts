/** A vendor by the prefix that LiteLLM gives its models (docs.litellm.ai, "Providers"), and where it is reached by a format of ours. */
export interface LiteLlmVendor {
  readonly kind: 'openai' | 'anthropic' | 'bedrock';
  readonly baseUrl?: string;
  /** Where LiteLLM takes its credential from when the file names none. */
  readonly env?: string;
  /** Put behind an `api_base` that lacks it. */
  readonly path?: string;
}

export const liteLlmVendors: Readonly<Record<string, LiteLlmVendor>> = {
  openai: { kind: 'openai', baseUrl: 'https://api.openai.com/v1', env: 'OPENAI_API_KEY' },
  'text-completion-openai': {
    kind: 'openai',
    baseUrl: 'https://api.openai.com/v1',
    env: 'OPENAI_API_KEY',
  },
  custom_openai: { kind: 'openai' },
  openai_like: { kind: 'openai' },
  anthropic: { kind: 'anthropic', env: 'ANTHROPIC_API_KEY' },
  bedrock: { kind: 'bedrock' },
  azure: { kind: 'openai', env: 'AZURE_API_KEY', path: '/openai/v1' },
  ollama: { kind: 'openai', baseUrl: 'http://127.0.0.1:11434/v1', path: '/v1' },
  ollama_chat: { kind: 'openai', baseUrl: 'http://127.0.0.1:11434/v1', path: '/v1' },
  hosted_vllm: { kind: 'openai' },
  vllm: { kind: 'openai' },
  llamafile: { kind: 'openai', baseUrl: 'http://127.0.0.1:8080/v1' },
  lm_studio: { kind: 'openai', baseUrl: 'http://127.0.0.1:1234/v1' },
  groq: { kind: 'openai', baseUrl: 'https://api.groq.com/openai/v1', env: 'GROQ_API_KEY' },
  mistral: { kind: 'openai', baseUrl: 'https://api.mistral.ai/v1', env: 'MISTRAL_API_KEY' },
  deepseek: { kind: 'openai', baseUrl: 'https://api.deepseek.com/v1', env: 'DEEPSEEK_API_KEY' },
  openrouter: {
    kind: 'openai',
    baseUrl: 'https://openrouter.ai/api/v1',
    env: 'OPENROUTER_API_KEY',
  },
  together_ai: {
    kind: 'openai',
    baseUrl: 'https://api.together.xyz/v1',
    env: 'TOGETHERAI_API_KEY',
  },
  fireworks_ai: {
    kind: 'openai',
    baseUrl: 'https://api.fireworks.ai/inference/v1',
    env: 'FIREWORKS_AI_API_KEY',
  },
  deepinfra: {
    kind: 'openai',
    baseUrl: 'https://api.deepinfra.com/v1/openai',
    env: 'DEEPINFRA_API_KEY',
  },
  perplexity: {
    kind: 'openai',
    baseUrl: 'https://api.perplexity.ai',
    env: 'PERPLEXITYAI_API_KEY',
  },
  xai: { kind: 'openai', baseUrl: 'https://api.x.ai/v1', env: 'XAI_API_KEY' },
  nvidia_nim: {
    kind: 'openai',
    baseUrl: 'https://integrate.api.nvidia.com/v1',
    env: 'NVIDIA_NIM_API_KEY',
  },
  cerebras: { kind: 'openai', baseUrl: 'https://api.cerebras.ai/v1', env: 'CEREBRAS_API_KEY' },
  gemini: {
    kind: 'openai',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
    env: 'GEMINI_API_KEY',
  },
};

/** The vendor of a model that has no prefix, as LiteLLM guesses it. */
export function vendorOfBareName(model: string): string | undefined {
  if (/^(?:gpt-|o\d|chatgpt-|text-embedding-|davinci|babbage|ft:)/.test(model)) return 'openai';
  if (model.startsWith('claude')) return 'anthropic';
  if (/^(?:[a-z-]+\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21)\./.test(model))
    return 'bedrock';
  return undefined;
}
