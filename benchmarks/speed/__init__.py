"""Speed against the scripts that people use today; `make bench` runs it all, each module one row or two of the table."""
