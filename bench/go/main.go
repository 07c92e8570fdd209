// Command bench does in Go what bench/runtime does with libtuco, function by function and with the same counts,
// so that bench/run-runtime can divide the figures.
//
//	bench NAME COUNT               a tenth of COUNT to warm up, then COUNT measured: ns=... [extra=...]
//	bench echo_server PORT         an echo server with a goroutine for each connection
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

var benches = map[string]func(count int) time.Duration{
	"start_finish":    startFinish,
	"start_one":       startOne,
	"yield":           yield,
	"skynet":          skynet,
	"parked":          parked,
	"parked_again":    parkedAgain,
	"sleep_many":      sleepMany,
	"ping_pong":       pingPong,
	"buffered":        buffered,
	"buffered_alone":  bufferedAlone,
	"many_to_many":    manyToMany,
	"select":          selectThree,
	"sieve":           sieve,
	"fan_in":          fanIn,
	"mutex_alone":     mutexAlone,
	"mutex_contended": mutexContended,
	"timer":           timerStartStop,
	"context":         contextCancel,
	"echo":            echo,
}

// A second figure of the run, for those that have one.
var extra float64

func main() {
	if len(os.Args) != 3 {
		fail("usage: bench NAME COUNT")
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fail(err)
	}
	if os.Args[1] == "echo_server" {
		serveEcho(listen(count))
		return
	}
	if run, known := gcBenches[os.Args[1]]; known {
		fmt.Printf("ns=%.2f\n", run(count))
		return
	}
	run, known := benches[os.Args[1]]
	if !known {
		fail("no such benchmark: " + os.Args[1])
	}
	if count >= 10 {
		run(count / 10)
	}
	took := run(count)
	fmt.Printf("ns=%.2f", float64(took.Nanoseconds())/float64(count))
	if extra != 0 {
		fmt.Printf(" extra=%.2f", extra)
	}
	fmt.Println()
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, "bench:", what)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	check(err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	check(err)
	return float64(pages * os.Getpagesize())
}

func startFinish(count int) time.Duration {
	var group sync.WaitGroup
	start := time.Now()
	for i := 0; i < count; i++ {
		group.Add(1)
		go group.Done()
		if i%1000 == 999 {
			group.Wait()
		}
	}
	group.Wait()
	return time.Since(start)
}

func startOne(count int) time.Duration {
	c := make(chan int, 1)
	start := time.Now()
	for i := 0; i < count; i++ {
		go func() { c <- 1 }()
		<-c
	}
	return time.Since(start)
}

func yield(count int) time.Duration {
	start := time.Now()
	for i := 0; i < count; i++ {
		runtime.Gosched()
	}
	return time.Since(start)
}

func skynetNode(out chan int, num, size int) {
	if size == 1 {
		out <- num
		return
	}
	children := make(chan int)
	for i := 0; i < 10; i++ {
		go skynetNode(children, num+i*(size/10), size/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	out <- sum
}

func skynet(count int) time.Duration {
	start := time.Now()
	for i := 0; i < count; i++ {
		c := make(chan int)
		go skynetNode(c, 0, 1000000)
		if <-c != 499999500000 {
			fail("skynet: wrong sum")
		}
	}
	return time.Since(start)
}

func parked(count int) time.Duration {
	quit := make(chan int)
	runtime.GC()
	before := residentBytes()
	start := time.Now()
	for i := 0; i < count; i++ {
		go func() { <-quit }()
	}
	runtime.Gosched()
	counting := time.Now()
	extra = (residentBytes() - before) / float64(count)
	aside := time.Since(counting)
	close(quit)
	for runtime.NumGoroutine() > 10 {
		runtime.Gosched()
	}
	return time.Since(start) - aside
}

func parkedAgain(count int) time.Duration {
	parked(count)
	took := parked(count)
	extra = 0
	return took
}

func sleepMany(count int) time.Duration {
	var group sync.WaitGroup
	start := time.Now()
	for i := 0; i < count; i++ {
		group.Add(1)
		go func() {
			time.Sleep(time.Millisecond)
			group.Done()
		}()
	}
	group.Wait()
	return time.Since(start)
}

func pingPong(count int) time.Duration {
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
		close(back)
	}()
	start := time.Now()
	for i := 0; i < count; i++ {
		there <- i
		<-back
	}
	took := time.Since(start)
	close(there)
	return took
}

func buffered(count int) time.Duration {
	c := make(chan int, 128)
	start := time.Now()
	go func() {
		for i := 0; i < count; i++ {
			c <- i
		}
		close(c)
	}()
	got := 0
	for range c {
		got++
	}
	if got != count {
		fail("buffered: values lost")
	}
	return time.Since(start)
}

func bufferedAlone(count int) time.Duration {
	c := make(chan int, 128)
	start := time.Now()
	for i := 0; i < count; i++ {
		c <- i
		<-c
	}
	return time.Since(start)
}

func manyToMany(count int) time.Duration {
	c := make(chan int, 100)
	var producers, consumers sync.WaitGroup
	start := time.Now()
	for i := 0; i < 4; i++ {
		consumers.Add(1)
		go func() {
			for range c {
			}
			consumers.Done()
		}()
	}
	for i := 0; i < 4; i++ {
		producers.Add(1)
		go func() {
			for k := 0; k < count/4; k++ {
				c <- k
			}
			producers.Done()
		}()
	}
	producers.Wait()
	close(c)
	consumers.Wait()
	return time.Since(start)
}

func sieve(count int) time.Duration {
	start := time.Now()
	in := make(chan int)
	go func(out chan int) {
		for i := 2; ; i++ {
			out <- i
		}
	}(in)
	for i := 0; i < count; i++ {
		prime := <-in
		out := make(chan int)
		go func(in, out chan int) {
			for v := range in {
				if v%prime != 0 {
					out <- v
				}
			}
		}(in, out)
		in = out
	}
	return time.Since(start)
}

func fanIn(count int) time.Duration {
	c := make(chan int)
	var producers sync.WaitGroup
	start := time.Now()
	for i := 0; i < 8; i++ {
		producers.Add(1)
		go func() {
			for k := 0; k < count/8; k++ {
				c <- k
			}
			producers.Done()
		}()
	}
	for i := 0; i < count/8*8; i++ {
		<-c
	}
	producers.Wait()
	return time.Since(start)
}

func selectThree(count int) time.Duration {
	c, d, quit := make(chan int), make(chan int), make(chan int)
	start := time.Now()
	for _, data := range []chan int{c, d} {
		go func(data chan int) {
			for i := 0; i < count/2; i++ {
				data <- i
			}
			quit <- 1
		}(data)
	}
	got := 0
	for ended := 0; ended < 2; {
		select {
		case <-c:
			got++
		case <-d:
			got++
		case <-quit:
			ended++
		}
	}
	if got != count/2*2 {
		fail("select: values lost")
	}
	return time.Since(start)
}

func mutexAlone(count int) time.Duration {
	var m sync.Mutex
	start := time.Now()
	for i := 0; i < count; i++ {
		m.Lock()
		m.Unlock() //nolint:staticcheck // an empty critical section is the point
	}
	return time.Since(start)
}

var shared struct {
	sync.Mutex
	_     [64]byte
	value int
}

func mutexContended(count int) time.Duration {
	procs := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	start := time.Now()
	for i := 0; i < procs; i++ {
		group.Add(1)
		go func() {
			for k := 0; k < count/procs; k++ {
				shared.Lock()
				shared.value++
				shared.Unlock()
			}
			group.Done()
		}()
	}
	group.Wait()
	return time.Since(start)
}

func timerStartStop(count int) time.Duration {
	start := time.Now()
	for i := 0; i < count; i++ {
		time.AfterFunc(time.Hour, func() {}).Stop()
	}
	return time.Since(start)
}

func contextCancel(count int) time.Duration {
	start := time.Now()
	for i := 0; i < count; i++ {
		_, cancel := context.WithCancel(context.Background())
		cancel()
	}
	return time.Since(start)
}

func listen(port int) net.Listener {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	check(err)
	return l
}

func serveEcho(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buffer := make([]byte, 4096)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				if _, err := conn.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func echo(count int) time.Duration {
	const connections, size = 50, 32
	l := listen(0)
	defer l.Close()
	go serveEcho(l)
	var group sync.WaitGroup
	start := time.Now()
	for i := 0; i < connections; i++ {
		conn, err := net.Dial("tcp", l.Addr().String())
		check(err)
		group.Add(1)
		go func() {
			defer group.Done()
			defer conn.Close()
			in := bufio.NewReader(conn)
			message := make([]byte, size)
			for k := 0; k < count/connections+1; k++ {
				_, err := conn.Write(message)
				check(err)
				_, err = io.ReadFull(in, message)
				check(err)
			}
		}()
	}
	group.Wait()
	return time.Since(start)
}
