// Moving bytes: recv(2), send(2), read(2), write(2), close(2), fcntl(F_DUPFD), ioctl(SIOCOUTQ).
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"

/** recv(fd, bytes, start, end, flags) */
CALL(call_recv) {
  arguments args = arguments_read(env, info);
  byte_range bytes = argument_range(&args, 1);
  RETURN_OR_ERRNO(env, recv(argument_int(&args, 0), bytes.data, bytes.length, argument_int(&args, 4)));
}

/** send(fd, bytes, start, end, flags) */
CALL(call_send) {
  arguments args = arguments_read(env, info);
  byte_range bytes = argument_range(&args, 1);
  RETURN_OR_ERRNO(env, send(argument_int(&args, 0), bytes.data, bytes.length, argument_int(&args, 4)));
}

/** read(fd, bytes, start, end) */
CALL(call_read) {
  arguments args = arguments_read(env, info);
  byte_range bytes = argument_range(&args, 1);
  RETURN_OR_ERRNO(env, read(argument_int(&args, 0), bytes.data, bytes.length));
}

/** write(fd, bytes, start, end) */
CALL(call_write) {
  arguments args = arguments_read(env, info);
  byte_range bytes = argument_range(&args, 1);
  RETURN_OR_ERRNO(env, write(argument_int(&args, 0), bytes.data, bytes.length));
}

/** close(fd) */
CALL(call_close) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, close(argument_int(&args, 0)));
}

/** duplicate(fd) */
CALL(call_duplicate) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, fcntl(argument_int(&args, 0), F_DUPFD_CLOEXEC, 0));
}

/** setNonBlocking(fd) */
CALL(call_set_nonblocking) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, fcntl(argument_int(&args, 0), F_SETFL, O_NONBLOCK));
}

/** unsentBytes(fd): bytes that the peer has not acknowledged (tcp(7), SIOCOUTQ). */
CALL(call_unsent_bytes) {
  arguments args = arguments_read(env, info);
  int value = 0;
  RETURN_OR_ERRNO(env, ioctl(argument_int(&args, 0), SIOCOUTQ, &value) < 0 ? -1 : value);
}
