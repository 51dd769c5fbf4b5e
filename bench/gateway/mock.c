// A model server that is never the bottleneck: one thread, epoll, HTTP/1.1 with keep-alive, no logging.
// Usage: mock PORT.  What it answers is said by the request body:
//   no "stream":true        a whole answer of about 550 bytes
//   "stream":true           "max_tokens":N events, one every 20 ms, each with its send time; then usage and [DONE]
//   "stream":true, "idle"   one event and then silence until the client leaves
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
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

#define FDS_MAX 65536
#define REQUEST_BYTES_MAX (4 << 20)
#define PERIOD_NS 20000000ULL

typedef struct conn {
  char *in;
  size_t used, room;
  struct conn *next;
  uint64_t due;
  int fd, left, queued;
} conn;

static conn *conns[FDS_MAX];
static conn *head, *tail;
static char whole[2048];
static size_t whole_length;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void drop(conn *c) {
  if (c->fd >= 0) { conns[c->fd] = NULL; close(c->fd); c->fd = -1; }
  if (!c->queued) { free(c->in); free(c); }
}

static int put(conn *c, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1; // A reader this slow is no part of any bench: its stream ends.
    bytes += n;
    length -= n;
  }
  return 0;
}

static int put_chunk(conn *c, const char *text, int last) {
  char out[1024];
  int n = snprintf(out, sizeof out, "%zx\r\n%s\r\n%s", strlen(text), text, last ? "0\r\n\r\n" : "");
  return put(c, out, n);
}

static int put_event(conn *c) {
  char text[512];
  snprintf(text, sizeof text,
           "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
           "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"@%016llu@\"}}]}\n\n",
           (unsigned long long)now_ns());
  return put_chunk(c, text, 0);
}

static void enqueue(conn *c) {
  c->next = NULL;
  c->queued = 1;
  if (tail) tail->next = c; else head = c;
  tail = c;
}

// All streams have one period, so the queue is in order of time by itself.
static void send_due(uint64_t now) {
  while (head && head->due <= now) {
    conn *c = head;
    head = c->next;
    if (!head) tail = NULL;
    c->queued = 0;
    if (c->fd < 0) { drop(c); continue; }
    int bad = put_event(c);
    if (!bad && --c->left <= 0) {
      bad = put_chunk(c,
                      "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                      "\"model\":\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":50,"
                      "\"total_tokens\":250}}\n\ndata: [DONE]\n\n", 1);
      if (!bad) continue;
    }
    if (bad) { drop(c); continue; }
    c->due += PERIOD_NS;
    enqueue(c);
  }
}

static const char *find(const char *hay, size_t length, const char *needle) {
  return memmem(hay, length, needle, strlen(needle));
}

static int begin_stream(conn *c, const char *body, size_t length) {
  static const char start[] =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
  const char *max = find(body, length, "\"max_tokens\":");
  c->left = max ? atoi(max + 13) : 50;
  if (put(c, start, sizeof start - 1)) return -1;
  if (put_event(c)) return -1;
  if (find(body, length, "\"idle\"")) return 0;
  c->due = now_ns() + PERIOD_NS;
  enqueue(c);
  return 0;
}

// The length of the first whole request in the buffer, or 0; `body` is where its body begins.
static size_t whole_request(conn *c, size_t *body) {
  const char *end = find(c->in, c->used, "\r\n\r\n");
  if (!end) return 0;
  size_t head_length = end - c->in + 4, length = 0;
  *body = head_length;
  for (const char *at = c->in; at < end; at = strstr(at, "\r\n") + 2) {
    if (!strncasecmp(at, "content-length:", 15)) length = strtoul(at + 15, NULL, 10);
    if (!strncasecmp(at, "transfer-encoding:", 18)) {
      const char *last = find(end + 4, c->used - head_length, "0\r\n\r\n");
      return last ? (size_t)(last + 5 - c->in) : 0;
    }
  }
  return c->used >= head_length + length ? head_length + length : 0;
}

static int serve(conn *c) {
  size_t body, length;
  while ((length = whole_request(c, &body)) > 0) {
    int bad = find(c->in + body, length - body, "\"stream\":true")
                  ? begin_stream(c, c->in + body, length - body)
                  : put(c, whole, whole_length);
    if (bad) return -1;
    memmove(c->in, c->in + length, c->used - length);
    c->used -= length;
    c->in[c->used] = 0;
  }
  return 0;
}

static int take(conn *c) {
  for (;;) {
    if (c->room - c->used < 4096) {
      if (c->room > REQUEST_BYTES_MAX) return -1;
      c->room = c->room ? c->room * 2 : 8192;
      c->in = realloc(c->in, c->room);
    }
    ssize_t n = recv(c->fd, c->in + c->used, c->room - c->used - 1, 0);
    if (n == 0) return -1;
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    c->used += n;
    c->in[c->used] = 0;
    if (serve(c)) return -1;
    if (c->used + 1 < c->room) return 0;
  }
}

static void make_whole(void) {
  char body[1024], words[300];
  memset(words, 'w', sizeof words - 1);
  words[sizeof words - 1] = 0;
  int n = snprintf(body, sizeof body,
                   "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\","
                   "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
                   "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":50,"
                   "\"total_tokens\":250}}", words);
  whole_length = snprintf(whole, sizeof whole,
                          "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  make_whole();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 8192)) { perror("mock"); return 1; }
  int poll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(poll, events, 256, head ? 1 : 100);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int got;
        while ((got = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (got >= FDS_MAX) { close(got); continue; }
          setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          conns[got] = calloc(1, sizeof(conn));
          conns[got]->fd = got;
          struct epoll_event in = {.events = EPOLLIN, .data.fd = got};
          epoll_ctl(poll, EPOLL_CTL_ADD, got, &in);
        }
      } else if (conns[fd] && take(conns[fd])) drop(conns[fd]);
    }
    send_due(now_ns());
  }
}
