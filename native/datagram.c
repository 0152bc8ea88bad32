// Moving many datagrams: recvmmsg(2), sendmmsg(2), of one socket or of one after the other, and what the kernel says of
// each beside its bytes.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "calls.h"

// Some C libraries do not name it: udp(7), linux/udp.h.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

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
  /** What it is sent by, and what was said of it: 0 or a negated errno. */
  FIELD_SOCKET = FIELD_LOCAL + 4,
  FIELD_RESULT,
};

/** IP_PKTINFO and IPV6_PKTINFO, and SO_RXQ_OVFL or UDP_SEGMENT. */
#define CONTROL_BYTES (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(uint32_t)))

typedef struct {
  _Alignas(struct cmsghdr) char bytes[CONTROL_BYTES];
} control;

typedef struct {
  byte_range memory;
  int32_t *fields;
  unsigned int from;
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
  return (slots){memory, (int32_t *)fields.data + from * INTS_PER_DATAGRAM, (unsigned int)from, (unsigned int)(to - from)};
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
      // What came to a broadcast address is answered from the host's own. What was queued before the option was set has
      // none.
      const struct in_addr *local = info.ipi_spec_dst.s_addr == 0 ? &info.ipi_addr : &info.ipi_spec_dst;
      memcpy(&field[FIELD_LOCAL + 3], local, sizeof *local);
    } else if (next->cmsg_level == IPPROTO_IPV6 && next->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(next), sizeof info);
      memcpy(&field[FIELD_LOCAL], &info.ipi6_addr, sizeof info.ipi6_addr);
    }
  }
}

/** Receives into the slots [from, to) of a batch, behind their headroom; returns how many came, or -1. */
static int receive(int fd, slots batch, struct mmsghdr *messages, struct iovec *vectors, control *controls) {
  for (unsigned int i = 0; i < batch.count; i++) {
    int32_t *field = batch.fields + i * INTS_PER_DATAGRAM;
    field[FIELD_START] = (int32_t)((batch.from + i) * SLOT_BYTES + HEADROOM);
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
  int count = recvmmsg(fd, messages, batch.count, MSG_DONTWAIT, NULL);
  for (int i = 0; i < count; i++) {
    int32_t *field = batch.fields + i * INTS_PER_DATAGRAM;
    field[FIELD_LENGTH] = (int32_t)messages[i].msg_len;
    field[FIELD_FLAGS] = messages[i].msg_hdr.msg_flags;
    read_control(&messages[i].msg_hdr, field);
  }
  return count;
}

/** recvmmsg(fd, memory, fields, from, to) */
CALL(call_recvmmsg) {
  arguments args = arguments_read(env, info);
  slots batch = argument_slots(&args, 1);
  struct mmsghdr messages[BATCH_MAX];
  struct iovec vectors[BATCH_MAX];
  control controls[BATCH_MAX];
  if (batch.fields == NULL || (batch.from + batch.count) * SLOT_BYTES > batch.memory.length) return result_int(env, -EFAULT);
  RETURN_OR_ERRNO(env, receive(argument_int(&args, 0), batch, messages, vectors, controls));
}

/**
 * recvEach(sources, count, memory, fields, each): recvmmsg of up to `each` datagrams from every socket of `sources`, one
 * after the other into the slots. A source is two integers: the descriptor, and room for what the call said of it. Returns
 * for how many sources there was room.
 */
CALL(call_recv_each) {
  arguments args = arguments_read(env, info);
  byte_range bytes = argument_bytes(&args, 0);
  int32_t sources_count = argument_int(&args, 1);
  byte_range memory = argument_bytes(&args, 2);
  byte_range fields = argument_bytes(&args, 3);
  int32_t each = argument_int(&args, 4);
  struct mmsghdr messages[BATCH_MAX];
  struct iovec vectors[BATCH_MAX];
  control controls[BATCH_MAX];
  if (sources_count < 0 || (size_t)sources_count * 2 * sizeof(int32_t) > bytes.length || each < 1) return result_int(env, -EFAULT);
  if (memory.length < (size_t)BATCH_MAX * SLOT_BYTES || fields.length < BATCH_MAX * INTS_PER_DATAGRAM * sizeof(int32_t))
    return result_int(env, -EFAULT);
  int32_t *source = (int32_t *)bytes.data;
  unsigned int used = 0;
  int32_t done = 0;
  for (; done < sources_count && used < BATCH_MAX; done++, source += 2) {
    unsigned int room = BATCH_MAX - used;
    unsigned int count = (unsigned int)each < room ? (unsigned int)each : room;
    slots batch = {memory, (int32_t *)fields.data + used * INTS_PER_DATAGRAM, used, count};
    int result = receive(source[0], batch, messages, vectors, controls);
    source[1] = result < 0 ? -errno : result;
    if (result > 0) used += (unsigned int)result;
  }
  return result_int(env, done);
}

static size_t write_header(char *into, int level, int type, const void *value, size_t length) {
  struct cmsghdr *header = (struct cmsghdr *)into;
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(length), .cmsg_level = level, .cmsg_type = type};
  memcpy(CMSG_DATA(header), value, length);
  return CMSG_SPACE(length);
}

/** What the kernel is told of a message: where it leaves from, and that it is to be cut into datagrams of one size. */
static size_t write_control(control *into, const int32_t *field, uint16_t segment) {
  const struct in6_addr *local = (const struct in6_addr *)&field[FIELD_LOCAL];
  size_t used = 0;
  if (IN6_IS_ADDR_UNSPECIFIED(local)) {
    // The address of the port.
  } else if (((const struct sockaddr *)&field[FIELD_PEER])->sa_family == AF_INET) {
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, &field[FIELD_LOCAL + 3], sizeof info.ipi_spec_dst);
    used += write_header(into->bytes + used, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  } else {
    struct in6_pktinfo info = {.ipi6_addr = *local};
    used += write_header(into->bytes + used, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
  if (segment > 0) used += write_header(into->bytes + used, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
  return used;
}

/**
 * sendEach(memory, fields, order, count): the datagrams that `order` names, each by its own socket, to its own receiver or
 * without one to the socket's. One that is named by its complement is a further one of the message before (udp(7)
 * UDP_SEGMENT); neighbours of one socket are one sendmmsg. Each datagram is told what was said of it.
 */
CALL(call_send_each) {
  arguments args = arguments_read(env, info);
  byte_range memory = argument_bytes(&args, 0);
  byte_range fields = argument_bytes(&args, 1);
  byte_range order = argument_bytes(&args, 2);
  int32_t count = argument_int(&args, 3);
  struct mmsghdr messages[BATCH_MAX];
  struct iovec vectors[BATCH_MAX];
  control controls[BATCH_MAX];
  int32_t *heads[BATCH_MAX];
  if (count < 0 || count > BATCH_MAX || (size_t)count * sizeof(int32_t) > order.length) return result_int(env, -EFAULT);
  unsigned int made = 0;
  for (int32_t i = 0; i < count; i++) {
    int32_t named = ((int32_t *)order.data)[i];
    size_t slot = (size_t)(named < 0 ? ~named : named);
    if ((slot + 1) * INTS_PER_DATAGRAM * sizeof(int32_t) > fields.length || (named < 0 && made == 0)) return result_int(env, -EFAULT);
    int32_t *field = (int32_t *)fields.data + slot * INTS_PER_DATAGRAM;
    int64_t start = field[FIELD_START], length = field[FIELD_LENGTH];
    if (start < 0 || length < 0 || start + length > (int64_t)memory.length) return result_int(env, -EFAULT);
    vectors[i] = (struct iovec){memory.data + start, (size_t)length};
    if (named < 0) {
      messages[made - 1].msg_hdr.msg_iovlen += 1;
      continue;
    }
    sa_family_t family = ((struct sockaddr *)&field[FIELD_PEER])->sa_family;
    heads[made] = field;
    messages[made++].msg_hdr = (struct msghdr){
        .msg_name = family == AF_UNSPEC ? NULL : &field[FIELD_PEER],
        .msg_namelen = family == AF_UNSPEC ? 0 : family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
        .msg_iov = &vectors[i],
        .msg_iovlen = 1,
    };
  }
  for (unsigned int i = 0; i < made; i++) {
    struct msghdr *header = &messages[i].msg_hdr;
    header->msg_controllen = write_control(&controls[i], heads[i], header->msg_iovlen > 1 ? (uint16_t)heads[i][FIELD_LENGTH] : 0);
    header->msg_control = header->msg_controllen == 0 ? NULL : &controls[i];
  }
  for (unsigned int i = 0, end; i < made; i = end) {
    int32_t fd = heads[i][FIELD_SOCKET];
    for (end = i + 1; end < made && heads[end][FIELD_SOCKET] == fd; end++);
    while (i < end) {
      int sent = sendmmsg(fd, messages + i, end - i, MSG_DONTWAIT | MSG_NOSIGNAL);
      int32_t result = sent < 0 ? -errno : 0;
      // One that fails is told of only when it is the first.
      for (unsigned int told = i + (sent < 1 ? 1 : (unsigned int)sent); i < told; i++) heads[i][FIELD_RESULT] = result;
    }
  }
  for (int32_t i = 0, message = -1; i < count; i++) {
    int32_t named = ((int32_t *)order.data)[i];
    if (named >= 0) message++;
    else ((int32_t *)fields.data)[(size_t)~named * INTS_PER_DATAGRAM + FIELD_RESULT] = heads[message][FIELD_RESULT];
  }
  return result_int(env, 0);
}
