/**
 * A program for perl(1): opens the listening sockets named by the first word ("udp:" in front: UDP), passes them as a
 * service manager does, and becomes the rest.
 */
export const PASS_SOCKETS = `
use IO::Socket::INET; use POSIX; $^F = 63;
my @sockets = map {
  (s/^udp:// ? IO::Socket::INET->new(LocalAddr => $_, Proto => 'udp')
    : IO::Socket::INET->new(LocalAddr => $_, Listen => 100, ReuseAddr => 1)) or die "$_: $@"
} split /,/, shift;
POSIX::dup2(fileno($sockets[$_]), 20 + $_) for 0..$#sockets;
POSIX::dup2(20 + $_, 3 + $_) for 0..$#sockets;
$ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = @sockets; exec @ARGV or die $!;
`
