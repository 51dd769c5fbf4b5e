// Closed-loop load over TLS 1.3 with a client certificate, or over plain TCP: one thread, epoll.
//   tls-load kept      PORT CERT KEY REQUEST_FILE CONNECTIONS SECONDS   requests on kept connections
//   tls-load handshake PORT CERT KEY REQUEST_FILE CONNECTIONS SECONDS   a new connection with a full handshake for each request
// CERT `-`: plain TCP. Prints one line of JSON: what was answered a second, latency in microseconds, failures.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 4096
#define SAMPLES_MAX (8 << 20)

enum { CONNECTING, SHAKING, WRITING, READING };
typedef struct { int fd, state; SSL *ssl; uint64_t since; char in[65536]; size_t got, need; } conn;

static conn *conns;
static SSL_CTX *ctx;
static int poll_fd, port, is_kept;
static char request[1 << 20];
static size_t request_length;
static uint64_t *samples;
static size_t done, failed;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void hang_up(conn *c) {
  if (c->ssl) { SSL_free(c->ssl); c->ssl = NULL; }
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
}

static void step(conn *c);

static void begin(conn *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->since = now_ns();
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) { perror("connect"); exit(1); }
  c->state = CONNECTING;
  c->got = c->need = 0;
  struct epoll_event in = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &in);
}

static void again(conn *c, int is_good) {
  if (is_good) { if (done < SAMPLES_MAX) samples[done] = now_ns() - c->since; done++; }
  else failed++;
  if (is_good && is_kept) { c->state = WRITING; c->got = c->need = 0; c->since = now_ns(); return; }
  hang_up(c);
  begin(c);
}

// 1: done, 0: wait for the socket, -1: over.
static int want(conn *c, int result) {
  int why = SSL_get_error(c->ssl, result);
  return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int put(conn *c) {
  if (!c->ssl) return send(c->fd, request, request_length, MSG_NOSIGNAL) == (ssize_t)request_length ? 1 : -1;
  int n = SSL_write(c->ssl, request, request_length);
  return n == (int)request_length ? 1 : want(c, n);
}

static int take(conn *c) {
  int room = sizeof c->in - 1 - c->got, n;
  if (room <= 0) return -1;
  if (c->ssl) {
    n = SSL_read(c->ssl, c->in + c->got, room);
    if (n <= 0) return want(c, n);
  } else {
    n = recv(c->fd, c->in + c->got, room, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) return -1;
  }
  c->got += n;
  c->in[c->got] = 0;
  if (c->need == 0) {
    char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "content-length:");
    if (!end) return 2;
    if (strncmp(c->in, "HTTP/1.1 200", 12) || !length) { fprintf(stderr, "%.300s\n", c->in); return -1; }
    c->need = end + 4 - c->in + strtoul(length + 15, NULL, 10);
  }
  return c->got >= c->need ? 1 : 2;
}

static void step(conn *c) {
  for (;;) {
    int r;
    if (c->state == CONNECTING) {
      int error = 0; socklen_t size = sizeof error;
      getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error) return again(c, 0);
      struct sockaddr_in peer; socklen_t peer_size = sizeof peer;
      if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_size)) return;
      c->state = ctx ? SHAKING : WRITING;
      if (ctx) { c->ssl = SSL_new(ctx); SSL_set_fd(c->ssl, c->fd); SSL_set_connect_state(c->ssl); }
      continue;
    }
    if (c->state == SHAKING) {
      r = SSL_do_handshake(c->ssl);
      if (r != 1) { if (want(c, r) < 0) { ERR_print_errors_fp(stderr); again(c, 0); } return; }
      c->state = WRITING;
      continue;
    }
    if (c->state == WRITING) {
      r = put(c);
      if (r < 0) again(c, 0);
      if (r <= 0) return;
      c->state = READING;
      continue;
    }
    r = take(c);
    if (r == 0) return;
    if (r == 2) continue;
    again(c, r == 1);
    if (!is_kept || r != 1) return;
  }
}

int main(int argc, char **argv) {
  if (argc != 8) return 2;
  signal(SIGPIPE, SIG_IGN);
  is_kept = !strcmp(argv[1], "kept");
  port = atoi(argv[2]);
  int count = atoi(argv[6]);
  double seconds = atof(argv[7]);
  FILE *file = fopen(argv[5], "rb");
  if (!file) return 2;
  request_length = fread(request, 1, sizeof request, file);
  fclose(file);
  if (strcmp(argv[3], "-")) {
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set1_groups_list(ctx, "X25519");
    if (SSL_CTX_use_certificate_chain_file(ctx, argv[3]) != 1 || SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1) { ERR_print_errors_fp(stderr); return 1; }
  }
  samples = malloc(SAMPLES_MAX * sizeof *samples);
  conns = calloc(CONNS_MAX, sizeof *conns);
  poll_fd = epoll_create1(0);
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9);
  for (int i = 0; i < count && i < CONNS_MAX; i++) begin(&conns[i]);
  struct epoll_event ready[256];
  while (now_ns() < end) {
    int n = epoll_wait(poll_fd, ready, 256, 100);
    for (int i = 0; i < n; i++) step(ready[i].data.ptr);
    if (failed > 1000) break;
  }
  double took = (now_ns() - start) / 1e9;
  size_t kept = done < SAMPLES_MAX ? done : SAMPLES_MAX;
  qsort(samples, kept, sizeof *samples, compare);
  printf("{\"perSecond\":%.1f,\"p50Micros\":%.1f,\"p99Micros\":%.1f,\"done\":%zu,\"failed\":%zu}\n", done / took,
         kept ? samples[kept / 2] / 1e3 : -1, kept ? samples[(size_t)(kept * 0.99)] / 1e3 : -1, done, failed);
  return 0;
}
