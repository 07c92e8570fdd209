// use_cc.cc - the same from C++: a class of its own named like a function inside libtuco. Prints 42.
#include <cstdio>
#include <tuco.h>

class number_parse_int64 {
  public:
    int value = 20;
};

static int sum = 0;
static tu_mutex mutex;

static void add(int n)
{
    tu_mutex_lock(&mutex);
    sum += n;
    tu_mutex_unlock(&mutex);
}

static void run(void *)
{
    tu_chan(int) c = tu_make_chan(int, 1);
    tu_scope(s) {
        (void)tu_scope_go(&s, add, 2);
        (void)tu_scope_go(&s, add, 5);
    }
    if (tu_send(c, 15) == 0) {
        tu_select() {
            tu_on_recv(c, v) {
                add(v);
            }
        }
    }
    tu_free_chan(c);
}

int main()
{
    if (tu_main(nullptr, run, nullptr) != 0)
        return 1;
    std::printf("%d\n", sum + number_parse_int64().value);
    return 0;
}
