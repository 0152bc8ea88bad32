// TLS sessions (SSL): each function is one call of OpenSSL, which reads ciphertext from one buffer of the calling thread
// and appends what it has to say to another. No socket is touched here: TypeScript fills the first with one recv(2) and
// empties the second with one send(2), whatever number of records they hold.
#include <pthread.h>
#include <string.h>

#include "calls.h"
#include "openssl.h"
#include "tls.h"

enum { RESULT_CONSUMED, RESULT_PRODUCED, RESULT_REASON, RESULT_PENDING, RESULTS };

_Thread_local struct tls_io tls_io;

static int bio_read(BIO *bio, char *out, int length) {
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  size_t count = tls_io.left < (size_t)length ? tls_io.left : (size_t)length;
  if (count == 0) {
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  memcpy(out, tls_io.next, count);
  tls_io.next += count;
  tls_io.left -= count;
  return (int)count;
}

static int bio_write(BIO *bio, const char *in, int length) {
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if ((size_t)length > tls_io.produced_length - tls_io.used) {
    BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  memcpy(tls_io.produced + tls_io.used, in, (size_t)length);
  tls_io.used += (size_t)length;
  return length;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "truepeer");
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
}

/** Makes [start, end) of the received bytes what OpenSSL reads next; what it writes comes behind what was produced. */
static int begin(int32_t start, int32_t end) {
  if (start < 0 || end < start || (size_t)end > tls_io.received_length) return 0;
  tls_io.next = tls_io.received + start;
  tls_io.left = (size_t)(end - start);
  tls_io.used = (size_t)tls_io.results[RESULT_PRODUCED];
  ERR_clear_error();
  return tls_io.used <= tls_io.produced_length;
}

/** The reason (ERR_GET_REASON) of the first error of the protocol itself: what follows was caused by it, and what comes
 *  before are errors of libcrypto that led to it. */
static int32_t error_reason(void) {
  for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
    if ((error >> 23 & 0xff) == ERR_LIB_SSL) return (int32_t)(error & 0x7fffff);
  }
  return 0;
}

/** Notes what one call did; returns its result if it is positive, and the negated SSL_get_error(3) otherwise. */
static napi_value end(napi_env env, SSL *session, int result) {
  tls_io.results[RESULT_CONSUMED] = (int32_t)(tls_io.next - tls_io.received);
  tls_io.results[RESULT_PRODUCED] = (int32_t)tls_io.used;
  if (result > 0) return result_int(env, result);
  int error = SSL_get_error(session, result);
  tls_io.results[RESULT_REASON] = error_reason();
  return result_int(env, -error);
}

/** tlsBind(received, produced, results): the buffers of the calling thread, which must stay where they are. */
CALL(call_tls_bind) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_method);
  arguments args = arguments_read(env, info);
  byte_range received = argument_bytes(&args, 0);
  byte_range produced = argument_bytes(&args, 1);
  byte_range results = argument_bytes(&args, 2);
  if (results.length < RESULTS * sizeof(int32_t)) return result_int(env, -EINVAL);
  tls_io = (struct tls_io){
      .received = received.data,
      .received_length = received.length,
      .produced = produced.data,
      .produced_length = produced.length,
      .results = (int32_t *)results.data,
  };
  return result_int(env, 0);
}

/** tlsError(): the reason of the last failure of a context call, as OpenSSL numbers it. */
CALL(call_tls_error) {
  (void)info;
  return result_int(env, (int64_t)(ERR_peek_last_error() & 0x7fffffff));
}

/** tlsOpen(context, isServer) */
CALL(call_tls_open) {
  arguments args = arguments_read(env, info);
  ERR_clear_error();
  SSL *session = SSL_new(argument_pointer(&args, 0));
  if (session == NULL) return result_pointer(env, NULL);
  BIO *bio = BIO_new(method);
  if (bio == NULL) {
    SSL_free(session);
    return result_pointer(env, NULL);
  }
  BIO_set_init(bio, 1);
  SSL_set_bio(session, bio, bio);
  if (argument_int(&args, 1))
    SSL_set_accept_state(session);
  else
    SSL_set_connect_state(session);
  return result_pointer(env, session);
}

/** tlsSetTicketScope(session, scope): SSL_set_session_id_context(3), for this session in place of its context's. */
CALL(call_tls_set_ticket_scope) {
  arguments args = arguments_read(env, info);
  byte_range scope = argument_bytes(&args, 1);
  int result = SSL_set_session_id_context(argument_pointer(&args, 0), scope.data, (unsigned int)scope.length);
  return result_int(env, result == 1 ? 0 : -1);
}

/** tlsSetServerName(session, name, isVerified): what a client asks for, and what the certificate has to name. */
CALL(call_tls_set_server_name) {
  arguments args = arguments_read(env, info);
  SSL *session = argument_pointer(&args, 0);
  char name[256] = "";
  size_t length = 0;
  napi_get_value_string_utf8(env, args.values[1], name, sizeof name, &length);
  long result = SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name);
  if (result == 1 && argument_int(&args, 2)) result = SSL_set1_host(session, name);
  return result_int(env, result == 1 ? 0 : -1);
}

/** tlsHandshake(session, start, end, protocol): SSL_do_handshake(3). */
CALL(call_tls_handshake) {
  arguments args = arguments_read(env, info);
  SSL *session = argument_pointer(&args, 0);
  byte_range protocol = argument_bytes(&args, 3);
  if (session == NULL || !begin(argument_int(&args, 1), argument_int(&args, 2))) return result_int(env, -EFAULT);
  tls_io.protocol = protocol.data;
  tls_io.protocol_length = protocol.length;
  return end(env, session, SSL_do_handshake(session));
}

/** tlsRead(session, start, end, bytes, bytesStart, bytesEnd): SSL_read(3), one record at most. */
CALL(call_tls_read) {
  arguments args = arguments_read(env, info);
  SSL *session = argument_pointer(&args, 0);
  byte_range bytes = argument_range(&args, 3);
  if (session == NULL || bytes.data == NULL || !begin(argument_int(&args, 1), argument_int(&args, 2))) return result_int(env, -EFAULT);
  int result = SSL_read(session, bytes.data, (int)bytes.length);
  tls_io.results[RESULT_PENDING] = SSL_pending(session);
  return end(env, session, result);
}

/** tlsWrite(session, bytes, start, end): SSL_write(3) of the whole range. */
CALL(call_tls_write) {
  arguments args = arguments_read(env, info);
  SSL *session = argument_pointer(&args, 0);
  byte_range bytes = argument_range(&args, 1);
  if (session == NULL || bytes.data == NULL || !begin(0, 0)) return result_int(env, -EFAULT);
  return end(env, session, SSL_write(session, bytes.data, (int)bytes.length));
}

/** tlsShutdown(session): SSL_shutdown(3) writes close_notify; 0 (the other side's has not come) counts as done. */
CALL(call_tls_shutdown) {
  arguments args = arguments_read(env, info);
  SSL *session = argument_pointer(&args, 0);
  if (session == NULL || !begin(0, 0)) return result_int(env, -EFAULT);
  int result = SSL_shutdown(session);
  return end(env, session, result == 0 ? 1 : result);
}

/** tlsVersion(session), tlsCipher(session), tlsIsResumed(session) */
CALL(call_tls_version) {
  arguments args = arguments_read(env, info);
  return result_int(env, SSL_version(argument_pointer(&args, 0)));
}

CALL(call_tls_cipher) {
  arguments args = arguments_read(env, info);
  const SSL_CIPHER *cipher = SSL_get_current_cipher(argument_pointer(&args, 0));
  return result_int(env, cipher == NULL ? 0 : SSL_CIPHER_get_protocol_id(cipher));
}

CALL(call_tls_is_resumed) {
  arguments args = arguments_read(env, info);
  return result_int(env, SSL_session_reused(argument_pointer(&args, 0)));
}

/** tlsPeerCommonName(session, out): the length in bytes, -1 when there is no certificate or no name in it. */
CALL(call_tls_peer_common_name) {
  arguments args = arguments_read(env, info);
  byte_range out = argument_bytes(&args, 1);
  X509 *certificate = SSL_get1_peer_certificate(argument_pointer(&args, 0));
  if (certificate == NULL) return result_int(env, -1);
  X509_NAME *name = X509_get_subject_name(certificate);
  int length = X509_NAME_get_text_by_NID(name, NID_commonName, (char *)out.data, (int)out.length);
  X509_free(certificate);
  return result_int(env, length);
}

/** tlsPeerCertificate(session, out): DER; the length in bytes, -1 when there is no certificate, or no room for it. */
CALL(call_tls_peer_certificate) {
  arguments args = arguments_read(env, info);
  byte_range out = argument_bytes(&args, 1);
  X509 *certificate = SSL_get1_peer_certificate(argument_pointer(&args, 0));
  if (certificate == NULL) return result_int(env, -1);
  int length = i2d_X509(certificate, NULL);
  unsigned char *next = out.data;
  length = length >= 0 && (size_t)length <= out.length ? i2d_X509(certificate, &next) : -1;
  X509_free(certificate);
  return result_int(env, length);
}

/** tlsFree(session) */
CALL(call_tls_free) {
  arguments args = arguments_read(env, info);
  SSL_free(argument_pointer(&args, 0));
  return result_int(env, 0);
}
