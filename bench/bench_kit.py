"""bench_kit - what run-runtime and run-server share: children, medians, the table, the machine's name."""
import os
import platform
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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
