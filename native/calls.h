// Every function here is one system call: parse the arguments, call, return its value or -errno.
#ifndef TRUEPEER_CALLS_H
#define TRUEPEER_CALLS_H

#include <errno.h>

#include "arguments.h"

#define CALL(name) napi_value name(napi_env env, napi_callback_info info)
#define RETURN_OR_ERRNO(env, expression)                  \
  do {                                                    \
    int64_t value_ = (expression);                        \
    return result_int((env), value_ < 0 ? -errno : value_); \
  } while (0)

// socket.c
CALL(call_socket);
CALL(call_bind);
CALL(call_listen);
CALL(call_accept);
CALL(call_connect);
CALL(call_getsockname);
CALL(call_setsockopt_int);
CALL(call_setsockopt_bytes);
CALL(call_getsockopt_int);
CALL(call_tcp_round_trip);
CALL(call_shutdown);

// stream.c
CALL(call_recv);
CALL(call_send);
CALL(call_read);
CALL(call_write);
CALL(call_close);
CALL(call_duplicate);
CALL(call_set_nonblocking);
CALL(call_unsent_bytes);

// poll.c
CALL(call_epoll_create);
CALL(call_epoll_ctl);
CALL(call_epoll_wait);
CALL(call_eventfd);

// pipe.c
CALL(call_pipe);
CALL(call_set_pipe_size);
CALL(call_splice);

// namespace.c
CALL(call_setns);

#endif
