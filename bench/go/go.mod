module tuco/bench

go 1.22
