"""Run stages on a Ray cluster through prefect-ray, with `num_gpus` for each stage.

Ray runs every GPU task in its own process with CUDA_VISIBLE_DEVICES set. If the process dies, Ray starts the task again on
another worker. Requires `pip install transferline[ray]` and a Prefect server that the nodes can reach.
"""

from __future__ import annotations

import os
from typing import Any

from transferline.core.errors import InputError
from transferline.core.project import root, store

# prefixes of the environment variables that Ray's workers get
PASSED_ON = ("TRANSFERLINE_", "MLFLOW_", "PREFECT_", "HF_", "TRANSFORMERS_", "AWS_", "DVC_", "OMP_NUM_THREADS")


def open_ray(gpus: float, insist: bool) -> Any:
    """A RayTaskRunner on the cluster of TRANSFERLINE_RAY_ADDRESS, or on a new one on this machine.

    With `insist` (device cuda) a cluster without GPUs is refused, otherwise its CPUs are used. Raises InputError if Ray is
    not installed, no Prefect server is configured, or a stage requests more GPUs than the cluster has.
    """
    try:
        import ray
        from prefect_ray import RayTaskRunner
    except ImportError as error:
        raise InputError("placement ray", "Ray is not installed", "pip install 'transferline[ray]'") from error
    if not os.environ.get("PREFECT_API_URL"):
        mend = "Start one (`transferline serve`) and set PREFECT_API_URL"
        raise InputError("placement ray", "its workers need a Prefect server that they can reach", mend)
    address = os.environ.get("TRANSFERLINE_RAY_ADDRESS")
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    passed |= {"TRANSFERLINE_ROOT": str(root()), "TRANSFERLINE_PLACEMENT": "ray"}
    if "://" not in os.environ.get("TRANSFERLINE_STORE", ""):
        passed["TRANSFERLINE_STORE"] = str(store())
    options: dict[str, Any] = {"runtime_env": {"env_vars": passed}, "log_to_driver": True}
    if not address:
        declared = os.environ.get("TRANSFERLINE_GPU_SLOTS", "")
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        if declared.isdecimal():
            options["num_gpus"] = int(declared)
    if not ray.is_initialized():
        ray.init(address or None, namespace="prefect", **options)
    available = ray.cluster_resources().get("GPU", 0.0)
    # refuse now: Ray itself would wait for ever for resources that the cluster does not have
    if gpus > available and (insist or available or gpus > 1):
        mend = "Request fewer (TRANSFERLINE_GPUS_PER_STAGE), choose device cpu, or add GPU nodes"
        raise InputError("placement ray", f"a stage requests {gpus:g} GPUs, the cluster has {available:g}", mend)
    return RayTaskRunner(address=address)


def remote(gpu: bool, gpus: float, starts: int) -> Any:
    """Context manager with the Ray options for the submission of one stage."""
    import ray
    from prefect_ray.context import remote_options

    available = ray.cluster_resources().get("GPU", 0.0)
    wanted = gpus if gpu and available else 0
    # Ray restarts the task of a killed worker by itself. Prefect does not see these restarts, so they are limited here.
    return remote_options(num_cpus=0 if wanted else 1, num_gpus=wanted, max_retries=starts - 1)
