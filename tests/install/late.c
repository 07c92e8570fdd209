/* late.c - libtuco.so comes by dlopen: its thread-locals must find room, and it must outlive dlclose. Prints 42. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

static void *library;
static int slept = -1;

/* POSIX wants an object pointer from dlsym to be good as a function pointer; C has no cast that says so. */
static void find(const char *name, void *function)
{
    *(void **)function = dlsym(library, name);
}

static void run(void *arg)
{
    int (*sleep_for)(int64_t);
    find("tu_sleep", &sleep_for);
    if (sleep_for)
        slept = sleep_for(1000000);
}

int main(int count, char **arguments)
{
    int (*start)(const void *, void (*)(void *), void *);
    library = count == 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    find("tu_main", &start);
    if (!start || start(NULL, run, NULL) != 0 || slept != 0)
        return 2;
    if (dlclose(library) != 0 || !dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD))
        return 3;
    printf("42\n");
    return 0;
}
