/*
 * The clients of the comparison, and the app behind the proxy. One thread, epoll, IPv4 on loopback; libc only, or, with
 * -DWITH_TLS, OpenSSL for the clients.
 *
 *   load app PORT [header]                     the app; "header": each connection begins with a PROXY version 1 line
 *   load COMMAND PORT COUNT SECONDS [header]   clients that connect to the proxy on PORT; "header": they send the line
 *
 *   pingpong   COUNT connections, each sends 64 bytes, waits for their echo, sends the next
 *   connrate   COUNT at a time: connect, send 64 bytes, wait for their echo, close
 *   up, down   COUNT streams, as many bytes as will go
 *   idle       COUNT connections that have exchanged 64 bytes once
 *   whoami     prints the client's address as the app knows it
 *
 * Clients print "ready" when their connections are open, begin at SIGUSR1, print one line of JSON when the last answer
 * is there, and close at SIGTERM: what happens between the two lines is the work of the workload and nothing else.
 *
 * The first byte of a connection tells the app what to do: 'e' echo everything; 'u' answer 'k', take bytes until one is
 * 1, answer 'k'; 'd' answer 'k', wait for 'g', send zeros until 'q' arrives, end them with a 1; 'w' answer the address.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef WITH_TLS
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define MESSAGE 64
#define BLOCK (256 * 1024)
#define EVENTS 512
#define FD_MAX 65536
#define SAMPLES_MAX (1 << 24)
#define SET_UP_SECONDS 60
#define FINISH_SECONDS 20

struct connection {
  char mode;
  char is_sending, is_stopping, has_sent, is_done;
  int got;
  uint64_t started_ns;
  char address[INET_ADDRSTRLEN];
};

static struct connection table[FD_MAX];
static char block[BLOCK];
static int loop;
static int port, with_header;
static uint64_t operations, error_count;
static uint32_t *samples;
static size_t sample_count;
static uint32_t next_source;

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#ifdef WITH_TLS
static SSL *sessions[FD_MAX];

static ssize_t result_of(int fd, int result) {
  if (result > 0) return result;
  int error = SSL_get_error(sessions[fd], result);
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  /* What is left of one session's error would be taken for another's. */
  ERR_clear_error();
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
  return -1;
}

/* Goes on with the handshake, which is always a full one; 1 when it is complete, -1 and EAGAIN when it has to wait. */
static ssize_t shake_hands(int fd) {
  static SSL_CTX *context;
  if (!context) {
    context = SSL_CTX_new(TLS_client_method());
    if (!context) fail("SSL_CTX_new");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  }
  if (!sessions[fd]) {
    sessions[fd] = SSL_new(context);
    if (!sessions[fd] || !SSL_set_fd(sessions[fd], fd)) fail("SSL_new");
  }
  return result_of(fd, SSL_connect(sessions[fd]));
}

/* What clients say and hear, as by send(2) and recv(2). */
static ssize_t say(int fd, const void *bytes, size_t length, int flags) {
  (void)flags;
  return result_of(fd, SSL_write(sessions[fd], bytes, (int)length));
}

static ssize_t hear(int fd, void *bytes, size_t length, int flags) {
  (void)flags;
  return result_of(fd, SSL_read(sessions[fd], bytes, (int)length));
}

static void hang_up(int fd) {
  SSL_shutdown(sessions[fd]);
  SSL_free(sessions[fd]);
  sessions[fd] = NULL;
  close(fd);
}

/* epoll says that something has come, which may be no more than a ticket. */
static void wait_no_more(int fd) {
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
}
#else
static ssize_t shake_hands(int fd) { return (void)fd, 1; }
static ssize_t say(int fd, const void *bytes, size_t length, int flags) { return send(fd, bytes, length, flags | MSG_NOSIGNAL); }
static ssize_t hear(int fd, void *bytes, size_t length, int flags) { return recv(fd, bytes, length, flags); }
static void hang_up(int fd) { close(fd); }
static void wait_no_more(int fd) { (void)fd; }
#endif

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(loop, operation, fd, &event) < 0) fail("epoll_ctl");
}

static int open_socket(int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), on = 1;
  if (fd < 0) fail("socket");
  if (fd >= FD_MAX) errno = EMFILE, fail("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  memset(&table[fd], 0, sizeof table[fd]);
  return fd;
}

static struct sockaddr_in loopback(int at_port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(at_port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/* ---- the app ---- */

/* Takes the PROXY line off the front. Returns 1: done, 0: more has to come, -1: there is none. */
static int take_header(int fd, struct connection *c) {
  char line[108];
  ssize_t seen = recv(fd, line, sizeof line - 1, MSG_PEEK);
  if (seen <= 0) return seen < 0 && errno == EAGAIN ? 0 : -1;
  line[seen] = 0;
  char *end = strstr(line, "\r\n");
  if (!end) return seen < (ssize_t)sizeof line - 1 ? 0 : -1;
  if (sscanf(line, "PROXY TCP4 %15s ", c->address) != 1) return -1;
  return recv(fd, line, (size_t)(end + 2 - line), 0) > 0 ? 1 : -1;
}

static int begin(int fd, struct connection *c, ssize_t length) {
  c->mode = block[0];
  if (c->mode == 'w') {
    c->address[strlen(c->address)] = '\n';
    return send(fd, c->address, strnlen(c->address, sizeof c->address), MSG_NOSIGNAL) < 0 ? -1 : 0;
  }
  if (c->mode == 'e') return send(fd, block, (size_t)length, MSG_NOSIGNAL) == length ? 0 : -1;
  return send(fd, "k", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Returns -1 when the connection is over. */
static int serve(int fd, struct connection *c, uint32_t events) {
  static const char zeros[BLOCK];
  if (events & EPOLLOUT && c->is_sending) {
    if (c->is_stopping) {
      if (send(fd, "\1", 1, MSG_NOSIGNAL) == 1) c->is_sending = 0, watch(fd, EPOLL_CTL_MOD, EPOLLIN);
    } else if (send(fd, zeros, BLOCK, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
      return -1;
    }
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return 0;
  if (with_header && !c->address[0]) {
    int taken = take_header(fd, c);
    if (taken <= 0) return taken;
  }
  ssize_t length = recv(fd, block, BLOCK, 0);
  if (length < 0 && errno == EAGAIN) return 0;
  if (length <= 0) return -1;
  if (!c->mode) return begin(fd, c, length);
  if (c->mode == 'e') return send(fd, block, (size_t)length, MSG_NOSIGNAL) == length ? 0 : -1;
  if (c->mode == 'u' && block[length - 1] == 1) return send(fd, "k", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
  if (c->mode == 'd' && block[0] == 'g') c->is_sending = 1, watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  if (c->mode == 'd' && block[length - 1] == 'q') c->is_stopping = 1;
  return 0;
}

static void run_app(void) {
  struct sockaddr_in address = loopback(port);
  /* On every address: it stands for many backends. */
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  int listener = open_socket(SOCK_NONBLOCK), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16384) < 0) fail("listen");
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(loop, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd != listener) {
        if (serve(fd, &table[fd], events[i].events) < 0) close(fd);
        continue;
      }
      socklen_t length = sizeof address;
      while ((fd = accept4(listener, (struct sockaddr *)&address, &length, SOCK_NONBLOCK)) >= 0) {
        if (fd >= FD_MAX) errno = EMFILE, fail("accept4");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        memset(&table[fd], 0, sizeof table[fd]);
        if (!with_header) inet_ntop(AF_INET, &address.sin_addr, table[fd].address, INET_ADDRSTRLEN);
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
      }
    }
  }
}

/* ---- the clients ---- */

/* Opens a connection from one of 200 loopback addresses, so that ports do not run out. */
static int open_client(int flags) {
  static uint32_t opened;
  struct sockaddr_in source = loopback(0), proxy = loopback(port);
  int fd = open_socket(flags), on = 1;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + opened++ % 200);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) fail("bind");
  if (connect(fd, (struct sockaddr *)&proxy, sizeof proxy) < 0 && errno != EINPROGRESS) fail("connect");
  return fd;
}

/* Sends the first bytes of a connection, behind the header if there is one. Header sources repeat as late as possible,
   since a proxy may keep their ports: 508 addresses of the documentation networks with 60000 ports each. */
static int send_first(int fd, char mode, size_t length) {
  char bytes[200];
  int start = 0;
  if (with_header) {
    uint32_t host = next_source % 508, source_port = 1024 + next_source / 508 % 60000;
    start = snprintf(bytes, sizeof bytes, "PROXY TCP4 %s.%u 127.0.0.1 %u %d\r\n", host < 254 ? "203.0.113" : "198.51.100",
                     host % 254 + 1, source_port, port);
    next_source++;
  }
  memset(bytes + start, mode, length);
  return say(fd, bytes, (size_t)start + length, 0) == (ssize_t)((size_t)start + length) ? 0 : -1;
}

/* Reads exactly `length` bytes from a blocking socket. */
static void read_answer(int fd, size_t length) {
  if (hear(fd, block, length, MSG_WAITALL) != (ssize_t)length) fail("the first answer");
}

static void add_sample(uint64_t started_ns) {
  uint64_t elapsed = now_ns() - started_ns;
  if (sample_count < SAMPLES_MAX) samples[sample_count++] = elapsed > UINT32_MAX ? UINT32_MAX : (uint32_t)elapsed;
}

static int compare_samples(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(double share) {
  return sample_count ? samples[(size_t)((double)(sample_count - 1) * share)] / 1000.0 : 0;
}

static void on_alarm(int signal_number) {
  (void)signal_number;
  static const char text[] = "load: an answer did not come\n";
  if (write(2, text, sizeof text - 1) < 0) _exit(2);
  _exit(1);
}

static void wait_for(int signal_number) {
  sigset_t set;
  int received;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  sigaddset(&set, SIGTERM);
  sigwait(&set, &received);
  if (received != signal_number) exit(1);
}

static uint64_t get_ready(double seconds) {
  puts("ready");
  fflush(stdout);
  alarm(0);
  wait_for(SIGUSR1);
  alarm((unsigned)seconds + FINISH_SECONDS);
  return now_ns();
}

static void report(uint64_t started_ns) {
  double elapsed = (double)(now_ns() - started_ns) / 1e9;
  alarm(0);
  qsort(samples, sample_count, sizeof *samples, compare_samples);
  printf("{\"operations\":%llu,\"seconds\":%.6f,\"errors\":%llu,\"p50Us\":%.1f,\"p99Us\":%.1f}\n",
         (unsigned long long)operations, elapsed, (unsigned long long)error_count, percentile_us(0.5), percentile_us(0.99));
  fflush(stdout);
  wait_for(SIGTERM);
}

/* Opens `count` connections whose mode the app has confirmed. */
static void open_all(int *fds, int count, char mode) {
  size_t length = mode == 'e' ? MESSAGE : 1;
  for (int i = 0; i < count; i++) {
    fds[i] = open_client(0);
    if (shake_hands(fds[i]) != 1) fail("the handshake");
    if (send_first(fds[i], mode, length) < 0) fail("send");
    read_answer(fds[i], length);
    wait_no_more(fds[i]);
  }
}

static void send_ping(int fd) {
  static char message[MESSAGE] = "ping";
  table[fd].got = 0;
  table[fd].started_ns = now_ns();
  if (say(fd, message, MESSAGE, 0) != MESSAGE) fail("send");
}

static void run_pingpong(int *fds, int count, double seconds) {
  open_all(fds, count, 'e');
  for (int i = 0; i < count; i++) watch(fds[i], EPOLL_CTL_ADD, EPOLLIN);
  uint64_t started = get_ready(seconds), end = started + (uint64_t)(seconds * 1e9);
  int outstanding = count;
  for (int i = 0; i < count; i++) send_ping(fds[i]);
  while (outstanding > 0) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(loop, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      ssize_t length = hear(fd, block, MESSAGE, 0);
      if (length < 0 && errno == EAGAIN) continue;
      if (length <= 0) fail("recv");
      if ((table[fd].got += (int)length) < MESSAGE) continue;
      add_sample(table[fd].started_ns);
      operations++;
      if (now_ns() < end) send_ping(fd);
      else outstanding--;
    }
  }
  report(started);
}

static void start_connection(void) {
  int fd = open_client(SOCK_NONBLOCK);
  table[fd].started_ns = now_ns();
  watch(fd, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void run_connrate(int parallel, double seconds) {
  uint64_t started = get_ready(seconds), end = started + (uint64_t)(seconds * 1e9);
  int outstanding = parallel;
  for (int i = 0; i < parallel; i++) start_connection();
  while (outstanding > 0) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(loop, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd, has_failed = 0;
      struct connection *c = &table[fd];
      if (!c->has_sent) {
        has_failed = shake_hands(fd) != 1;
        if (has_failed && errno == EAGAIN) continue;
        c->has_sent = 1;
        has_failed = has_failed || send_first(fd, 'e', MESSAGE) < 0;
      }
      ssize_t length = has_failed ? 0 : hear(fd, block, MESSAGE, 0);
      if (length < 0 && errno == EAGAIN) continue;
      if (length <= 0) has_failed = 1;
      else if ((c->got += (int)length) < MESSAGE) continue;
      if (has_failed) error_count++;
      else operations++, add_sample(c->started_ns);
      hang_up(fd);
      if (now_ns() < end) start_connection();
      else outstanding--;
    }
  }
  report(started);
}

/* One event of a stream: returns 1 when its last byte has arrived on the other side. */
static int push(int fd, struct connection *c, uint32_t events, int is_over) {
  static const char zeros[BLOCK];
  if (events & EPOLLIN) {
    ssize_t heard = hear(fd, block, 1, MSG_DONTWAIT);
    if (heard == 1) return 1;
    if (heard == 0 || errno != EAGAIN) fail("recv");
  }
  if (c->is_stopping) return 0;
  /* TLS wants what it could not send before it takes anything else. */
  int is_last = is_over && !c->is_sending;
  ssize_t length = is_last ? say(fd, "\1", 1, MSG_DONTWAIT) : say(fd, zeros, BLOCK, MSG_DONTWAIT);
  if (length < 0 && errno != EAGAIN) fail("send");
  c->is_sending = length < 0 && !is_last;
  if (length > 0) operations += (uint64_t)length;
  if (length > 0 && is_last) c->is_stopping = 1, watch(fd, EPOLL_CTL_MOD, EPOLLIN);
  return 0;
}

static int pull(int fd, struct connection *c, int is_over) {
  if (is_over && !c->is_stopping) {
    c->is_stopping = 1;
    if (say(fd, "q", 1, 0) != 1) fail("send");
  }
  ssize_t length = hear(fd, block, BLOCK, MSG_DONTWAIT);
  if (length < 0 && errno == EAGAIN) return 0;
  if (length <= 0) fail("recv");
  operations += (uint64_t)length;
  return block[length - 1] == 1;
}

static void run_bulk(int *fds, int count, double seconds, int is_up) {
  open_all(fds, count, is_up ? 'u' : 'd');
  for (int i = 0; i < count; i++) watch(fds[i], EPOLL_CTL_ADD, is_up ? EPOLLIN | EPOLLOUT : EPOLLIN);
  uint64_t started = get_ready(seconds), end = started + (uint64_t)(seconds * 1e9);
  int outstanding = count;
  for (int i = 0; i < count && !is_up; i++) {
    if (say(fds[i], "g", 1, 0) != 1) fail("send");
  }
  while (outstanding > 0) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(loop, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd, is_over = now_ns() >= end;
      struct connection *c = &table[fd];
      if (!(is_up ? push(fd, c, events[i].events, is_over) : pull(fd, c, is_over))) continue;
      watch(fd, EPOLL_CTL_DEL, 0);
      outstanding--;
    }
  }
  report(started);
}

static void run_whoami(void) {
  int fd = open_client(0);
  if (shake_hands(fd) != 1 || send_first(fd, 'w', 1) < 0) fail("send");
  for (char c = 0; c != '\n';) {
    if (hear(fd, &c, 1, 0) != 1) fail("the answer");
    putchar(c);
  }
}

int main(int argc, char **argv) {
  const char *command = argc > 2 ? argv[1] : "";
  int is_app = strcmp(command, "app") == 0;
  int count = argc > 3 ? atoi(argv[3]) : 0;
  double seconds = argc > 4 ? atof(argv[4]) : 0;
  struct rlimit limit;
  sigset_t set;

  port = argc > 2 ? atoi(argv[2]) : 0;
  with_header = strcmp(argv[argc - 1], "header") == 0;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max, setrlimit(RLIMIT_NOFILE, &limit);
  if ((loop = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create1");
  if (is_app) run_app();
  int *fds = calloc((size_t)(count > 0 ? count : 1), sizeof *fds);
  samples = malloc(SAMPLES_MAX * sizeof *samples);
  if (!fds || !samples) fail("malloc");
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGALRM, on_alarm);
  signal(SIGPIPE, SIG_IGN);
  alarm(SET_UP_SECONDS);
  /* Another run shall not meet the TIME_WAIT of this one: 50 sources for each millisecond come round in 10 minutes. */
  next_source = (uint32_t)(now_ns() / 20000 % (508 * 60000));
  if (strcmp(command, "whoami") == 0) {
    next_source = 0;
    run_whoami();
  } else if (count < 1 || count > FD_MAX / 2) {
    fprintf(stderr, "usage: see the top of load.c\n");
    return 2;
  } else if (strcmp(command, "idle") == 0) {
    open_all(fds, count, 'e');
    get_ready(0);
    report(now_ns());
  } else if (strcmp(command, "pingpong") == 0) {
    run_pingpong(fds, count, seconds);
  } else if (strcmp(command, "connrate") == 0) {
    run_connrate(count, seconds);
  } else {
    run_bulk(fds, count, seconds, strcmp(command, "up") == 0);
  }
  return 0;
}
