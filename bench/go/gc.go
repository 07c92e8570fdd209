package main

import "time"

// What bench/gc/gc_bench.c does, for bench/run-gc.

func init() {
	gcBenches["trees"] = gcTrees
	gcBenches["objects"] = gcObjects
	gcBenches["graph"] = func(count int) float64 { return gcGraph(count, true) }
	gcBenches["stores"] = func(count int) float64 { return gcGraph(count, false) }
	gcBenches["young"] = gcYoung
}

// Each gives the nanoseconds of an operation.
var gcBenches = map[string]func(count int) float64{}

type tree struct{ left, right *tree }

func makeTree(depth int) *tree {
	t := new(tree)
	if depth > 0 {
		t.left = makeTree(depth - 1)
		t.right = makeTree(depth - 1)
	}
	return t
}

func countTree(t *tree) int {
	if t.left == nil {
		return 1
	}
	return 1 + countTree(t.left) + countTree(t.right)
}

func perOperation(start time.Time, count int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(count)
}

func gcTrees(depth int) float64 {
	start := time.Now()
	nodes := countTree(makeTree(depth + 1))
	lasting := makeTree(depth)
	for d := 4; d <= depth; d += 4 {
		rounds := 1 << (depth - d + 4)
		for i := 0; i < rounds; i++ {
			nodes += countTree(makeTree(d))
		}
	}
	nodes += countTree(lasting)
	return perOperation(start, nodes)
}

type object struct {
	next, other *object
	a, b        uint64
}

func gcObjects(count int) float64 {
	const kept = 1 << 16
	all := make([]*object, kept)
	start := time.Now()
	for i := 0; i < count; i++ {
		o := new(object)
		o.a = uint64(i)
		if before := all[(i*7)%kept]; before != nil && i%4 == 0 {
			o.next = before
		}
		all[i%kept] = o
		if o.next != nil {
			o.next.next = nil
		}
	}
	return perOperation(start, count)
}

type node struct {
	neighbours [4]*node
	value      uint64
}

func random(seed *uint64) uint64 {
	*seed ^= *seed << 13
	*seed ^= *seed >> 7
	*seed ^= *seed << 17
	return *seed >> 8
}

func gcGraph(count int, renew bool) float64 {
	const nodes = 1000000
	seed := uint64(4711)
	all := make([]*node, nodes)
	for i := range all {
		all[i] = &node{value: uint64(i)}
	}
	for i := range all {
		for k := range all[i].neighbours {
			all[i].neighbours[k] = all[random(&seed)%nodes]
		}
	}
	start := time.Now()
	for i := 0; i < count; i++ {
		r := random(&seed)
		from, to := r%nodes, (r>>20)%nodes
		if renew && i%8 == 0 {
			n := &node{value: uint64(i)}
			for k := range n.neighbours {
				n.neighbours[k] = all[(to+uint64(k)*1000)%nodes]
			}
			all[from] = n
		} else {
			all[from].neighbours[(r>>40)%4] = all[to]
		}
	}
	return perOperation(start, count)
}

func gcYoung(count int) float64 {
	const olds = 2000000
	seed := uint64(12)
	old := make([]*object, olds)
	for i := range old {
		old[i] = new(object)
		if i > 0 {
			old[i].other = old[random(&seed)%uint64(i)]
		}
	}
	start := time.Now()
	var last *object
	for i := 0; i < count; i++ {
		o := &object{a: uint64(i)}
		if i%100 != 0 {
			o.next = last
		}
		o.other = old[i%olds]
		last = o
	}
	if last == nil {
		fail("nothing was made")
	}
	return perOperation(start, count)
}
