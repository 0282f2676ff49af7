"""Speed compared with common training scripts. `make bench` runs most modules. Each measures some rows of benchmarks/README.md."""
