// Reading the arguments of a call. TypeScript has checked them (src/linux/native.ts declares their types),
// so nothing here throws: a value of the wrong type reads as zero or as an empty range.
#ifndef TRUEPEER_ARGUMENTS_H
#define TRUEPEER_ARGUMENTS_H

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

#define ARGUMENTS_MAX 6

typedef struct {
  napi_env env;
  napi_value values[ARGUMENTS_MAX];
} arguments;

static inline arguments arguments_read(napi_env env, napi_callback_info info) {
  arguments args = {.env = env};
  size_t count = ARGUMENTS_MAX;
  napi_get_cb_info(env, info, &count, args.values, NULL, NULL);
  return args;
}

static inline int32_t argument_int(const arguments *args, int index) {
  int32_t value = 0;
  napi_get_value_int32(args->env, args->values[index], &value);
  return value;
}

typedef struct {
  uint8_t *data;
  size_t length;
} byte_range;

/** The bytes of a whole Uint8Array, Int32Array or Buffer. */
static inline byte_range argument_bytes(const arguments *args, int index) {
  napi_typedarray_type type = napi_uint8_array;
  size_t elements = 0;
  void *data = NULL;
  if (napi_get_typedarray_info(args->env, args->values[index], &type, &elements, &data, NULL, NULL) != napi_ok)
    return (byte_range){NULL, 0};
  size_t element_size = type == napi_int32_array ? sizeof(int32_t) : 1;
  return (byte_range){data, elements * element_size};
}

/** The bytes [start, end) of argument `index`, where start and end are arguments index+1 and index+2; an
 *  impossible range has no data, and the kernel answers EFAULT. */
static inline byte_range argument_range(const arguments *args, int index) {
  byte_range whole = argument_bytes(args, index);
  int32_t start = argument_int(args, index + 1);
  int32_t end = argument_int(args, index + 2);
  if (start < 0 || end < start || (size_t)end > whole.length) return (byte_range){NULL, 1};
  return (byte_range){whole.data + start, (size_t)(end - start)};
}

static inline napi_value result_int(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int32(env, (int32_t)value, &result);
  return result;
}

#endif
