// Waiting for many descriptors: epoll(7), eventfd(2).
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "calls.h"

#define EVENTS_MAX 512
#define INTS_PER_EVENT 3

/** epollCreate() */
CALL(call_epoll_create) {
  (void)info;
  RETURN_OR_ERRNO(env, epoll_create1(EPOLL_CLOEXEC));
}

/** epollCtl(epollFd, operation, fd, events, dataLow, dataHigh) */
CALL(call_epoll_ctl) {
  arguments args = arguments_read(env, info);
  struct epoll_event event = {
      .events = (uint32_t)argument_int(&args, 3),
      .data.u64 = (uint64_t)(uint32_t)argument_int(&args, 5) << 32 | (uint32_t)argument_int(&args, 4),
  };
  RETURN_OR_ERRNO(env, epoll_ctl(argument_int(&args, 0), argument_int(&args, 1), argument_int(&args, 2), &event));
}

/** epollWait(epollFd, out, timeoutMs): writes events, dataLow, dataHigh per event into the Int32Array `out`. */
CALL(call_epoll_wait) {
  arguments args = arguments_read(env, info);
  byte_range out = argument_bytes(&args, 1);
  struct epoll_event events[EVENTS_MAX];
  size_t room = out.length / (INTS_PER_EVENT * sizeof(int32_t));
  int count = epoll_wait(argument_int(&args, 0), events, (int)(room < EVENTS_MAX ? room : EVENTS_MAX), argument_int(&args, 2));
  int32_t *next = (int32_t *)out.data;
  for (int i = 0; i < count; i++) {
    *next++ = (int32_t)events[i].events;
    *next++ = (int32_t)(uint32_t)events[i].data.u64;
    *next++ = (int32_t)(uint32_t)(events[i].data.u64 >> 32);
  }
  RETURN_OR_ERRNO(env, count);
}

/** eventfd() */
CALL(call_eventfd) {
  (void)info;
  RETURN_OR_ERRNO(env, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}
