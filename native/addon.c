// The table of calls that src/linux/native.ts declares.
#include "calls.h"

static const struct {
  const char *name;
  napi_callback call;
} CALLS[] = {
    {"socket", call_socket},
    {"bind", call_bind},
    {"listen", call_listen},
    {"accept", call_accept},
    {"connect", call_connect},
    {"getsockname", call_getsockname},
    {"setsockoptInt", call_setsockopt_int},
    {"setsockoptBytes", call_setsockopt_bytes},
    {"getsockoptInt", call_getsockopt_int},
    {"tcpRoundTrip", call_tcp_round_trip},
    {"shutdown", call_shutdown},
    {"recv", call_recv},
    {"send", call_send},
    {"read", call_read},
    {"write", call_write},
    {"close", call_close},
    {"duplicate", call_duplicate},
    {"setNonBlocking", call_set_nonblocking},
    {"unsentBytes", call_unsent_bytes},
    {"epollCreate", call_epoll_create},
    {"epollCtl", call_epoll_ctl},
    {"epollWait", call_epoll_wait},
    {"eventfd", call_eventfd},
    {"pipe", call_pipe},
    {"setPipeSize", call_set_pipe_size},
    {"splice", call_splice},
    {"setns", call_setns},
};

NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof CALLS / sizeof CALLS[0]; i++) {
    napi_value function;
    if (napi_create_function(env, CALLS[i].name, NAPI_AUTO_LENGTH, CALLS[i].call, NULL, &function) != napi_ok) return NULL;
    if (napi_set_named_property(env, exports, CALLS[i].name, function) != napi_ok) return NULL;
  }
  return exports;
}
