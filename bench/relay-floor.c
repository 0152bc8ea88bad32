/*
 * The floor of the comparison: what the kernel charges for relaying TCP, with nothing else done.
 *
 *   relay-floor LISTEN_PORT BACKEND_PORT      (both on 127.0.0.1)
 *
 * Reads no header, writes none, knows no policy, no timeouts, no log. It relays with the calls that proved cheapest:
 * recv and send through one buffer, and from the first full or unfinished block on splice(2) through a 1 MiB pipe.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK (64 * 1024)
#define PIPE_SIZE (1024 * 1024)
#define EVENTS 512

/* One end of a relayed connection, and the bytes on their way from it to the other end. */
struct end {
  struct relay *relay;
  int fd;
  int pipe[2];
  size_t held;
  int is_at_end, has_shut_down;
};

struct relay {
  struct end client, backend;
  int is_connected, is_closed;
  struct relay *next_closed;
};

static char block[BLOCK];
static int loop;
static struct relay *closed;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void close_relay(struct relay *relay) {
  if (relay->is_closed) return;
  struct end *ends[2] = {&relay->client, &relay->backend};
  for (int i = 0; i < 2; i++) {
    close(ends[i]->fd);
    if (ends[i]->pipe[1]) close(ends[i]->pipe[0]), close(ends[i]->pipe[1]);
  }
  relay->is_closed = 1;
  /* Events of the same batch may still name it. */
  relay->next_closed = closed;
  closed = relay;
}

static int open_pipe(struct end *from) {
  if (pipe2(from->pipe, O_NONBLOCK) < 0) return -1;
  fcntl(from->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
  return 0;
}

/* Relays small reads. Returns 1 to go on by splicing, 0 when drained or at the end, -1 on an error. A read that does
   not fill the block has drained the socket, but for an end of stream that the same event has announced. */
static int copy(struct end *from, struct end *to, int has_end) {
  for (;;) {
    ssize_t length = recv(from->fd, block, BLOCK, 0);
    if (length < 0) return errno == EAGAIN ? 0 : -1;
    if (length == 0) return from->is_at_end = 1, 0;
    ssize_t sent = send(to->fd, block, (size_t)length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return -1;
    if (sent < 0) sent = 0;
    if (sent == length && length < BLOCK) {
      if (!has_end) return 0;
      continue;
    }
    if (open_pipe(from) < 0) return -1;
    from->held = (size_t)(length - sent);
    if (from->held && write(from->pipe[1], block + sent, from->held) != (ssize_t)from->held) return -1;
    return 1;
  }
}

/* Returns 0 when drained, blocked or at the end, -1 on an error. */
static int splice_through(struct end *from, struct end *to) {
  for (;;) {
    ssize_t in = -1, out;
    if (!from->is_at_end) {
      in = splice(from->fd, NULL, from->pipe[1], NULL, PIPE_SIZE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (in < 0 && errno != EAGAIN) return -1;
      if (in == 0) from->is_at_end = 1;
      if (in > 0) from->held += (size_t)in;
    }
    /* EAGAIN may also mean that the pipe is full: only an empty one tells. */
    if (from->held == 0) return 0;
    out = splice(from->pipe[0], NULL, to->fd, NULL, from->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (out < 0) return errno == EAGAIN ? 0 : -1;
    from->held -= (size_t)out;
  }
}

static int pump(struct end *from, struct end *to, int has_end) {
  if (!from->is_at_end || from->held) {
    int result = from->pipe[1] ? 1 : copy(from, to, has_end);
    if (result > 0) result = splice_through(from, to);
    if (result < 0) return -1;
  }
  if (from->is_at_end && !from->held && !from->has_shut_down) {
    from->has_shut_down = 1;
    /* The last word is close() itself. */
    if (!to->has_shut_down) shutdown(to->fd, SHUT_WR);
  }
  return 0;
}

static void on_event(struct end *end, uint32_t events) {
  struct relay *relay = end->relay;
  struct end *other = end == &relay->client ? &relay->backend : &relay->client;
  int has_end = events & (EPOLLRDHUP | EPOLLHUP), is_first = 0;
  if (relay->is_closed) return;
  if (events & EPOLLERR) return close_relay(relay);
  if (!relay->is_connected) {
    if (end == &relay->client || !(events & EPOLLOUT)) return;
    relay->is_connected = is_first = 1;
  }
  if (events & EPOLLIN || has_end) {
    if (pump(end, other, has_end) < 0) return close_relay(relay);
  }
  /* The client's events before the backend was connected went by unheeded: it may have sent, and ended. */
  if (is_first || (other->held && events & EPOLLOUT)) {
    if (pump(other, end, is_first) < 0) return close_relay(relay);
  }
  if (relay->client.has_shut_down && relay->backend.has_shut_down) close_relay(relay);
}

static void watch(struct end *end, struct relay *relay, int fd) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = end};
  int on = 1;
  end->relay = relay;
  end->fd = fd;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static void accept_all(int listener, struct sockaddr_in *target) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    int backend = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct relay *relay = calloc(1, sizeof *relay);
    if (backend < 0 || !relay) fail("a new connection");
    if (connect(backend, (struct sockaddr *)target, sizeof *target) < 0 && errno != EINPROGRESS) fail("connect");
    watch(&relay->client, relay, fd);
    watch(&relay->backend, relay, backend);
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET}, target = {.sin_family = AF_INET};
  struct rlimit limit;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  if (argc != 3 || listener < 0) return fprintf(stderr, "usage: relay-floor LISTEN_PORT BACKEND_PORT\n"), 2;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max, setrlimit(RLIMIT_NOFILE, &limit);
  address.sin_addr.s_addr = target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(atoi(argv[1]));
  target.sin_port = htons(atoi(argv[2]));
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16384) < 0) fail("listen");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if ((loop = epoll_create1(0)) < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event) < 0) fail("epoll");
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(loop, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr) on_event(events[i].data.ptr, events[i].events);
      else accept_all(listener, &target);
    }
    while (closed) {
      struct relay *next = closed->next_closed;
      free(closed);
      closed = next;
    }
  }
}
