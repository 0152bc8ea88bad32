// TLS contexts (SSL_CTX): each function is one call of OpenSSL. They return 0, or -1 and say why by tlsError().
#include <string.h>

#include "calls.h"
#include "openssl.h"
#include "tls.h"

#define TEXT_BYTES_MAX 2048

/** 1 is OpenSSL's word for success. */
#define RETURN_SUCCESS(env, expression) return result_int((env), (expression) == 1 ? 0 : -1)

static SSL_CTX *argument_context(const arguments *args, int index) { return argument_pointer(args, index); }

/** A text argument, as a string that ends with NUL. */
static const char *argument_text(const arguments *args, int index, char buffer[TEXT_BYTES_MAX]) {
  size_t length = 0;
  buffer[0] = 0;
  napi_get_value_string_utf8(args->env, args->values[index], buffer, TEXT_BYTES_MAX, &length);
  return buffer;
}

static int use_tickets(SSL *session, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                       int is_sealing);
static int use_chosen_protocol(SSL *session, const unsigned char **out, unsigned char *length, const unsigned char *in,
                               unsigned int in_length, void *argument);
static int use_no_session_id(SSL *session, unsigned char *id, unsigned int *length);

/** tlsContextNew(isServer) */
CALL(call_tls_context_new) {
  arguments args = arguments_read(env, info);
  int is_server = argument_int(&args, 0);
  ERR_clear_error();
  SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
  if (context != NULL && is_server) SSL_CTX_set_alpn_select_cb(context, use_chosen_protocol, NULL);
  return result_pointer(env, context);
}

/** tlsContextFree(context): sessions that were made of it keep what they need. */
CALL(call_tls_context_free) {
  arguments args = arguments_read(env, info);
  SSL_CTX_free(argument_context(&args, 0));
  return result_int(env, 0);
}

/** tlsContextControl(context, command, value): SSL_CTX_ctrl(3) with a number. */
CALL(call_tls_context_control) {
  arguments args = arguments_read(env, info);
  return result_int(env, SSL_CTX_ctrl(argument_context(&args, 0), argument_int(&args, 1), argument_int(&args, 2), NULL));
}

/** tlsContextControlText(context, command, text): SSL_CTX_ctrl(3) with a string. */
CALL(call_tls_context_control_text) {
  arguments args = arguments_read(env, info);
  char text[TEXT_BYTES_MAX];
  argument_text(&args, 2, text);
  RETURN_SUCCESS(env, SSL_CTX_ctrl(argument_context(&args, 0), argument_int(&args, 1), 0, text));
}

/** tlsContextSetOptions(context, options) */
CALL(call_tls_context_set_options) {
  arguments args = arguments_read(env, info);
  SSL_CTX_set_options(argument_context(&args, 0), (uint32_t)argument_int(&args, 1));
  return result_int(env, 0);
}

/** tlsContextSetSecurityLevel(context, level) */
CALL(call_tls_context_set_security_level) {
  arguments args = arguments_read(env, info);
  SSL_CTX_set_security_level(argument_context(&args, 0), argument_int(&args, 1));
  return result_int(env, 0);
}

/** tlsContextSetCiphers(context, list): those of TLS 1.2 and below, in OpenSSL's words. */
CALL(call_tls_context_set_ciphers) {
  arguments args = arguments_read(env, info);
  char text[TEXT_BYTES_MAX];
  ERR_clear_error();
  RETURN_SUCCESS(env, SSL_CTX_set_cipher_list(argument_context(&args, 0), argument_text(&args, 1, text)));
}

/** tlsContextSetCipherSuites(context, list): those of TLS 1.3. */
CALL(call_tls_context_set_cipher_suites) {
  arguments args = arguments_read(env, info);
  char text[TEXT_BYTES_MAX];
  ERR_clear_error();
  RETURN_SUCCESS(env, SSL_CTX_set_ciphersuites(argument_context(&args, 0), argument_text(&args, 1, text)));
}

/** tlsContextCiphers(context, out): writes the IANA numbers of what is enabled into the Int32Array, returns the count. */
CALL(call_tls_context_ciphers) {
  arguments args = arguments_read(env, info);
  byte_range out = argument_bytes(&args, 1);
  SSL_CIPHERS *ciphers = SSL_CTX_get_ciphers(argument_context(&args, 0));
  int count = ciphers == NULL ? 0 : OPENSSL_sk_num(ciphers);
  int room = (int)(out.length / sizeof(int32_t));
  for (int i = 0; i < count && i < room; i++) {
    ((int32_t *)out.data)[i] = SSL_CIPHER_get_protocol_id(OPENSSL_sk_value(ciphers, i));
  }
  return result_int(env, count < room ? count : room);
}

static X509 *argument_certificate(const arguments *args, int index) {
  byte_range der = argument_bytes(args, index);
  const unsigned char *next = der.data;
  return d2i_X509(NULL, &next, (long)der.length);
}

/** tlsContextUseCertificate(context, der): the leaf. */
CALL(call_tls_context_use_certificate) {
  arguments args = arguments_read(env, info);
  ERR_clear_error();
  X509 *certificate = argument_certificate(&args, 1);
  int result = certificate == NULL ? 0 : SSL_CTX_use_certificate(argument_context(&args, 0), certificate);
  X509_free(certificate);
  RETURN_SUCCESS(env, result);
}

/** tlsContextAddChain(context, der): an intermediate of the certificate that was used last, sent behind those that were
 *  added before (SSL_CTX_add1_chain_cert(3)). */
CALL(call_tls_context_add_chain) {
  arguments args = arguments_read(env, info);
  ERR_clear_error();
  X509 *certificate = argument_certificate(&args, 1);
  long result = certificate == NULL ? 0 : SSL_CTX_ctrl(argument_context(&args, 0), SSL_CTRL_CHAIN_CERT, 1, certificate);
  X509_free(certificate);
  RETURN_SUCCESS(env, result);
}

/** tlsContextUseKey(context, der) */
CALL(call_tls_context_use_key) {
  arguments args = arguments_read(env, info);
  byte_range der = argument_bytes(&args, 1);
  const unsigned char *next = der.data;
  ERR_clear_error();
  EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &next, (long)der.length);
  int result = key == NULL ? 0 : SSL_CTX_use_PrivateKey(argument_context(&args, 0), key);
  EVP_PKEY_free(key);
  RETURN_SUCCESS(env, result);
}

/** tlsContextTrust(context, der): a root, of which the other side's certificate has to come from now on. */
CALL(call_tls_context_trust) {
  arguments args = arguments_read(env, info);
  SSL_CTX *context = argument_context(&args, 0);
  ERR_clear_error();
  X509 *certificate = argument_certificate(&args, 1);
  int result = certificate == NULL ? 0 : X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
  X509_free(certificate);
  RETURN_SUCCESS(env, result);
}

/** tlsContextSetVerify(context, mode): SSL_CTX_set_verify(3). */
CALL(call_tls_context_set_verify) {
  arguments args = arguments_read(env, info);
  SSL_CTX_set_verify(argument_context(&args, 0), argument_int(&args, 1), NULL);
  return result_int(env, 0);
}

/** tlsContextSetTickets(context, table, sessionIdContext, count, lifetimeSec): `table` is described in tls.h and stays
 *  where it is for as long as the context and its sessions live. */
CALL(call_tls_context_set_tickets) {
  arguments args = arguments_read(env, info);
  SSL_CTX *context = argument_context(&args, 0);
  byte_range table = argument_bytes(&args, 1);
  byte_range id = argument_bytes(&args, 2);
  if (table.length != sizeof(struct ticket_table)) return result_int(env, -1);
  SSL_CTX_set_ex_data(context, 0, table.data);
  SSL_CTX_set_num_tickets(context, (size_t)argument_int(&args, 3));
  SSL_CTX_set_timeout(context, argument_int(&args, 4));
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_tickets);
  SSL_CTX_set_generate_session_id(context, use_no_session_id);
  RETURN_SUCCESS(env, SSL_CTX_set_session_id_context(context, id.data, (unsigned int)id.length));
}

static EVP_CIPHER *ticket_cipher(void) {
  // Looked up once: OpenSSL 3 searches its providers at each use of EVP_aes_256_cbc(3).
  static EVP_CIPHER *cipher;
  EVP_CIPHER *known = __atomic_load_n(&cipher, __ATOMIC_ACQUIRE);
  if (known != NULL) return known;
  known = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
  __atomic_store_n(&cipher, known, __ATOMIC_RELEASE);
  return known;
}

static int use_ticket_key(const struct ticket_key *key, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                          const unsigned char *iv, int is_sealing) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end()};
  if (EVP_MAC_init(mac, key->mac, sizeof key->mac, parameters) != 1) return -1;
  int result = is_sealing ? EVP_EncryptInit_ex(cipher, ticket_cipher(), NULL, key->cipher, iv)
                          : EVP_DecryptInit_ex(cipher, ticket_cipher(), NULL, key->cipher, iv);
  return result == 1 ? 1 : -1;
}

/** SSL_CTX_set_tlsext_ticket_key_evp_cb(3): looks a key up in the table that TypeScript keeps. */
static int use_tickets(SSL *session, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                       int is_sealing) {
  struct ticket_table *table = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), 0);
  uint32_t current = (uint32_t)__atomic_load_n(&table->current, __ATOMIC_ACQUIRE) % TICKET_KEYS;
  if (is_sealing) {
    memcpy(name, table->keys[current].name, TICKET_NAME_BYTES);
    if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
    return use_ticket_key(&table->keys[current], cipher, mac, iv, 1);
  }
  for (uint32_t place = 0; place < TICKET_KEYS; place++) {
    const struct ticket_key *key = &table->keys[place];
    if (memcmp(key->name, name, TICKET_NAME_BYTES) != 0) continue;
    int result = use_ticket_key(key, cipher, mac, iv, 0);
    // 2: accepted, and the client gets a ticket of the current key.
    return result == 1 && place != current ? 2 : result;
  }
  return 0;
}

/** SSL_CTX_set_generate_session_id(3): sessions are resumed by tickets only, and the random id that OpenSSL would put
 *  into each is a fifth of a ticket's cost. It has filled the id with zeros, and wants one byte at least. */
static int use_no_session_id(SSL *session, unsigned char *id, unsigned int *length) {
  (void)session, (void)id;
  *length = 1;
  return 1;
}

/** SSL_CTX_set_alpn_select_cb(3): the answer is TypeScript's, which has read the ClientHello before. */
static int use_chosen_protocol(SSL *session, const unsigned char **out, unsigned char *length, const unsigned char *in,
                               unsigned int in_length, void *argument) {
  (void)session, (void)in, (void)in_length, (void)argument;
  if (tls_io.protocol_length == 0) return SSL_TLSEXT_ERR_NOACK;
  *out = tls_io.protocol;
  *length = (unsigned char)tls_io.protocol_length;
  return SSL_TLSEXT_ERR_OK;
}
