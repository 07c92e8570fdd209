"""Installs libtuco into a folder and uses it from there as strangers would: pkg-config, CMake, man.

The tree is installed with DESTDIR and used where it lies, so everything in it must be relative to itself.
TUCO_BUILD is the build folder; CC, CXX choose the compilers of the programs. What this machine lacks is skipped and said.
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("TUCO_BUILD", os.path.join(ROOT, "build"))
CC, CXX = os.environ.get("CC", "gcc"), os.environ.get("CXX", "g++")
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]


def run(*command, **more):
    """The output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"SKIPPED: no {program}")


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tuco-install-")
        stage = os.path.join(cls.folder.name, "stage")
        run("cmake", "--install", BUILD, "--component", "libtuco", "--prefix", "/opt/tuco",
            env={**os.environ, "DESTDIR": stage})
        cls.tree = os.path.join(stage, "opt/tuco")
        found = glob.glob(cls.tree + "/lib*/**/libtuco.so", recursive=True)
        cls.lib = os.path.dirname(found[0]) if found else cls.tree + "/lib"
        cls.include = cls.tree + "/include"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def flags(self, *options):
        need("pkg-config")
        environment = {**os.environ, "PKG_CONFIG_PATH": self.lib + "/pkgconfig"}
        return run("pkg-config", "--cflags", "--libs", *options, "tuco", env=environment).split()

    def prints_42(self, *program):
        out = run(*program, env={**os.environ, "LD_LIBRARY_PATH": self.lib}, timeout=60)
        self.assertEqual(out, "42\n", program)

    def needed(self, program):
        return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program))

    def test_files(self):
        headers = {os.path.relpath(p, ROOT) for p in glob.glob(ROOT + "/include/**/*.h", recursive=True)}
        installed = {os.path.relpath(p, self.tree) for p in glob.glob(self.include + "/**/*", recursive=True)
                     if os.path.isfile(p)}
        self.assertEqual(installed, headers)
        self.assertTrue(os.path.islink(self.lib + "/libtuco.so"))
        soname = re.search(r"\(SONAME\).*\[(.*)\]", run("readelf", "-d", self.lib + "/libtuco.so")).group(1)
        self.assertTrue(os.path.exists(f"{self.lib}/{soname}"), soname)
        for name in ("libtuco.a", "pkgconfig/tuco.pc", "cmake/tuco/tucoConfig.cmake"):
            self.assertTrue(os.path.exists(f"{self.lib}/{name}"), name)

    def test_nothing_names_where_it_was_built(self):
        for name in ["pkgconfig/tuco.pc"] + [f"cmake/tuco/{f}" for f in os.listdir(self.lib + "/cmake/tuco")]:
            with open(f"{self.lib}/{name}", encoding="utf-8") as f:
                text = f.read()
            for place in (ROOT, BUILD, self.folder.name):
                self.assertNotIn(place, text, name)

    def test_pkg_config_shared(self):
        for compiler, source, out in ((CC, "use.c", "c_shared"), (CXX, "use_cc.cc", "cc_shared")):
            need(compiler)
            # Without optimisation: the inline functions of the headers are then called in the library.
            run(compiler, "-O0", *WARNINGS, f"{HERE}/{source}", *self.flags(), "-o", self.path(out))
            self.assertIn("libtuco.so.0", self.needed(self.path(out)))
            self.prints_42(self.path(out))

    def test_pkg_config_static(self):
        need(CC)
        # The linker warns of getaddrinfo in a program without libc.so; that is meant.
        run(CC, "-O2", *WARNINGS, f"{HERE}/use.c", "-static", *self.flags("--static"), "-o", self.path("c_static"))
        self.assertEqual(self.needed(self.path("c_static")), [])
        self.prints_42(self.path("c_static"))

    def test_cmake(self):
        need("cmake", "ninja")
        build = self.path("project")
        run("cmake", "-S", HERE + "/project", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.tree}",
            f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}")
        run("cmake", "--build", build)
        self.assertIn("libtuco.so.0", self.needed(build + "/cc_shared"))
        self.assertNotIn("libtuco.so.0", self.needed(build + "/c_static"))
        self.prints_42(build + "/cc_shared")
        self.prints_42(build + "/c_static")

    def test_dlopen(self):
        need(CC)
        run(CC, *WARNINGS, HERE + "/late.c", "-o", self.path("late"), "-ldl")
        self.prints_42(self.path("late"), self.lib + "/libtuco.so.0")

    def test_each_header_alone_without_a_warning(self):
        names = [os.path.relpath(p, self.include) for p in glob.glob(self.include + "/**/*.h", recursive=True)]
        jobs = []
        # Each header in one standard of each compiler, all of them together in the others.
        for compiler, language, first, others in (("gcc", "c", "gnu11", ("c11", "c17", "gnu17")),
                                                  ("clang", "c", "gnu17", ("c11", "gnu11")),
                                                  ("g++", "c++", "gnu++17", ("c++17", "gnu++20")),
                                                  ("clang++", "c++", "gnu++17", ("c++17",))):
            if not shutil.which(compiler):
                print(f"SKIPPED: no {compiler}")
                continue
            jobs += [(compiler, language, first, name) for name in names]
            jobs += [(compiler, language, standard, "tuco.h") for standard in others]
        self.assertTrue(jobs)

        def compile_alone(job):
            compiler, language, standard, name = job
            command = [compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-fsyntax-only",
                       "-I", self.include, "-"]
            done = subprocess.run(command, input=f"#include <{name}>\n", capture_output=True, text=True)
            return "" if done.returncode == 0 and not done.stderr else f"{job}: {done.stderr}"

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            self.assertEqual([p for p in pool.map(compile_alone, jobs) if p], [])

    def test_programs_compile_without_a_warning(self):
        for compiler, standard, source in (("gcc", "gnu11", "use.c"), ("clang", "gnu11", "use.c"),
                                           ("clang", "gnu17", "use.c"), ("clang++", "gnu++17", "use_cc.cc"),
                                           ("g++", "gnu++20", "use_cc.cc")):
            if shutil.which(compiler):
                run(compiler, f"-std={standard}", *WARNINGS, "-Wshadow", "-I", self.include, "-fsyntax-only",
                    f"{HERE}/{source}")

    def test_man_pages(self):
        pages = glob.glob(self.tree + "/share/man/man[37]/*")
        whole = [p for p in pages if os.path.basename(p).startswith("tuco")]
        headers = glob.glob(ROOT + "/include/tuco/*.h")
        self.assertEqual(len(whole), len(headers) + 1)
        for page in set(pages) - set(whole):
            with open(page, encoding="utf-8") as f:
                target = re.fullmatch(r"\.so (man3/tuco-\w+\.3)\n", f.read()).group(1)
            self.assertTrue(os.path.exists(f"{self.tree}/share/man/{target}"), page)
        linters = [c for c in (["groff", "-ww", "-man", "-z", "-Tutf8"], ["mandoc", "-Tlint", "-Wwarning"])
                   if shutil.which(c[0])]
        if not linters:
            self.skipTest("SKIPPED: neither groff nor mandoc")
        for linter in linters:
            done = subprocess.run(linter + whole, capture_output=True, text=True)
            self.assertEqual((done.stdout + done.stderr, done.returncode), ("", 0), linter)


if __name__ == "__main__":
    unittest.main()
