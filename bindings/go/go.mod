module stent

go 1.19
