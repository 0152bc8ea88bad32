// Moving the calling thread into another namespace: setns(2).
#define _GNU_SOURCE
#include <sched.h>

#include "calls.h"

/** setns(fd, kind) */
CALL(call_setns) {
  arguments args = arguments_read(env, info);
  RETURN_OR_ERRNO(env, setns(argument_int(&args, 0), argument_int(&args, 1)));
}
