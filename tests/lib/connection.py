"""A client of the tests: one blocking socket and a reply parser, nothing that hides the bytes."""
import socket
import time

from . import resp


class Closed(Exception):
    """The server closed the connection."""


class Error(Exception):
    """An error reply, raised by call()."""


class Connection:
    def __init__(self, address, protocol=2, timeout=20.0, receive_buffer=None):
        """address: (host, port), or the path of a unix socket."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser = resp.Parser()
        self.protocol = 2
        if protocol == 3:
            self.command(b"HELLO", b"3")
            self.protocol = 3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST, as a client that crashed does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, timeout=None):
        """The next reply. Closed at the end of the stream, socket.timeout when none comes."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            reply = self.parser.next()
            if reply is not None:
                return reply
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise socket.timeout("no reply within %.3f s" % timeout)
                self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 18)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            finally:
                if deadline is not None:
                    self.socket.settimeout(20.0)
            if not data:
                raise Closed("closed; %r left unparsed" % self.parser.pending()[:80])
            self.parser.feed(data)

    def command(self, *words):
        """Sends a command and returns its reply as the parser gives it."""
        self.send(resp.encode([_bytes(w) for w in words]))
        return self.read()

    def call(self, *words):
        """The same in plain Python values; an error reply is raised."""
        return plain(self.command(*words))

    def closed_within(self, seconds):
        """True if the server closes within the time; whatever it sends before is dropped."""
        self.socket.settimeout(seconds)
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                if not self.socket.recv(1 << 18):
                    return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        except socket.timeout:
            pass
        return False


def _bytes(word):
    if isinstance(word, bytes):
        return word
    return str(word).encode()


def plain(reply):
    kind, value = reply
    if kind == "-":
        raise Error(value.decode("latin-1"))
    if kind == "%":
        return {plain(k): plain(v) for k, v in value}
    if kind in "*~>" and value is not None:
        return [plain(v) for v in value]
    if kind == "=":
        return value[1]
    if kind == ",":
        return float(value)
    return value
