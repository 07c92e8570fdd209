"""Starts and stops the server under test.

The program is TUCO_SERVER (a command line; default: build/tuco-server beside these tests). Another
server of the same protocol can stand in for it, which is how the tests themselves are checked:
TUCO_SERVER=/usr/bin/valkey-server tests/server/limits.py.

A server lives in a folder of its own under TMPDIR, with its log in `log`; stop() ends it with SIGTERM
and demands exit status 0 and a log without a crash or sanitizer report.
"""
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .connection import Connection

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY = "Ready to accept connections"
TROUBLE = re.compile(
    r"BUG REPORT|Sanitizer|runtime error:|assert|check failed|fatal error|deadlock|stack overflow|goroutine \d+ \[",
    re.I)


def program():
    return shlex.split(os.environ.get("TUCO_SERVER", os.path.join(ROOT, "build", "tuco-server")))


def available():
    first = program()[0]
    return shutil.which(first) is not None


def is_tuco():
    """False while another server stands in: for the few expectations that are ours alone."""
    return os.path.basename(program()[-1]).startswith("tuco")


def sanitized():
    """True under ASan or TSan: memory and time limits do not apply."""
    return bool(os.environ.get("TUCO_SANITIZED"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Failed(Exception):
    pass


class Server:
    def __init__(self, *arguments, config=None, files=None, wait=True, folder=None, port=None,
                 defaults=True):
        """arguments: directives for the command line ("--maxclients", 10). config: text of a file."""
        self.folder = folder or tempfile.mkdtemp(prefix="tuco-test-")
        self.own_folder = folder is None
        self.port = port if port is not None else free_port()
        self.files = files
        self.log_path = os.path.join(self.folder, "log")
        self.config_path = None
        command = program()
        if config is not None:
            self.config_path = os.path.join(self.folder, "tuco.conf")
            with open(self.config_path, "w") as out:
                out.write(config)
            command.append(self.config_path)
        if defaults:
            command += ["--port", str(self.port), "--dir", self.folder, "--save", ""]
            command += ["--enable-debug-command", "local"]
        command += [str(a) for a in arguments]
        self.command_line = command
        self.log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log_file,
                                        stderr=subprocess.STDOUT, preexec_fn=self._limits)
        self.ended = False
        if wait:
            self.wait_ready()

    def _limits(self):
        if self.files:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, max(self.files, 0) if self.files < 4096 else hard))

    def wait_ready(self, timeout=30.0):
        deadline = time.monotonic() + timeout
        while READY not in self.log():
            if self.process.poll() is not None:
                raise Failed("server ended with %s before it was ready:\n%s" % (self.process.returncode, self.log()))
            if time.monotonic() > deadline:
                self.kill()
                raise Failed("server not ready after %.0f s:\n%s" % (timeout, self.log()))
            time.sleep(0.005)

    def log(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode("latin-1")

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def connect(self, protocol=2, **options):
        return Connection(self.address, protocol, **options)

    def wait_exit(self, timeout=10.0):
        """The exit status, as subprocess has it: negative for a signal."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed("server still there after %.1f s; log:\n%s" % (timeout, self.log()[-3000:])) from None

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self, expect=0):
        """Ends it politely; raises if it did not end well. May be called twice."""
        if self.ended:
            return
        self.ended = True
        try:
            died = self.process.poll() is not None
            if not died:
                self.process.send_signal(signal.SIGTERM)
            try:
                status = self.wait_exit(20.0)
            except Failed:
                self.kill()
                raise
            log = self.log()
            if status != expect or (died and expect == 0 and READY in log and "bye bye" not in log):
                raise Failed("exit status %s%s; log:\n%s" % (status, ", on its own" if died else "", log[-6000:]))
            trouble = TROUBLE.search(log)
            if trouble:
                raise Failed("%r in the log:\n%s" % (trouble.group(0), log[-8000:]))
        finally:
            self.kill()
            self.log_file.close()
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.ended = True
            self.kill()
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    # what the kernel says about it
    def memory(self):
        """Resident bytes."""
        with open("/proc/%d/statm" % self.pid) as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))
