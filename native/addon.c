// The table of calls that src/linux/native.ts declares.
#include "calls.h"

static const struct {
  const char *name;
  napi_callback call;
} CALLS[] = {
    {"socket", call_socket},
    {"bind", call_bind},
    {"listen", call_listen},
    {"accept", call_accept},
    {"connect", call_connect},
    {"getsockname", call_getsockname},
    {"setsockoptInt", call_setsockopt_int},
    {"setsockoptBytes", call_setsockopt_bytes},
    {"getsockoptInt", call_getsockopt_int},
    {"tcpInfo", call_tcp_info},
    {"shutdown", call_shutdown},
    {"recv", call_recv},
    {"send", call_send},
    {"read", call_read},
    {"write", call_write},
    {"close", call_close},
    {"duplicate", call_duplicate},
    {"setNonBlocking", call_set_nonblocking},
    {"unsentBytes", call_unsent_bytes},
    {"recvmmsg", call_recvmmsg},
    {"recvEach", call_recv_each},
    {"sendEach", call_send_each},
    {"epollCreate", call_epoll_create},
    {"epollCtl", call_epoll_ctl},
    {"epollWait", call_epoll_wait},
    {"eventfd", call_eventfd},
    {"pipe", call_pipe},
    {"setPipeSize", call_set_pipe_size},
    {"splice", call_splice},
    {"setns", call_setns},
    {"tlsContextNew", call_tls_context_new},
    {"tlsContextFree", call_tls_context_free},
    {"tlsContextControl", call_tls_context_control},
    {"tlsContextControlText", call_tls_context_control_text},
    {"tlsContextSetOptions", call_tls_context_set_options},
    {"tlsContextSetSecurityLevel", call_tls_context_set_security_level},
    {"tlsContextSetCiphers", call_tls_context_set_ciphers},
    {"tlsContextSetCipherSuites", call_tls_context_set_cipher_suites},
    {"tlsContextCiphers", call_tls_context_ciphers},
    {"tlsContextUseCertificate", call_tls_context_use_certificate},
    {"tlsContextAddChain", call_tls_context_add_chain},
    {"tlsContextUseKey", call_tls_context_use_key},
    {"tlsContextTrust", call_tls_context_trust},
    {"tlsContextSetVerify", call_tls_context_set_verify},
    {"tlsContextSetTickets", call_tls_context_set_tickets},
    {"tlsBind", call_tls_bind},
    {"tlsError", call_tls_error},
    {"tlsOpen", call_tls_open},
    {"tlsSetServerName", call_tls_set_server_name},
    {"tlsSetTicketScope", call_tls_set_ticket_scope},
    {"tlsHandshake", call_tls_handshake},
    {"tlsRead", call_tls_read},
    {"tlsWrite", call_tls_write},
    {"tlsShutdown", call_tls_shutdown},
    {"tlsVersion", call_tls_version},
    {"tlsCipher", call_tls_cipher},
    {"tlsIsResumed", call_tls_is_resumed},
    {"tlsPeerCommonName", call_tls_peer_common_name},
    {"tlsPeerCertificate", call_tls_peer_certificate},
    {"tlsFree", call_tls_free},
};

NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof CALLS / sizeof CALLS[0]; i++) {
    napi_value function;
    if (napi_create_function(env, CALLS[i].name, NAPI_AUTO_LENGTH, CALLS[i].call, NULL, &function) != napi_ok) return NULL;
    if (napi_set_named_property(env, exports, CALLS[i].name, function) != napi_ok) return NULL;
  }
  return exports;
}
