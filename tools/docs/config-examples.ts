/** An example for each top-level key of the configuration: a whole file each, held valid by a test. */
export const configExamples: Readonly<Record<string, string>> = {
  providers: `{
  "providers": {
    // A server on this machine. Writing its address down is the permission to dial it.
    "local": {"kind": "openai", "baseUrl": "http://127.0.0.1:11434/v1"},
    // The key is kept elsewhere; here stands only where.
    "claude": {"kind": "anthropic", "key": {"file": "/run/secrets/anthropic"}, "maxOutputTokens": 64000},
    // One model under a fixed name, with patience for long prompts.
    "big": {
      "kind": "openai",
      "baseUrl": "https://gpu.example.com/v1",
      "models": ["qwen3-235b"],
      "timeouts": {"firstByteMs": 600000},
    },
    // A box that sleeps: woken when somebody asks, two requests at a time, reached through a tailscaled beside us.
    "gpu": {
      "kind": "openai",
      "baseUrl": "http://gpu.tail1234.ts.net:8000/v1",
      "via": "socks5h://127.0.0.1:1055",
      "maxConcurrent": 2,
      "queue": {"length": 32, "waitMs": 60000},
      "health": {"path": "/health"},
      "breaker": {"failures": 3, "openMs": 10000},
      "retry": {"times": 1},
      "wake": {
        "by": {"lan": {"mac": "0a:1b:2c:3d:4e:5f", "address": "192.168.1.255"}},
        "readyMs": 240000,
        "warmUp": ["qwen3-32b"],
      },
    },
  },
}`,
  aliases: `{
  "providers": {"local": {"kind": "openai", "baseUrl": "http://127.0.0.1:11434/v1"}, "claude": {"kind": "anthropic"}},
  "aliases": {
    // In this order: the next one is asked when the one before cannot answer.
    "instant": ["local/llama3.2", "claude/claude-haiku-4-5"],
    // Three of four requests go to the first; if it fails, the other of the two, then the last.
    "thinking": [{"local/qwen3": 3, "local/gpt-oss": 1}, "claude/claude-opus-4-5"],
  },
}`,
  defaultModel: `{
  "providers": {"local": {"kind": "openai", "baseUrl": "http://127.0.0.1:11434/v1"}},
  "defaultModel": "local/llama3.2",
}`,
  listeners: `{
  "listeners": {
    "gateway": {"address": "8000", "hosts": ["ai.internal"]},
    // <state>/run/serve.sock, for \`tailscale serve\`
    "serve": {"enabled": true},
    "admin": {"enabled": false},
  },
}`,
  mcp: `{
  // Agents may look at machines, policy, usage and the log, and change nothing.
  "mcp": {"readOnly": true},
}`,
  mesh: `{
  "mesh": {
    // Evidence of peers must satisfy this file; without it nobody is believed.
    "trust": {"appraisalFile": "/etc/postern/appraisal.hujson"},
    "outbound": {"gatewayDomain": "apps.example.com"},
    // Peers reach the program on 8000 at port 443, and the database at 27017, where the policy lets them.
    "inbound": [
      {"port": 443, "backend": "127.0.0.1:8000"},
      {"port": 27017, "backend": "127.0.0.1:27017", "protocol": "tcp"},
    ],
    "forwards": [{"address": "5432", "app": "8c19e4b92f7d0f5a6b3c1d2e3f4a5b6c7d8e9f00", "port": 5432}],
  },
}`,
  registry: `{
  // GPU boxes register under their type; whoever calls the model is sent to one that is alive.
  "registry": {"address": "100.64.0.1:8000", "networks": ["100.64.0.0/10"]},
  "providers": {"gpu": {"kind": "openai", "discover": {"nodeType": "instant", "port": 8000}}},
}`,
  engine: `{
  "engine": {
    "url": "https://vpn.example.com",
    "tls": {"certificateFile": "/etc/postern/tls.crt", "keyFile": "/etc/postern/tls.key"},
    "baseDomain": "mesh.example.com",
    "oidc": {
      "issuer": "https://login.example.com",
      "clientId": "postern",
      "clientSecretEnv": "OIDC_CLIENT_SECRET",
      "allowedDomains": ["example.com"],
    },
  },
}`,
  routed: `{
  // Headscale coordinates; callers come through its subnet router at 10.0.1.10, which leaves their addresses alone.
  "engine": {"kind": "headscale", "headscale": {"url": "https://vpn.example.com"}},
  "routed": {"from": "10.0.1.10", "address": "10.0.2.10:8080", "hosts": ["ai.internal"]},
}`,
  publicEdge: `{
  "publicEdge": {
    "address": ":443",
    "hosts": ["ai.example.com"],
    "tls": {"certificateFile": "/etc/postern/tls.crt", "keyFile": "/etc/postern/tls.key"},
  },
}`,
  trustedProxies: `{
  "trustedProxies": ["10.0.3.0/24"],
  "publicEdge": {"address": "10.0.3.7:8443", "hosts": ["ai.example.com"], "tls": "balancer"},
}`,
  trustLoopback: `{
  "trustLoopback": true,
  // What the local operator is for policy.hujson.
  "identities": {"map": [{"local": true, "as": ["alice@example.com"]}]},
}`,
  identities: `{
  "identities": {
    "issuers": [
      {
        "issuer": "https://login.example.com/",
        "audience": ["postern"],
        "algorithms": ["RS256"],
        "jwksUrl": "https://login.example.com/.well-known/jwks.json",
      },
    ],
    "map": [
      {"issuer": "https://login.example.com/", "claim": "email"},
      {"issuer": "https://login.example.com/", "claim": "/realm_access/roles", "value": "ml", "as": ["group:research"]},
      {"key": "ci", "as": ["tag:ci"]},
      // Every key, and whoever runs Postern.
      {"key": "*", "as": ["tag:key"]},
      {"local": true, "as": ["alice@example.com"]},
    ],
  },
}`,
  policy: `{
  // policy.hujson stands beside this file.
  "policy": {
    "autoApply": true,
    "protect": {
      "paths": [{"name": "the way to the console", "from": ["tag:ops"], "to": ["tag:gateway"], "ports": ["tcp:443"]}],
      "capabilities": [
        {"capability": "postern.dev/cap/admin", "holders": ["alice@example.com", "bob@example.com"], "on": ["tag:gateway"], "keepAtLeast": 1},
      ],
      "logins": [{"name": "break-glass", "from": ["alice@example.com"], "to": ["tag:gateway"], "users": ["root"]}],
      "crownJewels": [{"name": "the training data", "to": ["tag:vault"]}],
    },
  },
}`,
  limits: `{
  "limits": {
    "bodyBytes": 8388608,
    "drainDelayMs": 5000,
    "drainMs": 60000,
    "named": {
      // A grant says "limits": ["chat"].
      "chat": {"requestsPerMinute": 60, "tokensPerMinute": 200000, "per": "user"},
      // No grant has to name it: it holds for everyone.
      "fair": {"concurrent": 16, "per": "user", "match": ["autogroup:member"]},
    },
  },
}`,
  budgets: `{
  "budgets": {
    // A grant says "budgets": ["research"].
    "research": {"usd": "200.00", "every": "month"},
    // Each user has their own; it holds whatever the grants say.
    "personal": {"usd": 5, "every": "day", "per": "user", "match": ["group:interns"]},
  },
}`,
  prices: `{
  "prices": {
    // What the contract with the vendor says, in US dollars for a million tokens.
    "openai/gpt-5*": {"input": "1.10", "output": "8.80", "cacheRead": "0.11"},
    // A rented machine: nobody bills by the token, but it is not free.
    "rented/**": {"input": 0.2, "output": 0.2},
  },
}`,
  audit: `{
  "audit": {
    // On another machine: whoever changes the log here cannot change what was signed before.
    "witness": ["/mnt/witness/postern-checkpoints"],
    "whenUnavailable": "refuse",
    "retentionDays": 14,
  },
}`,
  telemetry: `{
  "telemetry": {
    // Every program on this machine may scrape http://127.0.0.1:8081/metrics.
    "openMetrics": true,
    "traces": {
      "endpoint": "http://127.0.0.1:4318/v1/traces",
      "headers": {"x-api-key": {"file": "/run/secrets/collector"}},
      "sample": 0.1,
      "propagate": true,
    },
  },
}`,
  alerts: `{
  "alerts": {
    "webhooks": [{"url": "https://hooks.example.com/postern", "secret": {"file": "/run/secrets/hook"}}],
    "budgetPercent": 80,
    "backupHours": 30,
  },
}`,
  store: `{
  "store": {
    // postgresql://postern:…@db.internal/postern?sslmode=verify-full stands in the file, never here.
    "postgres": {"url": {"file": "/run/secrets/postern-database"}},
    "valkey": {"url": {"env": "POSTERN_VALKEY_URL"}},
    "name": "gateway-1",
  },
}`,
};
