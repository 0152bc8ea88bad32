// What the addon uses of the OpenSSL 3 inside node: declared here, so that no OpenSSL headers are needed to build, and
// only functions that both Node 20 (OpenSSL 3.0) and Node 24 (3.5) export (docs/decisions/0006). The linker leaves these
// symbols open; node itself, which loads the addon, provides them.
#ifndef TRUEPEER_OPENSSL_H
#define TRUEPEER_OPENSSL_H

#include <stddef.h>
#include <stdint.h>

typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_mac_ctx_st EVP_MAC_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct ssl_st SSL;
typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_method_st SSL_METHOD;
typedef struct stack_st_SSL_CIPHER SSL_CIPHERS;
typedef struct x509_st X509;
typedef struct X509_name_st X509_NAME;
typedef struct x509_store_st X509_STORE;

// openssl/core.h: the layout of a parameter is part of the ABI.
typedef struct {
  const char *key;
  unsigned int data_type;
  void *data;
  size_t data_size;
  size_t return_size;
} OSSL_PARAM;

// openssl/bio.h, openssl/ssl.h, openssl/tls1.h, openssl/obj_mac.h
#define BIO_TYPE_SOURCE_SINK 0x0400
#define BIO_FLAGS_READ 0x01
#define BIO_FLAGS_WRITE 0x02
#define BIO_FLAGS_RWS 0x07
#define BIO_FLAGS_SHOULD_RETRY 0x08
#define BIO_CTRL_FLUSH 11
#define ERR_LIB_SSL 20
#define SSL_CTRL_CHAIN_CERT 89
#define SSL_CTRL_SET_TLSEXT_HOSTNAME 55
#define SSL_TLSEXT_ERR_OK 0
#define SSL_TLSEXT_ERR_NOACK 3
#define TLSEXT_NAMETYPE_host_name 0
#define NID_commonName 13
#define EVP_MAX_IV_LENGTH 16

int BIO_get_new_index(void);
BIO_METHOD *BIO_meth_new(int type, const char *name);
int BIO_meth_set_read(BIO_METHOD *method, int (*read)(BIO *, char *, int));
int BIO_meth_set_write(BIO_METHOD *method, int (*write)(BIO *, const char *, int));
int BIO_meth_set_ctrl(BIO_METHOD *method, long (*ctrl)(BIO *, int, long, void *));
BIO *BIO_new(const BIO_METHOD *method);
void BIO_set_init(BIO *bio, int init);
void BIO_set_flags(BIO *bio, int flags);
void BIO_clear_flags(BIO *bio, int flags);

void ERR_clear_error(void);
unsigned long ERR_get_error(void);
unsigned long ERR_peek_last_error(void);

X509 *d2i_X509(X509 **out, const unsigned char **in, long length);
int i2d_X509(const X509 *certificate, unsigned char **out);
void X509_free(X509 *certificate);
X509_NAME *X509_get_subject_name(const X509 *certificate);
int X509_NAME_get_text_by_NID(const X509_NAME *name, int nid, char *buffer, int length);
int X509_STORE_add_cert(X509_STORE *store, X509 *certificate);
EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **out, const unsigned char **in, long length);
void EVP_PKEY_free(EVP_PKEY *key);

int RAND_bytes(unsigned char *buffer, int count);
EVP_CIPHER *EVP_CIPHER_fetch(void *library, const char *algorithm, const char *properties);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *engine, const unsigned char *key, const unsigned char *iv);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *engine, const unsigned char *key, const unsigned char *iv);
int EVP_MAC_init(EVP_MAC_CTX *context, const unsigned char *key, size_t length, const OSSL_PARAM parameters[]);
OSSL_PARAM OSSL_PARAM_construct_utf8_string(const char *key, char *value, size_t length);
OSSL_PARAM OSSL_PARAM_construct_end(void);

const SSL_METHOD *TLS_server_method(void);
const SSL_METHOD *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const SSL_METHOD *method);
void SSL_CTX_free(SSL_CTX *context);
long SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer);
uint64_t SSL_CTX_set_options(SSL_CTX *context, uint64_t options);
void SSL_CTX_set_security_level(SSL_CTX *context, int level);
int SSL_CTX_set_cipher_list(SSL_CTX *context, const char *list);
int SSL_CTX_set_ciphersuites(SSL_CTX *context, const char *list);
SSL_CIPHERS *SSL_CTX_get_ciphers(const SSL_CTX *context);
int OPENSSL_sk_num(const SSL_CIPHERS *stack);
void *OPENSSL_sk_value(const SSL_CIPHERS *stack, int index);
uint16_t SSL_CIPHER_get_protocol_id(const SSL_CIPHER *cipher);
int SSL_CTX_set_num_tickets(SSL_CTX *context, size_t count);
long SSL_CTX_set_timeout(SSL_CTX *context, long seconds);
int SSL_CTX_set_session_id_context(SSL_CTX *context, const unsigned char *id, unsigned int length);
int SSL_CTX_set_tlsext_ticket_key_evp_cb(SSL_CTX *context, int (*callback)(SSL *, unsigned char *, unsigned char *,
                                                                           EVP_CIPHER_CTX *, EVP_MAC_CTX *, int));
int SSL_CTX_set_generate_session_id(SSL_CTX *context, int (*callback)(SSL *, unsigned char *, unsigned int *));
typedef int (*alpn_select_callback)(SSL *, const unsigned char **, unsigned char *, const unsigned char *, unsigned int, void *);
void SSL_CTX_set_alpn_select_cb(SSL_CTX *context, alpn_select_callback callback, void *argument);
int SSL_CTX_set_ex_data(SSL_CTX *context, int index, void *data);
void *SSL_CTX_get_ex_data(const SSL_CTX *context, int index);
int SSL_CTX_use_certificate(SSL_CTX *context, X509 *certificate);
int SSL_CTX_use_PrivateKey(SSL_CTX *context, EVP_PKEY *key);
X509_STORE *SSL_CTX_get_cert_store(const SSL_CTX *context);
void SSL_CTX_set_verify(SSL_CTX *context, int mode, void *callback);

SSL *SSL_new(SSL_CTX *context);
int SSL_set_session_id_context(SSL *session, const unsigned char *id, unsigned int length);
void SSL_free(SSL *session);
void SSL_set_bio(SSL *session, BIO *read, BIO *write);
void SSL_set_accept_state(SSL *session);
void SSL_set_connect_state(SSL *session);
int SSL_do_handshake(SSL *session);
int SSL_read(SSL *session, void *buffer, int length);
int SSL_write(SSL *session, const void *buffer, int length);
int SSL_shutdown(SSL *session);
int SSL_pending(const SSL *session);
int SSL_get_error(const SSL *session, int result);
int SSL_version(const SSL *session);
int SSL_session_reused(const SSL *session);
const SSL_CIPHER *SSL_get_current_cipher(const SSL *session);
X509 *SSL_get1_peer_certificate(const SSL *session);
SSL_CTX *SSL_get_SSL_CTX(const SSL *session);
long SSL_ctrl(SSL *session, int command, long number, void *pointer);
int SSL_set1_host(SSL *session, const char *name);

#endif
