// Values of the kernel's interface (include/uapi), the same on x86-64 and arm64.

export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_ERROR = 4
export const SO_RCVBUF = 8
export const SO_SNDBUF = 7
export const SO_KEEPALIVE = 9
export const SO_OOBINLINE = 10
export const SO_LINGER = 13
export const SO_REUSEPORT = 15
export const SO_RCVBUFFORCE = 33
export const SO_MARK = 36
export const SO_PROTOCOL = 38
export const SO_RXQ_OVFL = 40

export const IPPROTO_IP = 0
export const IP_PKTINFO = 8
export const IP_FREEBIND = 15
export const IP_TRANSPARENT = 19
export const IP_BIND_ADDRESS_NO_PORT = 24

export const IPPROTO_IPV6 = 41
export const IPV6_V6ONLY = 26
export const IPV6_RECVPKTINFO = 49
export const IPV6_TRANSPARENT = 75
export const IPV6_FREEBIND = 78

export const IPPROTO_TCP = 6
export const TCP_NODELAY = 1
export const TCP_KEEPIDLE = 4
export const TCP_KEEPINTVL = 5
export const TCP_KEEPCNT = 6
export const TCP_USER_TIMEOUT = 18

export const IPPROTO_UDP = 17

export const MSG_DONTWAIT = 0x40
export const MSG_PEEK = 0x2
export const MSG_TRUNC = 0x20
export const MSG_NOSIGNAL = 0x4000
export const MSG_MORE = 0x8000

export const SHUT_WR = 1

export const SPLICE_F_MOVE = 1
export const SPLICE_F_NONBLOCK = 2

export const EPOLLIN = 0x001
export const EPOLLPRI = 0x002
export const EPOLLOUT = 0x004
export const EPOLLERR = 0x008
export const EPOLLHUP = 0x010
export const EPOLLRDHUP = 0x2000
export const EPOLLET = 1 << 31

export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2

export const CLONE_NEWNET = 0x40000000
