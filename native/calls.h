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
CALL(call_tcp_info);
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

// datagram.c
CALL(call_recvmmsg);
CALL(call_recv_each);
CALL(call_send_each);

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

// tls_context.c
CALL(call_tls_context_new);
CALL(call_tls_context_free);
CALL(call_tls_context_control);
CALL(call_tls_context_control_text);
CALL(call_tls_context_set_options);
CALL(call_tls_context_set_security_level);
CALL(call_tls_context_set_ciphers);
CALL(call_tls_context_set_cipher_suites);
CALL(call_tls_context_ciphers);
CALL(call_tls_context_use_certificate);
CALL(call_tls_context_add_chain);
CALL(call_tls_context_use_key);
CALL(call_tls_context_trust);
CALL(call_tls_context_set_verify);
CALL(call_tls_context_set_tickets);

// tls_session.c
CALL(call_tls_bind);
CALL(call_tls_error);
CALL(call_tls_open);
CALL(call_tls_set_server_name);
CALL(call_tls_set_ticket_scope);
CALL(call_tls_handshake);
CALL(call_tls_read);
CALL(call_tls_write);
CALL(call_tls_shutdown);
CALL(call_tls_version);
CALL(call_tls_cipher);
CALL(call_tls_is_resumed);
CALL(call_tls_peer_common_name);
CALL(call_tls_peer_certificate);
CALL(call_tls_free);

#endif
