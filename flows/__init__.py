"""The DAG: what runs, in which order. Wiring only.

Importing this package sets the quiet and offline switches of the libraries below, unless the user has set them.
"""

from transferline.core.environment import prepare

prepare()
