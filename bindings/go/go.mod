module github.com/stent-dev/stent/bindings/go

go 1.23
