/**
 * Every refusal that Postern gives, once. A row says what HTTP status it has, what each dialect calls it, and
 * whether a client library may try again. Tests hold this table against docs/reference/errors.md and against the
 * suite that produces each code over the wire, both ways.
 */
export interface ErrorRow {
  /** HTTP status; 0 for codes that never reach a client. */
  readonly status: number;
  /** `error.type` and `error.code` of the OpenAI envelope. */
  readonly openaiType: string;
  readonly openaiCode: string | null;
  /** `error.type` of the Anthropic envelope. */
  readonly anthropicType: string;
  /** `no`: sending the same again cannot help (sent as `x-should-retry: false`); `yes`: it can. */
  readonly retry: 'no' | 'yes';
  /** What happened, for people who read the reference page. */
  readonly meaning: string;
  /** What to do next. */
  readonly fix: string;
}

const invalid = {
  openaiType: 'invalid_request_error',
  anthropicType: 'invalid_request_error',
  retry: 'no',
} as const;
const auth = {
  openaiType: 'invalid_request_error',
  anthropicType: 'authentication_error',
  retry: 'no',
} as const;
const denied = {
  openaiType: 'invalid_request_error',
  anthropicType: 'permission_error',
  retry: 'no',
} as const;
const server = { openaiType: 'server_error', anthropicType: 'api_error', retry: 'yes' } as const;

/** The closed list of refusal codes: the stable surface that programs may compare with. */
export type ErrorCode =
  | 'malformed_http'
  | 'forbidden_header'
  | 'host_not_allowed'
  | 'origin_not_allowed'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'body_too_large'
  | 'uri_too_long'
  | 'unsupported_encoding'
  | 'headers_too_large'
  | 'invalid_json'
  | 'invalid_request'
  | 'unsupported_parameter'
  | 'output_limit_exceeded'
  | 'credential_missing'
  | 'credential_invalid'
  | 'credential_expired'
  | 'credential_revoked'
  | 'local_operator_refused'
  | 'access_denied'
  | 'model_not_found'
  | 'rate_limited'
  | 'budget_exhausted'
  | 'price_unknown'
  | 'upstream_rejected'
  | 'upstream_rate_limited'
  | 'upstream_unavailable'
  | 'upstream_credential'
  | 'upstream_error'
  | 'upstream_timeout'
  | 'upstream_overloaded'
  | 'egress_refused'
  | 'overloaded'
  | 'draining'
  | 'state_unavailable'
  | 'conflict'
  | 'internal';

export const errorTable: Readonly<Record<ErrorCode, ErrorRow>> = Object.freeze({
  malformed_http: {
    ...invalid,
    status: 400,
    openaiCode: 'malformed_http',
    meaning: 'The request is not well-formed HTTP/1.1, or can be read in two ways.',
    fix: 'Use an ordinary HTTP client; send each header once, with one Content-Length.',
  },
  forbidden_header: {
    ...invalid,
    status: 400,
    openaiCode: 'forbidden_header',
    meaning: 'A header tries to name or remove an identity header.',
    fix: 'Do not list identity headers in Connection, and send none of them.',
  },
  host_not_allowed: {
    ...denied,
    status: 403,
    openaiCode: 'host_not_allowed',
    meaning: 'The Host header is not one of the names of this listener.',
    fix: 'Call the gateway by its own name or address, or add the name to the listener in the configuration.',
  },
  origin_not_allowed: {
    ...denied,
    status: 403,
    openaiCode: 'origin_not_allowed',
    meaning: 'The request comes from a web page of another site.',
    fix: 'Call the gateway from a program; pages of other sites are refused where identity comes from the network.',
  },
  not_found: {
    ...invalid,
    status: 404,
    anthropicType: 'not_found_error',
    openaiCode: 'not_found',
    meaning: 'No such route on this listener, or nothing of that name.',
    fix: 'Check the path and the name; the HTTP reference lists the routes.',
  },
  method_not_allowed: {
    ...invalid,
    status: 405,
    openaiCode: 'method_not_allowed',
    meaning: 'The route exists, but not for this method.',
    fix: 'Use the method in the Allow header.',
  },
  request_timeout: {
    ...invalid,
    status: 408,
    openaiCode: 'request_timeout',
    meaning: 'The request body did not arrive in time.',
    fix: 'Send the body without long pauses.',
  },
  body_too_large: {
    ...invalid,
    status: 413,
    anthropicType: 'request_too_large',
    openaiCode: 'body_too_large',
    meaning: 'The request body is larger than the limit.',
    fix: 'Send less, or raise limits.bodyBytes in the configuration.',
  },
  uri_too_long: {
    ...invalid,
    status: 414,
    openaiCode: 'uri_too_long',
    meaning: 'The request target is longer than the limit.',
    fix: 'Send parameters in the body.',
  },
  unsupported_encoding: {
    ...invalid,
    status: 415,
    openaiCode: 'unsupported_encoding',
    meaning: 'The request body is compressed.',
    fix: 'Send the body without Content-Encoding.',
  },
  headers_too_large: {
    ...invalid,
    status: 431,
    openaiCode: 'headers_too_large',
    meaning: 'The request head is larger than the limit.',
    fix: 'Send fewer or shorter headers.',
  },
  invalid_json: {
    ...invalid,
    status: 400,
    openaiCode: 'invalid_json',
    meaning: 'The body is not one JSON object within the limits, or names a key twice.',
    fix: 'Correct the body at the position given.',
  },
  invalid_request: {
    ...invalid,
    status: 400,
    openaiCode: null,
    meaning: 'A field of the body is missing or of the wrong kind.',
    fix: 'Correct the field named in param.',
  },
  unsupported_parameter: {
    ...invalid,
    status: 400,
    openaiCode: 'unsupported_parameter',
    meaning:
      'The model that would answer cannot honour this parameter, or it names a model beside the one in "model".',
    fix: 'Leave the parameter out or choose another model.',
  },
  output_limit_exceeded: {
    ...invalid,
    status: 400,
    openaiCode: 'output_limit_exceeded',
    meaning: 'More output tokens are asked for than any grant allows.',
    fix: 'Ask for fewer output tokens.',
  },
  credential_missing: {
    ...auth,
    status: 401,
    openaiCode: 'missing_credential',
    meaning: 'Nothing identifies the caller.',
    fix: 'Join the private network, or send a key made with `postern key create` as a bearer token.',
  },
  credential_invalid: {
    ...auth,
    status: 401,
    openaiCode: 'invalid_api_key',
    meaning: 'The key or token does not verify.',
    fix: 'Check the key; make a new one with `postern key create`.',
  },
  credential_expired: {
    ...auth,
    status: 401,
    openaiCode: 'expired_credential',
    meaning: 'The key or token is past its time.',
    fix: 'Get a new token, or make a new key.',
  },
  credential_revoked: {
    ...auth,
    status: 401,
    openaiCode: 'revoked_credential',
    meaning: 'The key or token was revoked.',
    fix: 'Ask the operator for a new one.',
  },
  local_operator_refused: {
    ...auth,
    status: 401,
    openaiCode: 'local_operator_refused',
    meaning: 'A loopback caller is not believed to be the person who started this process.',
    fix: 'Use a key (`postern key create`), or meet the condition that the message names.',
  },
  access_denied: {
    ...denied,
    status: 403,
    openaiCode: 'access_denied',
    meaning: 'The caller is known, but nothing grants it any model (or this operation).',
    fix: 'Ask the operator for access.',
  },
  model_not_found: {
    ...invalid,
    status: 404,
    anthropicType: 'not_found_error',
    openaiCode: 'model_not_found',
    meaning: 'No such model, or none that the caller may use.',
    fix: 'List the models you may call with GET /v1/models or `postern models`.',
  },
  rate_limited: {
    status: 429,
    openaiType: 'rate_limit_error',
    openaiCode: 'rate_limit_exceeded',
    anthropicType: 'rate_limit_error',
    retry: 'yes',
    meaning: 'The caller sends more than a limit allows.',
    fix: 'Wait as long as retry-after says.',
  },
  budget_exhausted: {
    status: 429,
    openaiType: 'insufficient_quota',
    openaiCode: 'insufficient_quota',
    anthropicType: 'rate_limit_error',
    retry: 'no',
    meaning: 'A budget that this request would be charged to has no room for it.',
    fix: 'Wait for the refill or ask the operator; see GET /v1/usage.',
  },
  price_unknown: {
    ...denied,
    status: 403,
    openaiCode: 'price_unknown',
    meaning: 'Nobody states what this model costs here, so no budget can be charged for it.',
    fix: 'The operator states the price under `prices` in the configuration.',
  },
  upstream_rejected: {
    ...invalid,
    status: 400,
    openaiCode: 'upstream_rejected',
    meaning: 'The model server refused the request; its own words follow.',
    fix: 'Correct the request as the message says.',
  },
  upstream_rate_limited: {
    status: 429,
    openaiType: 'rate_limit_error',
    openaiCode: 'upstream_rate_limited',
    anthropicType: 'rate_limit_error',
    retry: 'yes',
    meaning: 'The model server limits its callers.',
    fix: 'Wait as long as retry-after says.',
  },
  upstream_unavailable: {
    ...server,
    status: 502,
    openaiCode: 'upstream_unavailable',
    meaning: 'No model server could be reached for this model.',
    fix: 'Try again; the operator sees the cause in `postern status`.',
  },
  upstream_credential: {
    ...server,
    status: 502,
    retry: 'no',
    openaiCode: 'upstream_credential',
    meaning: 'The model server refused the credential of the gateway, not of the caller.',
    fix: 'The operator renews the provider credential.',
  },
  upstream_error: {
    ...server,
    status: 502,
    openaiCode: 'upstream_error',
    meaning: 'The model server failed or answered something that is not its protocol.',
    fix: 'Try again; the request id finds the log line.',
  },
  upstream_timeout: {
    ...server,
    status: 504,
    openaiCode: 'upstream_timeout',
    meaning: 'The model server did not answer in time.',
    fix: 'Try again, or ask for less.',
  },
  upstream_overloaded: {
    ...server,
    status: 503,
    anthropicType: 'overloaded_error',
    openaiCode: 'upstream_overloaded',
    meaning: 'The model server has no capacity now.',
    fix: 'Try again later.',
  },
  egress_refused: {
    ...server,
    status: 502,
    retry: 'no',
    openaiCode: 'egress_refused',
    meaning: 'The provider resolves to an address that the configuration does not allow.',
    fix: 'The operator checks the provider address with `postern doctor`.',
  },
  overloaded: {
    ...server,
    status: 503,
    anthropicType: 'overloaded_error',
    openaiCode: 'overloaded',
    meaning: 'The gateway is at its own limit.',
    fix: 'Try again after retry-after.',
  },
  draining: {
    ...server,
    status: 503,
    anthropicType: 'overloaded_error',
    openaiCode: 'draining',
    meaning: 'The gateway is shutting down.',
    fix: 'Try again; another instance or the next start answers.',
  },
  state_unavailable: {
    ...server,
    status: 503,
    openaiCode: 'state_unavailable',
    meaning:
      'The state store or an identity source cannot be read now. It says nothing about the caller.',
    fix: 'Try again after retry-after.',
  },
  conflict: {
    ...invalid,
    status: 409,
    openaiCode: 'conflict',
    meaning: 'The state changed since it was read, or the name is taken.',
    fix: 'Read again and repeat the change.',
  },
  internal: {
    ...server,
    status: 500,
    openaiCode: 'internal',
    meaning: 'A defect in Postern.',
    fix: 'Report the request id; the log has the cause.',
  },
});

export function errorRow(code: ErrorCode): ErrorRow {
  return errorTable[code];
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}
