// Open-loop load: requests and streams that are due by the clock, whatever the server does.
//   load rate    PORT REQUEST_FILE RATE SECONDS CONNECTIONS   latency of whole answers, from the planned time
//   load streams PORT REQUEST_FILE COUNT SECONDS              paced streams: what arrives, and when
//   load hold    PORT REQUEST_FILE COUNT SECONDS              opens streams, says `open`, holds them
// Each prints one line of JSON at its end. Events carry their send time between two `@`.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 65536
#define SAMPLES_MAX (8 << 20)

typedef struct { int fd, state, busy, digits, length; uint64_t sent, first, number; size_t got, need; char head[1024]; } conn;

static conn conns[FDS_MAX];
static uint64_t *samples, *firsts;
static size_t sample_count, first_count, failed, events_in_window;
static char request[4 << 20];
static size_t request_length;
static int poll_fd, port, window;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static double quantile_us(uint64_t *all, size_t count, double q) {
  if (count == 0) return -1;
  qsort(all, count, sizeof *all, compare);
  size_t at = (size_t)(q * count);
  return all[at >= count ? count - 1 : at] / 1e3;
}

static conn *dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || fd >= FDS_MAX || connect(fd, (struct sockaddr *)&to, sizeof to)) { if (fd >= 0) close(fd); failed++; return NULL; }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  conn *c = &conns[fd];
  memset(c, 0, sizeof *c);
  c->fd = fd;
  struct epoll_event in = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &in);
  return c;
}

static void ask(conn *c, uint64_t planned) {
  c->busy = 1; c->sent = planned; c->first = 0; c->got = 0; c->need = 0; c->length = 0;
  if (send(c->fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length) { failed++; c->busy = 2; }
}

// A whole answer: head up to its end, then Content-Length bytes (or a last chunk).
static void take_whole(conn *c, char *bytes, size_t n, uint64_t now) {
  if (c->need == 0) {
    size_t copy = n < sizeof c->head - 1 - c->length ? n : sizeof c->head - 1 - c->length;
    memcpy(c->head + c->length, bytes, copy);
    c->length += copy;
    c->head[c->length] = 0;
    char *end = strstr(c->head, "\r\n\r\n"), *length = strcasestr(c->head, "content-length:");
    if (!end) return;
    if (strncmp(c->head, "HTTP/1.1 200", 12)) failed++;
    c->need = end + 4 - c->head + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
    if (!length || length > end) {
      // Chunked: small answers end with their last chunk in the same read.
      c->need = n >= 5 && !memcmp(bytes + n - 5, "0\r\n\r\n", 5) ? c->got + n : SIZE_MAX;
    }
  } else if (c->need == SIZE_MAX && n >= 5 && !memcmp(bytes + n - 5, "0\r\n\r\n", 5)) c->need = c->got + n;
  c->got += n;
  if (c->got < c->need) return;
  c->busy = 0;
  if (window && sample_count < SAMPLES_MAX) samples[sample_count++] = now - c->sent;
}

static void take_events(conn *c, char *bytes, size_t n, uint64_t now) {
  if (!c->first) {
    c->first = now;
    if (n < 12 || strncmp(bytes, "HTTP/1.1 200", 12)) failed++;
  }
  for (size_t i = 0; i < n; i++) {
    char b = bytes[i];
    if (c->state == 0) {
      char *mark = memchr(bytes + i, '@', n - i);
      if (!mark) return;
      i = mark - bytes;
      c->state = 1; c->digits = 0; c->number = 0;
    } else if (b >= '0' && b <= '9') { c->number = c->number * 10 + (b - '0'); c->digits++; }
    else {
      if (b == '@' && c->digits == 16) {
        if (c->got++ == 0) firsts[first_count++] = now - c->sent;
        if (window) { events_in_window++; if (sample_count < SAMPLES_MAX) samples[sample_count++] = now - c->number; }
      }
      c->state = 0;
    }
  }
}

static void turn(int streams, int wait_ms) {
  static char bytes[65536];
  struct epoll_event events[512];
  int count = epoll_wait(poll_fd, events, 512, wait_ms);
  for (int i = 0; i < count; i++) {
    conn *c = &conns[events[i].data.fd];
    ssize_t n = recv(c->fd, bytes, sizeof bytes - 1, 0);
    if (n <= 0) {
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (c->busy) failed++;
      c->busy = 2;
      close(c->fd);
      continue;
    }
    bytes[n] = 0;
    if (streams) take_events(c, bytes, n, now_ns()); else take_whole(c, bytes, n, now_ns());
  }
}

static void run_rate(double rate, double seconds, int count) {
  conn *all[4096];
  if (count > 4096) count = 4096;
  for (int i = 0; i < count; i++) all[i] = dial();
  uint64_t begin = now_ns(), warm = begin + 500000000ULL, end = warm + (uint64_t)(seconds * 1e9), planned = begin;
  uint64_t step = (uint64_t)(1e9 / rate);
  while (now_ns() < end) {
    uint64_t now = now_ns();
    window = now > warm;
    for (; planned <= now; planned += step) {
      int i = 0;
      while (i < count && (!all[i] || all[i]->busy)) i++;
      if (i == count) break; // All are busy: it goes out late, and its latency counts from now on.
      ask(all[i], planned);
    }
    turn(0, 0);
  }
  double p50 = quantile_us(samples, sample_count, 0.5), p99 = quantile_us(samples, sample_count, 0.99);
  printf("{\"count\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"failed\":%zu}\n", sample_count, p50, p99, failed);
}

// Streams are opened evenly over a second and a bit, as callers come; then the window of time begins.
static void open_streams(int count) {
  uint64_t begin = now_ns(), step = 1500000000ULL / count;
  for (int i = 0; i < count;) {
    if (now_ns() >= begin + i * step) { conn *c = dial(); if (c) ask(c, now_ns()); i++; }
    turn(1, 0);
  }
  for (uint64_t until = now_ns() + 3000000000ULL; first_count + failed < (size_t)count && now_ns() < until;) turn(1, 1);
}

static void run_streams(int count, double seconds) {
  open_streams(count);
  window = 1;
  uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9);
  while (now_ns() < end) turn(1, 1);
  double took = (now_ns() - begin) / 1e9, due = count * 50.0 * took;
  double e50 = quantile_us(samples, sample_count, 0.5), e99 = quantile_us(samples, sample_count, 0.99);
  double f50 = quantile_us(firsts, first_count, 0.5), f99 = quantile_us(firsts, first_count, 0.99);
  printf("{\"delivered\":%.4f,\"perSecond\":%.0f,\"e50\":%.1f,\"e99\":%.1f,\"first50\":%.1f,\"first99\":%.1f,\"failed\":%zu}\n",
         events_in_window / due, events_in_window / took, e50, e99, f50, f99, failed);
}

static void run_hold(int count, double seconds) {
  open_streams(count);
  printf("open\n");
  fflush(stdout);
  for (uint64_t end = now_ns() + (uint64_t)(seconds * 1e9); now_ns() < end;) turn(1, 10);
  printf("{\"open\":%zu,\"failed\":%zu}\n", first_count, failed);
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  signal(SIGPIPE, SIG_IGN);
  port = atoi(argv[2]);
  FILE *file = fopen(argv[3], "rb");
  if (!file) { perror(argv[3]); return 1; }
  request_length = fread(request, 1, sizeof request, file);
  fclose(file);
  samples = malloc(SAMPLES_MAX * sizeof *samples);
  firsts = malloc(FDS_MAX * sizeof *firsts);
  poll_fd = epoll_create1(0);
  double amount = atof(argv[4]), seconds = atof(argv[5]);
  if (!strcmp(argv[1], "rate")) run_rate(amount, seconds, argc > 6 ? atoi(argv[6]) : 64);
  else if (!strcmp(argv[1], "streams")) run_streams((int)amount, seconds);
  else if (!strcmp(argv[1], "hold")) run_hold((int)amount, seconds);
  else return 2;
  return 0;
}
