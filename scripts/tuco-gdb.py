"""tuco-gdb.py - goroutines for gdb: a running program, or its core file.

    (gdb) source scripts/tuco-gdb.py
    (gdb) info goroutines            number, what it does, name, start, one a line
    (gdb) goroutine 18 bt            backtrace of goroutine 18; "full" and other words go to bt as well
    (gdb) goroutine all bt           of every one

Needs libtuco's debug information (it is compiled with -g; do not strip). Goroutines are found in the slots of
goroutine.c. One that is parked has its callee-saved registers on top of its stack, as context_switch.S pushed
them; an unwinder of ours presents them to gdb as the caller of the frame in which the selected thread stands, so
gdb goes on from there with all it knows, also in a core file, where no register can be set. One that runs is
the innermost part of its thread's stack: "goroutine N bt" switches to that thread.
"""
import gdb
import gdb.unwinder

STATES = {
    0: "runnable", 1: "sleep", 2: "chan send", 3: "chan receive", 4: "select", 5: "mutex", 6: "wait group",
    7: "condition", 8: "context", 9: "nothing, for ever", 10: "rwmutex (read)", 11: "rwmutex (write)", 12: "scope",
    13: "read", 14: "write", 15: "address lookup", 16: "file", 17: "blocking call", 18: "semaphore", 19: "host's loop",
}
# Where context_switch.S leaves what, in bytes from the saved stack pointer; and how much it takes in all.
SAVED = {
    "x86-64": ({"r15": 0, "r14": 8, "r13": 16, "r12": 24, "rbx": 32, "rbp": 40, "rip": 48}, 56, "rip", "rsp"),
    "aarch64": (dict([("x%d" % (19 + i), 8 * i) for i in range(11)] + [("x30", 88), ("pc", 88)]), 160, "pc", "sp"),
}


def value(text):
    return gdb.parse_and_eval(text)


def plain(v):
    """A number out of what may be _Atomic."""
    return int(v)


def architecture():
    name = gdb.selected_inferior().architecture().name()
    return "aarch64" if "aarch64" in name else "x86-64"


def wait_names():
    """The enumeration itself, where debug information has it: this table may be older than the program."""
    names = dict(STATES)
    try:
        for field in gdb.lookup_type("enum tu__wait").fields():
            names.setdefault(field.enumval, field.name.replace("TU__WAIT_", "").lower().replace("_", " "))
    except gdb.error:
        pass
    return names


class Goroutine:
    def __init__(self, g):
        self.g = g
        self.id = int(g["id"])
        self.sp = int(g["sp"])
        self.wait = plain(g["wait"]) & 255
        self.alive = bool(g["alive"])
        self.name = g["name"].string(errors="replace")
        self.thread = None

    def state(self, names):
        if self.thread is not None:
            return "running on thread %d" % self.thread
        return names.get(self.wait, "waiting")

    def start(self):
        site = self.g["site"]
        if int(site) == 0:
            return ""
        return "%s:%d (%s)" % (site["file"].string(), int(site["line"]), site["name"].string())


def running():
    """Address of a struct g -> the kernel's number of the thread that runs it."""
    out = {}
    m = value("tu__sched.all_ms")
    m = m.cast(gdb.lookup_type("struct m").pointer())
    while int(m) != 0:
        if int(m["g"]) != 0:
            out[int(m["g"])] = int(m["thread_id"])
        m = m["all_next"]
    return out


def goroutines():
    """All that are alive or serve a connection, in the order of their slots."""
    stacks = value("'goroutine.c'::stacks")
    size = int(stacks["slot_size"])
    g_type = gdb.lookup_type("struct g")
    g_bytes = (g_type.sizeof + 63) & ~63
    colors = int(value("'goroutine.c'::COLORS"))
    color_bytes = int(value("'goroutine.c'::COLOR_BYTES"))
    threads = running()
    for arena in range(plain(stacks["arena_count"])):
        base = int(stacks["arena"][arena])
        for index in range(plain(stacks["used"][arena])):
            slot = base + index * size
            address = slot + size - g_bytes - slot // size % colors * color_bytes
            g = Goroutine(gdb.Value(address).cast(g_type.pointer()).dereference())
            g.thread = threads.get(address)
            if g.alive or g.wait != 0 or g.thread is not None:
                yield g


class Unwinder(gdb.unwinder.Unwinder):
    """While `sp` is set: the innermost frame of the selected thread was called by the goroutine that is saved there."""

    def __init__(self):
        super().__init__("tuco goroutine")
        self.sp = 0
        self.at = None

    def __call__(self, pending):
        if not self.sp:
            return None
        offsets, size, pc_name, sp_name = SAVED[architecture()]
        pc, sp = pending.read_register(pc_name), pending.read_register(sp_name)
        here = (int(pc), int(sp))
        if self.at is None:
            self.at = here
        if here != self.at:
            return None
        word = gdb.lookup_type("unsigned long")
        info = pending.create_unwind_info(FrameId(gdb.Value(self.sp).cast(word), pc))
        for name, offset in offsets.items():
            info.add_saved_register(name, gdb.Value(self.sp + offset).cast(word.pointer()).dereference())
        info.add_saved_register(sp_name, gdb.Value(self.sp + size).cast(word))
        return info


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


UNWINDER = Unwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def backtrace(g, words):
    if g.thread is not None:
        for thread in gdb.selected_inferior().threads():
            if thread.ptid[1] == g.thread:
                thread.switch()
                gdb.execute("bt " + words)
                return
        print("its thread %d is not there" % g.thread)
        return
    gdb.execute("frame 0", to_string=True)
    UNWINDER.sp, UNWINDER.at = g.sp, None
    try:
        gdb.invalidate_cached_frames()
        text = gdb.execute("bt " + words, to_string=True)
    finally:
        UNWINDER.sp = 0
        gdb.invalidate_cached_frames()
    # Frame 0 is the thread's own.
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if line.startswith("#1 ")), len(lines))
    print("\n".join(lines[first:]).rstrip("\n"))


class InfoGoroutines(gdb.Command):
    """List all goroutines: number, state, name, where started."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        names = wait_names()
        for g in goroutines():
            print(line_of(g, names))


def line_of(g, names):
    name = ' "%s"' % g.name if g.name else ""
    if not g.alive:
        return "  a tu_serve handler  [%s]" % g.state(names)
    return "%s %d%s  [%s]  started at %s" % ("*" if g.thread is not None else " ", g.id, name, g.state(names), g.start())


class GoroutineCommand(gdb.Command):
    """goroutine N bt [words], goroutine all bt [words]: backtraces of goroutines."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 2)
        if len(words) < 2 or words[1] not in ("bt", "backtrace") or not (words[0] == "all" or words[0].isdigit()):
            raise gdb.GdbError("goroutine N bt, or goroutine all bt")
        names, found = wait_names(), False
        before = gdb.selected_thread()
        for g in goroutines():
            if words[0] != "all" and (not g.alive or g.id != int(words[0])):
                continue
            found = True
            print(line_of(g, names))
            try:
                backtrace(g, words[2] if len(words) > 2 else "")
            finally:
                if before is not None:
                    before.switch()
        if not found:
            print("there is no goroutine %s" % words[0])


InfoGoroutines()
GoroutineCommand()
