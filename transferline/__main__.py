"""`python -m transferline`: the same command as `transferline`."""

from transferline.cli.main import main

main()
