/** A JSON value as `parseJson` gives it: objects have no prototype, arrays and strings are plain. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: JsonValue;
}
