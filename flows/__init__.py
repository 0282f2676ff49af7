"""Prefect flows: the order of the tasks. Wiring only.

Importing this package sets the offline mode and the log levels of the libraries, unless the user has set them.
"""

from transferline.core.environment import prepare

prepare()
