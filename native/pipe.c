// Moving bytes between sockets without copying them: pipe2(2), splice(2), fcntl(2) F_SETPIPE_SZ.
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "calls.h"

/** pipe(out): writes the read end and the write end into the Int32Array `out`. */
CALL(call_pipe) {
  arguments args = arguments_read(env, info);
  byte_range out = argument_bytes(&args, 0);
  RETURN_OR_ERRNO(env, pipe2((int *)out.data, O_CLOEXEC | O_NONBLOCK));
}

/** setPipeSize(fd, bytes): the size that the kernel made of it. */
CALL(call_set_pipe_size) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, fcntl(argument_int(&args, 0), F_SETPIPE_SZ, argument_int(&args, 1)));
}

/** splice(from, to, length, flags) */
CALL(call_splice) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, splice(argument_int(&args, 0), NULL, argument_int(&args, 1), NULL, (size_t)argument_int(&args, 2), (unsigned)argument_int(&args, 3)));
}
