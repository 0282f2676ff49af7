"""Every method of transfer, one a file, by what it carries over."""
