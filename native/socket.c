// Making and naming sockets: socket(2), bind(2), listen(2), accept4(2), connect(2), getsockname(2), setsockopt(2).
#define _GNU_SOURCE
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "calls.h"

/** socket(domain, type, protocol) */
CALL(call_socket) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, socket(argument_int(&args, 0), argument_int(&args, 1), argument_int(&args, 2)));
}

/** bind(fd, sockaddr, start, end) */
CALL(call_bind) {
  arguments args = arguments_read(env, info);
  byte_range address = argument_range(&args, 1);
  RETURN_OR_ERRNO(env, bind(argument_int(&args, 0), (struct sockaddr *)address.data, (socklen_t)address.length));
}

/** listen(fd, backlog) */
CALL(call_listen) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, listen(argument_int(&args, 0), argument_int(&args, 1)));
}

/** accept(fd, sockaddr, flags): the peer's address is written into sockaddr. */
CALL(call_accept) {
  arguments args = arguments_read(env, info);
  byte_range address = argument_bytes(&args, 1);
  socklen_t length = (socklen_t)address.length;
  RETURN_OR_ERRNO(env, accept4(argument_int(&args, 0), (struct sockaddr *)address.data, &length, argument_int(&args, 2)));
}

/** connect(fd, sockaddr, start, end) */
CALL(call_connect) {
  arguments args = arguments_read(env, info);
  byte_range address = argument_range(&args, 1);
  RETURN_OR_ERRNO(env, connect(argument_int(&args, 0), (struct sockaddr *)address.data, (socklen_t)address.length));
}

/** getsockname(fd, sockaddr) */
CALL(call_getsockname) {
  arguments args = arguments_read(env, info);
  byte_range address = argument_bytes(&args, 1);
  socklen_t length = (socklen_t)address.length;
  RETURN_OR_ERRNO(env, getsockname(argument_int(&args, 0), (struct sockaddr *)address.data, &length));
}

/** setsockoptInt(fd, level, name, value) */
CALL(call_setsockopt_int) {
  arguments args = arguments_read(env, info);
  int value = argument_int(&args, 3);
  RETURN_OR_ERRNO(env, setsockopt(argument_int(&args, 0), argument_int(&args, 1), argument_int(&args, 2), &value, sizeof value));
}

/** setsockoptBytes(fd, level, name, bytes) */
CALL(call_setsockopt_bytes) {
  arguments args = arguments_read(env, info);
  byte_range value = argument_bytes(&args, 3);
  RETURN_OR_ERRNO(env, setsockopt(argument_int(&args, 0), argument_int(&args, 1), argument_int(&args, 2), value.data, (socklen_t)value.length));
}

/** getsockoptInt(fd, level, name): the option's value; only for options that are never negative. */
CALL(call_getsockopt_int) {
  arguments args = arguments_read(env, info);
  int value = 0;
  socklen_t length = sizeof value;
  RETURN_OR_ERRNO(env, getsockopt(argument_int(&args, 0), argument_int(&args, 1), argument_int(&args, 2), &value, &length) < 0 ? -1 : value);
}

/** tcpInfo(fd, out): fields of TCP_INFO into the Int32Array `out`, in the order of src/linux/native.ts. */
CALL(call_tcp_info) {
  arguments args = arguments_read(env, info);
  byte_range out = argument_bytes(&args, 1);
  struct tcp_info value = {0};
  socklen_t length = sizeof value;
  int result = getsockopt(argument_int(&args, 0), IPPROTO_TCP, TCP_INFO, &value, &length);
  uint32_t fields[] = {value.tcpi_rtt, value.tcpi_unacked, value.tcpi_last_data_sent, value.tcpi_last_ack_recv, (uint32_t)value.tcpi_bytes_acked};
  if (out.length == sizeof fields) memcpy(out.data, fields, sizeof fields);
  RETURN_OR_ERRNO(env, result);
}

/** shutdown(fd, how) */
CALL(call_shutdown) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, shutdown(argument_int(&args, 0), argument_int(&args, 1)));
}
