"""Ray through prefect-ray: stages fan out over a cluster, `num_gpus` each.

Ray gives every GPU task a process of its own with CUDA_VISIBLE_DEVICES set, and starts it again on another worker where
its process died. It needs `pip install transferline[ray]` and a Prefect server that its nodes can reach.
"""

from __future__ import annotations

import os
from typing import Any

from transferline.core.errors import InputError
from transferline.core.project import root, store

PASSED_ON = ("TRANSFERLINE_", "MLFLOW_", "PREFECT_", "HF_", "TRANSFORMERS_", "AWS_", "DVC_", "OMP_NUM_THREADS")


def open_ray(gpus: float, insist: bool) -> Any:
    """A RayTaskRunner on the declared cluster, or on one of this machine's own; GPUs are counted before work is sent.

    `insist`: a GPU was asked for by name; else a cluster that has none computes on its CPUs.
    """
    try:
        import ray
        from prefect_ray import RayTaskRunner
    except ImportError as error:
        raise InputError("placement ray", "Ray is not installed", "pip install 'transferline[ray]'") from error
    if not os.environ.get("PREFECT_API_URL"):
        mend = "Start one (`transferline serve`) and set PREFECT_API_URL"
        raise InputError("placement ray", "its workers need a Prefect server of their own", mend)
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
    there = ray.cluster_resources().get("GPU", 0.0)
    if gpus > there and (insist or there or gpus > 1):
        mend = "Ask for less (TRANSFERLINE_GPUS_PER_STAGE), choose device cpu, or add GPU nodes"
        raise InputError("placement ray", f"a stage asks for {gpus:g} GPUs, the cluster has {there:g}", mend)
    return RayTaskRunner(address=address)


def remote(gpu: bool, gpus: float, starts: int) -> Any:
    """The Ray options of one stage, as a context for its submission."""
    import ray
    from prefect_ray.context import remote_options

    there = ray.cluster_resources().get("GPU", 0.0)
    wanted = gpus if gpu and there else 0
    # Ray's own restarts of a killed worker: Prefect does not see them, so they are counted here
    return remote_options(num_cpus=0 if wanted else 1, num_gpus=wanted, max_retries=starts - 1)
