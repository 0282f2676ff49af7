"""Prefect tasks, one per stage: caching, MLflow run, artifacts. The computation itself lies in the eleven rooms.

Importing this package sets the switches of the libraries, as importing the flows does: some commands need no flow.
"""

from transferline.core.environment import prepare

prepare()
