#!/usr/bin/env python3
"""gdb_test.py PROGRAM SCRIPT: scripts/tuco-gdb.py lists goroutines and walks parked and running ones.

Exit status 77: gdb is not here, or may not trace a process."""
import re
import shutil
import subprocess
import sys

program, script = sys.argv[1:]
if shutil.which("gdb") is None:
    print("skipped: no gdb here")
    sys.exit(77)

COMMANDS = ["set pagination off", "set width 0", "set debuginfod enabled off", "break look_here", "run",
            "source " + script, "info goroutines", "echo ----all\\n", "goroutine all bt",
            "echo ----one\\n", "goroutine 999999 bt", "echo ----bad\\n", "goroutine nonsense", "kill"]
done = subprocess.run(["gdb", "--batch", "-nx"] + [w for c in COMMANDS for w in ("-ex", c)] + [program],
                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                      errors="replace", timeout=100)
text = done.stdout
if re.search("ptrace: Operation not permitted|Could not trace the inferior", text):
    print("skipped: gdb may not trace here")
    sys.exit(77)

failures = []


def check(good, what):
    if not good:
        failures.append(what)


listing, _, rest = text.partition("----all\n")
alls, _, rest = rest.partition("----one\n")
one, _, bad = rest.partition("----bad\n")
check(re.search(r'^\* \d+ "main"  \[running on thread \d+\]', listing, re.M), "main runs")
check(re.search(r'^  \d+ "deep"  \[chan receive\]  started at .*parked_program\.c:\d+ \(waiter\)$', listing, re.M),
      "the named one waits")
check(len(re.findall(r"\[chan receive\]", listing)) == 2, "two wait")
deep = alls.partition('"deep"')[2].partition("started at ")[2].partition("started at ")[0]
frames = re.findall(r"^#\d+ .*?(?: in )?(\w+) \(", deep, re.M)
check(frames[:1] == ["tu__leave"] and frames.count("wait_at_depth") == 4 and "waiter" in frames,
      "frames of the deep one: %s" % frames)
check("goroutine_main" in frames, "its first frame")
check("look_here" in alls.partition('"main"')[2], "frames of the running one")
check("there is no goroutine 999999" in one, "one that is not there")
check("goroutine N bt, or goroutine all bt" in bad, "usage")
check("Traceback" not in text and "Python Exception" not in text, "no exception")
if failures:
    print(text)
    print("failed: " + "; ".join(failures))
    sys.exit(1)
print("goroutines in gdb: ok")
