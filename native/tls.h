// What the two halves of the TLS calls share.
#ifndef TRUEPEER_TLS_H
#define TRUEPEER_TLS_H

#include "arguments.h"

#define TICKET_KEYS 8
#define TICKET_NAME_BYTES 16

struct ticket_key {
  uint8_t name[TICKET_NAME_BYTES];
  uint8_t mac[32];
  uint8_t cipher[32];
};

/** Memory of TypeScript's that all workers see: the main thread writes keys and then says which one seals; all of them open. */
struct ticket_table {
  int32_t current;
  int32_t reserved[3];
  struct ticket_key keys[TICKET_KEYS];
};

/** Where OpenSSL reads and writes during one call: ranges of this thread's buffers, which TypeScript keeps alive. */
struct tls_io {
  uint8_t *received;
  size_t received_length;
  uint8_t *produced;
  size_t produced_length;
  int32_t *results;
  const uint8_t *next;
  size_t left;
  size_t used;
  /** The application protocol that TypeScript has chosen for this handshake. */
  const uint8_t *protocol;
  size_t protocol_length;
};

extern _Thread_local struct tls_io tls_io;

/** The pointer that an earlier call returned; NULL when the argument is anything else. */
static inline void *argument_pointer(const arguments *args, int index) {
  void *pointer = NULL;
  napi_get_value_external(args->env, args->values[index], &pointer);
  return pointer;
}

/** A pointer as a value that TypeScript can only keep and give back; null for NULL. It is freed by a call, never by V8:
 *  a worker does not return to the event loop on which finalizers run. */
static inline napi_value result_pointer(napi_env env, void *pointer) {
  napi_value result;
  if (pointer == NULL)
    napi_get_null(env, &result);
  else
    napi_create_external(env, pointer, NULL, NULL, &result);
  return result;
}

#endif
