/** The client by itself. The package's main entry also loads fetch, WebSocket and caches: 13 MB that nothing here uses. */
declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici';

  export = Client;
}
