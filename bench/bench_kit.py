"""bench_kit - what the run-* scripts share: children, servers, medians, the table, the machine's name."""
import os
import platform
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOAD = os.path.join(ROOT, "build/bench/load")
GO_BIN = os.path.join(ROOT, "build/bench/go_bench")


def find_go(command):
    """Builds bench/go with the given toolchain; True if there is one."""
    command = shlex.split(command) if command else ["go"] if shutil.which("go") else None
    if not command:
        return False
    # The toolchain may see other folders than we do: it reads and writes below /tmp.
    folder = f"/tmp/tuco-bench-go-{os.getpid()}"
    shutil.copytree(os.path.join(ROOT, "bench/go"), folder)
    done = subprocess.run(command + ["build", "-C", folder, "-o", folder + "/bench", "."], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} build: {done.stdout}")
    shutil.copy(folder + "/bench", GO_BIN)
    shutil.rmtree(folder)
    version = subprocess.run(command + ["version"], stdout=subprocess.PIPE, text=True).stdout.split()
    return version[2] if len(version) > 2 else "go"


class Child:
    """A background program that ends with the block; its output goes to a file that is shown if it fails."""

    def __init__(self, command, cores=None, env=None, stdin=None, stdout=None):
        if cores is not None:
            command = ["taskset", "-c", cores] + command
        self.command = command
        self.process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdin=stdin or subprocess.DEVNULL,
                                        stdout=stdout or subprocess.DEVNULL, stderr=subprocess.STDOUT
                                        if stdout is None else None)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, child, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if child.process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"does not answer on port {port}: {shlex.join(child.command)}")


def pairs(text):
    """name=value words of a line, as floats."""
    return {k: float(v) for k, v in (w.split("=", 1) for w in text.split() if "=" in w)}


def run(command, cores=None, env=None):
    if cores is not None:
        command = ["taskset", "-c", cores] + command
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **(env or {})})
    if done.returncode:
        sys.exit(f"failed ({done.returncode}): {shlex.join(command)}\n{done.stdout}")
    return done.stdout


def rss_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def median(values):
    return statistics.median(values)


def scaled(value, units):
    """Three significant digits in the first of (from this size on, size of the unit, its name) that fits."""
    if value is None:
        return "-"
    size, name = next(((size, name) for least, size, name in units if abs(value) >= least), units[-1][1:])
    value /= size
    return (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}") + f" {name}".rstrip()


def number(value):
    return scaled(value, [(1e6, 1e6, "M"), (1e4, 1e3, "k"), (0, 1, "")])


def duration(ns):
    return scaled(ns, [(1e9, 1e9, "s"), (1e7, 1e6, "ms"), (1e4, 1e3, "us"), (0, 1, "ns")])


def verdict(ratio, target, at_least):
    if ratio is None or target is None:
        return ""
    return "yes" if (ratio >= target if at_least else ratio <= target) else "**no**"


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True).stdout.strip()
    return (f"{time.strftime('%Y-%m-%d')}, commit {commit or '?'}, {model}, {os.cpu_count()} cores, "
            f"Linux {platform.release()}")


def table(header, rows):
    widths = [max(len(str(r[i])) for r in [header] + rows) for i in range(len(header))]
    lines = ["| " + " | ".join(str(c).ljust(w) for c, w in zip(r, widths)) + " |" for r in [header] + rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


class Server(Child):
    """A Redis-compatible server with nothing on disk."""

    def __init__(self, command, cores=None):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory()
        super().__init__(shlex.split(command) + ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                                 "--appendonly", "no", "--maxclients", "20000", "--daemonize", "no"],
                         cores=cores)
        wait_for_port(self.port, self)
        self.pid = int(self.info("process_id"))  # the command may be a wrapper

    def call(self, *words):
        """The first line of a reply, or the whole of a bulk string."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as s:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            f = s.makefile("rb")
            head = f.readline()
            return f.read(int(head[1:])).decode() if head[:1] in b"$=" else head.decode().strip()

    def pipeline(self, commands):
        """Sends many commands at once and reads their replies, which must be of one line or one bulk string."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as s:
            s.sendall(b"".join(b"*%d\r\n" % len(c) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in c)
                               for c in commands))
            f = s.makefile("rb")
            for command in commands:
                head = f.readline()
                if head[:1] in b"-":
                    sys.exit(f"{shlex.join(self.command)}: {command[0]}: {head.decode().strip()}")
                if head[:1] in b"$=":
                    f.read(int(head[1:]) + 2)

    def info(self, field, default=None):
        for line in self.call("INFO").split("\r\n"):
            if line.startswith(field + ":"):
                return line.split(":", 1)[1]
        if default:
            return default
        sys.exit(f"INFO has no {field}: {shlex.join(self.command)}")


def peer_name(command):
    """What the peer says it is; its command line is a matter of this machine."""
    if not command:
        return "no peer"
    with Server(command) as server:
        name = server.info("server_name", "redis")
        arguments = " ".join(a for a in shlex.split(command) if a.startswith("--") or a.isdigit())
        return f"peer: {name} {server.info(name + '_version')} {arguments}".rstrip()
