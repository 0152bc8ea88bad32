// Moving many datagrams with one system call: recvmmsg(2), sendmmsg(2), and what the kernel says of each beside its bytes.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "calls.h"

// What src/linux/datagram.ts says about the memory of a batch, and about the integers that describe each datagram.
#define BATCH_MAX 64
#define SLOT_BYTES (512 + 65536)
#define HEADROOM 512
#define INTS_PER_DATAGRAM 20
enum {
  FIELD_START,
  FIELD_LENGTH,
  FIELD_FLAGS,
  FIELD_DROPPED,
  /** struct sockaddr_in or sockaddr_in6: the sender, or the receiver. */
  FIELD_PEER,
  /** in6_addr, of IPv4 in its mapped form: the address of this host that it came to, or leaves from; zeros: none. */
  FIELD_LOCAL = FIELD_PEER + 7,
};

/** IP_PKTINFO or IPV6_PKTINFO, and SO_RXQ_OVFL. */
#define CONTROL_BYTES (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(uint32_t)))

typedef struct {
  _Alignas(struct cmsghdr) char bytes[CONTROL_BYTES];
} control;

typedef struct {
  byte_range memory;
  int32_t *fields;
  unsigned int count;
} slots;

/** Datagrams [from, to) of a batch; an impossible range is empty and has no memory. Arguments `index` to `index` + 3. */
static slots argument_slots(const arguments *args, int index) {
  byte_range memory = argument_bytes(args, index);
  byte_range fields = argument_bytes(args, index + 1);
  int32_t from = argument_int(args, index + 2);
  int32_t to = argument_int(args, index + 3);
  size_t bytes = INTS_PER_DATAGRAM * sizeof(int32_t);
  if (from < 0 || to < from || to - from > BATCH_MAX || (size_t)to * bytes > fields.length) return (slots){0};
  return (slots){memory, (int32_t *)fields.data + from * INTS_PER_DATAGRAM, (unsigned int)(to - from)};
}

static void read_control(struct msghdr *message, int32_t *field) {
  static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  memset(&field[FIELD_LOCAL], 0, sizeof(struct in6_addr));
  field[FIELD_DROPPED] = 0;
  for (struct cmsghdr *next = CMSG_FIRSTHDR(message); next != NULL; next = CMSG_NXTHDR(message, next)) {
    if (next->cmsg_level == SOL_SOCKET && next->cmsg_type == SO_RXQ_OVFL) {
      memcpy(&field[FIELD_DROPPED], CMSG_DATA(next), sizeof(uint32_t));
    } else if (next->cmsg_level == IPPROTO_IP && next->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(next), sizeof info);
      memcpy(&field[FIELD_LOCAL], mapped, sizeof mapped);
      memcpy(&field[FIELD_LOCAL + 3], &info.ipi_addr, sizeof info.ipi_addr);
    } else if (next->cmsg_level == IPPROTO_IPV6 && next->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(next), sizeof info);
      memcpy(&field[FIELD_LOCAL], &info.ipi6_addr, sizeof info.ipi6_addr);
    }
  }
}

/** recvmmsg(fd, memory, fields, from, to): into the slots [from, to), behind their headroom; returns how many came. */
CALL(call_recvmmsg) {
  arguments args = arguments_read(env, info);
  slots batch = argument_slots(&args, 1);
  struct mmsghdr messages[BATCH_MAX];
  struct iovec vectors[BATCH_MAX];
  control controls[BATCH_MAX];
  if (batch.fields == NULL) return result_int(env, -EFAULT);
  size_t first = (size_t)argument_int(&args, 3);
  if ((first + batch.count) * SLOT_BYTES > batch.memory.length) return result_int(env, -EFAULT);
  for (unsigned int i = 0; i < batch.count; i++) {
    int32_t *field = batch.fields + i * INTS_PER_DATAGRAM;
    field[FIELD_START] = (int32_t)((first + i) * SLOT_BYTES + HEADROOM);
    // A shorter address leaves what is behind it as it was.
    memset(&field[FIELD_PEER], 0, sizeof(struct sockaddr_in6));
    vectors[i] = (struct iovec){batch.memory.data + field[FIELD_START], SLOT_BYTES - HEADROOM};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &field[FIELD_PEER],
        .msg_namelen = sizeof(struct sockaddr_in6),
        .msg_iov = &vectors[i],
        .msg_iovlen = 1,
        .msg_control = &controls[i],
        .msg_controllen = sizeof controls[i],
    };
  }
  int count = recvmmsg(argument_int(&args, 0), messages, batch.count, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    int32_t *field = batch.fields + i * INTS_PER_DATAGRAM;
    field[FIELD_LENGTH] = (int32_t)messages[i].msg_len;
    field[FIELD_FLAGS] = messages[i].msg_hdr.msg_flags;
    read_control(&messages[i].msg_hdr, field);
  }
  RETURN_OR_ERRNO(env, count);
}

static size_t write_control(control *into, const int32_t *field) {
  const struct in6_addr *local = (const struct in6_addr *)&field[FIELD_LOCAL];
  if (IN6_IS_ADDR_UNSPECIFIED(local)) return 0;
  struct cmsghdr *header = (struct cmsghdr *)into->bytes;
  if (((const struct sockaddr *)&field[FIELD_PEER])->sa_family == AF_INET) {
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, &field[FIELD_LOCAL + 3], sizeof info.ipi_spec_dst);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    memcpy(CMSG_DATA(header), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  struct in6_pktinfo info = {.ipi6_addr = *local};
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
  memcpy(CMSG_DATA(header), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

/** sendmmsg(fd, memory, fields, from, to): the datagrams [from, to), each to its own receiver, or without one to the
 *  socket's; returns how many the kernel took. */
CALL(call_sendmmsg) {
  arguments args = arguments_read(env, info);
  slots batch = argument_slots(&args, 1);
  struct mmsghdr messages[BATCH_MAX];
  struct iovec vectors[BATCH_MAX];
  control controls[BATCH_MAX];
  if (batch.fields == NULL) return result_int(env, -EFAULT);
  for (unsigned int i = 0; i < batch.count; i++) {
    int32_t *field = batch.fields + i * INTS_PER_DATAGRAM;
    int64_t start = field[FIELD_START], length = field[FIELD_LENGTH];
    if (start < 0 || length < 0 || start + length > (int64_t)batch.memory.length) return result_int(env, -EFAULT);
    vectors[i] = (struct iovec){batch.memory.data + start, (size_t)length};
    sa_family_t family = ((struct sockaddr *)&field[FIELD_PEER])->sa_family;
    size_t control_length = write_control(&controls[i], field);
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = family == AF_UNSPEC ? NULL : &field[FIELD_PEER],
        .msg_namelen = family == AF_UNSPEC ? 0 : family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
        .msg_iov = &vectors[i],
        .msg_iovlen = 1,
        .msg_control = control_length == 0 ? NULL : &controls[i],
        .msg_controllen = control_length,
    };
  }
  RETURN_OR_ERRNO(env, sendmmsg(argument_int(&args, 0), messages, batch.count, MSG_DONTWAIT | MSG_NOSIGNAL));
}
