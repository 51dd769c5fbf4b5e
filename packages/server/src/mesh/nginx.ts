/** What the two nginx files are made from. Paths and names go into them as they are: they are the operator's. */
export interface NginxPlan {
  /** `127.0.0.1:8091` and `127.0.0.1:8092`: our local doors. */
  readonly outbound: string;
  readonly auth: string;
  /** Where the program is that peers reach: `127.0.0.1:8000` or `unix:/path`. */
  readonly backend: string;
  readonly listenPlain: string;
  readonly listenTls: string;
  /** The port by which peers and policy know the service. */
  readonly port: number;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Roots to which certificates of callers lead. nginx checks the chain, we check everything else. */
  readonly rootsFile: string;
}

/** Nothing that could end a directive or begin another one. */
const safe = /^[A-Za-z0-9_.:/@[\]-]{1,512}$/;

export function nginxProblem(plan: NginxPlan): string | undefined {
  for (const [name, value] of Object.entries(plan)) {
    if (!safe.test(String(value))) return `${name}: ${String(value)} cannot stand in an nginx file`;
  }
  return undefined;
}

const streaming = `proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $postern_connection;
        proxy_buffering off;
        proxy_request_buffering off;
        proxy_read_timeout 1h;
        proxy_send_timeout 1h;`;

const connectionMap = `map $http_upgrade $postern_connection {
    default upgrade;
    ''      '';
}
`;

/** Port 80: local programs to the way out. Only this machine may connect. */
export function nginxClientProxy({ listenPlain, outbound }: NginxPlan): string {
  return `# Written by postern. Local programs call apps of the mesh through here.
${connectionMap}
upstream postern_outbound {
    server ${outbound};
    keepalive 64;
}

server {
    listen ${listenPlain};
    server_name _;
    client_max_body_size 0;

    location / {
        proxy_pass http://postern_outbound;
        ${streaming}
    }
}
`;
}

/** Port 443: peers to the program, once the auth service has judged their certificate. */
export function nginxServerProxy(plan: NginxPlan): string {
  const { listenTls, auth, backend, certificateFile, keyFile, rootsFile, port } = plan;
  return `# Written by postern. Peers of the mesh come in here; the auth service judges each of them.
map $http_upgrade $postern_in_connection {
    default upgrade;
    ''      '';
}

upstream postern_auth {
    server ${auth};
    keepalive 16;
}

upstream postern_backend {
    server ${backend};
    keepalive 64;
}

server {
    listen ${listenTls} ssl;
    server_name _;
    ssl_certificate ${certificateFile};
    ssl_certificate_key ${keyFile};
    ssl_client_certificate ${rootsFile};
    ssl_verify_client on;
    ssl_verify_depth 3;
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;
    large_client_header_buffers 4 128k;
    client_max_body_size 0;

    location = /postern-mesh-auth {
        internal;
        proxy_pass http://postern_auth/auth;
        proxy_http_version 1.1;
        proxy_pass_request_body off;
        proxy_pass_request_headers off;
        proxy_set_header Host localhost;
        proxy_set_header Connection "";
        proxy_set_header Content-Length "";
        proxy_set_header X-Client-Verify $ssl_client_verify;
        proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
        proxy_set_header X-Original-Method $request_method;
        proxy_set_header X-Original-URI $request_uri;
        proxy_set_header X-Original-Port ${port};
    }

    location / {
        auth_request /postern-mesh-auth;
        auth_request_set $postern_app_id $upstream_http_x_dstack_app_id;
        auth_request_set $postern_identity $upstream_http_x_postern_identity;
        proxy_pass http://postern_backend;
        ${streaming.replace('$postern_connection', '$postern_in_connection')}
        proxy_set_header X-Dstack-App-Id $postern_app_id;
        proxy_set_header X-Postern-Identity $postern_identity;
        proxy_set_header X-Client-Verify "";
        proxy_set_header X-Client-Cert "";
    }
}
`;
}
