"""Scripts of the world, as far as the pipeline must tell them apart."""

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
"""pattern of the package `regex`: a character of a script that does not separate words by spaces"""
